//! Completion: back up through the stack locations, routine by routine (ddi: IofCompleteRequest).

use nt_types::layout::{io_stack_location, irp};
use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Va, constants as c};

use super::irp::{Owner, SL_PENDING_RETURNED};
use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::stop::{Cause, RequestMisuse, StopKind};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IofCompleteRequest(request: Va, boost: u8; ..), DISPATCH),
];

/// A completion routine was called on the way up.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Completing {
    request: Va,
    /// What the completing routine returns in the end.
    result: u64,
}

impl Completing {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        if NtStatus(value as u32) == NtStatus::MORE_PROCESSING_REQUIRED {
            return Ok(Next::Return(self.result));
        }
        climb(m, self)
    }
}

fn IofCompleteRequest(m: &mut Machine, call: &Call, request: Va, _boost: u8) -> Outcome {
    let (location, count) = (m.read_u8(irp::CURRENT_LOCATION.at(request))?, m.read_u8(irp::STACK_COUNT.at(request))?);
    if location > count.wrapping_add(1) || (location == count.wrapping_add(1) && !m.is_outstanding(request)) {
        return Err(completed_twice(m, call, request));
    }
    climb(m, Completing { request, result: 0 })
}

/// 0x44 MULTIPLE_IRP_COMPLETE_REQUESTS: P1 is the request (docs: debugger/bug-check-0x44).
fn completed_twice(m: &mut Machine, call: &Call, request: Va) -> Trap {
    let check = BugCheck { code: BugCheckCode::MULTIPLE_IRP_COMPLETE_REQUESTS, parameters: [request.0, 0, 0, 0] };
    let cause = Cause::Request(RequestMisuse::CompletedTwice { irp: request });
    m.stop_at(call.return_address, StopKind::BugCheck(check, cause)).into()
}

/// Goes up until a routine must be called or the top is reached. Each pass handles one stack location.
fn climb(m: &mut Machine, how: Completing) -> Outcome {
    let request = how.request;
    let count = m.read_u8(irp::STACK_COUNT.at(request))?;
    loop {
        let location = m.read_u8(irp::CURRENT_LOCATION.at(request))?;
        if location > count {
            return finish(m, how);
        }
        let stack = m.stack_location(request)?;
        let above = stack + io_stack_location::SIZEOF;
        let control = m.read_u8(io_stack_location::CONTROL.at(stack))?;
        let routine = m.read_va(io_stack_location::COMPLETION_ROUTINE.at(stack))?;
        let context = m.read_u64(io_stack_location::CONTEXT.at(stack))?;
        let device = if location < count { m.read_va(io_stack_location::DEVICE_OBJECT.at(above))? } else { Va::NULL };
        let invoke = invokes(m, request, control)?;
        m.write_u8(irp::PENDING_RETURNED.at(request), control & SL_PENDING_RETURNED)?;
        m.write_u8(io_stack_location::CONTROL.at(stack), 0)?;
        m.write_u8(irp::CURRENT_LOCATION.at(request), location.wrapping_add(1))?;
        m.write_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request), above.0)?;
        if invoke && !routine.is_null() {
            m.check_completion_routine(routine, request)?;
            let then = Then::Io(io::Then::Completing(how));
            return Ok(Next::call(routine, &[device.0, request.0, context], then));
        }
        if control & SL_PENDING_RETURNED != 0 && location < count {
            let above_control = m.read_u8(io_stack_location::CONTROL.at(above))?;
            m.write_u8(io_stack_location::CONTROL.at(above), above_control | SL_PENDING_RETURNED)?;
        }
    }
}

fn invokes(m: &mut Machine, request: Va, control: u8) -> Result<bool, Trap> {
    let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(request))?);
    let cancelled = m.read_u8(irp::CANCEL.at(request))? != 0;
    let by_status = if status.is_success() { c::SL_INVOKE_ON_SUCCESS as u8 } else { c::SL_INVOKE_ON_ERROR as u8 };
    Ok(control & by_status != 0 || (cancelled && control & c::SL_INVOKE_ON_CANCEL as u8 != 0))
}

fn finish(m: &mut Machine, how: Completing) -> Outcome {
    let request = how.request;
    let status = NtStatus(m.read_u32(irp::IO_STATUS_STATUS.at(request))?);
    let information = m.read_u64(irp::IO_STATUS_INFORMATION.at(request))?;
    m.settle_usage(request, status)?;
    let owner = m.io.requests.get(&request).map(|live| live.owner);
    if owner == Some(Owner::Built) && m.irql() < Irql::DISPATCH {
        m.hand_back(request)?;
        m.request_is_complete(request, status, information);
        return Ok(Next::Return(how.result));
    }
    if owner == Some(Owner::Built) {
        m.record(EventKind::IrpCompleted { irp: request, status, information });
        let service = m.kernel_images.export("ntoskrnl.exe", "IopFinishRequest").unwrap_or(Va::NULL);
        m.start_work("finish request", service, vec![request.0])?;
        return Ok(Next::Return(how.result));
    }
    m.request_is_complete(request, status, information);
    match owner {
        Some(Owner::Power) => m.power_request_is_complete(request, how.result),
        _ => Ok(Next::Return(how.result)),
    }
}

impl Machine {
    /// Completes a request on behalf of the kernel's own dispatch routine, which returns `result`.
    pub(crate) fn complete_request(&mut self, request: Va, result: NtStatus) -> Outcome {
        climb(self, Completing { request, result: u64::from(result.0) })
    }
}

//! Power requests of drivers (ddi: PoRequestPowerIrp).

use nt_types::layout::{device_object, io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::io::Owner;
use crate::exports::{Export, po};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, PoGetSystemWake(request: Va), DISPATCH),
    export!(Ntoskrnl, PoRequestPowerIrp(device: Va, minor: u8, state: u32, completion: Va, context: u64, request: Va), DISPATCH),
    export!(Ntoskrnl, PoSetSystemWake(request: Va), DISPATCH),
];

/// A power request on its way, and what its sender gets when it is complete.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct PowerRequest {
    device: Va,
    minor: u8,
    state: u32,
    completion: Va,
    context: u64,
}

/// The completion routine returned.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Completed {
    request: Va,
    /// What the completing routine returns in the end.
    result: u64,
}

impl Completed {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        m.po.requests.remove(&self.request);
        m.forget_irp(self.request);
        Ok(Next::Return(self.result))
    }
}

/// The request is sent by a system thread, so the caller may be at `DISPATCH_LEVEL`.
fn PoRequestPowerIrp(
    m: &mut Machine,
    device: Va,
    minor: u8,
    state: u32,
    completion: Va,
    context: u64,
    request_at: Va,
) -> Outcome {
    let kind = match u32::from(minor) {
        c::IRP_MN_QUERY_POWER | c::IRP_MN_SET_POWER => Some(c::DEVICE_POWER_STATE),
        c::IRP_MN_WAIT_WAKE => None,
        _ => return Ok(Next::status(NtStatus::INVALID_PARAMETER_2)),
    };
    let top = m.top_of_stack(device)?;
    let stack_size = m.read_u8(device_object::STACK_SIZE.at(top))?;
    if !request_at.is_null() {
        m.probe_write(request_at, 8)?;
    }
    // One location more than the stack needs: a driver may use the current one for itself.
    let Some(request) = m.new_irp(stack_size.saturating_add(1), Owner::Power)? else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    let stack = m.next_stack_location(request)?;
    m.write_u8(stack, c::IRP_MJ_POWER as u8)?;
    m.write_u8(sl::MINOR_FUNCTION.at(stack), minor)?;
    m.write_u32(irp::IO_STATUS_STATUS.at(request), NtStatus::NOT_SUPPORTED.0)?;
    match kind {
        Some(kind) => {
            m.write_u32(sl::PARAMETERS_POWER_TYPE.at(stack), kind)?;
            m.write_u32(sl::PARAMETERS_POWER_STATE.at(stack), state)?;
        }
        None => m.write_u32(sl::PARAMETERS_WAIT_WAKE_POWER_STATE.at(stack), state)?,
    }
    if !request_at.is_null() {
        m.write_u64(request_at, request.0)?;
    }
    m.po.requests.insert(request, PowerRequest { device, minor, state, completion, context });
    let service = m.kernel_images.export("ntoskrnl.exe", "PoCallDriver").unwrap_or(Va::NULL);
    m.start_work("power request", service, vec![top.0, request.0])?;
    Ok(Next::status(NtStatus::PENDING))
}

/// No request here wakes the system: it does not sleep.
fn PoGetSystemWake(_m: &mut Machine, _request: Va) -> Outcome {
    Ok(Next::Return(0))
}

fn PoSetSystemWake(_m: &mut Machine, _request: Va) -> Outcome {
    Ok(Next::VOID)
}

impl Machine {
    /// A request of PoRequestPowerIrp is complete: its sender's routine is called, then it goes.
    pub(crate) fn power_request_is_complete(&mut self, request: Va, result: u64) -> Result<Next, Trap> {
        let done = Completed { request, result };
        let Some(asked) = self.po.requests.get(&request).copied() else { return done.run(self) };
        if asked.completion.is_null() {
            return done.run(self);
        }
        let status = irp::IO_STATUS.at(request);
        let arguments = [asked.device.0, asked.minor.into(), asked.state.into(), asked.context, status.0];
        Ok(Next::call(asked.completion, &arguments, Then::Po(po::Then::Completed(done))))
    }
}

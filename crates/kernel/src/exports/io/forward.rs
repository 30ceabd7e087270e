//! Sending a request on and waiting for it (ddi: IoForwardIrpSynchronously).

use nt_types::layout::{dispatcher_header, io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoForwardIrpSynchronously(device: Va, request: Va), APC),
    export!(Ntoskrnl, IoIsOperationSynchronous(request: Va), DISPATCH),
    export!(Ntoskrnl, IopForwardedIrp(device: Va, request: Va, event: Va), DISPATCH),
];

/// The request was sent on; the event tells when it has come back.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Forwarded {
    event: Va,
    returned: bool,
}

impl Forwarded {
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        if self.returned {
            m.pool_free(self.event);
            return Ok(Next::Return(1));
        }
        let wait = Wait::on(WaitOn::Objects { objects: vec![self.event], all: false });
        let then = Then::Io(io::Then::Forwarded(Forwarded { returned: true, ..self }));
        if m.signal_state(self.event)? > 0 { Ok(Next::Continue(then, 0)) } else { Ok(Next::Wait(wait, then)) }
    }
}

/// FALSE where the request has no stack location left.
fn IoForwardIrpSynchronously(m: &mut Machine, device: Va, request: Va) -> Outcome {
    if m.read_u8(irp::CURRENT_LOCATION.at(request))? <= 1 {
        return Ok(Next::Return(0));
    }
    let (current, next) = (m.stack_location(request)?, m.next_stack_location(request)?);
    let location = m.read_bytes(current, sl::COMPLETION_ROUTINE.offset.into())?;
    let Some(event) = m.kernel_object(dispatcher_header::SIZEOF, *b"Even") else { return Ok(Next::Return(0)) };
    m.initialize_header(event, c::NOTIFICATION_EVENT as u8, dispatcher_header::SIZEOF, 0)?;
    let routine = m.kernel_images.export("ntoskrnl.exe", "IopForwardedIrp").unwrap_or(Va::NULL);
    let invoke = c::SL_INVOKE_ON_SUCCESS | c::SL_INVOKE_ON_ERROR | c::SL_INVOKE_ON_CANCEL;
    m.write_bytes(next, &location)?;
    m.write_u8(sl::CONTROL.at(next), invoke as u8)?;
    m.write_u64(sl::COMPLETION_ROUTINE.at(next), routine.0)?;
    m.write_u64(sl::CONTEXT.at(next), event.0)?;
    let service = m.kernel_images.export("ntoskrnl.exe", "IofCallDriver").unwrap_or(Va::NULL);
    let then = Then::Io(io::Then::Forwarded(Forwarded { event, returned: false }));
    Ok(Next::call(service, &[device.0, request.0], then))
}

/// The completion routine of every request that is sent on in this way.
fn IopForwardedIrp(m: &mut Machine, _device: Va, _request: Va, event: Va) -> Outcome {
    m.set_signal_state(event, 1)?;
    m.signal(event)?;
    Ok(Next::status(NtStatus::MORE_PROCESSING_REQUIRED))
}

/// True for a request whose file is synchronous, or whose builder waits for it; false for paging.
fn IoIsOperationSynchronous(m: &mut Machine, request: Va) -> Outcome {
    let flags = m.read_u32(irp::FLAGS.at(request))?;
    let file = m.read_va(irp::TAIL_OVERLAY_ORIGINAL_FILE_OBJECT.at(request))?;
    let by_file = !file.is_null() && m.is_synchronous_file(file)?;
    let by_request = flags & (c::IRP_SYNCHRONOUS_API | c::IRP_SYNCHRONOUS_PAGING_IO) != 0;
    let paging = flags & c::IRP_PAGING_IO != 0 && flags & c::IRP_SYNCHRONOUS_PAGING_IO == 0;
    Ok(Next::Return(((by_file || by_request) && !paging).into()))
}

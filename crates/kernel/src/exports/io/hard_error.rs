//! Hard errors (ddi: IoSetThreadHardErrorMode, IoSetHardErrorOrVerifyDevice). Nobody sits at the machine to see one.

use nt_types::Va;
use nt_types::layout::irp;

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetDeviceToVerify(thread: Va), APC),
    export!(Ntoskrnl, IoRaiseHardError(request: Va, volume: Va, device: Va), APC),
    export!(Ntoskrnl, IoSetDeviceToVerify(thread: Va, device: Va), APC),
    export!(Ntoskrnl, IoSetHardErrorOrVerifyDevice(request: Va, device: Va), DISPATCH),
    export!(Ntoskrnl, IoSetThreadHardErrorMode(enable: bool), PASSIVE),
];

/// True where hard errors were enabled before.
fn IoSetThreadHardErrorMode(m: &mut Machine, enable: bool) -> Outcome {
    let id = m.current_thread();
    let before = if enable { m.io.without_hard_errors.remove(&id) } else { !m.io.without_hard_errors.insert(id) };
    Ok(Next::Return((!before).into()))
}

fn IoGetDeviceToVerify(m: &mut Machine, thread: Va) -> Outcome {
    Ok(Next::pointer(m.io.devices_to_verify.get(&thread).copied().unwrap_or(Va::NULL)))
}

fn IoSetDeviceToVerify(m: &mut Machine, thread: Va, device: Va) -> Outcome {
    m.io.devices_to_verify.insert(thread, device);
    Ok(Next::VOID)
}

/// `Tail.Overlay.Thread` names the thread whose device to verify this is.
fn IoSetHardErrorOrVerifyDevice(m: &mut Machine, request: Va, device: Va) -> Outcome {
    let thread = m.read_va(irp::TAIL_OVERLAY_THREAD.at(request))?;
    if !thread.is_null() {
        m.io.devices_to_verify.insert(thread, device);
    }
    Ok(Next::VOID)
}

fn IoRaiseHardError(m: &mut Machine, _request: Va, _volume: Va, _device: Va) -> Outcome {
    Err(m.refuse("IoRaiseHardError", "any request: nobody answers hard errors"))
}

//! What drivers register for moments that a run does not reach: shutdown and file systems that come and go (ddi:
//! IoRegisterShutdownNotification, IoRegisterFsRegistrationChange).

use nt_types::layout::device_object;
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoRegisterFsRegistrationChange(driver: Va, routine: Va), APC),
    export!(Ntoskrnl, IoRegisterLastChanceShutdownNotification = IoRegisterShutdownNotification(device: Va), PASSIVE),
    export!(Ntoskrnl, IoRegisterShutdownNotification(device: Va), PASSIVE),
    export!(Ntoskrnl, IoUnregisterFsRegistrationChange(driver: Va, routine: Va), APC),
    export!(Ntoskrnl, IoUnregisterShutdownNotification(device: Va), PASSIVE),
];

/// The machine is never shut down from inside: the request stays unsent, as on a machine that keeps running.
fn IoRegisterShutdownNotification(m: &mut Machine, device: Va) -> Outcome {
    set_registered(m, device, true)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoUnregisterShutdownNotification(m: &mut Machine, device: Va) -> Outcome {
    set_registered(m, device, false)?;
    Ok(Next::VOID)
}

fn set_registered(m: &mut Machine, device: Va, registered: bool) -> Result<(), Trap> {
    let flags = device_object::FLAGS.at(device);
    let others = m.read_u32(flags)? & !c::DO_SHUTDOWN_REGISTERED;
    m.write_u32(flags, if registered { others | c::DO_SHUTDOWN_REGISTERED } else { others })
}

/// There are no file systems in this machine, so the routine has nothing to be told.
fn IoRegisterFsRegistrationChange(m: &mut Machine, driver: Va, routine: Va) -> Outcome {
    if m.io.file_system_watchers.contains(&(driver, routine)) {
        return Ok(Next::status(NtStatus::DEVICE_ALREADY_ATTACHED));
    }
    m.io.file_system_watchers.push((driver, routine));
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoUnregisterFsRegistrationChange(m: &mut Machine, driver: Va, routine: Va) -> Outcome {
    m.io.file_system_watchers.retain(|watcher| *watcher != (driver, routine));
    Ok(Next::VOID)
}

//! Routines that see registry operations (ddi: CmRegisterCallbackEx). Nothing but drivers uses the registry here; a driver
//! that uses it while routines are registered is told that this is not modelled.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, CmGetCallbackVersion(major: Va, minor: Va), APC),
    export!(Ntoskrnl, CmRegisterCallback(routine: Va, context: u64, cookie: Va), APC),
    export!(Ntoskrnl, CmRegisterCallbackEx(routine: Va, altitude: Va, driver: Va, context: u64, cookie: Va, reserved: Va), APC),
    export!(Ntoskrnl, CmUnRegisterCallback(cookie: u64), APC),
];

/// Registered routines.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Callbacks {
    /// Cookie and altitude.
    known: Vec<(u64, String)>,
    issued: u64,
}

fn CmGetCallbackVersion(m: &mut Machine, major: Va, minor: Va) -> Outcome {
    for slot in [major, minor] {
        if !slot.is_null() {
            m.write_u32(slot, 1)?;
        }
    }
    Ok(Next::VOID)
}

fn CmRegisterCallback(m: &mut Machine, _routine: Va, _context: u64, cookie: Va) -> Outcome {
    register(m, String::new(), cookie)
}

fn CmRegisterCallbackEx(
    m: &mut Machine,
    _routine: Va,
    altitude: Va,
    _driver: Va,
    _context: u64,
    cookie: Va,
    _reserved: Va,
) -> Outcome {
    let altitude = m.read_text(altitude)?;
    if m.cm.callbacks.known.iter().any(|(_, known)| *known == altitude) {
        return Ok(Next::status(NtStatus::FLT_INSTANCE_ALTITUDE_COLLISION));
    }
    register(m, altitude, cookie)
}

fn register(m: &mut Machine, altitude: String, cookie: Va) -> Outcome {
    let issued = m.cm.callbacks.issued + 1;
    m.write_u64(cookie, issued)?;
    m.cm.callbacks.issued = issued;
    m.cm.callbacks.known.push((issued, altitude));
    Ok(Next::status(NtStatus::SUCCESS))
}

fn CmUnRegisterCallback(m: &mut Machine, cookie: u64) -> Outcome {
    let Some(index) = m.cm.callbacks.known.iter().position(|(known, _)| *known == cookie) else {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    };
    m.cm.callbacks.known.remove(index);
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// An operation on the registry is about to begin.
    pub(super) fn no_registry_callbacks(&mut self, routine: &'static str) -> Result<(), Trap> {
        match self.cm.callbacks.known.is_empty() {
            true => Ok(()),
            false => Err(self.refuse(routine, "a registry operation that callbacks of CmRegisterCallback would see")),
        }
    }
}

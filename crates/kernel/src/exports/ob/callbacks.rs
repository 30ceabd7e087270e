//! Routines that see handles being opened (ddi: ObRegisterCallbacks). Programs, whose handles they are for, do not exist
//! here; a driver that opens a process itself while routines are registered is told that this is not modelled.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ObGetFilterVersion(), APC),
    export!(Ntoskrnl, ObRegisterCallbacks(registration: Va, handle: Va), APC),
    export!(Ntoskrnl, ObUnRegisterCallbacks(handle: Va), APC),
];

/// `OB_FLT_REGISTRATION_VERSION`.
const VERSION: u16 = 0x100;
/// OB_CALLBACK_REGISTRATION: version, number of operations, altitude, context, operations.
const COUNT: u64 = 2;
const ALTITUDE: u64 = 8;
const OPERATIONS: u64 = 32;
/// OB_OPERATION_REGISTRATION: pointer to the variable with the type, operations, two routines.
const OPERATION_BYTES: u64 = 32;

fn ObGetFilterVersion(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(VERSION.into()))
}

fn ObRegisterCallbacks(m: &mut Machine, registration: Va, handle: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let (version, count) = (m.read_u16(registration)?, m.read_u16(registration + COUNT)?);
    let altitude = m.read_text(registration + ALTITUDE)?;
    let operations = m.read_va(registration + OPERATIONS)?;
    if version != VERSION || count == 0 || operations.is_null() {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    for index in 0..u64::from(count) {
        let variable = m.read_va(operations + OPERATION_BYTES * index)?;
        let kind = m.read_va(variable)?;
        if !m.has_handle_callbacks(kind) {
            return Ok(Next::status(NtStatus::INVALID_PARAMETER));
        }
    }
    if m.ob.callbacks.iter().any(|(_, known)| *known == altitude) {
        return Ok(Next::status(NtStatus::FLT_INSTANCE_ALTITUDE_COLLISION));
    }
    let Some(object) = m.kernel_object(0x20, *b"ObCb") else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.ob.callbacks.push((object, altitude));
    m.write_u64(handle, object.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ObUnRegisterCallbacks(m: &mut Machine, handle: Va) -> Outcome {
    let Some(index) = m.ob.callbacks.iter().position(|(known, _)| *known == handle) else {
        return Err(m.refuse("ObUnRegisterCallbacks", format!("`{handle}`, which is no registration")));
    };
    m.ob.callbacks.remove(index);
    m.pool_free(handle);
    Ok(Next::VOID)
}

impl Machine {
    /// True for the types whose handles callbacks are told about.
    fn has_handle_callbacks(&self, kind: Va) -> bool {
        use super::ObjectType;
        [ObjectType::Process, ObjectType::Thread].into_iter().any(|known| self.type_object(known) == Some(kind))
    }

    /// A handle of a process is about to be opened.
    pub(crate) fn no_handle_callbacks(&mut self, routine: &'static str) -> Result<(), Trap> {
        match self.ob.callbacks.is_empty() {
            true => Ok(()),
            false => Err(self.refuse(routine, "a handle that callbacks of ObRegisterCallbacks would be told about")),
        }
    }
}

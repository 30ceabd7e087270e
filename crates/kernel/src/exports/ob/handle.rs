//! Handles (ddi: ZwClose, ZwWaitForSingleObject, ZwDuplicateObject, ZwMakeTemporaryObject).

use nt_types::{NtStatus, Va};

use super::{Object, ObjectType};
use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::wait::Manner;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtClose = ZwClose(handle: u64), PASSIVE),
    export!(Ntoskrnl, ObCloseHandle(handle: u64, mode: u8), PASSIVE),
    export!(Ntoskrnl, ObMakeTemporaryObject(object: Va), PASSIVE),
    export!(Ntoskrnl, ZwClose(handle: u64), PASSIVE),
    export!(Ntoskrnl, ZwDuplicateObject(process: u64, handle: u64, target: u64, duplicate: Va, access: u32, attributes: u32, options: u32), PASSIVE),
    export!(Ntoskrnl, ZwMakeTemporaryObject(handle: u64), PASSIVE),
    export!(Ntoskrnl, ZwWaitForSingleObject(handle: u64, alertable: bool, timeout: Va; ..), PASSIVE),
];

fn ZwClose(m: &mut Machine, handle: u64) -> Outcome {
    match m.ob.handles.close(handle) {
        None => Ok(Next::status(NtStatus::INVALID_HANDLE)),
        Some(Object::Body(ObjectType::File, file)) => m.file_handle_closed(file),
        Some(Object::Body(_, body)) => m.dereference_object(body),
        Some(_) => Ok(Next::status(NtStatus::SUCCESS)),
    }
}

fn ObCloseHandle(m: &mut Machine, handle: u64, _mode: u8) -> Outcome {
    ZwClose(m, handle)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwDuplicateObject(
    m: &mut Machine,
    _process: u64,
    handle: u64,
    _target: u64,
    duplicate: Va,
    _access: u32,
    _attributes: u32,
    options: u32,
) -> Outcome {
    const DUPLICATE_CLOSE_SOURCE: u32 = 1;
    if options & DUPLICATE_CLOSE_SOURCE != 0 {
        return Err(m.refuse("ZwDuplicateObject", "`DUPLICATE_CLOSE_SOURCE`"));
    }
    m.probe_write(duplicate, 8)?;
    let Some(object) = m.object_of(handle) else { return Ok(Next::status(NtStatus::INVALID_HANDLE)) };
    if let Object::Body(_, body) = object {
        m.ob.counted.reference(body);
    }
    Ok(Next::status(m.give_handle(duplicate, object, true)?))
}

/// Objects here have no permanent names that could be taken away.
fn ZwMakeTemporaryObject(m: &mut Machine, handle: u64) -> Outcome {
    let known = m.object_of(handle).is_some();
    Ok(Next::status(if known { NtStatus::SUCCESS } else { NtStatus::INVALID_HANDLE }))
}

fn ObMakeTemporaryObject(_m: &mut Machine, _object: Va) -> Outcome {
    Ok(Next::VOID)
}

fn ZwWaitForSingleObject(m: &mut Machine, call: &Call, handle: u64, alertable: bool, timeout: Va) -> Outcome {
    match m.object_of(handle) {
        None => Ok(Next::status(NtStatus::INVALID_HANDLE)),
        Some(Object::Body(ObjectType::Event | ObjectType::Semaphore | ObjectType::Thread, body)) => {
            m.wait_for(call, vec![body], false, Manner { alertable, user_mode: false }, timeout)
        }
        Some(other) => {
            let what = format!("a handle of a {:?}", other.kind());
            Err(m.refuse("ZwWaitForSingleObject", what))
        }
    }
}

//! Questions of access, and the security of objects (ddi: SeSinglePrivilegeCheck, ZwSetSecurityObject).

use nt_types::layout::io_status_block;
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, NtSetSecurityObject = ZwSetSecurityObject(handle: u64, information: u32, descriptor: Va), PASSIVE),
    export!(Ntoskrnl, SeCaptureSubjectContext(context: Va), PASSIVE),
    export!(Ntoskrnl, SeLockSubjectContext(context: Va), PASSIVE),
    export!(Ntoskrnl, SeReleaseSubjectContext(context: Va), PASSIVE),
    export!(Ntoskrnl, SeSinglePrivilegeCheck(low: u64, mode: u8), PASSIVE),
    export!(Ntoskrnl, SeTokenIsAdmin(token: Va), PASSIVE),
    export!(Ntoskrnl, SeUnlockSubjectContext(context: Va), PASSIVE),
    export!(Ntoskrnl, ZwSetSecurityObject(handle: u64, information: u32, descriptor: Va), PASSIVE),
];

/// Bytes of a SECURITY_SUBJECT_CONTEXT: two tokens, a level, an audit identifier.
const SUBJECT_CONTEXT: u64 = 2 * io_status_block::SIZEOF;

/// The local system has every privilege.
fn SeSinglePrivilegeCheck(_m: &mut Machine, _privilege: u64, _mode: u8) -> Outcome {
    Ok(Next::Return(1))
}

fn SeTokenIsAdmin(_m: &mut Machine, _token: Va) -> Outcome {
    Ok(Next::Return(1))
}

fn SeCaptureSubjectContext(m: &mut Machine, context: Va) -> Outcome {
    m.fill_bytes(context, 0, SUBJECT_CONTEXT)?;
    Ok(Next::VOID)
}

fn SeLockSubjectContext(_m: &mut Machine, _context: Va) -> Outcome {
    Ok(Next::VOID)
}

fn SeUnlockSubjectContext(_m: &mut Machine, _context: Va) -> Outcome {
    Ok(Next::VOID)
}

fn SeReleaseSubjectContext(_m: &mut Machine, _context: Va) -> Outcome {
    Ok(Next::VOID)
}

/// Whoever opens an object here is the local system, so its descriptor is checked for form and not kept.
fn ZwSetSecurityObject(m: &mut Machine, handle: u64, _information: u32, descriptor: Va) -> Outcome {
    let revision = m.read_u8(descriptor)?;
    Ok(Next::status(match m.object_of(handle) {
        None => NtStatus::INVALID_HANDLE,
        Some(_) if revision != 1 => NtStatus::UNKNOWN_REVISION,
        Some(_) => NtStatus::SUCCESS,
    }))
}

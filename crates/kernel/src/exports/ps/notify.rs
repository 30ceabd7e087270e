//! Routines that the system calls when programs, threads and images come and go (ddi: PsSetCreateProcessNotifyRoutine).
//!
//! No program starts or ends on this machine, so they are kept and never called.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, PsRemoveCreateThreadNotifyRoutine(routine: Va), APC),
    export!(Ntoskrnl, PsRemoveLoadImageNotifyRoutine(routine: Va), APC),
    export!(Ntoskrnl, PsSetCreateProcessNotifyRoutine(routine: Va, remove: bool), PASSIVE),
    export!(Ntoskrnl, PsSetCreateProcessNotifyRoutineEx = PsSetCreateProcessNotifyRoutine(routine: Va, remove: bool), PASSIVE),
    export!(Ntoskrnl, PsSetCreateThreadNotifyRoutine(routine: Va), PASSIVE),
    export!(Ntoskrnl, PsSetLoadImageNotifyRoutine(routine: Va), PASSIVE),
];

/// Most routines of all kinds together, as documented for each kind.
const MAX_ROUTINES: usize = 64;

fn PsSetCreateProcessNotifyRoutine(m: &mut Machine, routine: Va, remove: bool) -> Outcome {
    if remove { drop_routine(m, routine, NtStatus::INVALID_PARAMETER) } else { keep(m, routine) }
}

fn PsSetCreateThreadNotifyRoutine(m: &mut Machine, routine: Va) -> Outcome {
    keep(m, routine)
}

fn PsSetLoadImageNotifyRoutine(m: &mut Machine, routine: Va) -> Outcome {
    keep(m, routine)
}

fn PsRemoveCreateThreadNotifyRoutine(m: &mut Machine, routine: Va) -> Outcome {
    drop_routine(m, routine, NtStatus::PROCEDURE_NOT_FOUND)
}

fn PsRemoveLoadImageNotifyRoutine(m: &mut Machine, routine: Va) -> Outcome {
    drop_routine(m, routine, NtStatus::PROCEDURE_NOT_FOUND)
}

fn keep(m: &mut Machine, routine: Va) -> Outcome {
    if m.ps.notify_routines.len() >= MAX_ROUTINES {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    }
    m.ps.notify_routines.push(routine);
    Ok(Next::status(NtStatus::SUCCESS))
}

fn drop_routine(m: &mut Machine, routine: Va, unknown: NtStatus) -> Outcome {
    let index = m.ps.notify_routines.iter().position(|known| *known == routine);
    let Some(index) = index else { return Ok(Next::status(unknown)) };
    m.ps.notify_routines.remove(index);
    Ok(Next::status(NtStatus::SUCCESS))
}

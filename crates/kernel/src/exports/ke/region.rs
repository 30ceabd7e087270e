//! Critical and guarded regions, and guarded mutexes (ddi: KeEnterCriticalRegion, KeEnterGuardedRegion,
//! KeAcquireGuardedMutex).

use nt_types::layout::kguarded_mutex as guarded;
use nt_types::{Irql, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeAcquireGuardedMutex(mutex: Va), APC),
    export!(Ntoskrnl, KeAcquireGuardedMutexUnsafe(mutex: Va), APC),
    export!(Ntoskrnl, KeAreAllApcsDisabled(), DISPATCH),
    export!(Ntoskrnl, KeAreApcsDisabled(), DISPATCH),
    export!(Ntoskrnl, KeEnterCriticalRegion(), APC),
    export!(Ntoskrnl, KeEnterGuardedRegion(), APC),
    export!(Ntoskrnl, KeInitializeGuardedMutex(mutex: Va), APC),
    export!(Ntoskrnl, KeLeaveCriticalRegion(), APC),
    export!(Ntoskrnl, KeLeaveGuardedRegion(), APC),
    export!(Ntoskrnl, KeReleaseGuardedMutex(mutex: Va), APC),
    export!(Ntoskrnl, KeReleaseGuardedMutexUnsafe(mutex: Va), APC),
    export!(Ntoskrnl, KeTryToAcquireGuardedMutex(mutex: Va), APC),
];

fn KeEnterCriticalRegion(m: &mut Machine) -> Outcome {
    m.thread().critical_regions += 1;
    Ok(Next::VOID)
}

fn KeLeaveCriticalRegion(m: &mut Machine) -> Outcome {
    let regions = m.thread().critical_regions;
    m.thread().critical_regions = regions.saturating_sub(1);
    m.attention = true;
    Ok(Next::VOID)
}

fn KeEnterGuardedRegion(m: &mut Machine) -> Outcome {
    m.thread().guarded_regions += 1;
    Ok(Next::VOID)
}

fn KeLeaveGuardedRegion(m: &mut Machine) -> Outcome {
    let regions = m.thread().guarded_regions;
    m.thread().guarded_regions = regions.saturating_sub(1);
    m.attention = true;
    Ok(Next::VOID)
}

fn KeAreApcsDisabled(m: &mut Machine) -> Outcome {
    let disabled = m.thread().critical_regions + m.thread().guarded_regions > 0;
    Ok(Next::Return(disabled.into()))
}

fn KeAreAllApcsDisabled(m: &mut Machine) -> Outcome {
    let disabled = m.thread().guarded_regions > 0 || m.irql() >= Irql::APC;
    Ok(Next::Return(disabled.into()))
}

fn KeInitializeGuardedMutex(m: &mut Machine, mutex: Va) -> Outcome {
    m.fill_bytes(mutex, 0, guarded::SIZEOF)?;
    m.write_u32(guarded::COUNT.at(mutex), 1)?;
    m.object_initialised(mutex, ObjectKind::FastMutex)
}

fn KeAcquireGuardedMutex(m: &mut Machine, mutex: Va) -> Outcome {
    KeAcquireGuardedMutexUnsafe(m, mutex)?;
    KeEnterGuardedRegion(m)
}

/// The same for who is in a guarded region already.
fn KeAcquireGuardedMutexUnsafe(m: &mut Machine, mutex: Va) -> Outcome {
    if m.read_u32(guarded::COUNT.at(mutex))? != 1 {
        return Err(Trap::Block(Wait::on(WaitOn::Address(mutex))));
    }
    take(m, mutex)?;
    Ok(Next::VOID)
}

fn KeTryToAcquireGuardedMutex(m: &mut Machine, mutex: Va) -> Outcome {
    if m.read_u32(guarded::COUNT.at(mutex))? != 1 {
        return Ok(Next::Return(0));
    }
    take(m, mutex)?;
    KeEnterGuardedRegion(m)?;
    Ok(Next::Return(1))
}

fn take(m: &mut Machine, mutex: Va) -> Result<(), Trap> {
    let owner = m.thread().object;
    m.write_u32(guarded::COUNT.at(mutex), 0)?;
    m.write_u64(guarded::OWNER.at(mutex), owner.0)
}

fn KeReleaseGuardedMutex(m: &mut Machine, mutex: Va) -> Outcome {
    KeReleaseGuardedMutexUnsafe(m, mutex)?;
    KeLeaveGuardedRegion(m)
}

fn KeReleaseGuardedMutexUnsafe(m: &mut Machine, mutex: Va) -> Outcome {
    m.write_u64(guarded::OWNER.at(mutex), 0)?;
    m.write_u32(guarded::COUNT.at(mutex), 1)?;
    m.wake_all_on(&WaitOn::Address(mutex));
    Ok(Next::VOID)
}

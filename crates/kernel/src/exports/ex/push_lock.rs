//! Push locks and rundown protection (ddi: ExInitializePushLock, ExAcquirePushLockExclusiveEx,
//! ExAcquireRundownProtection). A push lock is a word: bit 0 is exclusive ownership, the rest counts sharers in sixteens.
//! A rundown reference is a word, too: twice the number of references, and bit 0 once rundown has begun.

use nt_types::Va;

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExAcquirePushLockExclusiveEx(lock: Va, flags: u32), APC),
    export!(Ntoskrnl, ExAcquirePushLockSharedEx(lock: Va, flags: u32), APC),
    export!(Ntoskrnl, ExAcquireRundownProtection(reference: Va), DISPATCH),
    export!(Ntoskrnl, ExAcquireRundownProtectionEx(reference: Va, count: u32), DISPATCH),
    export!(Ntoskrnl, ExInitializePushLock(lock: Va), DISPATCH),
    export!(Ntoskrnl, ExInitializeRundownProtection(reference: Va), APC),
    export!(Ntoskrnl, ExReInitializeRundownProtection = ExInitializeRundownProtection(reference: Va), APC),
    export!(Ntoskrnl, ExReleasePushLockExclusiveEx(lock: Va, flags: u32), APC),
    export!(Ntoskrnl, ExReleasePushLockSharedEx(lock: Va, flags: u32), APC),
    export!(Ntoskrnl, ExReleaseRundownProtection(reference: Va), DISPATCH),
    export!(Ntoskrnl, ExReleaseRundownProtectionEx(reference: Va, count: u32), DISPATCH),
    export!(Ntoskrnl, ExRundownCompleted(reference: Va), APC),
    export!(Ntoskrnl, ExWaitForRundownProtectionRelease(reference: Va), APC),
    export!(Ntoskrnl, ExfAcquirePushLockExclusive(lock: Va), APC),
    export!(Ntoskrnl, ExfAcquirePushLockShared(lock: Va), APC),
    export!(Ntoskrnl, ExfReleasePushLockExclusive(lock: Va), APC),
    export!(Ntoskrnl, ExfReleasePushLockShared(lock: Va), APC),
    export!(Ntoskrnl, ExfTryToWakePushLock(lock: Va), APC),
];

const EXCLUSIVE: u64 = 1;
const ONE_SHARER: u64 = 16;
const RUNDOWN_BEGUN: u64 = 1;
const ONE_REFERENCE: u64 = 2;

fn ExInitializePushLock(m: &mut Machine, lock: Va) -> Outcome {
    m.write_u64(lock, 0)?;
    Ok(Next::VOID)
}

fn ExfAcquirePushLockExclusive(m: &mut Machine, lock: Va) -> Outcome {
    match m.read_u64(lock)? {
        0 => m.write_u64(lock, EXCLUSIVE).map(|()| Next::VOID),
        _ => Err(Trap::Block(Wait::on(WaitOn::Address(lock)))),
    }
}

fn ExfAcquirePushLockShared(m: &mut Machine, lock: Va) -> Outcome {
    match m.read_u64(lock)? {
        held if held & EXCLUSIVE == 0 => m.write_u64(lock, held.wrapping_add(ONE_SHARER)).map(|()| Next::VOID),
        _ => Err(Trap::Block(Wait::on(WaitOn::Address(lock)))),
    }
}

fn ExfReleasePushLockExclusive(m: &mut Machine, lock: Va) -> Outcome {
    match m.read_u64(lock)? {
        EXCLUSIVE => m.change_and_wake(lock, 0),
        _ => Err(m.refuse("ExReleasePushLockExclusive", "a push lock that is not held exclusively")),
    }
}

fn ExfReleasePushLockShared(m: &mut Machine, lock: Va) -> Outcome {
    match m.read_u64(lock)? {
        held if held >= ONE_SHARER && held & EXCLUSIVE == 0 => m.change_and_wake(lock, held - ONE_SHARER),
        _ => Err(m.refuse("ExReleasePushLockShared", "a push lock that is not held shared")),
    }
}

/// Releases wake who waits: nothing is left to do.
fn ExfTryToWakePushLock(_m: &mut Machine, _lock: Va) -> Outcome {
    Ok(Next::VOID)
}

fn ExAcquirePushLockExclusiveEx(m: &mut Machine, lock: Va, _flags: u32) -> Outcome {
    ExfAcquirePushLockExclusive(m, lock)
}

fn ExAcquirePushLockSharedEx(m: &mut Machine, lock: Va, _flags: u32) -> Outcome {
    ExfAcquirePushLockShared(m, lock)
}

fn ExReleasePushLockExclusiveEx(m: &mut Machine, lock: Va, _flags: u32) -> Outcome {
    ExfReleasePushLockExclusive(m, lock)
}

fn ExReleasePushLockSharedEx(m: &mut Machine, lock: Va, _flags: u32) -> Outcome {
    ExfReleasePushLockShared(m, lock)
}

fn ExInitializeRundownProtection(m: &mut Machine, reference: Va) -> Outcome {
    m.write_u64(reference, 0)?;
    Ok(Next::VOID)
}

fn ExRundownCompleted(m: &mut Machine, reference: Va) -> Outcome {
    m.write_u64(reference, RUNDOWN_BEGUN)?;
    Ok(Next::VOID)
}

fn ExAcquireRundownProtection(m: &mut Machine, reference: Va) -> Outcome {
    ExAcquireRundownProtectionEx(m, reference, 1)
}

/// FALSE once rundown has begun.
fn ExAcquireRundownProtectionEx(m: &mut Machine, reference: Va, count: u32) -> Outcome {
    let held = m.read_u64(reference)?;
    if held & RUNDOWN_BEGUN != 0 {
        return Ok(Next::Return(0));
    }
    m.write_u64(reference, held.wrapping_add(ONE_REFERENCE * u64::from(count)))?;
    Ok(Next::Return(1))
}

fn ExReleaseRundownProtection(m: &mut Machine, reference: Va) -> Outcome {
    ExReleaseRundownProtectionEx(m, reference, 1)
}

fn ExReleaseRundownProtectionEx(m: &mut Machine, reference: Va, count: u32) -> Outcome {
    match m.read_u64(reference)?.checked_sub(ONE_REFERENCE * u64::from(count)) {
        Some(held) => m.change_and_wake(reference, held),
        None => Err(m.refuse("ExReleaseRundownProtection", "more references than were taken")),
    }
}

fn ExWaitForRundownProtectionRelease(m: &mut Machine, reference: Va) -> Outcome {
    let held = m.read_u64(reference)? | RUNDOWN_BEGUN;
    m.write_u64(reference, held)?;
    if held == RUNDOWN_BEGUN { Ok(Next::VOID) } else { Err(Trap::Block(Wait::on(WaitOn::Address(reference)))) }
}

impl Machine {
    /// A lock word has a new value: who waits for it looks again.
    fn change_and_wake(&mut self, lock: Va, value: u64) -> Outcome {
        self.write_u64(lock, value)?;
        self.wake_all_on(&WaitOn::Address(lock));
        Ok(Next::VOID)
    }
}

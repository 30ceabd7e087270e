//! Spin locks (ddi: KeAcquireSpinLock, KeAcquireInStackQueuedSpinLock, ExAcquireSpinLockExclusive).
//!
//! A spin lock is a pointer-sized word: 0 free, 1 held. A processor that meets it held tries again once the others have
//! run. With one processor, and for a lock that the processor holds itself, it would try for ever: the run ends. Who gets an
//! ordinary lock first is a matter of which processor goes on first; queued ones go in the order of the calls (docs:
//! kernel/queued-spin-locks), so who has to wait stands in a line.

use std::collections::VecDeque;

use nt_types::layout::{klock_queue_handle as handle, kspin_lock_queue as queue};
use nt_types::{Irql, Va};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::stop::Limit;
use crate::thread::ThreadId;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExAcquireSpinLockExclusive(lock: Va; ..), DISPATCH),
    export!(Ntoskrnl, ExAcquireSpinLockExclusiveAtDpcLevel(lock: Va), DISPATCH..=HIGH),
    export!(Ntoskrnl, ExAcquireSpinLockShared(lock: Va; ..), DISPATCH),
    export!(Ntoskrnl, ExAcquireSpinLockSharedAtDpcLevel(lock: Va), DISPATCH..=HIGH),
    export!(Ntoskrnl, ExReleaseSpinLockExclusive(lock: Va, old: Irql; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, ExReleaseSpinLockExclusiveFromDpcLevel(lock: Va), DISPATCH..=HIGH),
    export!(Ntoskrnl, ExReleaseSpinLockShared(lock: Va, old: Irql; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, ExReleaseSpinLockSharedFromDpcLevel(lock: Va), DISPATCH..=HIGH),
    export!(Ntoskrnl, KeAcquireInStackQueuedSpinLock(lock: Va, handle: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeAcquireInStackQueuedSpinLockAtDpcLevel(lock: Va, handle: Va; ..), DISPATCH..=HIGH),
    export!(Ntoskrnl, KeAcquireInStackQueuedSpinLockForDpc = KeAcquireInStackQueuedSpinLock(lock: Va, handle: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeAcquireSpinLockAtDpcLevel(lock: Va; ..), DISPATCH..=HIGH),
    export!(Ntoskrnl, KeAcquireSpinLockForDpc = KeAcquireSpinLockRaiseToDpc(lock: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeAcquireSpinLockRaiseToDpc(lock: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeInitializeSpinLock(lock: Va), HIGH),
    export!(Ntoskrnl, KeReleaseInStackQueuedSpinLock(handle: Va; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeReleaseInStackQueuedSpinLockForDpc = KeReleaseInStackQueuedSpinLock(handle: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: Va; ..), DISPATCH..=HIGH),
    export!(Ntoskrnl, KeReleaseSpinLock(lock: Va, old: Irql; ..), DISPATCH..=DISPATCH),
    export!(Ntoskrnl, KeReleaseSpinLockForDpc = KeReleaseSpinLock(lock: Va, old: Irql; ..), DISPATCH),
    export!(Ntoskrnl, KeReleaseSpinLockFromDpcLevel(lock: Va; ..), DISPATCH..=HIGH),
    export!(Ntoskrnl, KeTestSpinLock(lock: Va), HIGH),
    export!(Ntoskrnl, KeTryToAcquireSpinLockAtDpcLevel(lock: Va; ..), DISPATCH..=HIGH),
];

fn KeInitializeSpinLock(m: &mut Machine, lock: Va) -> Outcome {
    m.write_u64(lock, 0)?;
    m.object_initialised(lock, ObjectKind::SpinLock)
}

fn KeAcquireSpinLockRaiseToDpc(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    let old = m.irql();
    m.require_free(lock)?;
    m.raise_for_spin_lock(call.return_address);
    m.past_latent_faults(call.service, |m| m.acquire_spin_lock(lock))?;
    Ok(Next::Return(u64::from(old.level())))
}

fn KeAcquireSpinLockAtDpcLevel(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    m.require_free(lock)?;
    m.spin_lock_at_dpc_level(call.return_address);
    m.acquire_spin_lock(lock)?;
    Ok(Next::VOID)
}

fn KeTryToAcquireSpinLockAtDpcLevel(m: &mut Machine, _call: &Call, lock: Va) -> Outcome {
    if m.read_u64(lock)? != 0 {
        return Ok(Next::Return(0));
    }
    m.acquire_spin_lock(lock)?;
    Ok(Next::Return(1))
}

/// TRUE where the lock is free.
fn KeTestSpinLock(m: &mut Machine, lock: Va) -> Outcome {
    Ok(Next::Return((m.read_u64(lock)? == 0).into()))
}

fn KeReleaseSpinLock(m: &mut Machine, call: &Call, lock: Va, old: Irql) -> Outcome {
    m.release_spin_lock(lock)?;
    m.set_irql(old, call.return_address);
    Ok(Next::VOID)
}

fn KeReleaseSpinLockFromDpcLevel(m: &mut Machine, _call: &Call, lock: Va) -> Outcome {
    m.release_spin_lock(lock)?;
    Ok(Next::VOID)
}

fn KeAcquireInStackQueuedSpinLock(m: &mut Machine, call: &Call, lock: Va, queued: Va) -> Outcome {
    let old = m.irql();
    let waits = m.must_line_up(lock)?;
    m.write_u64(handle::LOCK_QUEUE.then(queue::NEXT).at(queued), 0)?;
    m.write_u64(handle::LOCK_QUEUE.then(queue::LOCK).at(queued), lock.0)?;
    m.write_u8(handle::OLD_IRQL.at(queued), old.level())?;
    m.raise_for_spin_lock(call.return_address);
    if waits {
        return Ok(m.line_up(lock));
    }
    m.past_latent_faults(call.service, |m| m.acquire_spin_lock(lock))?;
    Ok(Next::VOID)
}

fn KeAcquireInStackQueuedSpinLockAtDpcLevel(m: &mut Machine, call: &Call, lock: Va, queued: Va) -> Outcome {
    let waits = m.must_line_up(lock)?;
    m.write_u64(handle::LOCK_QUEUE.then(queue::LOCK).at(queued), lock.0)?;
    m.spin_lock_at_dpc_level(call.return_address);
    if waits {
        return Ok(m.line_up(lock));
    }
    m.acquire_spin_lock(lock)?;
    Ok(Next::VOID)
}

/// Who waits for queued spin locks, first come first: lock and thread.
pub(crate) type Line = VecDeque<(Va, ThreadId)>;

/// The current thread stands in line for this lock.
pub(super) fn in_line(m: &mut Machine, lock: Va) -> Outcome {
    let id = m.current_thread();
    let first = m.ke.spin_line.iter().position(|(other, _)| *other == lock);
    match first.filter(|first| m.ke.spin_line[*first].1 == id && m.is_free(lock)) {
        Some(first) => {
            let service = m.kernel_images.interrupt_entry;
            m.past_latent_faults(service, |m| m.acquire_spin_lock(lock))?;
            m.ke.spin_line.remove(first);
            Ok(Next::VOID)
        }
        None => Err(Trap::Spin),
    }
}

fn KeReleaseInStackQueuedSpinLock(m: &mut Machine, call: &Call, queued: Va) -> Outcome {
    let old = m.read_u8(handle::OLD_IRQL.at(queued))?;
    KeReleaseInStackQueuedSpinLockFromDpcLevel(m, call, queued)?;
    m.set_irql(Irql::new(old), call.return_address);
    Ok(Next::VOID)
}

fn KeReleaseInStackQueuedSpinLockFromDpcLevel(m: &mut Machine, _call: &Call, queued: Va) -> Outcome {
    let lock = m.read_va(handle::LOCK_QUEUE.then(queue::LOCK).at(queued))?;
    m.release_spin_lock(lock)?;
    Ok(Next::VOID)
}

/// An EX_SPIN_LOCK is 32 bits: the top one for an exclusive owner, the others count who shares it.
const EXCLUSIVE: u32 = 0x8000_0000;

fn ExAcquireSpinLockExclusive(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    let old = m.irql();
    let word = m.spin_lock_word(lock) as u32;
    m.spin_unless(word == 0, lock)?;
    m.raise_for_spin_lock(call.return_address);
    m.hold(lock, EXCLUSIVE)?;
    Ok(Next::Return(u64::from(old.level())))
}

fn ExAcquireSpinLockExclusiveAtDpcLevel(m: &mut Machine, lock: Va) -> Outcome {
    let word = m.spin_lock_word(lock) as u32;
    m.spin_unless(word == 0, lock)?;
    m.hold(lock, EXCLUSIVE)?;
    Ok(Next::VOID)
}

fn ExAcquireSpinLockShared(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    let old = m.irql();
    let word = m.spin_lock_word(lock) as u32;
    m.spin_unless(word & EXCLUSIVE == 0, lock)?;
    m.raise_for_spin_lock(call.return_address);
    m.hold(lock, word + 1)?;
    Ok(Next::Return(u64::from(old.level())))
}

fn ExAcquireSpinLockSharedAtDpcLevel(m: &mut Machine, lock: Va) -> Outcome {
    let word = m.spin_lock_word(lock) as u32;
    m.spin_unless(word & EXCLUSIVE == 0, lock)?;
    m.hold(lock, word + 1)?;
    Ok(Next::VOID)
}

fn ExReleaseSpinLockExclusive(m: &mut Machine, call: &Call, lock: Va, old: Irql) -> Outcome {
    ExReleaseSpinLockExclusiveFromDpcLevel(m, lock)?;
    m.set_irql(old, call.return_address);
    Ok(Next::VOID)
}

fn ExReleaseSpinLockExclusiveFromDpcLevel(m: &mut Machine, lock: Va) -> Outcome {
    m.write_u32(lock, 0)?;
    m.thread().spin_locks.retain(|held| *held != lock);
    Ok(Next::VOID)
}

fn ExReleaseSpinLockShared(m: &mut Machine, call: &Call, lock: Va, old: Irql) -> Outcome {
    ExReleaseSpinLockSharedFromDpcLevel(m, lock)?;
    m.set_irql(old, call.return_address);
    Ok(Next::VOID)
}

fn ExReleaseSpinLockSharedFromDpcLevel(m: &mut Machine, lock: Va) -> Outcome {
    let word = m.read_u32(lock)?;
    m.write_u32(lock, word.saturating_sub(1))?;
    m.thread().spin_locks.retain(|held| *held != lock);
    Ok(Next::VOID)
}

impl Machine {
    /// Goes on where a spin lock is free; else the service starts over when the other processors have run.
    pub(crate) fn require_free(&mut self, lock: Va) -> Result<(), Trap> {
        self.spin_unless(self.is_free(lock), lock)
    }

    /// True where a queued spin lock is held, or others stand in line for it.
    fn must_line_up(&mut self, lock: Va) -> Result<bool, Trap> {
        let is_next = self.is_free(lock) && !self.ke.spin_line.iter().any(|(other, _)| *other == lock);
        match self.spin_unless(is_next, lock) {
            Ok(()) => Ok(false),
            Err(Trap::Spin) => Ok(true),
            Err(deadlock) => Err(deadlock),
        }
    }

    /// The current thread waits for its turn, at `DISPATCH_LEVEL`.
    fn line_up(&mut self, lock: Va) -> Next {
        let id = self.current_thread();
        self.ke.spin_line.push_back((lock, id));
        Next::Continue(Then::Ke(super::Then::InLine { lock }), 0)
    }

    /// True where nobody holds the lock, as far as memory tells.
    pub(crate) fn is_free(&self, lock: Va) -> bool {
        self.spin_lock_word(lock) == 0
    }

    /// The word of a lock, 0 where it is not in memory: then touching it after the raise is what fails.
    fn spin_lock_word(&self, lock: Va) -> u64 {
        let mut word = [0; 8];
        self.memory.peek(lock, &mut word).map_or(0, |()| u64::from_le_bytes(word))
    }

    fn spin_unless(&mut self, free: bool, lock: Va) -> Result<(), Trap> {
        if free {
            return Ok(());
        }
        let own = self.thread().spin_locks.contains(&lock);
        match own || self.processors.len() == 1 {
            true => Err(self.limit_stop(Limit::Deadlock)),
            false => Err(Trap::Spin),
        }
    }

    fn hold(&mut self, lock: Va, word: u32) -> Result<(), Trap> {
        let here = self.here();
        self.check_object_in_use(here, lock, ObjectKind::SpinLock);
        self.write_u32(lock, word)?;
        self.thread().spin_locks.push(lock);
        Ok(())
    }

    /// Takes a spin lock that is free.
    pub(crate) fn acquire_spin_lock(&mut self, lock: Va) -> Result<(), Trap> {
        let here = self.here();
        self.check_object_in_use(here, lock, ObjectKind::SpinLock);
        self.write_u64(lock, 1)?;
        self.thread().spin_locks.push(lock);
        Ok(())
    }

    pub(crate) fn release_spin_lock(&mut self, lock: Va) -> Result<(), Trap> {
        self.write_u64(lock, 0)?;
        self.thread().spin_locks.retain(|held| *held != lock);
        Ok(())
    }
}

//! IRQL and spin locks (ddi: KeRaiseIrql, KeAcquireSpinLock).
//!
//! A spin lock is a pointer-sized word: 0 free, 1 held. With one processor nobody can meet it held but the owner itself.

use nt_types::{Irql, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::routine::ObjectKind;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeAcquireSpinLockAtDpcLevel(lock: Va; ..), HIGH),
    export!(Ntoskrnl, KeAcquireSpinLockRaiseToDpc(lock: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeGetCurrentIrql(), HIGH),
    export!(Ntoskrnl, KeInitializeSpinLock(lock: Va), HIGH),
    export!(Ntoskrnl, KeLowerIrql(new: Irql; ..), HIGH),
    export!(Ntoskrnl, KeRaiseIrqlToDpcLevel(; ..), DISPATCH),
    export!(Ntoskrnl, KeReleaseSpinLock(lock: Va, old: Irql; ..), DISPATCH),
    export!(Ntoskrnl, KeReleaseSpinLockFromDpcLevel(lock: Va; ..), HIGH),
    export!(Ntoskrnl, KfRaiseIrql(new: Irql; ..), HIGH),
];

fn KeGetCurrentIrql(m: &mut Machine) -> Outcome {
    Ok(Next::Return(u64::from(m.irql().level())))
}

fn KfRaiseIrql(m: &mut Machine, call: &Call, new: Irql) -> Outcome {
    let old = m.irql();
    m.check_raise(new, call.return_address);
    m.set_irql(new, call.return_address);
    Ok(Next::Return(u64::from(old.level())))
}

fn KeRaiseIrqlToDpcLevel(m: &mut Machine, call: &Call) -> Outcome {
    KfRaiseIrql(m, call, Irql::DISPATCH)
}

fn KeLowerIrql(m: &mut Machine, call: &Call, new: Irql) -> Outcome {
    m.set_irql(new, call.return_address);
    Ok(Next::VOID)
}

fn KeInitializeSpinLock(m: &mut Machine, lock: Va) -> Outcome {
    m.write_u64(lock, 0)?;
    m.object_initialised(lock, ObjectKind::SpinLock)
}

fn KeAcquireSpinLockRaiseToDpc(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    let old = m.irql();
    m.raise_for_spin_lock(call.return_address);
    m.past_latent_faults(call.service, |m| m.acquire_spin_lock(lock))?;
    Ok(Next::Return(u64::from(old.level())))
}

fn KeAcquireSpinLockAtDpcLevel(m: &mut Machine, call: &Call, lock: Va) -> Outcome {
    m.raise_for_spin_lock(call.return_address);
    m.acquire_spin_lock(lock)?;
    Ok(Next::VOID)
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

impl Machine {
    /// Takes a spin lock that is free.
    pub(crate) fn acquire_spin_lock(&mut self, lock: Va) -> Result<(), Trap> {
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

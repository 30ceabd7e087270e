//! Fast mutexes (ddi: ExAcquireFastMutex). `Count` is 1 when free, as the inline initialiser sets it.

use nt_types::layout::fast_mutex;
use nt_types::{Irql, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExAcquireFastMutex(mutex: Va; ..), APC),
    export!(Ntoskrnl, ExAcquireFastMutexUnsafe(mutex: Va; ..), APC),
    export!(Ntoskrnl, ExReleaseFastMutex(mutex: Va; ..), APC..=APC),
    export!(Ntoskrnl, ExReleaseFastMutexUnsafe(mutex: Va; ..), APC),
    export!(Ntoskrnl, ExTryToAcquireFastMutex(mutex: Va; ..), APC),
];

fn ExAcquireFastMutex(m: &mut Machine, call: &Call, mutex: Va) -> Outcome {
    let old = m.irql();
    take(m, mutex)?;
    m.write_u32(fast_mutex::OLD_IRQL.at(mutex), u32::from(old.level()))?;
    m.set_irql(old.max(Irql::APC), call.return_address);
    Ok(Next::VOID)
}

fn ExAcquireFastMutexUnsafe(m: &mut Machine, _call: &Call, mutex: Va) -> Outcome {
    take(m, mutex)?;
    Ok(Next::VOID)
}

fn ExTryToAcquireFastMutex(m: &mut Machine, call: &Call, mutex: Va) -> Outcome {
    if m.read_u32(fast_mutex::COUNT.at(mutex))? != 1 {
        return Ok(Next::Return(0));
    }
    ExAcquireFastMutex(m, call, mutex)?;
    Ok(Next::Return(1))
}

fn ExReleaseFastMutex(m: &mut Machine, call: &Call, mutex: Va) -> Outcome {
    let old = m.read_u32(fast_mutex::OLD_IRQL.at(mutex))?;
    give_back(m, mutex)?;
    m.set_irql(Irql::new(old as u8), call.return_address);
    Ok(Next::VOID)
}

fn ExReleaseFastMutexUnsafe(m: &mut Machine, _call: &Call, mutex: Va) -> Outcome {
    give_back(m, mutex)?;
    Ok(Next::VOID)
}

/// Takes the mutex or waits for it; after the wait the whole call starts over.
fn take(m: &mut Machine, mutex: Va) -> Result<(), Trap> {
    if m.read_u32(fast_mutex::COUNT.at(mutex))? != 1 {
        return Err(Trap::Block(Wait::on(WaitOn::Address(mutex))));
    }
    m.write_u32(fast_mutex::COUNT.at(mutex), 0)?;
    let owner = m.thread().object;
    m.write_u64(fast_mutex::OWNER.at(mutex), owner.0)
}

fn give_back(m: &mut Machine, mutex: Va) -> Result<(), Trap> {
    m.write_u64(fast_mutex::OWNER.at(mutex), 0)?;
    m.write_u32(fast_mutex::COUNT.at(mutex), 1)?;
    m.wake_all_on(&WaitOn::Address(mutex));
    Ok(())
}

//! Caches and translations, which need no care here (ddi: KeInvalidateAllCaches, KeFlushIoBuffers), and limits of stacks.

use nt_types::Va;

use crate::call::{Next, Outcome, Then};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetInitialStack(), APC),
    export!(Ntoskrnl, IoGetRemainingStackSize(), HIGH),
    export!(Ntoskrnl, IoGetStackLimits(low: Va, high: Va), HIGH),
    export!(Ntoskrnl, KeExpandKernelStackAndCallout(routine: Va, parameter: u64, size: u64), APC),
    export!(Ntoskrnl, KeFlushEntireTb(invalid: bool, all: bool), DISPATCH),
    export!(Ntoskrnl, KeFlushIoBuffers(list: Va, read: bool, dma: bool), DISPATCH),
    export!(Ntoskrnl, KeInvalidateAllCaches(), HIGH),
    export!(Ntoskrnl, ZwYieldExecution(), PASSIVE),
];

/// Translations are looked up anew whenever a mapping changes.
fn KeFlushEntireTb(_m: &mut Machine, _invalid: bool, _all: bool) -> Outcome {
    Ok(Next::VOID)
}

/// Caches see what devices do.
fn KeFlushIoBuffers(_m: &mut Machine, _list: Va, _read: bool, _dma: bool) -> Outcome {
    Ok(Next::VOID)
}

/// Memory is coherent.
fn KeInvalidateAllCaches(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(1))
}

fn IoGetStackLimits(m: &mut Machine, low: Va, high: Va) -> Outcome {
    let (bottom, top) = m.thread().stack;
    m.write_u64(low, bottom.0)?;
    m.write_u64(high, top.0)?;
    Ok(Next::VOID)
}

fn IoGetInitialStack(m: &mut Machine) -> Outcome {
    Ok(Next::pointer(m.thread().stack.1))
}

fn IoGetRemainingStackSize(m: &mut Machine) -> Outcome {
    Ok(Next::Return(m.remaining_stack()))
}

/// The routine is called where there is room for it. No second stack is made for what needs more.
fn KeExpandKernelStackAndCallout(m: &mut Machine, routine: Va, parameter: u64, size: u64) -> Outcome {
    let left = m.remaining_stack();
    if size > left {
        let what = format!("`Size` {size:#x}, which is more than the {left:#x} bytes that are left");
        return Err(m.refuse("KeExpandKernelStackAndCallout", what));
    }
    Ok(Next::call(routine, &[parameter], Then::Value(0)))
}

impl Machine {
    /// Bytes of the current thread's stack that are not in use.
    fn remaining_stack(&mut self) -> u64 {
        let bottom = self.thread().stack.0;
        self.cpu().get(engine::Gpr::Rsp).saturating_sub(bottom.0)
    }
}

/// Another ready thread gets the processor; without one the caller is told so.
fn ZwYieldExecution(m: &mut Machine) -> Outcome {
    const NO_YIELD_PERFORMED: u64 = 0x4000_0024;
    let others =
        m.threads.live().any(|thread| !thread.idle && matches!(thread.state, crate::thread::ThreadState::Ready));
    if !others {
        return Ok(Next::Return(NO_YIELD_PERFORMED));
    }
    let active = m.active;
    m.processors[active].quantum = m.steps;
    m.attention = true;
    Ok(Next::Return(0))
}

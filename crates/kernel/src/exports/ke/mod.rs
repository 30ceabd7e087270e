//! The kernel proper: IRQL, dispatcher objects, DPCs, timers, interrupts.

mod apc;
mod dispatcher;
mod dpc;
mod interrupt;
mod irql;
mod processor;
mod timer;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

pub use interrupt::ConnectedInterrupt;
pub(crate) use timer::BOOT_TIME_100NS;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    apc::EXPORTS,
    dispatcher::EXPORTS,
    dpc::EXPORTS,
    interrupt::EXPORTS,
    irql::EXPORTS,
    processor::EXPORTS,
    timer::EXPORTS,
];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {
    pub(crate) apcs: apc::Queue,
    pub(crate) dpcs: dpc::Queues,
    pub(crate) interrupts: interrupt::Interrupts,
    pub(crate) msrs: processor::Msrs,
    /// Timers whose time has come, not handled yet.
    pub(crate) expired: std::collections::VecDeque<nt_types::Va>,
    /// Clock ticks that KUSER_SHARED_DATA shows.
    pub(crate) tick: u64,
}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {
    /// `KeSynchronizeExecution` and the like: the routine returned, the lock is released.
    Synchronized(interrupt::Synchronized),
    /// The DPCs that were queued before `KeFlushQueuedDpcs` have run.
    DpcsFlushed,
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Synchronized(then) => then.run(m, value),
            Then::DpcsFlushed => Ok(crate::call::Next::VOID),
        }
    }
}

impl Machine {
    pub(crate) fn thread_object_signalled(&mut self, _object: nt_types::Va) {}

    pub(crate) fn new_thread_object(&mut self, _id: crate::thread::ThreadId) -> Option<nt_types::Va> {
        self.kernel_object(0x500, *b"Thre")
    }
}

//! The kernel proper: IRQL, dispatcher objects, DPCs, timers, interrupts.

mod affinity;
mod apc;
mod bug_check_callback;
mod cache;
mod device_queue;
mod dispatcher;
pub(crate) mod dpc;
mod interrupt;
mod irql;
mod processor;
mod region;
mod spin_lock;
mod stack_swap;
mod threaded_dpc;
mod timer;

use std::hash::{Hash, Hasher};

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

pub use interrupt::ConnectedInterrupt;
pub(crate) use timer::{BOOT_TIME_100NS, TICK_100NS};

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    affinity::EXPORTS,
    apc::EXPORTS,
    bug_check_callback::EXPORTS,
    cache::EXPORTS,
    device_queue::EXPORTS,
    dispatcher::EXPORTS,
    dpc::EXPORTS,
    interrupt::EXPORTS,
    irql::EXPORTS,
    processor::EXPORTS,
    region::EXPORTS,
    spin_lock::EXPORTS,
    stack_swap::EXPORTS,
    threaded_dpc::EXPORTS,
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
    pub(crate) expired: std::collections::VecDeque<timer::Expired>,
    /// Who waits for queued spin locks.
    pub(crate) spin_line: spin_lock::Line,
    /// Clock ticks that KUSER_SHARED_DATA shows.
    pub(crate) tick: Option<u64>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Times are no difference until somebody looks: `tick` is what the last look would have shown.
        let State { apcs, dpcs, interrupts, msrs, expired, spin_line, tick: _ } = self;
        (apcs, dpcs, interrupts, msrs, expired, spin_line).hash(state);
    }
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// `KeSynchronizeExecution` and the like: the routine returned, the lock is released.
    Synchronized(interrupt::Synchronized),
    /// The DPCs that were queued before `KeFlushQueuedDpcs` have run.
    DpcsFlushed,
    /// A threaded DPC in its thread.
    ThreadedDpc(threaded_dpc::Step),
    /// The thread stands in line for a queued spin lock.
    InLine {
        /// The lock.
        lock: nt_types::Va,
    },
    /// A routine that was called at a raised IRQL returned: back to this one.
    Lowered {
        /// The IRQL before.
        irql: nt_types::Irql,
        /// Where the driver asked for the call.
        caller: nt_types::Va,
    },
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Synchronized(then) => then.run(m, value),
            Then::InLine { lock } => spin_lock::in_line(m, lock),
            Then::ThreadedDpc(step) => step.run(m, value),
            Then::DpcsFlushed => Ok(crate::call::Next::VOID),
            Then::Lowered { irql, caller } => {
                m.set_irql(irql, caller);
                Ok(crate::call::Next::Return(value))
            }
        }
    }
}

impl Machine {
    /// A thread has ended: who waits for its object goes on.
    pub(crate) fn thread_object_signalled(&mut self, object: nt_types::Va) {
        let signalled = self.set_signal_state(object, 1).and_then(|()| self.signal(object));
        if signalled.is_err() {
            self.internal("the object of a thread is not in memory");
        }
    }

    pub(crate) fn new_thread_object(&mut self, _id: crate::thread::ThreadId) -> Option<nt_types::Va> {
        const THREAD_BYTES: u64 = 0x500;
        const THREAD_OBJECT: u8 = 6;
        let object = self.kernel_object(THREAD_BYTES, *b"Thre")?;
        self.initialize_header(object, THREAD_OBJECT, THREAD_BYTES, 0).ok()?;
        Some(object)
    }
}

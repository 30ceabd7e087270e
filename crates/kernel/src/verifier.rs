//! Driver Verifier's Force IRQL Checking: what triggers its trim, and what it counts (R180, R184).

use memory::{TrimPolicy, TrimReason};
use nt_types::Irql;

use crate::machine::Machine;

/// What a driver asked for that makes the verifier trim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trigger {
    /// A higher IRQL, by a call or by writing CR8 (D49).
    Raise,
    /// A spin lock.
    SpinLock,
    /// `KeSynchronizeExecution`.
    Synchronize,
}

/// What verified drivers did since boot; all zero while the verifier is off.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Raises of the IRQL.
    pub raises: u64,
    /// Spin locks asked for.
    pub spin_locks: u64,
    /// Synchronised executions.
    pub synchronized: u64,
    /// Passes over all pageable memory.
    pub trims: u64,
}

impl Counters {
    /// The counters under the labels of R185.
    pub fn rows(&self) -> [(&'static str, u64); 4] {
        [
            ("RaiseIrqls", self.raises),
            ("AcquireSpinLocks", self.spin_locks),
            ("Synch Executions", self.synchronized),
            ("Trims", self.trims),
        ]
    }
}

impl Machine {
    /// What verified drivers did so far.
    pub fn verifier_counters(&self) -> Counters {
        self.counters
    }

    /// A driver is about to raise to `new`: every trigger counts, and trims unless it stays below `DISPATCH_LEVEL` (D48).
    pub(crate) fn triggered(&mut self, trigger: Trigger, new: Irql) {
        let trims = new >= Irql::DISPATCH;
        if self.options.verifier {
            match trigger {
                Trigger::Raise => self.counters.raises += 1,
                Trigger::SpinLock => self.counters.spin_locks += 1,
                Trigger::Synchronize => self.counters.synchronized += 1,
            }
            self.counters.trims += u64::from(trims);
        }
        if trims {
            self.trim(TrimReason::Raise);
        }
    }

    /// The kernel itself is about to raise to `new`, to deliver something. The verifier does not see that; under
    /// `trim=at-once` it is a raise like any other (D5).
    pub(crate) fn before_delivery(&mut self, new: Irql) {
        let raises = self.irql() < Irql::DISPATCH && new >= Irql::DISPATCH;
        if raises && self.memory.config().trim == TrimPolicy::AtOnce {
            self.trim(TrimReason::Raise);
        }
    }
}

//! Driver Verifier's Force IRQL Checking: what triggers its trim, and what it counts (R180, R184).

use memory::TrimReason;
use nt_types::{Irql, Va};

use crate::exports::mm::special_pool::is_special;
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
    /// Allocations of pool asked for.
    pub allocations: u64,
    /// Those that found memory.
    pub allocated: u64,
    /// Those that found it in special pool.
    pub special: u64,
    /// Those without a tag.
    pub untagged: u64,
    /// Calls that the run made fail.
    pub failed_deliberately: u64,
}

impl Counters {
    /// The counters under the labels of R185.
    pub fn rows(&self) -> [(&'static str, u64); 10] {
        [
            ("RaiseIrqls", self.raises),
            ("AcquireSpinLocks", self.spin_locks),
            ("Synch Executions", self.synchronized),
            ("Trims", self.trims),
            ("Pool Allocations Attempted", self.allocations),
            ("Pool Allocations Succeeded", self.allocated),
            ("Pool Allocations Succeeded SpecialPool", self.special),
            ("Pool Allocations With NO TAG", self.untagged),
            ("Pool Allocations Failed", self.allocations - self.allocated),
            ("Resource Allocations Failed Deliberately", self.failed_deliberately),
        ]
    }
}

impl Machine {
    /// Puts what a parameter of bug check 0xC4 points to into the memory of the kernel; NULL where there is none left.
    pub(crate) fn verifier_note(&mut self, bytes: &[u8]) -> Va {
        let address = self.kernel_object(bytes.len() as u64, *b"Vrfy").unwrap_or(Va::NULL);
        if !address.is_null() {
            let _ = self.memory.poke(address, bytes);
        }
        address
    }

    /// What verified drivers did so far.
    pub fn verifier_counters(&self) -> Counters {
        self.counters
    }

    /// A driver is about to raise to `new`: every trigger counts, and trims unless it stays below `DISPATCH_LEVEL` (D48).
    pub(crate) fn triggered(&mut self, trigger: Trigger, new: Irql) {
        let trims = new >= Irql::DISPATCH;
        if self.options.verifier.verified {
            match trigger {
                Trigger::Raise => self.counters.raises += 1,
                Trigger::SpinLock => self.counters.spin_locks += 1,
                Trigger::Synchronize => self.counters.synchronized += 1,
            }
            self.counters.trims += u64::from(trims && self.options.verifier.force_irql);
        }
        if trims {
            self.trim(TrimReason::Raise);
        }
    }

    /// The run makes this call of a driver fail.
    pub(crate) fn failed_deliberately(&mut self, routine: &str) {
        if self.options.verifier.verified {
            self.counters.failed_deliberately += 1;
            self.counters.allocations += u64::from(routine.starts_with("ExAllocatePool"));
        }
    }

    /// A driver asked for pool, and got what was found.
    pub(crate) fn pool_asked_for(&mut self, tagged: bool, found: Option<Va>) {
        if self.options.verifier.verified {
            self.counters.allocations += 1;
            self.counters.allocated += u64::from(found.is_some());
            self.counters.special += u64::from(found.is_some_and(is_special));
            self.counters.untagged += u64::from(!tagged);
        }
    }

    /// The kernel itself is about to raise to `new`, to deliver something. The verifier does not see that; under
    /// `trim=at-once` it is a raise like any other (D5).
    pub(crate) fn before_delivery(&mut self, new: Irql) {
        let raises = self.irql() < Irql::DISPATCH && new >= Irql::DISPATCH;
        if raises && self.memory.config().trim.leaves_at_once() {
            self.trim(TrimReason::Raise);
        }
    }
}

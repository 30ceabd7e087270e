//! Which routines may find no memory, and what they return then, as their documentation has it.

use nt_types::{NtStatus, Va};

use crate::call::Call;
use crate::choice::{ChoicePoints, Deed};
use crate::machine::Machine;

/// How a routine says that it found no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    Null,
    /// NULL, unless a flag in the first argument rules failure out or asks for an exception.
    NullUnlessFlag(u64),
    /// NULL, unless this argument is not zero.
    NullUnlessArgument(usize),
    InsufficientResources,
}

/// `NonPagedPoolMustSucceed` and `POOL_RAISE_IF_ALLOCATION_FAILURE` (ddi: POOL_TYPE, ExAllocatePoolWithTag).
const POOL_TYPE_NEVER_NULL: u64 = 0x12;
/// `POOL_FLAG_RAISE_ON_FAILURE` (ddi: POOL_FLAGS).
const POOL_FLAG_RAISE: u64 = 0x20;
/// `BugCheckOnFailure` of MmMapLockedPagesSpecifyCache.
const BUG_CHECK_ON_FAILURE: usize = 4;

const ROUTINES: &[(&str, Says)] = &[
    ("ExAllocatePool", Says::NullUnlessFlag(POOL_TYPE_NEVER_NULL)),
    ("ExAllocatePool2", Says::NullUnlessFlag(POOL_FLAG_RAISE)),
    ("ExAllocatePoolWithTag", Says::NullUnlessFlag(POOL_TYPE_NEVER_NULL)),
    ("ExAllocatePoolWithTagPriority", Says::NullUnlessFlag(POOL_TYPE_NEVER_NULL)),
    ("IoAllocateIrp", Says::Null),
    ("IoAllocateMdl", Says::Null),
    ("IoAllocateWorkItem", Says::Null),
    ("IoConnectInterrupt", Says::InsufficientResources),
    ("IoCreateDevice", Says::InsufficientResources),
    ("IoCreateSymbolicLink", Says::InsufficientResources),
    ("MmAllocateContiguousMemory", Says::Null),
    ("MmAllocateContiguousMemorySpecifyCache", Says::Null),
    ("MmMapIoSpace", Says::Null),
    ("MmMapLockedPagesSpecifyCache", Says::NullUnlessArgument(BUG_CHECK_ON_FAILURE)),
    ("PsCreateSystemThread", Says::InsufficientResources),
];

/// Those of [`ROUTINES`] that the low resources simulation lets fail, as its page lists them. The section locks are not
/// among them.
const LOW_RESOURCES: &[&str] = &[
    "ExAllocatePool",
    "ExAllocatePool2",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithTagPriority",
    "IoAllocateIrp",
    "IoAllocateMdl",
    "IoAllocateWorkItem",
    "MmAllocateContiguousMemory",
    "MmAllocateContiguousMemorySpecifyCache",
    "MmMapIoSpace",
    "MmMapLockedPagesSpecifyCache",
];

impl Machine {
    /// Asks whether this call finds memory: what it returns if not. `None` while that is undecided.
    pub(crate) fn choose_failure(&mut self, routine: &str, call: &Call) -> Option<Option<u64>> {
        if !self.options.choices.has(ChoicePoints::FAIL) {
            let fails = self.is_low_on_resources(routine);
            return Some(if fails { self.failure_of(routine, call) } else { None });
        }
        let Some(failure) = self.failure_of(routine, call) else { return Some(None) };
        self.choose(|_| vec![Deed::Fail]).map(|deed| deed.map(|_| failure))
    }

    /// Lets chance decide whether this call finds memory, where the verifier simulates low resources (R188).
    fn is_low_on_resources(&mut self, routine: &str) -> bool {
        match self.options.low_resources {
            Some(low) if self.now_ns() >= low.delay_ns && LOW_RESOURCES.contains(&routine) => {
                self.rtl.random.next() % 10_000 < u64::from(low.chances)
            }
            _ => false,
        }
    }

    /// What this call returns where there is no memory for it; `None` where it cannot fail like that.
    fn failure_of(&mut self, routine: &str, call: &Call) -> Option<u64> {
        let (_, says) = ROUTINES.iter().find(|(name, _)| *name == routine)?;
        match *says {
            Says::Null => Some(Va::NULL.0),
            Says::NullUnlessFlag(flags) => (call.raw(self, 0).ok()? & flags == 0).then_some(Va::NULL.0),
            Says::NullUnlessArgument(index) => (call.raw(self, index).ok()? as u8 == 0).then_some(Va::NULL.0),
            Says::InsufficientResources => Some(NtStatus::INSUFFICIENT_RESOURCES.0.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::EXPORTS;

    #[test]
    fn each_routine_is_exported() {
        let known = |name: &str| EXPORTS.iter().any(|export| export.name == name);
        let unknown: Vec<&str> = ROUTINES.iter().map(|(name, _)| *name).filter(|name| !known(name)).collect();
        assert_eq!(unknown, [""; 0]);
        assert!(LOW_RESOURCES.iter().all(|name| ROUTINES.iter().any(|(routine, _)| routine == name)));
    }
}

//! Which routines may find no memory, and what they do then, as their documentation has it.

use std::sync::LazyLock;

use nt_types::{NtStatus, Va, constants as c};

use super::EXPORTS;
use crate::call::Call;
use crate::choice::ChoicePoints;
use crate::deed::Deed;
use crate::machine::Machine;

/// What a routine that finds no memory does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It returns this.
    Returns(u64),
    /// It raises this as an exception.
    Raises(NtStatus),
}

/// How a routine says that it found no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    /// NULL, or FALSE.
    Nothing,
    Status(NtStatus),
    Raises(NtStatus),
    /// By its POOL_TYPE: NULL or an exception; what must succeed does.
    PoolType,
    /// By its POOL_TYPE: an exception or NULL.
    Quota,
    /// By its `POOL_FLAGS`: NULL or an exception.
    PoolFlags,
    /// By the AccessMode and BugCheckOnFailure of MmMapLockedPagesSpecifyCache.
    Mapping,
    /// STATUS_NO_MEMORY, if the third argument asks for memory for the destination string.
    NewString,
}

const INSUFFICIENT: NtStatus = NtStatus::INSUFFICIENT_RESOURCES;

/// What the low resources simulation lets fail (R188; docs: devtest/low-resources-simulation). The section locks are not
/// among these routines. Waits that end with STATUS_ALERTED are those of programs, of which there are none here.
const LOW_RESOURCES: &[(&str, Says)] = &[
    ("ExAllocatePool", Says::PoolType),
    ("ExAllocatePool2", Says::PoolFlags),
    ("ExAllocatePoolWithQuotaTag", Says::Quota),
    ("ExAllocatePoolWithTag", Says::PoolType),
    ("ExAllocatePoolWithTagPriority", Says::PoolType),
    ("IoAllocateErrorLogEntry", Says::Nothing),
    ("IoAllocateIrp", Says::Nothing),
    ("IoAllocateMdl", Says::Nothing),
    ("IoAllocateWorkItem", Says::Nothing),
    ("IoBuildAsynchronousFsdRequest", Says::Nothing),
    ("IoBuildDeviceIoControlRequest", Says::Nothing),
    ("IoBuildSynchronousFsdRequest", Says::Nothing),
    ("IoSetCompletionRoutineEx", Says::Status(INSUFFICIENT)),
    ("MmAllocateContiguousMemory", Says::Nothing),
    ("MmAllocateContiguousMemorySpecifyCache", Says::Nothing),
    ("MmAllocatePagesForMdl", Says::Nothing),
    ("MmAllocatePagesForMdlEx", Says::Nothing),
    ("MmMapIoSpace", Says::Nothing),
    ("MmMapLockedPagesSpecifyCache", Says::Mapping),
    ("MmProbeAndLockPages", Says::Raises(INSUFFICIENT)),
    ("PoRequestPowerIrp", Says::Status(INSUFFICIENT)),
    ("RtlAnsiStringToUnicodeString", Says::NewString),
    ("RtlCreateUnicodeString", Says::Nothing),
    ("RtlDowncaseUnicodeString", Says::NewString),
    ("RtlStringFromGUID", Says::Status(NtStatus::NO_MEMORY)),
    ("RtlUnicodeStringToAnsiString", Says::NewString),
    ("RtlUpcaseUnicodeString", Says::NewString),
];

/// What else can find no memory, and does when a search of schedules wants it.
const OTHERS: &[(&str, Says)] = &[
    ("IoConnectInterrupt", Says::Status(INSUFFICIENT)),
    ("IoCreateDevice", Says::Status(INSUFFICIENT)),
    ("IoCreateSymbolicLink", Says::Status(INSUFFICIENT)),
    ("PsCreateSystemThread", Says::Status(INSUFFICIENT)),
];

/// What each row of the export table says, and whether the low resources simulation has it do so.
static ROWS: LazyLock<Vec<Option<(Says, bool)>>> = LazyLock::new(|| {
    let simulated = |name: &str| find(LOW_RESOURCES, name).map(|says| (says, true));
    let says = |name: &str| simulated(name).or_else(|| find(OTHERS, name).map(|says| (says, false)));
    EXPORTS.iter().map(|export| says(export.name)).collect()
});

fn find(rows: &[(&str, Says)], routine: &str) -> Option<Says> {
    rows.iter().find(|(name, _)| *name == routine).map(|(_, says)| *says)
}

impl Machine {
    /// Asks whether this call of the export in this row finds memory: what it does if not. `None` while that is undecided.
    pub(crate) fn choose_failure(&mut self, row: usize, call: &Call) -> Option<Option<Failure>> {
        if !self.options.choices.has(ChoicePoints::FAIL) {
            return Some(self.low_on_resources(row, call));
        }
        let says = ROWS[row].map(|(says, _)| says);
        let Some(failure) = says.and_then(|says| self.failure_of(says, call)) else { return Some(None) };
        self.choose(|_| vec![Deed::Fail]).map(|deed| deed.map(|_| failure))
    }

    /// Lets chance decide whether this call finds memory, where the verifier simulates low resources (R188).
    fn low_on_resources(&mut self, row: usize, call: &Call) -> Option<Failure> {
        let low = self.options.low_resources?;
        if self.look_at_time() < low.delay_ns {
            return None;
        }
        let (says, _) = ROWS[row].filter(|(_, simulated)| *simulated)?;
        let failure = self.failure_of(says, call)?;
        (self.rtl.random.next() % 10_000 < u64::from(low.chances)).then_some(failure)
    }

    /// What this call does where there is no memory for it; `None` where it cannot fail like that.
    fn failure_of(&mut self, says: Says, call: &Call) -> Option<Failure> {
        let null = Failure::Returns(Va::NULL.0);
        let raises = Failure::Raises(INSUFFICIENT);
        let mut argument = |index: usize| call.raw(self, index).ok();
        Some(match says {
            Says::Nothing => null,
            Says::Status(status) => Failure::Returns(status.0.into()),
            Says::Raises(status) => Failure::Raises(status),
            Says::PoolType if argument(0)? & u64::from(c::NON_PAGED_POOL_MUST_SUCCEED) != 0 => return None,
            Says::PoolType if argument(0)? & u64::from(c::POOL_RAISE_IF_ALLOCATION_FAILURE) == 0 => null,
            Says::PoolFlags if argument(0)? & u64::from(c::POOL_FLAG_RAISE_ON_FAILURE) == 0 => null,
            Says::Quota if argument(0)? & u64::from(c::POOL_QUOTA_FAIL_INSTEAD_OF_RAISE) != 0 => null,
            Says::PoolType | Says::PoolFlags | Says::Quota => raises,
            Says::Mapping if argument(1)? as u8 == c::USER_MODE as u8 => raises,
            Says::Mapping if argument(4)? as u32 == 0 => null,
            Says::NewString if argument(2)? as u8 != 0 => Failure::Returns(NtStatus::NO_MEMORY.0.into()),
            Says::Mapping | Says::NewString => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::EXPORTS;

    #[test]
    fn each_routine_is_exported() {
        let known = |name: &str| EXPORTS.iter().any(|export| export.name == name);
        let names = LOW_RESOURCES.iter().chain(OTHERS).map(|(name, _)| *name);
        let unknown: Vec<&str> = names.filter(|name| !known(name)).collect();
        assert_eq!(unknown, [""; 0]);
    }

    /// R188: whatever the page names and this kernel exports is among them, the strings that take no memory and the section
    /// locks are not.
    #[test]
    fn r188_the_list_of_the_page() {
        const PAGE: &[&str] = &[
            "ExAllocatePool",
            "ExAllocatePoolWithQuota",
            "ExAllocatePoolWithQuotaTag",
            "ExAllocatePoolWithTag",
            "ExAllocatePoolWithTagPriority",
            "IoAllocateErrorLogEntry",
            "IoAllocateIrp",
            "IoAllocateIrpEx",
            "IoAllocateMdl",
            "IoAllocateWorkItem",
            "IoBuildAsynchronousFsdRequest",
            "IoBuildDeviceIoControlRequest",
            "IoBuildSynchronousFsdRequest",
            "IoMakeAssociatedIrp",
            "IoSetCompletionRoutineEx",
            "MmAllocateContiguousMemory",
            "MmAllocateContiguousMemorySpecifyCache",
            "MmAllocateNodePagesForMdlEx",
            "MmAllocatePagesForMdl",
            "MmAllocatePagesForMdlEx",
            "MmMapIoSpace",
            "MmMapLockedPagesSpecifyCache",
            "MmProbeAndLockPages",
            "PoRequestPowerIrp",
            "RtlAnsiStringToUnicodeString",
            "RtlConvertSidToUnicodeString",
            "RtlCreateUnicodeString",
            "RtlDowncaseUnicodeString",
            "RtlDuplicateUnicodeString",
            "RtlOemStringToUnicodeString",
            "RtlStringFromGUID",
            "RtlUnicodeStringToAnsiString",
            "RtlUnicodeStringToOemString",
            "RtlUpcaseUnicodeString",
        ];
        let exported = |name: &&&str| EXPORTS.iter().any(|export| export.name == **name);
        let missing: Vec<_> = PAGE.iter().filter(exported).filter(|name| find(LOW_RESOURCES, name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(LOW_RESOURCES.iter().all(|(name, _)| !name.contains("Lock")
            || *name == "MmProbeAndLockPages"
            || name.starts_with("MmMapLocked")));
    }
}

//! The fatal errors of lock and unlock: bug check 0x1A (D16, D25).

use core::fmt;

use nt_types::Va;
use nt_types::bug_check::{BugCheck, BugCheckCode};

/// P1 of a failed lock: "The caller is trying to lock a nonexistent pageable section" (R82).
pub const LOCK_OF_NONEXISTENT_SECTION: u64 = 0x1234;
/// P1 of a failed unlock: "The caller is unlocking a pageable section that's not currently locked" (R100).
pub const UNLOCK_OF_UNLOCKED_SECTION: u64 = 0x1010;
/// P1 of a lock that would pass the limit of the count (D25). The value is ours, the documentation names none.
pub const COUNT_OVERFLOW: u64 = 0xFFFF_1001;

/// Which routine failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// `MmLockPagableDataSection` or `MmLockPagableSectionByHandle`.
    Lock,
    /// `MmUnlockPagableImageSection`.
    Unlock,
}

/// Why it failed: P3 of the bug check (D16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u64)]
pub enum Reason {
    /// The address lies in no loaded image.
    NoModule = 1,
    /// The address lies in an image, but in none of its sections.
    NoSection = 2,
    /// The section was discarded.
    Discarded = 3,
    /// No such handle was ever issued.
    UnknownHandle = 4,
    /// The handle was issued for an image that has been unloaded since.
    StaleHandle = 5,
    /// The section is not locked.
    CountZero = 6,
    /// The count is at its limit.
    CountOverflow = 7,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NoModule => "the address lies in no loaded image",
            Reason::NoSection => "the address lies in an image but in none of its sections",
            Reason::Discarded => "the section was discarded",
            Reason::UnknownHandle => "no such handle was ever issued",
            Reason::StaleHandle => "the handle was issued for an image that has been unloaded since",
            Reason::CountZero => "the section is not locked",
            Reason::CountOverflow => "the lock count is at its limit",
        })
    }
}

/// A lock or unlock that NT answers with a bug check, never with a status. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Failure {
    /// Which routine.
    pub operation: Operation,
    /// The address or handle that the caller passed.
    pub value: u64,
    /// Why.
    pub reason: Reason,
}

impl Failure {
    /// The exact bug check. `return_address` is the return address in the driver, P4.
    pub const fn bug_check(&self, return_address: Va) -> BugCheck {
        let subtype = match (self.reason, self.operation) {
            (Reason::CountOverflow, _) => COUNT_OVERFLOW,
            (_, Operation::Lock) => LOCK_OF_NONEXISTENT_SECTION,
            (_, Operation::Unlock) => UNLOCK_OF_UNLOCKED_SECTION,
        };
        let parameters = [subtype, self.value, self.reason as u64, return_address.0];
        BugCheck { code: BugCheckCode::MEMORY_MANAGEMENT, parameters }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self.operation {
            Operation::Lock => "lock",
            Operation::Unlock => "unlock",
        };
        write!(f, "{operation} of `{:#x}`: {}", self.value, self.reason)
    }
}

impl core::error::Error for Failure {}

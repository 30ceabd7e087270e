//! Bug check codes and their four parameters (BEHAVIOUR.md section 8.3).

use core::fmt;

/// A bug check code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BugCheckCode(pub u32);

/// A bug check: code and the four documented parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BugCheck {
    /// The code.
    pub code: BugCheckCode,
    /// P1 to P4.
    pub parameters: [u64; 4],
}

impl BugCheckCode {
    /// The name in `bugcodes.h`, where this table knows it.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(code, _)| *code == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for BugCheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X}", self.0)
    }
}

impl fmt::Debug for BugCheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! bug_checks {
    ($($name:ident = $code:literal,)*) => {
        #[expect(missing_docs, reason = "the names are those of the debugger documentation")]
        impl BugCheckCode {
            $(pub const $name: BugCheckCode = BugCheckCode($code);)*
        }
        const NAMES: &[(u32, &str)] = &[$(($code, stringify!($name)),)*];
    };
}

bug_checks! {
    APC_INDEX_MISMATCH = 0x01,
    IRQL_NOT_LESS_OR_EQUAL = 0x0A,
    SPIN_LOCK_NOT_OWNED = 0x10,
    NO_MORE_SYSTEM_PTES = 0x3F,
    MEMORY_MANAGEMENT = 0x1A,
    KMODE_EXCEPTION_NOT_HANDLED = 0x1E,
    SYSTEM_SERVICE_EXCEPTION = 0x3B,
    NO_MORE_IRP_STACK_LOCATIONS = 0x35,
    TARGET_MDL_TOO_SMALL = 0x40,
    MULTIPLE_IRP_COMPLETE_REQUESTS = 0x44,
    IRQL_GT_ZERO_AT_SYSTEM_SERVICE = 0x4A,
    PFN_LIST_CORRUPT = 0x4E,
    PAGE_FAULT_IN_NONPAGED_AREA = 0x50,
    PROCESS_HAS_LOCKED_PAGES = 0x76,
    KERNEL_STACK_INPAGE_ERROR = 0x77,
    KERNEL_DATA_INPAGE_ERROR = 0x7A,
    SYSTEM_THREAD_EXCEPTION_NOT_HANDLED = 0x7E,
    UNEXPECTED_KERNEL_MODE_TRAP = 0x7F,
    KERNEL_STACK_LOCKED_AT_EXIT = 0x94,
    MUTEX_ALREADY_OWNED = 0xBF,
    ATTEMPTED_SWITCH_FROM_DPC = 0xB8,
    ATTEMPTED_WRITE_TO_READONLY_MEMORY = 0xBE,
    SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION = 0xC1,
    BAD_POOL_CALLER = 0xC2,
    DRIVER_VERIFIER_DETECTED_VIOLATION = 0xC4,
    TIMER_OR_DPC_INVALID = 0xC7,
    IRQL_UNEXPECTED_VALUE = 0xC8,
    DRIVER_VERIFIER_IOMANAGER_VIOLATION = 0xC9,
    DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS = 0xCB,
    PAGE_FAULT_IN_FREED_SPECIAL_POOL = 0xCC,
    PAGE_FAULT_BEYOND_END_OF_ALLOCATION = 0xCD,
    DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS = 0xCE,
    DRIVER_IRQL_NOT_LESS_OR_EQUAL = 0xD1,
    DRIVER_PORTION_MUST_BE_NONPAGED = 0xD3,
    SYSTEM_SCAN_AT_RAISED_IRQL_CAUGHT_IMPROPER_DRIVER_UNLOAD = 0xD4,
    DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL = 0xD5,
    DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION = 0xD6,
    SYSTEM_PTE_MISUSE = 0xDA,
    WORKER_THREAD_RETURNED_AT_BAD_IRQL = 0xE1,
    RESOURCE_NOT_OWNED = 0xE3,
    WORKER_INVALID = 0xE4,
    DRIVER_OVERRAN_STACK_BUFFER = 0xF7,
    ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY = 0xFC,
    INVALID_MDL_RANGE = 0x12E,
    KERNEL_SECURITY_CHECK_FAILURE = 0x139,
}

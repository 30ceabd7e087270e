//! NTSTATUS values (names and values as in the published `ntstatus.h`).

use core::fmt;

/// A 32-bit NT status value.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtStatus(pub u32);

impl NtStatus {
    /// `NT_SUCCESS`: severity success or informational.
    pub const fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }

    /// The name in `ntstatus.h`, where this table knows it.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(value, _)| *value == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NtStatus({:#010x})", self.0)
    }
}

macro_rules! statuses {
    ($($name:ident = $value:literal,)*) => {
        #[expect(missing_docs, reason = "the names are those of ntstatus.h")]
        impl NtStatus {
            $(pub const $name: NtStatus = NtStatus($value);)*
        }
        const NAMES: &[(u32, &str)] = &[$(($value, concat!("STATUS_", stringify!($name))),)*];
    };
}

statuses! {
    SUCCESS = 0x0000_0000,
    WAIT_1 = 0x0000_0001,
    USER_APC = 0x0000_00C0,
    ALERTED = 0x0000_0101,
    TIMEOUT = 0x0000_0102,
    PENDING = 0x0000_0103,
    REPARSE = 0x0000_0104,
    MORE_ENTRIES = 0x0000_0105,
    OBJECT_NAME_EXISTS = 0x4000_0000,
    GUARD_PAGE_VIOLATION = 0x8000_0001,
    DATATYPE_MISALIGNMENT = 0x8000_0002,
    BREAKPOINT = 0x8000_0003,
    SINGLE_STEP = 0x8000_0004,
    BUFFER_OVERFLOW = 0x8000_0005,
    NO_MORE_FILES = 0x8000_0006,
    DEVICE_BUSY = 0x8000_0011,
    NO_MORE_ENTRIES = 0x8000_001A,
    UNSUCCESSFUL = 0xC000_0001,
    NOT_IMPLEMENTED = 0xC000_0002,
    INVALID_INFO_CLASS = 0xC000_0003,
    INFO_LENGTH_MISMATCH = 0xC000_0004,
    ACCESS_VIOLATION = 0xC000_0005,
    IN_PAGE_ERROR = 0xC000_0006,
    INVALID_HANDLE = 0xC000_0008,
    INVALID_PARAMETER = 0xC000_000D,
    NO_SUCH_DEVICE = 0xC000_000E,
    NO_SUCH_FILE = 0xC000_000F,
    INVALID_DEVICE_REQUEST = 0xC000_0010,
    END_OF_FILE = 0xC000_0011,
    MORE_PROCESSING_REQUIRED = 0xC000_0016,
    NO_MEMORY = 0xC000_0017,
    ILLEGAL_INSTRUCTION = 0xC000_001D,
    NONCONTINUABLE_EXCEPTION = 0xC000_0025,
    INVALID_DISPOSITION = 0xC000_0026,
    UNWIND = 0xC000_0027,
    BAD_STACK = 0xC000_0028,
    ACCESS_DENIED = 0xC000_0022,
    BUFFER_TOO_SMALL = 0xC000_0023,
    OBJECT_TYPE_MISMATCH = 0xC000_0024,
    OBJECT_NAME_INVALID = 0xC000_0033,
    OBJECT_NAME_NOT_FOUND = 0xC000_0034,
    OBJECT_NAME_COLLISION = 0xC000_0035,
    OBJECT_PATH_INVALID = 0xC000_0039,
    OBJECT_PATH_NOT_FOUND = 0xC000_003A,
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B,
    SEMAPHORE_LIMIT_EXCEEDED = 0xC000_0047,
    MUTANT_NOT_OWNED = 0xC000_0046,
    SHARING_VIOLATION = 0xC000_0043,
    DELETE_PENDING = 0xC000_0056,
    REVISION_MISMATCH = 0xC000_0059,
    ARRAY_BOUNDS_EXCEEDED = 0xC000_008C,
    FLOAT_DIVIDE_BY_ZERO = 0xC000_008E,
    FLOAT_INVALID_OPERATION = 0xC000_0090,
    INTEGER_DIVIDE_BY_ZERO = 0xC000_0094,
    INTEGER_OVERFLOW = 0xC000_0095,
    PRIVILEGED_INSTRUCTION = 0xC000_0096,
    INSUFFICIENT_RESOURCES = 0xC000_009A,
    DEVICE_NOT_READY = 0xC000_00A3,
    IO_TIMEOUT = 0xC000_00B5,
    DEVICE_DATA_ERROR = 0xC000_009C,
    DEVICE_NOT_CONNECTED = 0xC000_009D,
    INSTANCE_NOT_AVAILABLE = 0xC000_00AB,
    NOT_SUPPORTED = 0xC000_00BB,
    INTERNAL_ERROR = 0xC000_00E5,
    STACK_OVERFLOW = 0xC000_00FD,
    CANCELLED = 0xC000_0120,
    IO_DEVICE_ERROR = 0xC000_0185,
    DRIVER_UNABLE_TO_LOAD = 0xC000_026C,
    DELETED = 0xC000_0123,
    DEVICE_CONFIGURATION_ERROR = 0xC000_0182,
    WRONG_VOLUME = 0xC000_0012,
    DISK_FULL = 0xC000_007F,
    STACK_BUFFER_OVERRUN = 0xC000_0409,
    ASSERTION_FAILURE = 0xC000_0420,
    FAIL_FAST_EXCEPTION = 0xC000_0602,
    DEVICE_REMOVED = 0xC000_02B6,
    NOT_FOUND = 0xC000_0225,
    PROCEDURE_NOT_FOUND = 0xC000_007A,
    NAME_TOO_LONG = 0xC000_0106,
    BAD_INITIAL_STACK = 0xC000_0009,
    CONFLICTING_ADDRESSES = 0xC000_0018,
    NOT_MAPPED_VIEW = 0xC000_0019,
}

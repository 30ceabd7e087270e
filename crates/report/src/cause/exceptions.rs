//! Exceptions nobody handled, and stops the driver asked for.

use nt_types::{NtStatus, Va};

/// An exception or a deliberate stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exception {
    /// An exception without a handler: 0x1E, in a system thread 0x7E, in a system service 0x3B.
    Unhandled {
        /// The exception code.
        code: NtStatus,
        /// The address of the access, for an access violation.
        address: Option<Va>,
        /// How the thread came to run this code.
        thread: ThreadKind,
    },
    /// A processor trap the system has no handler for (0x7F).
    Trap {
        /// The vector.
        vector: u8,
        /// The stack pointer was in a guard page: the kernel stack overflowed.
        stack_overflow: bool,
    },
    /// `__fastfail` (0x139).
    FastFail {
        /// Its code, such as 2 for a damaged stack cookie.
        code: u32,
    },
    /// The security cookie was damaged (0xF7).
    StackCookie {
        /// Value found.
        found: u64,
        /// Value expected.
        expected: u64,
    },
    /// The driver called KeBugCheck or KeBugCheckEx.
    Requested,
    /// An assertion failed (`NT_ASSERT`, `int 2c`).
    Assertion,
    /// A breakpoint without a debugger.
    Breakpoint {
        /// The bytes are the filling of discarded memory (D11).
        poison: bool,
    },
}

/// How a thread came to run the driver's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadKind {
    /// A thread that PsCreateSystemThread made, or a work item.
    System,
    /// A user thread in a system call.
    Service,
    /// An interrupt or DPC.
    None,
}

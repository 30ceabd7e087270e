//! Exceptions nobody handled, and stops the driver asked for.

use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, bug_check};
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
    /// Execution went to an address of user mode, the null address above all.
    NoCode {
        /// The address.
        address: Va,
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

const HANDLE_EXCEPTIONS: Rule = Rule {
    text: "it raises an exception that none of its handlers takes",
    source: "Bug Check 0x1E KMODE_EXCEPTION_NOT_HANDLED",
};
const CALLS_CODE: Rule = Rule {
    text: "it calls or jumps to an address that is none of code",
    source: "Bug Check 0x1E KMODE_EXCEPTION_NOT_HANDLED",
};
/// Bytes from address 0 that are never mapped.
const NULL_REGION: u64 = 0x1_0000;
const NO_TRAPS: Rule = Rule {
    text: "it causes a processor trap that the system does not handle",
    source: "Bug Check 0x7F UNEXPECTED_KERNEL_MODE_TRAP",
};
const SMALL_STACK: Rule =
    Rule { text: "the kernel stack is small and does not grow", source: "Using the Kernel Stack" };
const OWN_CHECK: Rule =
    Rule { text: "its own check found damaged data", source: "Bug Check 0x139 KERNEL_SECURITY_CHECK_FAILURE" };
const STACK_BUFFER: Rule =
    Rule { text: "it wrote beyond a buffer on its stack", source: "Bug Check 0xF7 DRIVER_OVERRAN_STACK_BUFFER" };
const STOPPED_ITSELF: Rule = Rule { text: "it stopped the system on purpose", source: "KeBugCheckEx function" };

impl Exception {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        let driver = |title: String, rule| Words::driver(bug_check(report.bug_check), Level::Error, title, rule);
        match self {
            Exception::Unhandled { code, address, thread } => {
                let words = driver(format!("exception {code} not handled"), HANDLE_EXCEPTIONS).note(thread.phrase());
                match address {
                    Some(address) => words.label(format!("access to `{address}`")),
                    None => words,
                }
            }
            Exception::NoCode { address, thread } => {
                let title = match address.0 {
                    0..NULL_REGION => format!("call of a null pointer: `{address}` executed"),
                    _ => format!("user-mode address `{address}` executed, where no code is"),
                };
                driver(title, CALLS_CODE).note(thread.phrase()).label("called from here")
            }
            Exception::Trap { vector: 8, stack_overflow: true } => {
                driver("kernel stack overflow".to_owned(), SMALL_STACK)
                    .help("move large buffers from the stack to pool")
            }
            Exception::Trap { vector, .. } => {
                driver(format!("processor trap {vector} ({}) not handled", trap_name(*vector)), NO_TRAPS)
            }
            Exception::FastFail { code } => {
                driver(format!("`__fastfail` with code {code}: {}", fast_fail(*code)), OWN_CHECK)
            }
            Exception::StackCookie { found, expected } => {
                driver("security cookie on the stack damaged".to_owned(), STACK_BUFFER)
                    .note(format!("found `{found:#x}`, expected `{expected:#x}`"))
            }
            Exception::Requested => driver("the driver called `KeBugCheckEx`".to_owned(), STOPPED_ITSELF),
            Exception::Assertion => driver("assertion failed".to_owned(), OWN_CHECK),
            Exception::Breakpoint { poison: false } => {
                driver("breakpoint without a debugger".to_owned(), HANDLE_EXCEPTIONS)
                    .help("remove the breakpoint, or make it depend on `KD_DEBUGGER_ENABLED`")
            }
            Exception::Breakpoint { poison: true } => {
                driver("discarded code executed after initialisation ended".to_owned(), super::fault::INIT_IS_DISCARDED)
                    .note("the discarded bytes are filled with 0xcc, because another section keeps their page")
            }
        }
    }
}

impl ThreadKind {
    fn phrase(self) -> &'static str {
        match self {
            ThreadKind::System => "this is a system thread, so that no caller could handle it either",
            ThreadKind::Service => "this is a system call, so that no caller could handle it either",
            ThreadKind::None => "this is an interrupt or a DPC, so that no caller could handle it either",
        }
    }
}

/// Names as in the Intel manual.
fn trap_name(vector: u8) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack fault",
        13 => "general protection",
        16 => "x87 floating-point error",
        17 => "alignment check",
        19 => "SIMD floating-point error",
        _ => "reserved",
    }
}

/// Codes as in the page of bug check 0x139.
fn fast_fail(code: u32) -> &'static str {
    match code {
        0 => "a stack cookie was damaged, by the old method",
        1 => "a virtual function table was damaged",
        2 => "a stack cookie was damaged",
        3 => "a LIST_ENTRY was damaged",
        4 => "a stack pointer is outside its stack",
        5 => "an invalid parameter",
        6 => "a stack cookie was not initialised",
        7 => "the application asked for it",
        8 => "an array index is out of bounds",
        9 => "an unsafe region of a file",
        10 => "an indirect call to a target that Control Flow Guard does not allow",
        14 => "a reference count is damaged",
        _ => "see the page of the bug check",
    }
}

//! I/O requests handled wrongly.

use nt_types::Va;

use super::evidence::RequestKind;

/// A request handled wrongly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestMisuse {
    /// Completed more than once (0x44).
    CompletedTwice {
        /// The request.
        irp: Va,
        /// Its major function.
        function: RequestKind,
    },
    /// `STATUS_PENDING` and IoMarkIrpPending disagree.
    PendingMismatch {
        /// The request.
        irp: Va,
        /// Its major function.
        function: RequestKind,
        /// True: marked pending, but another status returned. False: the reverse.
        marked: bool,
    },
    /// Still pending after its handle was closed or the device removed.
    NeverCompleted {
        /// The request.
        irp: Va,
        /// Its major function.
        function: RequestKind,
    },
    /// Completed while its cancel routine was still set.
    CancelRoutineSet {
        /// The request.
        irp: Va,
        /// Its major function.
        function: RequestKind,
    },
    /// Sent on with no stack location left, or with a stack location that was not set up.
    NoStackLocation {
        /// The request.
        irp: Va,
        /// Its major function.
        function: RequestKind,
    },
    /// Another rule of the I/O manager, by the number of bug check 0xC9.
    Rule {
        /// First parameter of bug check 0xC9.
        number: u32,
    },
}

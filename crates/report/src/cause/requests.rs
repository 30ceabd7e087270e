//! I/O requests handled wrongly.

use nt_types::Va;

use super::evidence::RequestKind;
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

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

const COMPLETE_ONCE: Rule =
    Rule { text: "a request is completed exactly once", source: "Bug Check 0x44 MULTIPLE_IRP_COMPLETE_REQUESTS" };
const PENDING: Rule = Rule {
    text: "a dispatch routine that marks a request pending returns STATUS_PENDING, and the other way round",
    source: "MarkIrpPending Rule (WDM)",
};
const COMPLETE_ALL: Rule = Rule {
    text: "each request is completed, at the latest when its handle is closed",
    source: "Points to Consider when Canceling IRPs",
};
const CLEAR_CANCEL: Rule = Rule {
    text: "the cancel routine is cleared before the request is completed",
    source: "Points to Consider when Canceling IRPs",
};
const STACK_LOCATION: Rule = Rule {
    text: "a request that is sent on has a stack location for the driver that receives it",
    source: "IoCallDriver macro",
};
const IO_MANAGER: Rule =
    Rule { text: "it breaks a rule of the I/O manager", source: "Bug Check 0xC9 DRIVER_VERIFIER_IOMANAGER_VIOLATION" };

impl RequestMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            RequestMisuse::CompletedTwice { irp, function } => {
                on_verifier(report, format!("`{}` request completed twice", function.major()), COMPLETE_ONCE)
                    .label(format!("second completion of the request `{irp}`"))
                    .help("remove the request from its queue under a lock, so that one path alone completes it")
            }
            RequestMisuse::PendingMismatch { irp, function, marked } => {
                let fault = match marked {
                    true => "marked pending, but another status returned",
                    false => "STATUS_PENDING returned, but not marked pending",
                };
                on_verifier(report, format!("`{}` request: {fault}", function.major()), PENDING)
                    .note(format!("the request is `{irp}`"))
            }
            RequestMisuse::NeverCompleted { irp, function } => {
                on_verifier(report, format!("`{}` request never completed", function.major()), COMPLETE_ALL)
                    .note(format!("the request is `{irp}`"))
                    .help("complete what is queued for a file object when its cleanup request arrives")
            }
            RequestMisuse::CancelRoutineSet { irp, function } => {
                let title = format!("`{}` request completed with its cancel routine still set", function.major());
                on_verifier(report, title, CLEAR_CANCEL)
                    .note(format!("the request is `{irp}`"))
                    .help("call `IoSetCancelRoutine` with NULL and complete the request only if it returned a routine")
            }
            RequestMisuse::NoStackLocation { irp, function } => on_verifier(
                report,
                format!("`{}` request sent on without a stack location", function.major()),
                STACK_LOCATION,
            )
            .note(format!("the request is `{irp}`"))
            .help("create the device object with the stack size of the one below it plus one"),
            RequestMisuse::Rule { number } => {
                on_verifier(report, format!("rule {number:#x} of the I/O manager broken"), IO_MANAGER)
            }
        }
    }
}

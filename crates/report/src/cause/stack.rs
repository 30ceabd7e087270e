//! Kernel stacks that leave memory, or are kept there for too long.

use super::memory::{InPageReason, in_page};
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

/// What can go wrong with the stack of a thread as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stack {
    /// The thread ended while its stack was not allowed to leave memory (0x94).
    LockedAtExit,
    /// The thread was to run and its stack could not be read back (0x77).
    InPage {
        /// The thread.
        thread: String,
        /// Why not.
        reason: InPageReason,
    },
}

const SWAP_AT_EXIT: Rule = Rule {
    text: "a thread does not end while stack swapping is disabled",
    source: "KeSetKernelStackSwapEnable function",
};

impl Stack {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            Stack::LockedAtExit => on_verifier(report, "thread ended while its stack is kept in memory", SWAP_AT_EXIT)
                .help("give `KeSetKernelStackSwapEnable` back what it returned, on each way out of the routine")
                .help("or leave the stack alone, and keep in nonpaged pool what must be resident"),
            Stack::InPage { thread, reason } => {
                let title = format!("the stack of thread `{thread}` could not be read from the paging file");
                in_page(title, *reason, report)
                    .note("the thread had waited in user mode, and its stack comes back before it runs")
            }
        }
    }
}

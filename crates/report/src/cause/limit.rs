//! Limits, configured and physical.

use crate::code::{Class, Code, Level};
use crate::plural;
use crate::words::Words;
use nt_types::Irql;

/// A limit that was reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Limit {
    /// `--steps`.
    Steps {
        /// The limit.
        steps: u64,
        /// Where the processor was then.
        irql: Irql,
    },
    /// `--frames`: everything left is pinned or nonpaged.
    Frames {
        /// The budget, in pages.
        frames: u64,
        /// Pages that cannot leave.
        fixed: u64,
    },
    /// Something else there is only so much of.
    Resource {
        /// What it is, as a noun phrase.
        what: String,
    },
    /// Every thread waits and nothing can wake one.
    Deadlock {
        /// Threads that wait.
        threads: u32,
    },
    /// The paging file could not grow.
    PagingFile {
        /// Its path.
        path: String,
        /// What the host said.
        error: String,
    },
    /// An output file could not be written.
    Output {
        /// Its path.
        path: String,
        /// What the host said.
        error: String,
    },
}

impl Limit {
    pub(super) fn words(&self) -> Words {
        let words = |title: String| Words::plain(Code::Limit, Level::Error, Class::Limit, title);
        match self {
            Limit::Steps { steps, irql } if *irql >= Irql::DISPATCH => {
                words(format!("the processor was still at `{irql}` after {}", plural(*steps, "step")))
                    .note(
                        "nothing of a lower IRQL can run on it; where it stays for seconds, Windows stops with bug \
                           check 0x133 `DPC_WATCHDOG_VIOLATION`",
                    )
                    .help("look for a loop that waits for what only a lower IRQL can do")
                    .help("or raise `--steps`")
            }
            Limit::Steps { steps, .. } => {
                words(format!("the run did not end within {}", plural(*steps, "step"))).help("raise `--steps`")
            }
            Limit::Frames { frames, fixed } => words(format!("no frame left of `--frames={frames}`"))
                .note(format!("{} cannot leave memory", plural(*fixed, "page")))
                .help("raise `--frames`"),
            Limit::Resource { what } => words(format!("the machine has no more {what}")),
            Limit::Deadlock { threads } => {
                words(format!("{} for good: nothing is left that could wake any", waiting(*threads)))
                    .note("an interrupt or a request that the scenario does not send may be missing")
            }
            Limit::PagingFile { path, error } => words(format!("the paging file `{path}` cannot be written: {error}")),
            Limit::Output { path, error } => words(format!("`{path}` cannot be written: {error}")),
        }
    }
}

fn waiting(threads: u32) -> String {
    let verb = if threads == 1 { "waits" } else { "wait" };
    format!("{} {verb}", plural(u64::from(threads), "thread"))
}

//! A report: one cause with all that explains it.

use nt_types::BugCheck;

use crate::cause::Cause;
use crate::context::{Context, Departure, Replay};
use crate::event::{Event, Step};
use crate::span::Span;

/// A report. It holds evidence only; titles, notes and helps follow from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// What went wrong.
    pub cause: Cause,
    /// Where: the instruction at fault.
    pub at: Option<Span>,
    /// When.
    pub step: Option<Step>,
    /// What happened before and made it possible, in the order to be told: nearest cause first.
    pub because: Vec<Event>,
    /// The bug check Windows stops with, or would have stopped with for a latent fault.
    pub bug_check: Option<BugCheck>,
    /// Why the page was not in memory.
    pub departure: Option<Departure>,
    /// Who was running.
    pub context: Option<Context>,
    /// How to see it again.
    pub replay: Option<Replay>,
}

impl From<Cause> for Diagnostic {
    fn from(cause: Cause) -> Diagnostic {
        Diagnostic {
            cause,
            at: None,
            step: None,
            because: Vec::new(),
            bug_check: None,
            departure: None,
            context: None,
            replay: None,
        }
    }
}

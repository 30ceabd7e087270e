//! A report: one cause with all that explains it.

use nt_types::BugCheck;

use crate::assumption::Assumption;
use crate::cause::Cause;
use crate::code::{Class, Code, Level};
use crate::context::{Context, Departure, DepartureReason, Replay};
use crate::event::{Event, Step};
use crate::finding::Finding;
use crate::path::Waypoint;
use crate::span::Span;
use crate::words::Words;

/// A report. It holds evidence only; titles, notes and helps follow from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// What went wrong.
    pub cause: Cause,
    /// A finding about the same fault, which has no report of its own.
    pub finding: Option<Finding>,
    /// Where: the instruction at fault.
    pub at: Option<Span>,
    /// When.
    pub step: Option<Step>,
    /// What must be so for the report to be right, where an image does not show it. Such a report is a warning at most.
    pub assumes: Option<Assumption>,
    /// Which of several alike in one function it is, by address. Of reports of the audit.
    pub ordinal: u32,
    /// The way to the instruction, in the order of execution. Of reports of the audit.
    pub path: Vec<Waypoint>,
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
            finding: None,
            at: None,
            step: None,
            assumes: None,
            ordinal: 0,
            path: Vec::new(),
            because: Vec::new(),
            bug_check: None,
            departure: None,
            context: None,
            replay: None,
        }
    }
}

impl Diagnostic {
    /// What it is called.
    pub fn code(&self) -> Code {
        self.words().code
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        self.words().level
    }

    /// Whose fault it is.
    pub fn class(&self) -> Class {
        self.words().class
    }

    /// The first line without its code.
    pub fn title(&self) -> String {
        self.words().title
    }

    /// The words where no way is drawn.
    pub(crate) fn words_alone(&self) -> Words {
        let mut words = self.cause.words(self);
        if let Some(assumption) = &self.assumes {
            words.level = words.level.min(Level::Warning);
            words.notes.push(assumption.note());
        }
        words
    }

    pub(crate) fn words(&self) -> Words {
        let mut words = self.words_alone();
        if self.path.iter().any(|waypoint| waypoint.kind.leads_on()) {
            words.label = Some(words.label.map_or("to here".to_owned(), |label| format!("to here: {label}")));
        }
        words
    }

    /// Notes in the order they are drawn: whose fault, what Windows does, why the page was out, the rest.
    pub(crate) fn notes_of(&self, words: &Words) -> Vec<String> {
        let blame = words.blame();
        let finding =
            self.finding.map(|finding| format!("the checker calls this {} `{}`", finding.id(), finding.name()));
        let bug_check = self.bug_check.map(|bug_check| windows_stops(bug_check, words.code));
        let departure = self.departure.map(left_memory);
        [blame, finding, bug_check, departure].into_iter().flatten().chain(words.notes.iter().cloned()).collect()
    }
}

fn windows_stops(bug_check: BugCheck, code: Code) -> String {
    let [first, second, third, fourth] = bug_check.parameters;
    let stops = match code {
        Code::BugCheck(_) => "Windows stops here with",
        _ => "Windows may stop here with",
    };
    let name = bug_check.code.name().map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("{stops} bug check {}{name}\n({first:#x}, {second:#x}, {third:#x}, {fourth:#x})", bug_check.code)
}

fn left_memory(departure: Departure) -> String {
    let reason = match departure.reason {
        DepartureReason::TrimAtOnce => "the page left memory because of `--trim=at-once`",
        DepartureReason::TrimEachStep => "the page left memory because of `--trim=each-step`, between two instructions",
        DepartureReason::TrimOnRaise => {
            "the page left memory because of `--trim=on-raise`, as Driver Verifier would have it"
        }
        DepartureReason::Verifier => {
            "the page left memory because of `--verifier`: Force IRQL Checking trims before each raise"
        }
        DepartureReason::Scenario => "the page left memory because of a `trim` step of the scenario",
        DepartureReason::Schedule => "the page left memory at a moment that the schedule chose",
        DepartureReason::Pressure { frames } => {
            return format!("the page left memory because `--frames={frames}` were in use");
        }
        DepartureReason::NeverIn => "the page had not been in memory since the image was loaded",
    };
    let passes = if departure.passes_untrimmed { "; with `--trim=never` this run passes" } else { "" };
    format!("{reason}{passes}")
}

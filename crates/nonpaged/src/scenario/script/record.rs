//! What a test has asked so far, and what it was given.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use kernel::Answer;

use crate::scenario::{Action, Step};

/// Something that a test asks for, which need not be written down to tell whether it is what was asked before.
pub(crate) trait Ask: Hash {
    /// As the call of this number, from 0.
    fn call(self, number: usize) -> Call;
}

impl Ask for Call {
    fn call(self, _number: usize) -> Call {
        self
    }
}

/// The name of the request that the call of this number begins.
pub(crate) fn request_name(number: usize) -> String {
    format!("request {number}")
}

/// A call as a test asks for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Call {
    /// Begins a request, which is not waited for.
    Begin(Box<Step>),
    /// Does something to its end.
    Do(Action),
    /// Waits for the request that the call of this number began, at most so many nanoseconds.
    Wait {
        request: usize,
        limit_ns: u64,
    },
    /// Lets so many nanoseconds pass.
    Pass(u64),
    /// What went out on the serial line since this was last asked.
    Sent,
    Look(Look),
}

/// A look at the machine, which changes nothing. All that can be looked at is part of what tells states apart
/// ([`kernel::Machine::hash_state`]), or equal states would not go on alike.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Look {
    /// The answer to the request that the call of this number began.
    Answer(usize),
    /// Locks of a section.
    Locks(String),
    /// Pages of a section that are in memory.
    Resident(String),
    /// The IRQL of a processor.
    Irql(usize),
    /// Virtual time in nanoseconds.
    Now,
    /// Whether nothing unplanned has happened.
    Undisturbed,
    /// Codes of what was found.
    Findings,
}

/// What a test is given: pure data, the same whenever its code is run again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Given {
    Nothing,
    /// `None` while the request is outstanding.
    Answer(Option<Answer>),
    /// What was asked for refers to something that does not exist.
    Impossible(String),
    /// `None` of something that does not exist.
    Number(Option<u64>),
    Bytes(Vec<u8>),
    Codes(Vec<&'static str>),
}

/// Tells what is asked.
pub(super) fn told(asked: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    asked.hash(&mut hasher);
    hasher.finish()
}

/// A call and what it gave.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) call: Call,
    /// Tells what was asked.
    pub(super) asked: u64,
    pub(super) given: Given,
}

/// All calls so far. Forks share them.
#[derive(Clone, Default, Debug)]
pub(super) struct Record(Arc<Vec<Arc<Turn>>>);

/// What was asked follows from what was given before.
impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.len());
        self.0.iter().for_each(|turn| turn.given.hash(state));
    }
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn turn(&self, number: usize) -> Option<&Turn> {
        self.0.get(number).map(Arc::as_ref)
    }

    pub(super) fn push(&mut self, (call, asked): (Call, u64), given: Given) {
        Arc::make_mut(&mut self.0).push(Arc::new(Turn { call, asked, given }));
    }

    /// What came after the same answers here, a call or the end; `None` where the answers are others.
    pub(super) fn after(&self, record: &Record) -> Option<Option<&Turn>> {
        let same = |one: &Arc<Turn>, other: &Arc<Turn>| Arc::ptr_eq(one, other) || one.given == other.given;
        let (first, rest) = self.0.split_at_checked(record.len())?;
        first.iter().zip(record.0.iter()).all(|(one, other)| same(one, other)).then(|| rest.first().map(Arc::as_ref))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Begin(step) => step.action.verb(),
            Call::Do(action) => action.verb(),
            Call::Wait { .. } => "wait",
            Call::Pass(_) => "pass",
            Call::Sent => "sent",
            Call::Look(look) => match look {
                Look::Answer(_) => "answer",
                Look::Locks(_) => "locks",
                Look::Resident(_) => "resident",
                Look::Irql(_) => "irql",
                Look::Now => "now",
                Look::Undisturbed => "is_undisturbed",
                Look::Findings => "findings",
            },
        })
    }
}

//! A test in Rust as what a driver is put through: its code decides, by what it was given, what it asks for next.
//!
//! A machine forks, a closure does not. So what a test was given is kept, and its code is run again from the beginning
//! whenever it is to go on: calls that it made before give what they gave, without the machine, and the first one that
//! nobody knows the answer of unwinds it. Then the machine does what was asked for, with all choices on the way. The record
//! forks with the machine, and tells states apart.

mod caught;
mod record;
mod stage;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use kernel::Machine;

use super::player::Player;
use caught::caught;
use record::Record;
use stage::Progress;

pub use caught::Refutation;
pub(crate) use record::{Ask, Call, Given, Look, request_name};
pub(crate) use stage::Stage;

/// The code of a test. It is called in many schedules, on several threads.
#[derive(Clone)]
pub(crate) struct Test {
    code: Arc<dyn Fn(&Stage<'_>) + Send + Sync>,
    /// Where it stands, as file and line.
    at: String,
    /// What it asked for, and was given, when it first came to its end.
    first: Arc<OnceLock<Record>>,
    /// Where it once did something else under the same answers.
    parted: Arc<OnceLock<Refutation>>,
}

/// A test in progress.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Each search thread has its own, so that none counts references to what another one uses.
    test: Arc<Test>,
    record: Record,
}

/// What a test comes to next.
pub(crate) enum Verdict {
    /// It is over, and nothing of it failed.
    Over,
    /// It asks for this.
    Asks(Vec<(Call, u64)>),
    /// It failed.
    Refuted(Refutation),
    /// It did something else than before, under the same answers.
    Parted(Refutation),
}

impl Test {
    #[track_caller]
    pub(crate) fn new(code: impl Fn(&Stage<'_>) + Send + Sync + 'static) -> Test {
        let place = Location::caller();
        let at = format!("{}:{}", place.file(), place.line());
        Test { code: Arc::new(code), at, first: Arc::default(), parted: Arc::default() }
    }

    /// Where it once did something else under the same answers: then nothing is known of the driver.
    pub(crate) fn parted(&self) -> Option<&Refutation> {
        self.parted.get()
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Test").field("parted", &self.parted).finish_non_exhaustive()
    }
}

impl Script {
    pub(crate) fn new(test: Test) -> Script {
        Script { test: Arc::new(test), record: Record::default() }
    }

    /// Runs the code to the first call that the machine has to answer, or to its end.
    pub(super) fn advance(&mut self, machine: &Machine, player: &Player) -> Verdict {
        let stage = Stage::new(machine, player, std::mem::take(&mut self.record), self.test.first.get());
        let ended = caught(|| (self.test.code)(&stage));
        let Progress { record, known, asked, is_suspended, parted } = stage.into_progress();
        self.record = record;
        match (parted, ended) {
            (Some(parted), _) => self.parted(parted),
            // Whatever else it did where it was not unwound to the end.
            _ if is_suspended => Verdict::Asks(asked),
            (None, Ok(())) if !asked.is_empty() => Verdict::Asks(asked),
            (None, ended) => self.ended(ended, known),
        }
    }

    /// The code came to its end after so many calls.
    fn ended(&self, ended: Result<(), Refutation>, calls: usize) -> Verdict {
        let first = self.test.first.get_or_init(|| self.record.clone());
        let more = self.record.turn(calls).or_else(|| first.after(&self.record).flatten());
        match (more, ended) {
            (None, Ok(())) => Verdict::Over,
            (None, Err(refutation)) => Verdict::Refuted(refutation),
            (Some(more), ended) => {
                let at = ended.err().map_or_else(|| self.test.at.clone(), |refutation| refutation.at);
                let message = format!("its call {} was `{}`, and is the end now", calls + 1, more.call);
                self.parted(Refutation { at, message })
            }
        }
    }

    fn parted(&self, parted: Refutation) -> Verdict {
        Verdict::Parted(self.test.parted.get_or_init(|| parted).clone())
    }

    /// The last call that it asked for gave this.
    pub(super) fn give(&mut self, call: (Call, u64), given: Given) {
        self.record.push(call, given);
    }
}

/// Forks have the same code, which goes on by what it was given.
impl Hash for Script {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.record.hash(state);
    }
}

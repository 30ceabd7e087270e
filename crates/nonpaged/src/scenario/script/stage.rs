//! One run of the code of a test: first through what is known, then up to a call that the machine has to answer.

use std::cell::RefCell;
use std::panic::{Location, resume_unwind};

use kernel::Machine;

use super::caught::Refutation;
use super::record::{Ask, Call, Given, Look, Record, Turn, told};
use crate::scenario::player::Player;
use crate::session::{Residency, SectionResidency};

/// Calls of one test at most: one that only looks, and waits for something that no time passes for, must not go on for ever.
const MOST_CALLS: usize = 10_000;

/// What the code of a test is unwound with where it goes on once the machine has answered.
struct Suspended;

/// What stands between the code of a test and the machine.
pub(crate) struct Stage<'a> {
    machine: &'a Machine,
    player: &'a Player,
    /// What the code asked for, and was given, when it first came to its end.
    first: Option<&'a Record>,
    progress: RefCell<Progress>,
}

/// How far a run of the code is.
pub(super) struct Progress {
    pub(super) record: Record,
    /// Calls of the record that it has made again.
    pub(super) known: usize,
    /// Calls that are new and need the machine.
    pub(super) asked: Vec<(Call, u64)>,
    /// It was unwound, and is to be run again when these are done.
    pub(super) is_suspended: bool,
    /// Where it did something else than before.
    pub(super) parted: Option<Refutation>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        machine: &'a Machine,
        player: &'a Player,
        record: Record,
        first: Option<&'a Record>,
    ) -> Stage<'a> {
        let progress = Progress { record, known: 0, asked: Vec::new(), is_suspended: false, parted: None };
        Stage { machine, player, first, progress: RefCell::new(progress) }
    }

    pub(super) fn into_progress(self) -> Progress {
        self.progress.into_inner()
    }

    /// Number of the next call.
    pub(crate) fn number(&self) -> usize {
        self.progress.borrow().known
    }

    /// What a call gives: what it gave before, or what is there to be seen. Where the machine has to go on first, the code
    /// is unwound. Values that are dropped meanwhile, or after a panic, can do nothing any more.
    #[track_caller]
    pub(crate) fn call(&self, ask: impl Ask) -> Given {
        if std::thread::panicking() {
            return Given::Nothing;
        }
        assert!(
            self.number() < MOST_CALLS,
            "the test has made {MOST_CALLS} calls: does a loop wait for something while no time passes?"
        );
        let given = self.given(ask, Location::caller());
        given.unwrap_or_else(|| resume_unwind(Box::new(Suspended)))
    }

    /// What a call gives; `None` where nobody knows yet.
    fn given(&self, ask: impl Ask, place: &Location<'_>) -> Option<Given> {
        let progress = &mut *self.progress.borrow_mut();
        if progress.is_suspended || progress.parted.is_some() {
            return None;
        }
        let asked = told(&ask);
        let before = match progress.record.turn(progress.known) {
            Some(turn) => Some(Some(turn)),
            None => self.first.and_then(|first| first.after(&progress.record)),
        };
        if let Some(before) = before.filter(|before| before.is_none_or(|before| before.asked != asked)) {
            progress.parted = Some(parted(before, &ask.call(progress.known), progress.known, place));
            return None;
        }
        match progress.again() {
            None => progress.newly((ask.call(progress.known), asked), |look| self.look(look)),
            given => given,
        }
    }

    fn look(&self, look: &Look) -> Given {
        let section = |name: &str, count: fn(&SectionResidency) -> u32| {
            let sections = Residency::of(self.machine, self.player.base).sections;
            sections.iter().find(|section| section.name == name).map(|section| u64::from(count(section)))
        };
        Given::Number(match look {
            Look::Answer(request) => return self.player.answer_to(self.machine, *request),
            Look::Locks(name) => section(name, |section| section.locks),
            Look::Resident(name) => section(name, |section| section.resident),
            Look::Irql(processor) => self.machine.irql_of(*processor).map(|irql| u64::from(irql.level())),
            Look::Now => Some(self.machine.look_at_time()),
            Look::Undisturbed => Some(self.machine.schedule_so_far().is_empty().into()),
            Look::Findings => return Given::Codes(self.machine.findings_so_far()),
        })
    }
}

/// How a call is not what was done before under the same answers.
fn parted(before: Option<&Turn>, call: &Call, number: usize, place: &Location<'_>) -> Refutation {
    let before = before.map_or("the end".to_owned(), |before| format!("`{}`", before.call));
    let which = if before == format!("`{call}`") { "another" } else { "a" };
    let message = format!("its call {} was {before}, and is {which} `{call}` now", number + 1);
    Refutation { at: format!("{}:{}", place.file(), place.line()), message }
}

impl Progress {
    /// What the call gave before.
    fn again(&mut self) -> Option<Given> {
        let given = self.record.turn(self.known)?.given.clone();
        self.known += 1;
        Some(given)
    }

    /// What a call gives that was not made before; `None` where the machine has to go on first.
    fn newly(&mut self, (call, asked): (Call, u64), look: impl FnOnce(&Look) -> Given) -> Option<Given> {
        let given = match &call {
            Call::Begin(_) => Given::Nothing,
            // What was begun before comes first.
            Call::Look(looks_at) if self.asked.is_empty() => look(looks_at),
            Call::Look(_) => return self.suspend(None),
            _ => return self.suspend(Some((call, asked))),
        };
        self.asked.extend(Some(&call).filter(|call| matches!(call, Call::Begin(_))).map(|call| (call.clone(), asked)));
        self.record.push((call, asked), given.clone());
        self.known += 1;
        Some(given)
    }

    fn suspend(&mut self, call: Option<(Call, u64)>) -> Option<Given> {
        self.is_suspended = true;
        self.asked.extend(call);
        None
    }
}

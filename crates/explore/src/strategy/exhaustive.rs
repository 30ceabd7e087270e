//! Every schedule with a number of deeds: depth first, forking at each choice, so that memory holds one fork a deed.
//!
//! A run that comes to a state from which everything was walked before, with the same deeds left to do, ends there: what
//! would follow is known, and is counted as if it had been run. So the numbers are those of a walk that recognises nothing.

use engine::Engine;
use kernel::Deed;
use memory::Memory;

use crate::failure::{Signature, take_findings};
use crate::seen::{Below, Clock, Seen, State, Tally, is_landmark};
use crate::subject::{Ending, Subject};
use crate::walk::{End, Walked, conclude};

/// Who hears of each run, and says whether to go on.
pub(crate) trait Visitor {
    /// A run ended.
    fn ended(&mut self, walked: Walked);

    /// All this was known already, and was not run.
    fn known(&mut self, tally: Tally);

    /// What is known of states.
    fn seen(&self) -> &Seen;

    /// True where the search is to end, in the middle of a run.
    fn is_over(&self) -> bool;

    /// A run begins; false where there is no room for it.
    fn begin(&mut self) -> bool;
}

/// A run as the walk sees it: it stands at a choice, goes on, and forks.
trait Path: Sized {
    fn branch(&mut self) -> Self;

    /// Stops at each choice from now on: at those where something is possible, or at all of them without finding out.
    fn stop(&mut self, at_all: bool);

    /// Does not stop any more.
    fn stop_no_more(&mut self);

    /// Goes on to where it stops, or to its end.
    fn advance(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending>;

    /// What is possible at the choice where it stands.
    fn deeds(&mut self) -> Vec<Deed>;

    fn answer(&mut self, deed: Option<Deed>);

    /// What was found since the last call.
    fn found(&mut self) -> Vec<Signature>;

    /// Its state together with the number of deeds to do; `None` where nobody knows.
    fn state_with(&mut self, more: u32) -> Option<State>;

    /// How far it is, and how often anybody has looked at the time.
    fn clock(&mut self) -> Clock;

    /// True at one state of many: see [`is_landmark`].
    fn is_landmark(&mut self) -> bool;

    fn conclude(self, end: End, found: Vec<Signature>) -> Walked;
}

impl<S: Subject> Path for S {
    fn branch(&mut self) -> S {
        self.fork()
    }

    fn stop(&mut self, at_all: bool) {
        let next = self.machine().choices_made();
        match at_all {
            true => self.machine().stop_at_choices(),
            false => self.machine().ask_from(Some(next)),
        }
    }

    fn stop_no_more(&mut self) {
        self.machine().ask_from(None);
    }

    fn advance(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        self.go_on(engine)
    }

    fn deeds(&mut self) -> Vec<Deed> {
        self.machine().choice().map(|choice| choice.deeds.clone()).unwrap_or_default()
    }

    fn answer(&mut self, deed: Option<Deed>) {
        self.machine().answer_choice(deed);
    }

    fn found(&mut self) -> Vec<Signature> {
        take_findings(self.machine())
    }

    fn state_with(&mut self, more: u32) -> Option<State> {
        State::of(self, more)
    }

    fn clock(&mut self) -> Clock {
        Clock::of(self.machine())
    }

    fn is_landmark(&mut self) -> bool {
        is_landmark(self.machine())
    }

    fn conclude(mut self, end: End, found: Vec<Signature>) -> Walked {
        conclude(self.machine(), end, found)
    }
}

/// Runs all schedules that begin with `deed` at the choice `index` and do `more` other deeds after it; false where that was
/// broken off. `subject` stands at or before that choice.
pub(crate) fn explore<S: Subject>(
    mut subject: S,
    engine: &mut dyn Engine<Memory>,
    (index, deed): (u32, Deed),
    more: u32,
    visitor: &mut dyn Visitor,
) -> bool {
    loop {
        match subject.machine().choice().map(|choice| choice.index) {
            Some(at) if at == index => break,
            Some(at) if at > index => return true,
            _ => subject.machine().answer_choice(None),
        }
        subject.machine().ask_from(Some(index));
        if subject.go_on(engine).is_some() {
            return true;
        }
    }
    subject.machine().answer_choice(Some(deed));
    all_below(subject, engine, more, visitor).is_some()
}

/// Everything from here on with `more` further deeds; `None` where it was broken off.
fn all_below<P: Path>(path: P, engine: &mut dyn Engine<Memory>, more: u32, visitor: &mut dyn Visitor) -> Option<Below> {
    match more {
        0 => run_on(path, engine, visitor),
        _ => branch_off(path, engine, more, visitor),
    }
}

/// Runs to the end without further deeds, or to a state from which that was done before.
fn run_on<P: Path>(mut path: P, engine: &mut dyn Engine<Memory>, visitor: &mut dyn Visitor) -> Option<Below> {
    if !visitor.begin() {
        return None;
    }
    path.stop(true);
    let mut found: Vec<Signature> = Vec::new();
    // The states on the way, and how much had been found by then.
    let mut way: Vec<(State, usize)> = Vec::new();
    let (end, clock) = loop {
        if visitor.is_over() {
            return None;
        }
        if let Some(ending) = path.advance(engine) {
            break (End::Of(ending), path.clock());
        }
        if path.is_landmark() {
            found.extend(path.found());
            match path.state_with(0) {
                Some(state) => match visitor.seen().get(&state) {
                    Some(known) => break (End::Known(known.tally), known.clock),
                    None => way.push((state, found.len())),
                },
                None => path.stop_no_more(),
            }
        }
        path.answer(None);
    };
    let walked = path.conclude(end, found);
    let below = |found: usize| Below { tally: walked.tally_after(found), clock };
    for (state, found) in way {
        visitor.seen().put(&state, below(found));
    }
    let all = below(0);
    visitor.ended(walked);
    Some(all)
}

/// Runs on without deeds to find the choices, and does each deed that is possible at one in a fork. The run itself has fewer
/// deeds than are asked for: an earlier round counted it.
fn branch_off<P: Path>(
    mut path: P,
    engine: &mut dyn Engine<Memory>,
    more: u32,
    visitor: &mut dyn Visitor,
) -> Option<Below> {
    path.stop(false);
    // The choices on the way, and what came of the deeds at each.
    let mut way: Vec<(Option<State>, Below)> = Vec::new();
    let mut sum = loop {
        if visitor.is_over() {
            return None;
        }
        if path.advance(engine).is_some() {
            break Below { tally: Tally::default(), clock: path.clock() };
        }
        let state = path.state_with(more);
        if let Some(known) = state.and_then(|state| visitor.seen().get(&state)) {
            visitor.known(known.tally);
            break known;
        }
        way.push((state, each_deed(&mut path, engine, more, visitor)?));
    };
    for (state, below) in way.into_iter().rev() {
        sum.add(below);
        if let Some(state) = state {
            visitor.seen().put(&state, sum);
        }
    }
    Some(sum)
}

/// Runs everything that can be done at the choice that is pending; then it is answered by nothing.
fn each_deed<P: Path>(
    path: &mut P,
    engine: &mut dyn Engine<Memory>,
    more: u32,
    visitor: &mut dyn Visitor,
) -> Option<Below> {
    let deeds = path.deeds();
    // What was found so far belongs to the run that goes on, which an earlier round has seen.
    path.found();
    let mut sum = Below::default();
    for deed in deeds {
        let mut fork = path.branch();
        fork.answer(Some(deed));
        sum.add(all_below(fork, engine, more - 1, visitor)?);
    }
    path.answer(None);
    Some(sum)
}

#[cfg(test)]
mod tests;

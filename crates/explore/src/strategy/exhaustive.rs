//! Every schedule with a number of deeds: depth first, forking at each choice, so that memory holds one fork a deed.
//!
//! A run that comes to a state from which everything was walked before, with the same deeds left to do, ends there: what
//! would follow is known, and is counted as if it had been run. So the numbers are those of a walk that recognises nothing.

use engine::Engine;
use kernel::Deed;
use memory::Memory;

use crate::failure::{Signature, take_findings};
use crate::seen::{Key, Seen, Tally, is_landmark};
use crate::subject::Subject;
use crate::walk::{End, Walked, conclude};

/// Who hears of each run, and says whether to go on.
pub(crate) trait Visitor {
    /// A run ended.
    fn ended(&mut self, walked: Walked);

    /// All this was known already, and was not run.
    fn known(&mut self, tally: Tally);

    /// What is known of states.
    fn seen(&self) -> &Seen;

    /// True where the search is to end.
    fn is_over(&self) -> bool;
}

/// Runs all schedules that begin with `deed` at the choice `index` and do `more` other deeds after it. `subject` stands at
/// or before that choice.
pub(crate) fn explore<S: Subject>(
    mut subject: S,
    engine: &mut dyn Engine<Memory>,
    (index, deed): (u32, Deed),
    more: u32,
    visitor: &mut dyn Visitor,
) {
    loop {
        match subject.machine().choice().map(|choice| choice.index) {
            Some(at) if at == index => break,
            Some(at) if at > index => return,
            _ => subject.machine().answer_choice(None),
        }
        subject.machine().ask_from(Some(index));
        if subject.go_on(engine).is_some() {
            return;
        }
    }
    subject.machine().answer_choice(Some(deed));
    below(subject, engine, more, visitor);
}

/// Everything from here on with `more` further deeds; `None` where it was broken off.
fn below<S: Subject>(
    subject: S,
    engine: &mut dyn Engine<Memory>,
    more: u32,
    visitor: &mut dyn Visitor,
) -> Option<Tally> {
    match more {
        0 => run_on(subject, engine, visitor),
        _ => branch_off(subject, engine, more, visitor),
    }
}

/// Runs to the end without further deeds, or to a state from which that was done before.
fn run_on<S: Subject>(mut subject: S, engine: &mut dyn Engine<Memory>, visitor: &mut dyn Visitor) -> Option<Tally> {
    subject.machine().stop_at_choices();
    let mut found: Vec<Signature> = Vec::new();
    // The states on the way, and how much had been found by then.
    let mut way: Vec<(Key, usize)> = Vec::new();
    let end = loop {
        if visitor.is_over() {
            return None;
        }
        if let Some(ending) = subject.go_on(engine) {
            break End::Of(ending);
        }
        if is_landmark(subject.machine()) {
            found.extend(take_findings(subject.machine()));
            match Key::of(&mut subject, 0) {
                Some(key) => match visitor.seen().get(key) {
                    Some(known) => break End::Known(known),
                    None => way.push((key, found.len())),
                },
                None => subject.machine().ask_from(None),
            }
        }
        subject.machine().answer_choice(None);
    };
    let walked = conclude(subject.machine(), end, found);
    for (key, found) in way {
        visitor.seen().put(key, walked.tally_after(found));
    }
    let tally = walked.tally_after(0);
    visitor.ended(walked);
    Some(tally)
}

/// Runs on without deeds to find the choices, and does each deed that is possible at one in a fork. The run itself has fewer
/// deeds than are asked for: an earlier round counted it.
fn branch_off<S: Subject>(
    mut subject: S,
    engine: &mut dyn Engine<Memory>,
    more: u32,
    visitor: &mut dyn Visitor,
) -> Option<Tally> {
    let ask = subject.machine().choices_made();
    subject.machine().ask_from(Some(ask));
    let mut sum = Tally::default();
    let mut way: Vec<(Key, Tally)> = Vec::new();
    loop {
        if visitor.is_over() {
            return None;
        }
        if subject.go_on(engine).is_some() {
            break;
        }
        if let Some(key) = Key::of(&mut subject, more) {
            if let Some(known) = visitor.seen().get(key) {
                visitor.known(known);
                sum.add(known);
                break;
            }
            way.push((key, sum));
        }
        sum.add(branch(&mut subject, engine, more, visitor)?);
    }
    for (key, before) in way {
        visitor.seen().put(key, sum.since(before));
    }
    Some(sum)
}

/// Runs everything that can be done at the choice that is pending; then it is answered by nothing.
fn branch<S: Subject>(
    subject: &mut S,
    engine: &mut dyn Engine<Memory>,
    more: u32,
    visitor: &mut dyn Visitor,
) -> Option<Tally> {
    let deeds = subject.machine().choice().map(|choice| choice.deeds.clone()).unwrap_or_default();
    // What was found so far belongs to the run that goes on, which an earlier round has seen.
    take_findings(subject.machine());
    let mut sum = Tally::default();
    for deed in deeds {
        let mut fork = subject.fork();
        fork.machine().answer_choice(Some(deed));
        sum.add(below(fork, engine, more - 1, visitor)?);
    }
    subject.machine().answer_choice(None);
    Some(sum)
}

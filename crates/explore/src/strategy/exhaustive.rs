//! Every schedule with a number of deeds: depth first, forking at each choice, so that memory holds one fork a deed.

use engine::Engine;
use kernel::Deed;
use memory::Memory;

use crate::failure::take_findings;
use crate::subject::Subject;
use crate::walk::{Walked, conclude};

/// Who hears of each run, and says whether to go on.
pub(crate) trait Visitor {
    /// A run ended.
    fn ended(&mut self, walked: Walked);

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

/// Runs on without further deeds, and with `more` of them at every later choice.
fn below<S: Subject>(mut subject: S, engine: &mut dyn Engine<Memory>, more: u32, visitor: &mut dyn Visitor) {
    let ask = subject.machine().choices_made();
    subject.machine().ask_from((more > 0).then_some(ask));
    let ending = loop {
        if visitor.is_over() {
            return;
        }
        match subject.go_on(engine) {
            Some(ending) => break ending,
            None => branch(&mut subject, engine, more, visitor),
        }
    };
    // With deeds left this run has fewer of them than are asked for: an earlier round counted it.
    let walked = conclude(subject.machine(), ending);
    if more == 0 {
        visitor.ended(walked);
    }
}

/// Runs everything that can be done at the choice that is pending; then it is answered by nothing.
fn branch<S: Subject>(subject: &mut S, engine: &mut dyn Engine<Memory>, more: u32, visitor: &mut dyn Visitor) {
    let deeds = subject.machine().choice().map(|choice| choice.deeds.clone()).unwrap_or_default();
    // What was found so far belongs to the run that goes on, which an earlier round has seen.
    take_findings(subject.machine());
    for deed in deeds {
        let mut fork = subject.fork();
        fork.machine().answer_choice(Some(deed));
        below(fork, engine, more - 1, visitor);
        if visitor.is_over() {
            return;
        }
    }
    subject.machine().answer_choice(None);
}

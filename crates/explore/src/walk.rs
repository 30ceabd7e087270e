//! One run with decisions.

use engine::Engine;
use kernel::{Choice, Coverage, Deed, Machine, Schedule};
use memory::Memory;

use crate::failure::{Signature, of_ending, take_findings};
use crate::subject::{Ending, Subject};

/// Decides the choices of one run.
pub(crate) trait Decider {
    /// The first choice that it wants to be asked about from now on; `None` for none any more.
    fn from(&self) -> Option<u32>;

    /// Decides.
    fn decide(&mut self, machine: &Machine, choice: &Choice) -> Option<Deed>;
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) ending: Ending,
    /// What was done.
    pub(crate) schedule: Schedule,
    /// What broke, the last one first to end the run.
    pub(crate) failures: Vec<Signature>,
    /// Where it came to.
    pub(crate) coverage: Coverage,
    /// Instructions of the machine, from its start.
    pub(crate) steps: u64,
    /// Choices in the whole run.
    pub(crate) choices: u32,
}

/// Runs to the end.
pub(crate) fn walk<S: Subject>(mut subject: S, engine: &mut dyn Engine<Memory>, decider: &mut dyn Decider) -> Walked {
    subject.machine().ask_from(decider.from());
    let ending = loop {
        match subject.go_on(engine) {
            Some(ending) => break ending,
            None => decide(subject.machine(), decider),
        }
    };
    conclude(subject.machine(), ending)
}

fn decide(machine: &mut Machine, decider: &mut dyn Decider) {
    let Some(choice) = machine.choice().cloned() else { return };
    let deed = decider.decide(machine, &choice);
    machine.answer_choice(deed);
    machine.ask_from(decider.from().map(|from| from.max(choice.index + 1)));
}

/// What an ended run came to.
pub(crate) fn conclude(machine: &mut Machine, ending: Ending) -> Walked {
    let mut failures = take_findings(machine);
    failures.extend(of_ending(&ending));
    let coverage = machine.coverage().cloned().unwrap_or_default();
    let (schedule, choices) = (machine.schedule_so_far().clone(), machine.choices_made());
    Walked { ending, schedule, failures, coverage, steps: machine.steps(), choices }
}

/// Follows a schedule, deed by deed. A deed of the same kind will do: threads and requests have other numbers where an
/// earlier deed was left out. Where none is possible, the rest is left out.
pub(crate) struct Follow<'a> {
    schedule: &'a [(u32, Deed)],
}

impl<'a> Follow<'a> {
    pub(crate) fn new(schedule: &'a [(u32, Deed)]) -> Follow<'a> {
        Follow { schedule }
    }
}

impl Decider for Follow<'_> {
    fn from(&self) -> Option<u32> {
        self.schedule.first().map(|(index, _)| *index)
    }

    fn decide(&mut self, _machine: &Machine, choice: &Choice) -> Option<Deed> {
        let ((index, deed), rest) = self.schedule.split_first()?;
        if choice.index < *index {
            return None;
        }
        let kind = std::mem::discriminant(deed);
        let alike = || choice.deeds.iter().find(|other| std::mem::discriminant(*other) == kind);
        let possible = if choice.deeds.contains(deed) { Some(deed) } else { alike() };
        let deed = possible.filter(|_| *index == choice.index).copied();
        self.schedule = if deed.is_some() { rest } else { &[] };
        deed
    }
}

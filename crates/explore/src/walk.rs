//! One run with decisions.

use engine::Engine;
use kernel::{Choice, Coverage, Deed, Machine, Schedule};
use memory::Memory;

use crate::failure::{Signature, of_ending, take_findings};
use crate::seen::Tally;
use crate::subject::{Ending, Subject};

/// Decides the choices of one run.
pub(crate) trait Decider {
    /// The first choice that it wants to be asked about from now on; `None` for none any more.
    fn from(&self) -> Option<u32>;

    /// Decides.
    fn decide(&mut self, machine: &Machine, choice: &Choice) -> Option<Deed>;
}

/// Why a run is over.
#[derive(Debug)]
pub(crate) enum End {
    /// It came to its end.
    Of(Ending),
    /// It came to a state from which a run without further deeds was walked before.
    Known(Tally),
}

/// What one run came to.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) end: End,
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
    conclude(subject.machine(), End::Of(ending), Vec::new())
}

fn decide(machine: &mut Machine, decider: &mut dyn Decider) {
    let Some(choice) = machine.choice().cloned() else { return };
    let deed = decider.decide(machine, &choice);
    machine.answer_choice(deed);
    machine.ask_from(decider.from().map(|from| from.max(choice.index + 1)));
}

/// What a run came to in which this was found already.
pub(crate) fn conclude(machine: &mut Machine, end: End, found: Vec<Signature>) -> Walked {
    let mut failures = found;
    failures.extend(take_findings(machine));
    if let End::Of(ending) = &end {
        failures.extend(of_ending(ending));
    }
    let coverage = machine.coverage().cloned().unwrap_or_default();
    let (schedule, choices) = (machine.schedule_so_far().clone(), machine.choices_made());
    Walked { end, schedule, failures, coverage, steps: machine.steps(), choices }
}

impl Walked {
    /// What it counts for, seen from where so many failures had been found.
    pub(crate) fn tally_after(&self, found: usize) -> Tally {
        let (rest_failed, rest_unknown) = match &self.end {
            End::Of(ending) => (false, ending.is_unknown()),
            End::Known(rest) => (rest.failed > 0, rest.unknown > 0),
        };
        let failed = self.failures.len() > found || rest_failed;
        Tally { schedules: 1, failed: failed.into(), unknown: (rest_unknown && !failed).into() }
    }

    /// True where it was broken off, because the rest is known.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.end, End::Known(_))
    }
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

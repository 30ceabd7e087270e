//! What all threads of a search share: who takes which unit, and what has been found.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel::{Bound, ChoicePoints, Coverage, Options, Schedule, Stop, StopKind};

use super::plan::{Plan, Unit};
use super::{Campaign, Outcome, Progress};
use crate::bound::Proven;
use crate::failure::{Failure, Failures, Signature};
use crate::spine::Survey;
use crate::strategy::Corpus;
use crate::subject::Ending;
use crate::walk::Walked;

/// The shared state.
pub(super) struct Board {
    plan: Plan,
    campaign: Campaign,
    points: ChoicePoints,
    bound: Bound,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The next unit that nobody has taken.
    next: u64,
    /// Units that are done, from `done_before` on.
    done: BTreeSet<u64>,
    /// Every unit before it is done.
    done_before: u64,
    ended: bool,
    schedules: u64,
    unknown: u64,
    choices: (u64, u64),
    coverage: Coverage,
    corpus: Corpus,
    failures: Failures,
    rounds: Vec<Round>,
}

/// A round of the exhaustive search: all schedules with one number of deeds.
#[derive(Clone, Default)]
struct Round {
    units: u64,
    schedules: u64,
    failed: u64,
    unknown: u64,
}

impl Board {
    pub(super) fn new(campaign: &Campaign, options: &Options, survey: &Survey, plan: Plan) -> Board {
        let choices = (u64::from(survey.walked.choices), plan.singles());
        let at = campaign.resume_at;
        let mut failures = Failures::default();
        campaign.known.iter().cloned().for_each(|failure| failures.adopt(failure));
        let state = State { next: at, done_before: at, choices, failures, ..State::default() };
        let Options { choices: points, bound, .. } = *options;
        Board { plan, campaign: campaign.clone(), points, bound, start: Instant::now(), state: Mutex::new(state) }
    }

    /// A thread that panicked has left nothing half done: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the run without deeds: the failures that are new.
    pub(super) fn note_survey(&self, survey: &Survey) -> Vec<Failure> {
        let new = self.ended(Some(0), &survey.walked);
        let mut state = self.state();
        state.round(0).units = 1;
        state.coverage.add(&survey.walked.coverage);
        new.iter().filter_map(|signature| state.failures.get(signature).cloned()).collect()
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// True where a limit of time or number is reached.
    pub(super) fn is_over(&self) -> bool {
        let limits = self.campaign.limits;
        limits.time.is_some_and(|limit| self.elapsed() >= limit)
            || limits.schedules.is_some_and(|limit| self.state().schedules >= limit)
    }

    /// The next unit of this part, with its number.
    pub(super) fn take(&self) -> Option<(u64, Unit)> {
        let (index, count) = self.campaign.shard;
        let mut state = self.state();
        loop {
            let number = state.next;
            let Some(unit) = self.plan.unit(number) else {
                state.ended = true;
                return None;
            };
            state.next += 1;
            if number % count == index - 1 {
                return Some((number, unit));
            }
            state.finish(number);
        }
    }

    /// A unit is done.
    pub(super) fn finish(&self, number: u64, unit: Unit) {
        let mut state = self.state();
        state.finish(number);
        if let Unit::Exhaustive { more, .. } = unit {
            state.round(more as usize + 1).units += 1;
        }
    }

    /// A run has ended: its new failures. `round` is its number of deeds in the exhaustive search.
    pub(super) fn ended(&self, round: Option<usize>, walked: &Walked) -> Vec<Signature> {
        let mut state = self.state();
        state.schedules += 1;
        let is_unknown = is_unknown(&walked.ending);
        state.unknown += u64::from(is_unknown);
        let failed = !walked.failures.is_empty();
        if let Some(round) = round {
            let round = state.round(round);
            round.schedules += 1;
            round.failed += u64::from(failed);
            round.unknown += u64::from(is_unknown && !failed);
        }
        let number = state.schedules;
        let new = walked.failures.iter().filter(|signature| state.failures.note(signature, &walked.schedule, number));
        new.cloned().collect()
    }

    /// Takes note of where a run came to; a schedule that came to something new is kept.
    pub(super) fn cover(&self, coverage: &Coverage, schedule: &Schedule) {
        let mut state = self.state();
        if state.coverage.add(coverage) {
            state.corpus.add(schedule.clone());
        }
    }

    pub(super) fn corpus(&self) -> Corpus {
        self.state().corpus.clone()
    }

    /// A shorter schedule for a failure.
    pub(super) fn shorten(&self, signature: &Signature, schedule: Schedule) -> Option<Failure> {
        let mut state = self.state();
        state.failures.shorten(signature, schedule);
        state.failures.get(signature).cloned()
    }

    pub(super) fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            schedules: state.schedules,
            elapsed: self.start.elapsed(),
            coverage: state.coverage.count(),
            choices: state.choices,
            unknown: state.unknown,
            failures: state.failures.all().map(|failure| (failure.signature.clone(), failure.times)).collect(),
            resume_at: state.done_before,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let progress = self.progress();
        let state = self.state();
        let failures = state.failures.all().cloned().collect();
        let exhausted = state.ended && self.plan.unit(state.done_before).is_none();
        Outcome { progress, failures, proven: self.proven(&state), exhausted }
    }

    fn proven(&self, state: &State) -> Proven {
        let shard = self.campaign.shard;
        let units = |round: usize| self.plan.beginnings(round, shard);
        let whole = state.rounds.iter().enumerate().take_while(|(number, round)| round.units >= units(*number)).count();
        let done = &state.rounds[..whole];
        Proven {
            deeds: whole.checked_sub(1).map(|deeds| deeds as u32),
            schedules: done.iter().map(|round| round.schedules).sum(),
            next_round: state.rounds.get(whole).map_or((0, 0), |round| (round.units, units(whole))),
            unknown: done.iter().map(|round| round.unknown).sum(),
            failed: done.iter().map(|round| round.failed).sum(),
            shard: (shard.1 > 1).then_some(shard),
            bound: self.bound,
            points: self.points,
        }
    }
}

impl State {
    fn finish(&mut self, number: u64) {
        self.done.insert(number);
        while self.done.remove(&self.done_before) {
            self.done_before += 1;
        }
    }

    fn round(&mut self, number: usize) -> &mut Round {
        if self.rounds.len() <= number {
            self.rounds.resize(number + 1, Round::default());
        }
        &mut self.rounds[number]
    }
}

/// Of what a run would have shown after this nothing is known.
fn is_unknown(ending: &Ending) -> bool {
    let at_limit =
        |stop: &Stop| matches!(stop.kind, StopKind::Unsupported(_) | StopKind::Limit(_) | StopKind::PagingFile(_));
    match ending {
        Ending::Finished => false,
        Ending::Stopped(stop) => at_limit(stop),
        Ending::Impossible(_) => true,
    }
}

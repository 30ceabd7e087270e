//! What all threads of a search share: who takes which unit, and what has been found.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel::{Bound, ChoicePoints, Coverage, Options, Schedule};

use super::plan::{Plan, Unit};
use super::{Campaign, Outcome, Progress};
use crate::bound::{Done, Proven, Round};
use crate::failure::{Failure, Failures, Signature};
use crate::seen::Seen;
use crate::spine::Survey;
use crate::strategy::Corpus;
use crate::walk::Walked;

/// The shared state.
pub(super) struct Board {
    plan: Plan,
    campaign: Campaign,
    points: ChoicePoints,
    bound: Bound,
    start: Instant,
    seen: Seen,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The next unit that nobody has taken.
    next: u64,
    /// Work of units that are done, but not yet all before them: with the round that each belongs to.
    waiting: BTreeMap<u64, (Option<usize>, Round)>,
    /// All units that are done.
    all: Done,
    /// Those of which all before are done, too.
    settled: Done,
    ended: bool,
    /// Runs that have begun, or for which a unit was taken.
    begun: u64,
    /// Runs that have ended.
    schedules: u64,
    equal: u64,
    unknown: u64,
    choices: (u64, u64),
    coverage: Coverage,
    corpus: Corpus,
    failures: Failures,
}

impl Board {
    pub(super) fn new(campaign: &Campaign, options: &Options, survey: &Survey, plan: Plan) -> Board {
        let choices = (u64::from(survey.walked.choices), plan.singles);
        let done = Done { singles: plan.singles, ..campaign.done.clone() };
        let mut failures = Failures::default();
        campaign.known.iter().cloned().for_each(|failure| failures.adopt(failure));
        let state = State { next: done.units, all: done.clone(), settled: done, choices, failures, ..State::default() };
        let Options { choices: points, bound, .. } = *options;
        let (seen, start, state) = (Seen::default(), Instant::now(), Mutex::new(state));
        Board { plan, campaign: campaign.clone(), points, bound, start, seen, state }
    }

    /// What is known of states.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// A thread that panicked has left nothing half done: each change is one call.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the run without deeds: the failures that are new.
    pub(super) fn note_survey(&self, survey: &Survey) -> Vec<Failure> {
        let new = self.ended(&survey.walked);
        let mut state = self.state();
        state.begun += 1;
        if state.settled.rounds.is_empty() {
            let work = Round { units: 1, ..work_of(&survey.walked) };
            state.all.add(Some(0), work);
            state.settled.add(Some(0), work);
        }
        state.coverage.add(&survey.walked.coverage);
        new.iter().filter_map(|signature| state.failures.get(signature).cloned()).collect()
    }

    /// Time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// True where the time is up.
    pub(super) fn is_late(&self) -> bool {
        self.campaign.limits.time.is_some_and(|limit| self.elapsed() >= limit)
    }

    /// One more run begins, if there is room for it. What has begun comes to its end: otherwise it would be up to the
    /// scheduler of the host which units are whole.
    pub(super) fn begin(&self) -> bool {
        self.begin_in(&mut self.state())
    }

    fn begin_in(&self, state: &mut State) -> bool {
        let has_room = self.campaign.limits.schedules.is_none_or(|limit| state.begun < limit);
        state.begun += u64::from(has_room);
        has_room
    }

    /// What was to begin is not run.
    pub(super) fn give_back(&self) {
        self.state().begun -= 1;
    }

    /// The next unit of this part, with its number and room for its first run; `None` where there is none.
    pub(super) fn take(&self) -> Option<(u64, Unit)> {
        let (index, count) = self.campaign.shard;
        let mut state = self.state();
        loop {
            let number = state.next;
            let Some(unit) = self.plan.unit(number) else {
                state.ended = true;
                return None;
            };
            let is_own = number % count == index - 1;
            if is_own && !self.begin_in(&mut state) {
                return None;
            }
            state.next += 1;
            if is_own {
                return Some((number, unit));
            }
            state.finish(number, None, Round::default());
        }
    }

    /// A unit is done, with this work.
    pub(super) fn finish(&self, number: u64, unit: Unit, work: Round) {
        let round = match unit {
            Unit::Exhaustive { more, .. } => Some(more as usize + 1),
            Unit::Chance { .. } => None,
        };
        self.state().finish(number, round, Round { units: 1, ..work });
    }

    /// A run has ended: its new failures.
    pub(super) fn ended(&self, walked: &Walked) -> Vec<Signature> {
        let mut state = self.state();
        state.schedules += 1;
        state.equal += u64::from(walked.is_cut());
        state.unknown += walked.tally_after(0).unknown;
        let number = state.schedules;
        let new = walked.failures.iter().filter(|signature| state.failures.note(signature, &walked.schedule, number));
        new.cloned().collect()
    }

    /// So many schedules need not be run.
    pub(super) fn known(&self, schedules: u64) {
        self.state().equal += schedules;
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
            equal: state.equal,
            elapsed: self.start.elapsed(),
            coverage: state.coverage.count(),
            choices: state.choices,
            unknown: state.unknown,
            failures: state.failures.all().map(|failure| (failure.signature.clone(), failure.times)).collect(),
            done: state.settled.clone(),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let progress = self.progress();
        let state = self.state();
        let failures = state.failures.all().cloned().collect();
        let exhausted = state.ended && self.plan.unit(state.settled.units).is_none();
        Outcome { progress, failures, proven: self.proven(&state), exhausted }
    }

    fn proven(&self, state: &State) -> Proven {
        Proven::new(&self.plan, &state.all, self.campaign.shard, self.bound, self.points)
    }
}

impl State {
    fn finish(&mut self, number: u64, round: Option<usize>, work: Round) {
        self.all.add(round, work);
        self.waiting.insert(number, (round, work));
        while let Some((round, work)) = self.waiting.remove(&self.settled.units) {
            self.settled.add(round, work);
            self.settled.units += 1;
        }
    }
}

/// What one run counts for.
pub(super) fn work_of(walked: &Walked) -> Round {
    walked.tally_after(0).into()
}

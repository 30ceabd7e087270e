//! A search: threads that run schedules until a limit is reached.

mod board;
mod listener;
pub(crate) mod plan;
mod worker;

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::time::Duration;

use engine::Engine;
use memory::Memory;

use crate::bound::{Done, Proven};
use crate::failure::{Failure, Signature};
use crate::spine::{Spine, Survey};
use crate::strategy::Strategy;
use crate::subject::Subject;
use board::Board;
use listener::Listener;
use plan::Plan;
use worker::Worker;

/// A schedule ends at a limit where it takes so many times the instructions of the run without deeds, and so many more: what
/// polls for something that its schedule never lets happen must not hold up the search.
const STEPS_FACTOR: u64 = 10;
const STEPS_MORE: u64 = 100_000;

/// When a search ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// After this time.
    pub time: Option<Duration>,
    /// After so many schedules.
    pub schedules: Option<u64>,
    /// At the first failure.
    pub until_first: bool,
}

/// A search for failures.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// How schedules are chosen.
    pub strategy: Strategy,
    /// Seed of what is left to chance.
    pub seed: u64,
    /// Deeds of a schedule at most.
    pub depth: u32,
    /// When it ends.
    pub limits: Limits,
    /// Threads.
    pub threads: NonZeroUsize,
    /// Part of the whole, from 1, and number of parts: each part runs other schedules.
    pub shard: (u64, u64),
    /// What an earlier search of the same kind has done.
    pub done: Done,
    /// Failures that it found.
    pub known: Vec<Failure>,
}

impl Default for Campaign {
    fn default() -> Campaign {
        Campaign {
            strategy: Strategy::default(),
            seed: 0,
            depth: 3,
            limits: Limits { time: Some(Duration::from_secs(10)), schedules: None, until_first: false },
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            shard: (1, 1),
            done: Done::default(),
            known: Vec::new(),
        }
    }
}

/// How far a search is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Schedules run.
    pub schedules: u64,
    /// Schedules that were not run, or not to their end, because they come to a state from which the rest was run before.
    pub equal: u64,
    /// Since the beginning.
    pub elapsed: Duration,
    /// Places and states of locks and residency that were met.
    pub coverage: u64,
    /// Choices of the run without deeds, and deeds that are possible at them.
    pub choices: (u64, u64),
    /// Schedules that ended at a limit or at something not modelled.
    pub unknown: u64,
    /// Signatures found so far, and how many of the schedules run showed each.
    pub failures: Vec<(Signature, u64)>,
    /// What a later search of the same kind need not do again.
    pub done: Done,
}

impl Progress {
    /// Schedules a second.
    pub fn rate(&self) -> f64 {
        self.schedules as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Outcome {
    /// The end of the count.
    pub progress: Progress,
    /// What was found, each with its shortest schedule known.
    pub failures: Vec<Failure>,
    /// What was shown.
    pub proven: Proven,
    /// Nothing is left to run.
    pub exhausted: bool,
}

impl Campaign {
    /// Searches. `base` makes the run that is searched, the same each time, and `engine` an engine: each thread has its own, so
    /// that none counts references to what another one uses. `watch` hears of each new failure, of each that was shrunk, and
    /// now and then of progress, and ends the search by returning false.
    ///
    /// # Errors
    /// Why there is no run.
    pub fn run<S: Subject, E: Send>(
        &self,
        base: impl Fn() -> Result<S, E> + Sync,
        engine: impl Fn() -> Box<dyn Engine<Memory>> + Sync,
        watch: impl FnMut(Watched<'_>) -> bool + Send,
    ) -> Result<Outcome, E> {
        let mut first = base()?;
        watch_findings_and_coverage(&mut first);
        let survey = Survey::take(&mut first, engine().as_mut());
        let limit = survey.walked.steps.saturating_mul(STEPS_FACTOR).saturating_add(STEPS_MORE);
        let plan = Plan::new(self, &survey);
        let board = Board::new(self, &first.machine().options, &survey, plan);
        let news = board.note_survey(&survey);
        let listener = Listener::new(watch);
        // Each of them is told, also after one that ends the search.
        news.iter().for_each(|failure| listener.tell(Watched::Failure(failure)));
        if self.limits.until_first && !news.is_empty() {
            listener.end();
        }
        let work = || {
            let (mut subject, mut engine) = (base()?, engine());
            watch_findings_and_coverage(&mut subject);
            let options = &mut subject.machine().options;
            options.step_limit = options.step_limit.min(limit);
            let spine = Spine::new(&mut subject, engine.as_mut(), &survey);
            let (survey, board, listener) = (&survey, &board, &listener);
            Worker { campaign: self, survey, board, listener, spine, engine }.work();
            Ok(())
        };
        std::thread::scope(|scope| {
            let (_working, watched) = mpsc::channel();
            let (board, listener) = (&board, &listener);
            scope.spawn(move || listener.tell_progress(board, &watched));
            let threads: Vec<_> = (0..self.threads.get()).map(|_| scope.spawn(work)).collect();
            let mut ended =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            ended.try_for_each(|ended| ended)
        })?;
        Ok(board.outcome())
    }
}

fn watch_findings_and_coverage<S: Subject>(subject: &mut S) {
    subject.machine().count_coverage();
    subject.machine().events.keep_findings_only();
}

/// What a search tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a> {
    /// A new failure.
    Failure(&'a Failure),
    /// How far it is.
    Progress(&'a Progress),
}

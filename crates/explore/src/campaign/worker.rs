//! One thread of a search.

use engine::Engine;
use kernel::Schedule;
use memory::Memory;

use super::board::{Board, work_of};
use super::listener::Listener;
use super::plan::Unit;
use super::{Campaign, Watched};
use crate::bound::Round;
use crate::failure::Signature;
use crate::seen::{Seen, Tally};
use crate::shrink::shrink;
use crate::spine::{Spine, Survey};
use crate::strategy::exhaustive::{self, Visitor};
use crate::strategy::{Strategy, by_chance};
use crate::subject::Subject;
use crate::walk::{Walked, walk};

/// A thread and what it needs.
pub(super) struct Worker<'a, S, W> {
    pub(super) campaign: &'a Campaign,
    pub(super) survey: &'a Survey,
    pub(super) board: &'a Board,
    pub(super) listener: &'a Listener<W>,
    pub(super) spine: Spine<S>,
    pub(super) engine: Box<dyn Engine<Memory>>,
}

impl<S: Subject, W: FnMut(Watched<'_>) -> bool> Worker<'_, S, W> {
    /// Works until nothing is left or a limit is reached.
    pub(super) fn work(mut self) {
        let singles: Vec<_> = self.survey.single_deeds().collect();
        while !self.listener.is_over() && !self.board.is_late() {
            let Some((number, unit)) = self.board.take() else { break };
            let work = match unit {
                Unit::Exhaustive { single, more } => self.exhaust(singles[single], more),
                Unit::Chance { strategy, number } => Some(self.try_chance(strategy, number)),
            };
            if let Some(work) = work {
                self.board.finish(number, unit, work);
            }
        }
    }

    fn try_chance(&mut self, strategy: Strategy, number: u64) -> Round {
        let corpus = self.board.corpus();
        let Campaign { seed, depth, .. } = *self.campaign;
        let mut decider = by_chance(strategy, self.survey, &corpus, (seed, number), depth);
        let subject = self.spine.fork_at(decider.from().unwrap_or_default());
        let walked = walk(subject, self.engine.as_mut(), decider.as_mut());
        self.judge(&walked);
        work_of(&walked)
    }

    /// The work of a whole unit; `None` where it was broken off.
    fn exhaust(&mut self, single: (u32, kernel::Deed), more: u32) -> Option<Round> {
        let subject = self.spine.fork_at(single.0);
        let Worker { campaign, board, listener, .. } = *self;
        let mut judge = Judge { campaign, board, listener, has_room: true, work: Round::default(), new: Vec::new() };
        let is_whole = exhaustive::explore(subject, self.engine.as_mut(), single, more, &mut judge);
        if judge.has_room {
            board.give_back();
        }
        let work = is_whole.then_some(judge.work);
        for (signature, schedule) in judge.new {
            self.found(&signature, schedule);
        }
        work
    }

    fn judge(&mut self, walked: &Walked) {
        let new = self.board.ended(walked);
        self.board.cover(&walked.coverage, &walked.schedule);
        for signature in new {
            self.found(&signature, walked.schedule.clone());
        }
    }

    /// A new failure: shrunk, then told.
    fn found(&mut self, signature: &Signature, schedule: Schedule) {
        let shorter = shrink(&mut self.spine, self.engine.as_mut(), signature, schedule);
        if let Some(failure) = self.board.shorten(signature, shorter) {
            self.listener.tell(Watched::Failure(&failure));
        }
        if self.campaign.limits.until_first {
            self.listener.end();
        }
    }
}

/// Takes the runs of a unit of the exhaustive search.
struct Judge<'a, W> {
    campaign: &'a Campaign,
    board: &'a Board,
    listener: &'a Listener<W>,
    /// The run for which the unit was taken has not begun.
    has_room: bool,
    work: Round,
    new: Vec<(Signature, Schedule)>,
}

impl<W: FnMut(Watched<'_>) -> bool> Visitor for Judge<'_, W> {
    fn ended(&mut self, walked: Walked) {
        self.work.add(work_of(&walked));
        let new = self.board.ended(&walked);
        self.board.cover(&walked.coverage, &walked.schedule);
        self.new.extend(new.into_iter().map(|signature| (signature, walked.schedule.clone())));
    }

    fn known(&mut self, tally: Tally) {
        self.work.add(tally.into());
        self.board.known(tally.schedules);
    }

    fn seen(&self) -> &Seen {
        self.board.seen()
    }

    fn is_over(&self) -> bool {
        let first = self.campaign.limits.until_first && !self.new.is_empty();
        first || self.listener.is_over() || self.board.is_late()
    }

    fn begin(&mut self) -> bool {
        std::mem::take(&mut self.has_room) || self.board.begin()
    }
}

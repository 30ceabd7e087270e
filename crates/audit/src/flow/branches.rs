//! What conditional jumps decide about locks: that a handle is forgotten, that a routine fails with a lock, that an unlock is
//! left out or comes once more.

use iced_x86::{FlowControl, Instruction, Register};

use super::event::{Event, EventKind};
use super::events::Events;
use super::facts::Facts;
use super::function::{After, Space, Walk};
use super::state::{Compared, State};
use super::step;
use super::value::Value;
use crate::code::{Block, Graph};

/// Most jumps of one function that are told.
const MAX_DECIDED: usize = 64;

/// By block: what can follow its start.
struct Ahead {
    /// A section is unlocked.
    unlock: Vec<bool>,
    /// The same, or the handle of a lock is kept.
    end: Vec<bool>,
    /// A failure with a lock that was told already.
    told: Vec<bool>,
    /// Sections that the function may unlock more often than it locks them.
    less: Facts,
}

impl Walk<'_, '_> {
    /// Of what was recorded since `mark`, leaves out what is made good later, and adds what conditional jumps decide. The
    /// function may unlock the sections `less` more often than it locks them.
    pub(super) fn settle(&mut self, mut events: Events, mark: usize, less: Facts) -> Events {
        let (graph, points) = (self.graph, &self.space.points);
        let unlocks = |block: usize| points[block].reached && points[block].unlocks;
        if self.stepper.calls.locks.is_empty() && !(0..graph.blocks.len()).any(unlocks) {
            return events;
        }
        let unlock = leads_to(graph, unlocks);
        let end = leads_to(graph, |block| unlocks(block) || points[block].reached && points[block].keeps);
        // Where no way keeps a handle or unlocks, the lock is meant to last.
        let lasts = !end.contains(&true);
        let leads = |blocks: &[bool], at: u32| graph.block_of(at).is_some_and(|block| blocks[block]);
        events.retain_since(mark, |event| match event.kind {
            EventKind::Fails | EventKind::LosesDevice | EventKind::Locks { .. } => !leads(&unlock, event.at),
            EventKind::Loses => !lasts && !leads(&end, event.at),
            _ => true,
        });
        let failures =
            events.since(mark).iter().filter(|event| matches!(event.kind, EventKind::Fails | EventKind::Loses));
        let failures: Vec<usize> = failures.filter_map(|event| graph.block_of(event.at)).collect();
        let told = leads_to(graph, |block| failures.contains(&block));
        self.stepper.calls.events = Some(events);
        self.branches(&Ahead { unlock, end, told, less });
        self.stepper.calls.events.take().unwrap_or_default()
    }

    /// Looks at the conditional jumps.
    fn branches(&mut self, ahead: &Ahead) {
        let graph = self.graph;
        let mut decided = 0;
        for (index, block) in graph.blocks.iter().enumerate() {
            let last = graph.last(block);
            let conditional = last.flow_control() == FlowControl::ConditionalBranch;
            let matters = |next: &&u32| !ahead.unlock[**next as usize] || !ahead.less.is_empty();
            let mut nexts = graph.successors(block).iter().filter(matters).peekable();
            if !self.space.points[index].reached || !conditional || nexts.peek().is_none() || decided >= MAX_DECIDED {
                continue;
            }
            let mut before = self.space.points[index].state.clone();
            if self.silently(|walk| walk.block(block, &mut before)) != After::Next {
                continue;
            }
            for &next in nexts {
                decided += match ahead.unlock[next as usize] {
                    true => self.unlocked_again(last, &before, next, ahead.less),
                    false => self.branch(index, last, &before, next, ahead),
                };
            }
        }
    }

    /// Records that sections, which are locked where a jump leads to the block `next`, are unlocked once too often from there,
    /// however it goes on; how much that is.
    fn unlocked_again(&mut self, jump: &Instruction, before: &State, next: u32, less: Facts) -> usize {
        let mut state = before.clone();
        step::refine(&mut state, jump, self.is_target(jump, next));
        let locked = state.balance.at_least(1).and(less);
        if locked.is_empty() {
            return 0;
        }
        let again = self.silently(|walk| walk.ways_from(next, &state, |ways| ways.unlocks_beyond(locked)));
        let again = again.unwrap_or_default();
        let Some(events) = &mut self.stepper.calls.events else { return 0 };
        again.iter().for_each(|event| events.push(*event));
        again.len()
    }

    /// Records what a jump decides if it leads to the block `next`; how much that is.
    fn branch(&mut self, index: usize, jump: &Instruction, before: &State, next: u32, ahead: &Ahead) -> usize {
        let taken = self.is_target(jump, next);
        let mut state = before.clone();
        step::refine(&mut state, jump, taken);
        let fails = matches!(before.compared, Some(Compared::Result(_))) && step::is_negative(jump, taken);
        let (unlock, end) = (ahead.unlock[index], ahead.end[index] && !ahead.end[next as usize]);
        let told = ahead.told[next as usize];
        let place = match before.compared {
            Some(Compared::Memory(place)) => place,
            _ => Value::Unknown,
        };
        let kinds = [
            unlock.then_some(EventKind::Skips { place }),
            (end && !told && state.held.has_lost_handle()).then_some(EventKind::Forgets { fails }),
            (fails && !told && state.held.has_lock() && self.silently(|walk| walk.fails_from(next, &state)))
                .then_some(EventKind::Fails),
        ];
        self.stepper.calls.begin(&state, jump);
        kinds.into_iter().flatten().map(|kind| self.stepper.calls.record(kind)).count()
    }

    /// Does something without recording events.
    fn silently<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let events = self.stepper.calls.events.take();
        let done = act(self);
        self.stepper.calls.events = events;
        done
    }

    fn is_target(&self, jump: &Instruction, block: u32) -> bool {
        u64::from(self.graph.blocks[block as usize].start) == jump.near_branch_target()
    }

    /// Follows the ways from the start of a block, apart from all others, and asks about them; `None` if that takes more steps
    /// than there are.
    fn ways_from<T>(&mut self, block: u32, state: &State, ask: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let blocks = self.graph.blocks.len();
        self.steps = self.steps.checked_sub(blocks as u64)?;
        let (mut space, gave_up) = (Space::default(), self.gave_up);
        space.begin(blocks);
        std::mem::swap(self.space, &mut space);
        self.enter(block, state);
        let answer = self.follow().then(|| ask(self));
        std::mem::swap(self.space, &mut space);
        self.gave_up = gave_up;
        answer
    }

    /// Does every way from the start of a block end with a failure as the result, where this is known there?
    fn fails_from(&mut self, block: u32, state: &State) -> bool {
        let fails = |end: State| end.get(Register::RAX).number().is_some_and(step::is_failure);
        let all_fail = |ways: &mut Self| (0..ways.graph.blocks.len()).all(|index| ways.end(index).is_none_or(fails));
        self.ways_from(block, state, all_fail).unwrap_or(false)
    }

    /// If all ways end with some of these sections unlocked more often than locked: the unlocks that are too many.
    fn unlocks_beyond(&mut self, sections: Facts) -> Vec<Event> {
        let blocks = 0..self.graph.blocks.len();
        let ends: Vec<Facts> =
            blocks.clone().filter_map(|index| self.end(index)).map(|end| end.balance.below(1)).collect();
        let again = ends.into_iter().reduce(Facts::and).unwrap_or(Facts::NONE).and(sections);
        if again.is_empty() {
            return Vec::new();
        }
        self.stepper.calls.events = Some(Events::default());
        blocks.for_each(|index| drop(self.end(index)));
        let all = self.stepper.calls.events.take().unwrap_or_default();
        let is_again =
            |event: &&Event| matches!(event.kind, EventKind::Unlocks { once, .. } if !once.and(again).is_empty());
        all.since(0).iter().filter(is_again).copied().collect()
    }

    /// What holds at the end of the function, if it can return from this block.
    fn end(&mut self, index: usize) -> Option<State> {
        let block: &Block = &self.graph.blocks[index];
        let mut state = self.space.points[index].reached.then(|| self.space.points[index].state.clone())?;
        self.returns(block, &mut state).then_some(state)
    }
}

/// By block: can one of these blocks follow its start?
fn leads_to(graph: &Graph, is_end: impl Fn(usize) -> bool) -> Vec<bool> {
    let of_block = |(index, block)| graph.successors(block).iter().map(move |&next| (next, index as u32));
    let mut edges: Vec<(u32, u32)> = graph.blocks.iter().enumerate().flat_map(of_block).collect();
    edges.sort_unstable();
    let mut leads = vec![false; graph.blocks.len()];
    let mut pending: Vec<u32> = (0..leads.len() as u32).filter(|&index| is_end(index as usize)).collect();
    while let Some(block) = pending.pop() {
        if !std::mem::replace(&mut leads[block as usize], true) {
            let first = edges.partition_point(|(next, _)| *next < block);
            pending.extend(edges[first..].iter().take_while(|(next, _)| *next == block).map(|(_, before)| *before));
        }
    }
    leads
}

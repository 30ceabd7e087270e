//! States from which everything was walked, and what came of it: the same state is not walked again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use kernel::{Machine, StateHasher};

use crate::subject::Subject;

/// Parts of the table, so that threads seldom meet.
const PARTS: usize = 16;
/// States in a part at most: with all parts, 60 MiB. Beyond it no more are remembered, and more is walked than need be.
const MOST: usize = (1 << 16) / 8 * 7;

/// One state of eight is a landmark. Fewer would let runs go on that could end, more would cost more than that.
const LANDMARKS: u64 = 7;

/// What the schedules from a state on came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) schedules: u64,
    pub(crate) failed: u64,
    /// How many ended at a limit or at something not modelled.
    pub(crate) unknown: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, more: Tally) {
        self.schedules += more.schedules;
        self.failed += more.failed;
        self.unknown += more.unknown;
    }
}

/// How far a run is, and how often anybody had looked at the time by then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Clock {
    pub(crate) steps: u64,
    pub(crate) looks: u64,
}

impl Clock {
    /// What the clock of a machine shows.
    pub(crate) fn of(machine: &Machine) -> Clock {
        Clock { steps: machine.steps(), looks: machine.looks_at_time() }
    }
}

/// Everything from some place of a walk on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Below {
    pub(crate) tally: Tally,
    /// The most steps and looks of all runs.
    pub(crate) clock: Clock,
}

impl Below {
    pub(crate) fn add(&mut self, more: Below) {
        self.tally.add(more.tally);
        let Clock { steps, looks } = more.clock;
        self.clock = Clock { steps: self.clock.steps.max(steps), looks: self.clock.looks.max(looks) };
    }
}

/// The hash of a state together with the deeds that may still be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key(u128);

/// A state. Where nobody looks at the time any more, it is the same at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    at_any_time: Key,
    at_this_time: Key,
    clock: Clock,
    /// A run with fewer steps from here does not come to the limit.
    room_steps: u64,
}

impl State {
    /// The state with this hash at this time, so many steps from the limit. The hash is the same at any time.
    pub(crate) fn new(hash: u128, now_ns: u64, clock: Clock, room_steps: u64) -> State {
        let mut timed = StateHasher::default();
        (hash, now_ns, room_steps).hash(&mut timed);
        State { at_any_time: Key(hash), at_this_time: Key(timed.finish_128()), clock, room_steps }
    }

    /// The state of a run that has `more` deeds to do; `None` where it is not known.
    pub(crate) fn of<S: Subject>(subject: &mut S, more: u32) -> Option<State> {
        let state = subject.state()?;
        let machine: &mut Machine = subject.machine();
        let left = machine.options.bound.left(machine.schedule_so_far(), more);
        let mut key = StateHasher::default();
        (state, more, left).hash(&mut key);
        let room_steps = machine.options.step_limit.saturating_sub(machine.steps());
        Some(State::new(key.finish_128(), machine.now_ns(), Clock::of(machine), room_steps))
    }
}

/// True at one state of many, and at every state that equals it: to look at a state costs more than to run to the next one.
pub(crate) fn is_landmark(machine: &mut Machine) -> bool {
    let cpu = machine.cpu();
    let mix = |hash: u64, number: &u64| (hash.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    cpu.gpr.iter().fold(cpu.rip, mix) >> 32 & LANDMARKS == 0
}

/// What is known of everything from a state on.
#[derive(Clone, Copy, Debug)]
struct Rest {
    tally: Tally,
    /// Those of the longest run from there.
    steps: u64,
    /// Somebody looked at the time: so it is about that time alone.
    looks: bool,
}

/// What is known of states, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Seen([Mutex<HashMap<Key, Rest>>; PARTS]);

impl Seen {
    /// What came of everything from this state on.
    pub(crate) fn get(&self, state: &State) -> Option<Below> {
        let fits = |rest: &Rest| rest.steps < state.room_steps;
        let rest = self.known(state.at_any_time).filter(fits).or_else(|| self.known(state.at_this_time))?;
        let Clock { steps, looks } = state.clock;
        let clock = Clock { steps: steps.saturating_add(rest.steps), looks: looks + u64::from(rest.looks) };
        Some(Below { tally: rest.tally, clock })
    }

    fn known(&self, key: Key) -> Option<Rest> {
        self.part(key).lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    /// Remembers it.
    pub(crate) fn put(&self, state: &State, below: Below) {
        let steps = below.clock.steps.saturating_sub(state.clock.steps);
        let rest = Rest { tally: below.tally, steps, looks: below.clock.looks > state.clock.looks };
        let is_timeless = !rest.looks && steps < state.room_steps;
        let key = if is_timeless { state.at_any_time } else { state.at_this_time };
        let mut part = self.part(key).lock().unwrap_or_else(PoisonError::into_inner);
        if part.len() < MOST {
            part.insert(key, rest);
        }
    }

    fn part(&self, key: Key) -> &Mutex<HashMap<Key, Rest>> {
        &self.0[key.0 as usize % PARTS]
    }
}

//! States from which everything was walked, and what came of it: the same state is not walked again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use kernel::{Machine, StateHasher};

use crate::subject::Subject;

/// Parts of the table, so that threads seldom meet.
const PARTS: usize = 16;
/// States in a part at most: with all parts, 40 MiB. Beyond it no more are remembered, and more is walked than need be.
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

    /// What this one has more than an earlier one.
    pub(crate) fn since(self, before: Tally) -> Tally {
        Tally {
            schedules: self.schedules - before.schedules,
            failed: self.failed - before.failed,
            unknown: self.unknown - before.unknown,
        }
    }
}

/// A state together with the deeds that may still be done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key(u128);

impl Key {
    /// The key with this hash.
    #[cfg(test)]
    pub(crate) fn new(hash: u128) -> Key {
        Key(hash)
    }

    /// The state of a run that has `more` deeds to do; `None` where it is not known.
    pub(crate) fn of<S: Subject>(subject: &mut S, more: u32) -> Option<Key> {
        let state = subject.state()?;
        let machine: &mut Machine = subject.machine();
        let left = machine.options.bound.left(machine.schedule_so_far(), more);
        let mut key = StateHasher::default();
        (state, more, left).hash(&mut key);
        Some(Key(key.finish_128()))
    }
}

/// True at one state of many, and at every state that equals it: to look at a state costs more than to run to the next one.
pub(crate) fn is_landmark(machine: &mut Machine) -> bool {
    let cpu = machine.cpu();
    let mix = |hash: u64, number: &u64| (hash.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    cpu.gpr.iter().fold(cpu.rip, mix) >> 32 & LANDMARKS == 0
}

/// What is known of states, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Seen([Mutex<HashMap<Key, Tally>>; PARTS]);

impl Seen {
    /// What came of everything from this state on.
    pub(crate) fn get(&self, key: Key) -> Option<Tally> {
        self.part(key).lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    /// Remembers it.
    pub(crate) fn put(&self, key: Key, tally: Tally) {
        let mut part = self.part(key).lock().unwrap_or_else(PoisonError::into_inner);
        if part.len() < MOST {
            part.insert(key, tally);
        }
    }

    fn part(&self, key: Key) -> &Mutex<HashMap<Key, Tally>> {
        &self.0[key.0 as usize % PARTS]
    }
}

//! What tells the state of one machine from that of another: whoever searches schedules does not walk on from a state twice.
//!
//! Plain state derives [`Hash`], so a new field counts unless somebody says otherwise. What is left out is left out in a
//! pattern that names every field, with the reason: it names things, it is for reports, it is a cache, or it counts what
//! was. Doubt counts as a difference: two states that are told apart without need cost time, the other mistake would hide
//! schedules.

use std::hash::{Hash, Hasher};

use twox_hash::XxHash3_128;

use crate::machine::Machine;

/// Takes what tells states apart. Equal input gives equal hashes; that two different inputs out of 10^9 do has a probability
/// of less than 10^-20.
pub struct StateHasher(Vec<u8>);

/// Bytes that most states take.
const USUAL_BYTES: usize = 1 << 15;

impl Default for StateHasher {
    fn default() -> StateHasher {
        StateHasher(Vec::with_capacity(USUAL_BYTES))
    }
}

impl StateHasher {
    /// The hash of everything taken.
    pub fn finish_128(&self) -> u128 {
        XxHash3_128::oneshot(&self.0)
    }
}

impl Hasher for StateHasher {
    fn finish(&self) -> u64 {
        self.finish_128() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    // Most of what is taken are numbers: these need no call.

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.0.push(number);
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

impl Machine {
    /// Feeds a hasher everything that can influence what this machine will do and what will be found, but for the time. Two
    /// forks of one machine that feed the same do the same from now on, as long as the same is chosen, and as long as nobody
    /// looks at the time ([`Machine::looks_at_time`]) where they feed it at different times. How many deeds they may still do is
    /// not in it: that is for whoever chooses.
    pub fn hash_state(&mut self, state: &mut impl Hasher) {
        let Machine {
            memory,
            bus,
            options: _, // forks have the same
            events: _,  // what was
            processors,
            active,
            threads,
            steps,
            skipped_ns,
            deadlines,
            waits: _, // names the order of waits, which is below
            modules,
            kernel_images: _, // forks have the same
            requests,
            stop,
            attention,
            choices,
            coverage: _, // what was
            executed: _, // what was
            moment,
            slice_end,
            round,
            cm,
            ex,
            io,
            ke,
            mm,
            ob,
            po,
            ps,
            rtl,
            findings_seen,
            counters: _,      // of what was
            looks_at_time: _, // for whoever takes times for equal
        } = self;
        let (step, now_ns) = (*steps, steps.saturating_add(*skipped_ns));
        memory.hash_state(state);
        bus.hash_at(now_ns, state);
        active.hash(state);
        processors.iter().for_each(|processor| processor.hash_at(step, state));
        deadlines.hash_at(now_ns, state);
        state.write_usize(threads.len());
        threads.iter().for_each(|thread| thread.hash(state));
        let mut waiting: Vec<_> =
            threads.live().filter_map(|thread| Some((thread.waiting_since()?, thread.id))).collect();
        waiting.sort_unstable();
        waiting.into_iter().for_each(|(_, id)| id.hash(state));
        let slice_left = slice_end.map(|end| end.saturating_sub(step));
        (modules, requests, choices, attention, moment, slice_left, round).hash(state);
        // A machine that is about to stop is told apart by all that will be said of it.
        stop.as_ref().map(|stop| format!("{stop:?}")).hash(state);
        (cm, ex, io, ke, ob).hash(state);
        mm.hash_at(step, state);
        (po, ps, rtl, findings_seen).hash(state);
    }

    /// The hash of [`Machine::hash_state`] alone.
    pub fn state_hash(&mut self) -> u128 {
        let mut state = StateHasher::default();
        self.hash_state(&mut state);
        state.finish_128()
    }
}

#[cfg(test)]
mod tests;

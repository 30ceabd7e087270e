//! What tells the state of one memory from that of another, for whoever looks for states that are equal.

use std::hash::{Hash, Hasher};

use crate::Memory;
use crate::bits::Bits;
use crate::pfn::{NO_SLOT, Pfn};

impl Memory {
    /// Feeds a hasher everything but the time that can influence what this memory and its guest will do: content and use of all
    /// frames,
    /// page tables, paging file, locks, what is watched and what is in progress. Two memories of one family of forks that
    /// feed the same behave the same from now on.
    ///
    /// Each field is named: one that is left out says why. Pages are hashed once for each change, whatever forks them.
    pub fn hash_state(&mut self, state: &mut impl Hasher) {
        // From now on a write must pass through `claim`, which forgets the hash of its page.
        self.tlb.flush_write();
        self.expect_looks();
        let Memory {
            config: _, // forks have the same
            frames,
            pfns,
            root,
            tlb: _,   // a cache
            epoch: _, // names what caches may keep
            regions,
            paging,
            eligible,
            watch,
            standby,
            slots,
            reads,
            pressure,
            hand,
            step: _,     // for histories
            counters: _, // of what was
            clock: _,    // forks have the same, and looks are for whoever takes times for equal
            buffer: _,   // scratch
        } = &*self;
        frames.free_frames().hash(state);
        for frame in 0..frames.high_water() {
            let Pfn { used, page, stamp: _, slot, pins, mappings, pageable, order: _ } =
                pfns.get(frame).copied().unwrap_or_default();
            (self.hash_but_time(frame), used, page, slot, pins, mappings, pageable).hash(state);
        }
        // The order among frames in transition; the numbers that make it count what was.
        state.write_usize(standby.len());
        standby.values().for_each(|frame| frame.hash(state));
        slots.hash_state(&self.stale_slots(), state);
        reads.hash_state(state);
        (root, regions, paging, eligible, watch, pressure, hand).hash(state);
    }

    /// Slots whose page is in memory and differs from what they hold: they are written before they are read.
    fn stale_slots(&self) -> Bits {
        let mut stale = Bits::default();
        for frame in 0..self.frames.high_water() {
            let slot = self.pfn(frame).slot;
            if slot != NO_SLOT && self.must_write(frame) {
                stale.set(slot, true);
            }
        }
        stale
    }
}

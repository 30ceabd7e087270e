//! The bytes that show the time to whoever reads them. What they show is no difference of states for as long as nobody looks,
//! so looks are counted.

use std::ops::Range;

use nt_types::{PAGE_SIZE, Va};
use twox_hash::XxHash3_128;

use crate::Memory;
use crate::types::PageState;

/// What shows the time.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    /// Frames, and the bytes in them.
    faces: Vec<(u32, Range<usize>)>,
    looks: u64,
}

impl Clock {
    fn is_in(&self, frame: u32) -> bool {
        self.faces.iter().any(|(face, _)| *face == frame)
    }

    /// An access came to this frame through the tables.
    pub(crate) fn note_access(&mut self, frame: u32) {
        self.looks += u64::from(self.is_in(frame));
    }
}

impl Memory {
    /// From now on these bytes, which lie in one page that stays in memory for good, show the time.
    pub fn show_time_at(&mut self, address: Va, length: usize) {
        if let PageState::Resident { frame, .. } = self.page_state(address) {
            let start = address.page_offset();
            self.clock.faces.push((frame.0, start..(start + length).min(PAGE_SIZE as usize)));
        }
    }

    /// How often somebody may have looked at the time in memory. Between two calls of [`Memory::hash_state`] looks after the
    /// first count once at least.
    pub fn looks_at_time(&self) -> u64 {
        self.clock.looks
    }

    /// From now on the next look is seen, whatever was remembered of its page.
    pub(crate) fn expect_looks(&mut self) {
        let Memory { clock, frames, tlb, .. } = self;
        clock.faces.iter().for_each(|(frame, _)| tlb.forget(frames.place(*frame)));
    }

    /// The hash of what a frame holds but for the time.
    pub(crate) fn hash_but_time(&self, frame: u32) -> u128 {
        if !self.clock.is_in(frame) {
            return self.frames.hash(frame);
        }
        let mut page = *self.frames.read(frame);
        for (_, face) in self.clock.faces.iter().filter(|(face, _)| *face == frame) {
            page[face.clone()].fill(0);
        }
        XxHash3_128::oneshot(&page)
    }
}

//! Which resident pages may leave.

use std::mem;

use crate::Memory;
use crate::bits::Bits;
use crate::pfn::Use;

/// The frames whose pages may leave, kept up to date so that a trim costs nothing when there is nothing to trim.
#[derive(Clone, Default, Hash)]
pub(crate) struct Eligible {
    now: Bits,
    /// Frames with pages of drivers' images: the ones whose eligibility section_paging decides.
    images: Bits,
    /// section_paging may have changed its mind.
    stale: bool,
    /// Under [`TrimPolicy::AtOnce`](crate::TrimPolicy::AtOnce), frames whose pages became eligible while they were in memory.
    newly: Vec<u32>,
}

impl Eligible {
    pub(crate) fn images_changed(&mut self) {
        self.stale = true;
    }

    /// The frame has no page any more.
    pub(crate) fn forget(&mut self, frame: u32) {
        self.now.set(frame, false);
        self.images.set(frame, false);
    }

    pub(crate) fn take_newly(&mut self) -> Vec<u32> {
        mem::take(&mut self.newly)
    }

    pub(crate) fn next_from(&self, frame: u32) -> Option<u32> {
        self.now.next_from(frame)
    }

    pub(crate) fn count(&self) -> u32 {
        self.now.count()
    }
}

impl Memory {
    /// True if the page in this frame may leave (D5, D48).
    pub(crate) fn may_leave(&self, frame: u32) -> bool {
        let pfn = self.pfn(frame);
        pfn.used == Use::Page && pfn.pins == 0 && (pfn.pageable || self.paging.is_eligible(pfn.page))
    }

    /// A page came into the frame because something asked for it.
    pub(crate) fn note_arrival(&mut self, frame: u32) {
        let in_driver = self.paging.is_in_driver(self.pfn(frame).page);
        self.eligible.images.set(frame, in_driver);
        let may_leave = self.may_leave(frame);
        self.eligible.now.set(frame, may_leave);
    }

    /// A page that came in without being asked for counts as one that became eligible.
    pub(crate) fn announce(&mut self, frame: u32) {
        if self.may_leave(frame) && self.config.trim.leaves_at_once() {
            self.eligible.newly.push(frame);
        }
    }

    /// Something has changed that decides whether the page in the frame may leave.
    pub(crate) fn reconsider(&mut self, frame: u32) {
        let may_leave = self.may_leave(frame);
        if self.eligible.now.set(frame, may_leave) {
            self.announce(frame);
        }
    }

    /// The same for all image pages, if section_paging was used.
    pub(crate) fn reconsider_images(&mut self) {
        if mem::take(&mut self.eligible.stale) {
            let images = mem::take(&mut self.eligible.images);
            images.iter().for_each(|frame| self.reconsider(frame));
            self.eligible.images = images;
        }
    }

    /// All frames whose pages may leave, ascending by page.
    pub(crate) fn eligible_frames(&mut self) -> Vec<u32> {
        self.reconsider_images();
        let mut frames: Vec<u32> = self.eligible.now.iter().collect();
        frames.sort_unstable_by_key(|&frame| self.pfn(frame).page);
        frames
    }
}

//! Kernel stacks: who owns one says when its pages may leave, and they leave together.

use nt_types::Va;

use crate::Memory;
use crate::mapping::pages_of;
use crate::pte::State;
use crate::types::Region;

impl Memory {
    /// From now on the pages of a kernel stack may leave memory, or stay once they are in. Nothing leaves or comes back by
    /// this call; see [`Memory::settle`] and [`Memory::begin_page_in_runs`].
    pub fn set_pageable(&mut self, va: Va, pages: u64, pageable: bool) {
        for page in pages_of(va, pages) {
            let Some(at) = self.entry(page) else { continue };
            let pte = self.read_entry(at);
            if !pte.is_mapped() {
                continue;
            }
            self.set_pte(page, at, pte.with_pageable(pageable));
            if let State::Valid(frame) | State::Transition(frame) = pte.state() {
                self.pfns.get_mut(frame).pageable = pageable;
                self.reconsider(frame);
            }
        }
        self.eligibility_changed();
    }

    /// These frames, and those whose pages leave with theirs: all of a kernel stack that may leave. Ascending by page.
    pub(crate) fn with_companions(&self, frames: &[u32]) -> Vec<u32> {
        let mut all: Vec<u32> =
            frames.iter().flat_map(|&frame| self.companions(frame)).chain(frames.to_vec()).collect();
        all.sort_unstable_by_key(|&frame| self.pfn(frame).page);
        all.dedup();
        all
    }

    fn companions(&self, frame: u32) -> Vec<u32> {
        let va = self.va_of(frame);
        let stack =
            Region::of(va).filter(|region| *region == Region::KernelStack).and_then(|_| self.regions.around(va));
        let Some((start, pages)) = stack else { return Vec::new() };
        let frame_of = |page: Va| match self.pte_of(page).state() {
            State::Valid(frame) if self.may_leave(frame) => Some(frame),
            _ => None,
        };
        pages_of(start, pages).filter_map(frame_of).collect()
    }
}

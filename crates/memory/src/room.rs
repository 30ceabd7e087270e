//! Frames for pages, and what happens when there is none.

use nt_types::Va;

use crate::Memory;
use crate::config::TrimPolicy;
use crate::error::NoFrames;
use crate::pfn::{NO_SLOT, Pfn};
use crate::types::{TrimReason, TrimReport};

impl Memory {
    /// A frame with zeros. If there is none, pages that may leave make room (D5).
    pub(crate) fn take_frame(&mut self) -> Result<u32, NoFrames> {
        loop {
            if let Some(frame) = self.frames.allocate() {
                return Ok(frame);
            }
            self.make_room()?;
        }
    }

    /// As many frames with zeros, or none of them.
    pub(crate) fn take_frames(&mut self, count: u64) -> Result<Vec<u32>, NoFrames> {
        if count > self.frames.limit().into() {
            return Err(self.no_frames());
        }
        let mut frames = Vec::with_capacity(count as usize);
        for _ in 0..count {
            match self.take_frame() {
                Ok(frame) => frames.push(frame),
                Err(error) => {
                    frames.into_iter().for_each(|frame| self.frames.release(frame));
                    return Err(error);
                }
            }
        }
        Ok(frames)
    }

    /// Consecutive frames with zeros, all wholly below a physical address. Everything that may leave does, if it must.
    pub(crate) fn take_run(&mut self, count: u64, below: u64) -> Option<u32> {
        let count = u32::try_from(count).ok().filter(|&count| count <= self.frames.limit())?;
        let below = below >> nt_types::PAGE_SHIFT;
        loop {
            if let Some(first) = self.frames.allocate_run(count, below) {
                return Some(first);
            }
            self.make_room().ok()?;
        }
    }

    /// Frees the frame longest in transition, or else that of one eligible page and of what leaves with it.
    fn make_room(&mut self) -> Result<(), NoFrames> {
        let mut report = self.reclaim();
        if report.pages.is_empty() && self.config.trim != TrimPolicy::Never {
            self.reconsider_images();
            // Each candidate once: a paging file that takes none must not hold us forever.
            for _ in 0..self.eligible.count() {
                let Some(frame) = self.next_victim() else { break };
                let next = self.evict_frames(&self.with_companions(&[frame]), TrimReason::Pressure, false);
                report.append(next);
                if !report.pages.is_empty() {
                    break;
                }
            }
        }
        let freed = !report.pages.is_empty();
        let failed = report.failed.last().map(|(_, error)| *error);
        self.pressure.append(report);
        if freed { Ok(()) } else { Err(NoFrames { write: failed, ..self.no_frames() }) }
    }

    /// Turns the clock: the first eligible page not accessed since the hand last passed it.
    fn next_victim(&mut self) -> Option<u32> {
        loop {
            let frame = self.eligible.next_from(self.hand).or_else(|| self.eligible.next_from(0))?;
            self.hand = frame + 1;
            let va = Va(self.pfn(frame).page << nt_types::PAGE_SHIFT);
            let Some(at) = self.entry(va) else { return Some(frame) };
            let pte = self.read_entry(at);
            if !pte.is_accessed() {
                return Some(frame);
            }
            // Through `set_pte`, so that the next access, or fetch of code that runs decoded, sets the bit again.
            self.set_pte(va, at, pte.not_accessed());
        }
    }

    /// Frames that are free or can be made so.
    pub(crate) fn frames_within_reach(&mut self) -> u64 {
        self.reconsider_images();
        let may_leave = if self.config.trim == TrimPolicy::Never { 0 } else { self.eligible.count() };
        u64::from(self.frames.limit() - self.frames.used()) + self.standby.len() as u64 + u64::from(may_leave)
    }

    pub(crate) fn no_frames(&self) -> NoFrames {
        let pinned = (0..self.frames.high_water()).filter(|&frame| self.pfn(frame).pins > 0).count() as u32;
        NoFrames { budget: self.frames.limit(), pinned, write: None }
    }

    /// The page in this frame goes out of existence, in the paging file as well.
    pub(crate) fn destroy(&mut self, frame: u32) {
        let slot = self.pfn(frame).slot;
        if slot != NO_SLOT {
            self.slots.give(slot);
        }
        self.vacate(frame);
    }

    /// The frame is free; its page lives on in the paging file, if it does.
    pub(crate) fn vacate(&mut self, frame: u32) {
        *self.pfns.get_mut(frame) = Pfn::default();
        self.eligible.forget(frame);
        self.frames.release(frame);
    }
}

impl TrimReport {
    fn append(&mut self, mut more: TrimReport) {
        self.pages.append(&mut more.pages);
        self.written_pages += more.written_pages;
        self.failed.append(&mut more.failed);
    }
}

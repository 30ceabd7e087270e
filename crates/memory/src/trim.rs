//! Pages leave.

use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::Memory;
use crate::config::TrimPolicy;
use crate::error::WriteError;
use crate::pfn::{NO_SLOT, Use};
use crate::pte::State;
use crate::slots::CLUSTER;
use crate::types::{TrimReason, TrimReport};

impl Memory {
    /// Evicts every eligible page (D48). Under [`TrimPolicy::Never`] it evicts none.
    pub fn trim(&mut self, reason: TrimReason) -> TrimReport {
        if self.config.trim == TrimPolicy::Never {
            return TrimReport::default();
        }
        let frames = self.eligible_frames();
        self.eligible.take_newly();
        self.evict_frames(&frames, reason, self.config.transition_stay)
    }

    /// Under [`TrimPolicy::AtOnce`] evicts the pages that became eligible while they were in memory, since the last call;
    /// a page that came in because something touched it stays until the next trim (D5). Under other policies it evicts
    /// none. To be called after each change of locks, pins and overrides.
    pub fn settle(&mut self) -> TrimReport {
        self.reconsider_images();
        let frames = self.eligible.take_newly();
        self.evict_eligible(frames, TrimReason::Eligible)
    }

    /// Evicts those of these pages that are eligible, and what leaves with them, whatever the policy: for commands of tests and
    /// scenarios.
    pub fn evict(&mut self, pages: &[Va], reason: TrimReason) -> TrimReport {
        self.reconsider_images();
        let frame = |va: &Va| match self.pte_of(*va).state() {
            State::Valid(frame) => Some(frame),
            _ => None,
        };
        let frames = pages.iter().filter_map(frame).collect();
        self.evict_eligible(frames, reason)
    }

    /// The pages that left under pressure since the last call.
    pub fn take_pressure_report(&mut self) -> TrimReport {
        std::mem::take(&mut self.pressure)
    }

    /// The resident pages that may leave now, by address.
    pub fn eligible(&mut self) -> Vec<Va> {
        let frames = self.eligible_frames();
        frames.into_iter().map(|frame| self.va_of(frame)).collect()
    }

    /// True where a trim would take something out of memory.
    pub fn can_trim(&mut self) -> bool {
        self.reconsider_images();
        self.config.trim != TrimPolicy::Never && self.eligible.count() > 0
    }

    pub(crate) fn va_of(&self, frame: u32) -> Va {
        Va(self.pfn(frame).page << PAGE_SHIFT)
    }

    fn evict_eligible(&mut self, mut frames: Vec<u32>, reason: TrimReason) -> TrimReport {
        frames.retain(|&frame| self.may_leave(frame));
        self.evict_frames(&self.with_companions(&frames), reason, self.config.transition_stay)
    }

    /// Evicts these frames' pages, which may leave and ascend by page. With `stay` the frames keep them for now.
    pub(crate) fn evict_frames(&mut self, frames: &[u32], reason: TrimReason, stay: bool) -> TrimReport {
        let mut report = TrimReport::default();
        let mut leaving = self.give_slots(frames, &mut report);
        if !stay {
            leaving = self.save(&leaving, &mut report);
        }
        for frame in leaving {
            report.pages.push(self.va_of(frame));
            let slot = self.pfn(frame).slot;
            self.slots.slot_mut(slot).history.trimmed = Some((self.step, reason));
            if stay {
                self.put_on_standby(frame);
            } else {
                self.leave(frame);
            }
        }
        self.counters.pages_evicted += report.pages.len() as u64;
        report
    }

    /// Takes the frame that is longest in transition.
    pub(crate) fn reclaim(&mut self) -> TrimReport {
        let mut report = TrimReport::default();
        if let Some((&order, &frame)) = self.standby.first_key_value()
            && !self.save(&[frame], &mut report).is_empty()
        {
            self.standby.remove(&order);
            report.pages.push(self.va_of(frame));
            self.leave(frame);
        }
        report
    }

    /// Gives each page a slot; neighbours get neighbouring ones. Returns the frames that have one now.
    fn give_slots(&mut self, frames: &[u32], report: &mut TrimReport) -> Vec<u32> {
        let mut placed = Vec::with_capacity(frames.len());
        let together = |memory: &Memory, a: u32, b: u32| {
            let (a, b) = (memory.pfn(a), memory.pfn(b));
            a.slot == NO_SLOT && b.slot == NO_SLOT && a.page + 1 == b.page
        };
        let runs: Vec<&[u32]> = frames.chunk_by(|&a, &b| together(self, a, b)).collect();
        for run in runs {
            match self.give_run_slots(run) {
                Ok(()) => placed.extend_from_slice(run),
                Err(error) => self.report_failure(run, error, report),
            }
        }
        placed
    }

    fn give_run_slots(&mut self, run: &[u32]) -> Result<(), WriteError> {
        if run.first().is_none_or(|&frame| self.pfn(frame).slot != NO_SLOT) {
            return Ok(());
        }
        let first = self.slots.take(run.len() as u64)?;
        for (&frame, slot) in run.iter().zip(first..) {
            self.pfns.get_mut(frame).slot = slot;
        }
        Ok(())
    }

    /// Writes the pages that differ from what the paging file has. Returns the frames whose pages are safe there.
    fn save(&mut self, frames: &[u32], report: &mut TrimReport) -> Vec<u32> {
        let (changed, mut safe): (Vec<u32>, Vec<u32>) = frames.iter().partition(|&&frame| self.must_write(frame));
        let follows = |memory: &Memory, a: u32, b: u32| memory.pfn(a).slot + 1 == memory.pfn(b).slot;
        let clusters: Vec<&[u32]> =
            changed.chunk_by(|&a, &b| follows(self, a, b)).flat_map(|run| run.chunks(CLUSTER)).collect();
        for cluster in clusters {
            match self.write_cluster(cluster) {
                Ok(()) => {
                    report.written_pages += cluster.len() as u64;
                    safe.extend_from_slice(cluster);
                }
                Err(error) => self.report_failure(cluster, error, report),
            }
        }
        safe.sort_unstable_by_key(|&frame| self.pfn(frame).page);
        safe
    }

    pub(crate) fn must_write(&self, frame: u32) -> bool {
        self.pte_of(self.va_of(frame)).is_dirty() || !self.slots.has_content(self.pfn(frame).slot)
    }

    fn write_cluster(&mut self, frames: &[u32]) -> Result<(), WriteError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        for &frame in frames {
            buffer.extend_from_slice(self.frames.read(frame));
        }
        debug_assert_eq!(buffer.len(), frames.len() * PAGE_SIZE as usize);
        let first = frames.first().map_or(0, |&frame| self.pfn(frame).slot);
        let written = self.slots.write(first, &buffer);
        self.buffer = buffer;
        written
    }

    fn report_failure(&self, frames: &[u32], error: WriteError, report: &mut TrimReport) {
        report.failed.extend(frames.iter().map(|&frame| (self.va_of(frame), error)));
    }

    /// The page is safe in the paging file: its frame is free.
    fn leave(&mut self, frame: u32) {
        let (va, pfn) = (self.va_of(frame), self.pfn(frame));
        self.slots.slot_mut(pfn.slot).stamp = pfn.stamp;
        if let Some(at) = self.entry(va) {
            self.set_pte(va, at, self.read_entry(at).paging_file(pfn.slot));
        }
        self.vacate(frame);
    }

    fn put_on_standby(&mut self, frame: u32) {
        let va = self.va_of(frame);
        if let Some(at) = self.entry(va) {
            self.set_pte(va, at, self.read_entry(at).transition(frame));
        }
        let order = self.standby.last_key_value().map_or(0, |(last, _)| last + 1);
        self.standby.insert(order, frame);
        self.eligible.forget(frame);
        let pfn = self.pfns.get_mut(frame);
        (pfn.used, pfn.order) = (Use::Standby, order);
    }
}

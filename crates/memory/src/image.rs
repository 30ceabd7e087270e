//! Images: loaded whole, discarded in part, unloaded.

use nt_types::{PAGE_SIZE, Va};
use section_paging::{Answer, Finding, ImageId, NewImage, PageRun, Runs, UnloadStep};

use crate::Memory;
use crate::config::InitialResidency;
use crate::error::{ImageError, MapError, WriteError};
use crate::mapping::pages_of;
use crate::mmu::new_stamp;
use crate::pte::{Pte, State};
use crate::slots::CLUSTER;
use crate::types::{Protection, TrimReason};

const PAGE: usize = PAGE_SIZE as usize;

/// An image about to be mapped.
struct Content<'a> {
    base: Va,
    bytes: &'a [u8],
    protections: &'a [Protection],
}

impl Content<'_> {
    fn va(&self, index: usize) -> Va {
        self.base + index as u64 * PAGE_SIZE
    }

    fn index(&self, page: u64) -> usize {
        (page - self.base.page()) as usize
    }

    /// Names the content of a code page before anybody fetches it: so forks that fetch it decode it once for all.
    fn stamp(&self, index: usize) -> u64 {
        if self.protections[index].execute { new_stamp() } else { 0 }
    }

    /// The bytes of pages, zeros where the content ends before they do.
    fn copy(&self, first: usize, buffer: &mut [u8]) {
        let rest = self.bytes.get(first * PAGE..).unwrap_or_default();
        let present = rest.len().min(buffer.len());
        buffer[..present].copy_from_slice(&rest[..present]);
        buffer[present..].fill(0);
    }
}

impl Memory {
    /// Maps an image that is complete (relocated and bound, R40) at an address from [`Memory::reserve`] and registers it.
    /// `bytes` are its pages, headers first, zeros where they end early; `protections` has one entry a page. Pages that
    /// are eligible from the start are written to the paging file and start out, unless configured otherwise (D1, D4).
    pub fn load_image(
        &mut self,
        new: &NewImage<'_>,
        bytes: &[u8],
        protections: &[Protection],
    ) -> Result<ImageId, ImageError> {
        let pages = (new.size_bytes as usize).div_ceil(PAGE);
        if protections.len() != pages || bytes.len() > pages * PAGE {
            return Err(ImageError::Content { pages, protections: protections.len(), bytes: bytes.len() });
        }
        let before = self.paging.clone();
        let loaded = self.paging_mut().load(new)?;
        let content = Content { base: new.base, bytes, protections };
        match self.place_image(&content, &loaded.newly_eligible) {
            Ok(()) => Ok(loaded.image),
            Err(error) => {
                self.paging = before;
                Err(error)
            }
        }
    }

    /// Discards sections and frees their pages for good, computed by the caller from the headers (D9, D12); see
    /// [`section_paging::Paging::discard`].
    pub fn discard(&mut self, image: ImageId, sections: &[u16], pages: &[PageRun]) -> Vec<Finding> {
        let Some(all) = self.paging.image(image).map(|image| image.pages) else { return Vec::new() };
        let findings = self.paging_mut().discard(image, sections, pages);
        for run in pages.iter().map(|run| run.intersection(all)) {
            pages_of(run.start(), run.count).for_each(|page| self.remove(page, Pte::DISCARDED));
        }
        findings
    }

    /// Unloads an image, or says what to wait for (D29). Frames of pages that a locked section covers stay allocated for
    /// the rest of the run and are counted (D28); the addresses are unmapped at once and never used again. `None` if the
    /// image is not loaded.
    pub fn unload(&mut self, image: ImageId) -> Option<Answer<UnloadStep>> {
        let pages = self.paging.image(image)?.pages;
        let answer = self.paging_mut().unload(image)?;
        if let UnloadStep::Unloaded { leaked } = &answer.step {
            leaked.pages().for_each(|page| self.leak(PageRun::new(page, 1).start()));
            self.forget_kept(pages.start(), pages.count);
            self.unmap(pages.start(), pages.count);
        }
        Some(answer)
    }

    fn leak(&mut self, va: Va) {
        if let State::Valid(frame) = self.pte_of(va).state() {
            self.add_pin(frame);
            self.counters.frames_leaked += 1;
        }
    }

    fn place_image(&mut self, content: &Content<'_>, eligible: &Runs) -> Result<(), ImageError> {
        let pages = content.protections.len();
        self.prepare(content.base, pages as u64)?;
        let starts_out = self.config.initial == InitialResidency::Out;
        let out = if starts_out { eligible.clone() } else { Runs::new() };
        let frames = self.take_frames(pages as u64 - out.page_count()).map_err(MapError::from)?;
        match self.write_out(content, &out) {
            Ok(slots) => self.map_image(content, &out, slots, frames),
            Err(error) => {
                frames.into_iter().for_each(|frame| self.frames.release(frame));
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Writes pages straight to the paging file; returns their slots.
    fn write_out(&mut self, content: &Content<'_>, out: &Runs) -> Result<Vec<u32>, WriteError> {
        let mut slots = Vec::new();
        for run in out.iter() {
            let written = self.write_run(content, run, &mut slots);
            if let Err(error) = written {
                slots.into_iter().for_each(|slot| self.slots.give(slot));
                return Err(error);
            }
        }
        Ok(slots)
    }

    fn write_run(&mut self, content: &Content<'_>, run: PageRun, slots: &mut Vec<u32>) -> Result<(), WriteError> {
        let first = self.slots.take(run.count)?;
        let (start, count) = (content.index(run.first), run.count as u32);
        slots.extend(first..first + count);
        let mut buffer = vec![0; PAGE * CLUSTER.min(count as usize)];
        for done in (0..count as usize).step_by(CLUSTER) {
            let bytes = &mut buffer[..PAGE * CLUSTER.min(count as usize - done)];
            content.copy(start + done, bytes);
            self.slots.write(first + done as u32, bytes)?;
        }
        Ok(())
    }

    /// Maps everything: nothing can fail any more.
    fn map_image(&mut self, content: &Content<'_>, out: &Runs, slots: Vec<u32>, frames: Vec<u32>) {
        for (page, slot) in out.pages().zip(slots) {
            let index = content.index(page);
            let va = content.va(index);
            let place = self.slots.slot_mut(slot);
            place.history.trimmed = Some((self.step, TrimReason::Load));
            place.stamp = content.stamp(index);
            self.put(va, Pte::new(va, content.protections[index], false).paging_file(slot));
        }
        let mut frames = frames.into_iter();
        for (index, &protection) in content.protections.iter().enumerate() {
            let va = content.va(index);
            if self.pte_of(va).is_mapped() {
                continue;
            }
            if let Some(frame) = frames.next() {
                content.copy(index, self.frames.overwrite(frame));
                self.put_own(va, frame, Pte::new(va, protection, false));
                self.pfns.get_mut(frame).stamp = content.stamp(index);
                self.note_arrival(frame);
                self.announce(frame);
            }
        }
    }
}

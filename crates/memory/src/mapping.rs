//! The address space: what is mapped where.

use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::Memory;
use crate::error::MapError;
use crate::pfn::{Pfn, Use};
use crate::pte::{Pte, State};
use crate::regions::is_forbidden;
use crate::types::{Backing, Frame, Protection, Region};

/// Pages that one page table maps.
const TABLE_PAGES: u64 = 512;

/// The pages of a range.
pub(crate) fn pages_of(va: Va, pages: u64) -> impl DoubleEndedIterator<Item = Va> {
    (0..pages).map(move |index| va.page_down() + index.wrapping_mul(PAGE_SIZE))
}

/// The parts of a range that one page table maps each: first address and pages.
fn by_table(va: Va, pages: u64) -> impl Iterator<Item = (Va, u64)> {
    let mut done = 0u64;
    std::iter::from_fn(move || {
        let start = va.page_down() + done.wrapping_mul(PAGE_SIZE);
        let count = (TABLE_PAGES - start.page() % TABLE_PAGES).min(pages - done);
        done += count;
        (count > 0).then_some((start, count))
    })
}

impl Memory {
    /// Takes the lowest free range of `pages` pages in `region`. Nothing is mapped in it yet; below a kernel stack there
    /// is a guard page.
    pub fn reserve(&mut self, region: Region, pages: u64) -> Result<Va, MapError> {
        let none = MapError::NoAddressSpace { pages };
        let va = self.regions.take(region, pages).filter(|_| pages > 0).ok_or(none)?;
        if region == Region::KernelStack {
            let guard = Va(va.0 - PAGE_SIZE);
            match self.make_entry(guard) {
                Ok(at) => self.set_pte(guard, at, Pte::GUARD),
                Err(error) => {
                    self.regions.give(va);
                    return Err(error.into());
                }
            }
        }
        Ok(va)
    }

    /// Unmaps the range that was reserved at `va`, gives it back and returns its pages; image addresses are never given
    /// out again (D28). `None`, and nothing done, if no reserved range begins there.
    pub fn release(&mut self, va: Va) -> Option<u64> {
        let pages = self.regions.give(va)?;
        self.unmap(va, pages);
        Some(pages)
    }

    /// Pages of the range that was reserved at `va`.
    pub fn reserved(&self, va: Va) -> Option<u64> {
        self.regions.reserved(va)
    }

    /// [`reserve`](Memory::reserve) and [`map`](Memory::map).
    pub fn allocate(
        &mut self,
        region: Region,
        pages: u64,
        backing: Backing<'_>,
        protection: Protection,
    ) -> Result<Va, MapError> {
        let va = self.reserve(region, pages)?;
        if let Err(error) = self.map(va, pages, backing, protection) {
            self.release(va);
            return Err(error);
        }
        Ok(va)
    }

    /// Maps `pages` pages at `va`, all or none. The range need not be reserved (KUSER_SHARED_DATA has its fixed place) but
    /// must not be mapped.
    pub fn map(&mut self, va: Va, pages: u64, backing: Backing<'_>, protection: Protection) -> Result<(), MapError> {
        self.prepare(va, pages)?;
        let fresh = |va: Va| Pte::new(va, protection, backing == Backing::Pageable);
        match backing {
            Backing::Resident => {
                let frames = self.take_frames(pages)?;
                self.map_own(va, frames.into_iter(), fresh);
            }
            Backing::Contiguous { below } => {
                let first = self.take_run(pages, below).ok_or(MapError::NoContiguousFrames { pages })?;
                self.map_own(va, (first..).take(pages as usize), fresh);
            }
            Backing::Pageable => pages_of(va, pages).for_each(|page| self.put(page, fresh(page))),
            Backing::Frames(frames) => self.map_shared(va, pages, frames, fresh)?,
            Backing::Physical(physical) => self.map_physical(va, pages, physical, fresh)?,
        }
        Ok(())
    }

    /// Unmaps the range; unmapped pages in it are skipped. A frame is free once it is mapped nowhere and not pinned.
    pub fn unmap(&mut self, va: Va, pages: u64) {
        // The last one first: frames are taken in ascending order, and go back to their run one by one.
        for (start, pages) in by_table(va, pages) {
            if self.entry(start).is_some() {
                pages_of(start, pages).rev().for_each(|page| self.remove(page, Pte::FREED));
            }
        }
    }

    /// Changes the protection of the mapped pages in the range, resident or not.
    pub fn protect(&mut self, va: Va, pages: u64, protection: Protection) {
        for page in pages_of(va, pages) {
            if let Some(at) = self.entry(page) {
                let pte = self.read_entry(at);
                if pte.is_mapped() {
                    self.set_pte(page, at, pte.with_protection(protection));
                }
            }
        }
    }

    /// Checks that a range can be mapped and makes its tables.
    pub(crate) fn prepare(&mut self, va: Va, pages: u64) -> Result<(), MapError> {
        let last =
            pages.checked_sub(1).and_then(|more| more.checked_mul(PAGE_SIZE)).and_then(|more| va.0.checked_add(more));
        let valid = last.is_some_and(|last| va.is_canonical() && Va(last).is_kernel() == va.is_kernel());
        if !valid || va.page_offset() != 0 || is_forbidden(va, pages) {
            return Err(MapError::BadRange(va));
        }
        if !self.has_room_for_tables(va, pages) {
            return Err(self.no_frames().into());
        }
        for page in pages_of(va, pages) {
            let at = self.make_entry(page)?;
            if self.read_entry(at).is_mapped() {
                return Err(MapError::Occupied(page));
            }
        }
        Ok(())
    }

    /// Tables stay for good, so a request that is too large must not even begin to make them.
    fn has_room_for_tables(&mut self, va: Va, pages: u64) -> bool {
        if pages / TABLE_PAGES > self.frames.limit().into() {
            return false;
        }
        let last_levels = by_table(va, pages).filter(|part| self.entry(part.0).is_none()).count() as u64;
        let upper_levels = if last_levels > 0 { 2 + last_levels / TABLE_PAGES } else { 0 };
        last_levels + upper_levels <= self.frames_within_reach()
    }

    /// Writes the entry of a page whose table exists.
    pub(crate) fn put(&mut self, va: Va, pte: Pte) {
        if let Some(at) = self.entry(va) {
            self.set_pte(va, at, pte);
        }
    }

    /// Gives a page a frame that nothing else uses.
    pub(crate) fn put_own(&mut self, va: Va, frame: u32, pte: Pte) {
        let pageable = pte.is_pageable();
        *self.pfns.get_mut(frame) = Pfn { used: Use::Page, page: va.page(), mappings: 1, pageable, ..Pfn::default() };
        self.put(va, pte.valid(frame, false));
    }

    fn map_own(&mut self, va: Va, frames: impl Iterator<Item = u32>, fresh: impl Fn(Va) -> Pte) {
        for (index, frame) in frames.enumerate() {
            let page = va + index as u64 * PAGE_SIZE;
            self.put_own(page, frame, fresh(page));
        }
    }

    fn map_shared(&mut self, va: Va, pages: u64, frames: &[Frame], fresh: impl Fn(Va) -> Pte) -> Result<(), MapError> {
        if frames.len() as u64 != pages {
            return Err(MapError::FrameCount { frames: frames.len() as u64, pages });
        }
        let unfit = |frame: &&Frame| !matches!(self.pfn(frame.0).used, Use::Page | Use::Shared);
        if let Some(frame) = frames.iter().find(unfit) {
            return Err(MapError::BadFrame(*frame));
        }
        for (page, frame) in pages_of(va, pages).zip(frames) {
            let pfn = self.pfns.get_mut(frame.0);
            (pfn.used, pfn.mappings) = (Use::Shared, pfn.mappings + 1);
            self.reconsider(frame.0);
            self.put(page, fresh(page).valid(frame.0, false));
        }
        Ok(())
    }

    /// RAM by its physical addresses: who uses it shares it, unused RAM is taken into use, and page tables are mapped as
    /// devices are, so that changes of theirs pass through [`Memory::write_page_table`].
    fn map_ram(
        &mut self,
        va: Va,
        physical_pages: impl Iterator<Item = u64> + Clone,
        fresh: impl Fn(Va) -> Pte,
    ) -> Result<(), MapError> {
        let frame_of = |physical: u64| (physical >> PAGE_SHIFT) as u32;
        let in_transition = |&physical: &u64| self.pfn(frame_of(physical)).used == Use::Standby;
        if let Some(physical) = physical_pages.clone().find(in_transition) {
            return Err(MapError::BadFrame(Frame(frame_of(physical))));
        }
        for (index, physical) in physical_pages.enumerate() {
            let (page, frame) = (va + index as u64 * PAGE_SIZE, frame_of(physical));
            match self.pfn(frame).used {
                Use::Table => self.put(page, fresh(page).device(physical)),
                Use::Free if self.frames.allocate_at(frame) => self.put_own(page, frame, fresh(page)),
                _ => self.map_shared(page, 1, &[Frame(frame)], &fresh)?,
            }
        }
        Ok(())
    }

    fn map_physical(&mut self, va: Va, pages: u64, physical: u64, fresh: impl Fn(Va) -> Pte) -> Result<(), MapError> {
        let bad = MapError::BadPhysicalRange(physical);
        let end = pages.checked_mul(PAGE_SIZE).and_then(|length| physical.checked_add(length));
        if end.is_none_or(|end| end > 1 << 52) || !physical.is_multiple_of(PAGE_SIZE) {
            return Err(bad);
        }
        let physical_pages = (0..pages).map(|index| physical + index * PAGE_SIZE);
        match physical_pages.clone().filter(|&page| self.is_ram(page)).count() as u64 {
            0 => pages_of(va, pages).zip(physical_pages).for_each(|(page, at)| self.put(page, fresh(page).device(at))),
            ram if ram == pages => self.map_ram(va, physical_pages, fresh)?,
            _ => return Err(bad),
        }
        Ok(())
    }

    /// Takes away what is mapped in a page; its entry becomes `after`, unless nothing ever was there.
    pub(crate) fn remove(&mut self, va: Va, after: Pte) {
        let Some(at) = self.entry(va) else { return };
        let state = self.read_entry(at).state();
        if state == State::NeverMapped {
            return;
        }
        self.set_pte(va, at, after);
        match state {
            State::Valid(frame) => self.drop_mapping(frame),
            State::Transition(frame) => {
                self.standby.remove(&self.pfn(frame).order);
                self.destroy(frame);
            }
            State::PagingFile(slot) => self.slots.give(slot),
            _ => {}
        }
    }

    fn drop_mapping(&mut self, frame: u32) {
        let pfn = self.pfns.get_mut(frame);
        pfn.mappings = pfn.mappings.saturating_sub(1);
        if pfn.mappings == 0 && pfn.pins == 0 {
            self.destroy(frame);
            return;
        }
        let alone = pfn.mappings == 1 && self.pte_of(self.va_of(frame)).state() == State::Valid(frame);
        self.pfns.get_mut(frame).used = if alone { Use::Page } else { Use::Shared };
        self.reconsider(frame);
    }
}

//! Accesses: through the translation cache, or by the tables.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Access, CodeSpan, Fault, Mmu, PageFault, new_code_epoch};
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::Memory;
use crate::frames::Place;
use crate::pfn::Use;
use crate::pte::State;
use crate::tables::EntryAt;

/// Stamps are unique in the process, so that forks never give one to different contents.
static NEXT_STAMP: AtomicU64 = AtomicU64::new(1);

pub(crate) fn new_stamp() -> u64 {
    NEXT_STAMP.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn offset(address: u64) -> usize {
    Va(address).page_offset()
}

/// The parts of a range that lie in one page each: address, and range in the buffer.
pub(crate) fn pieces(address: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let at = address.wrapping_add(start as u64);
        let end = length.min(start + PAGE_SIZE as usize - offset(at));
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some((at, piece))
    })
}

impl Memory {
    /// The frame for an access, or why not. Changes nothing.
    pub(crate) fn check(&self, address: u64, access: Access) -> Result<(EntryAt, u32), Fault> {
        let va = Va(address);
        if !va.is_canonical() {
            return Err(Fault::NonCanonical(address));
        }
        let refused = |protection| Fault::Page(PageFault { address, access, protection });
        let at = self.entry(va).ok_or(refused(false))?;
        let pte = self.read_entry(at);
        let allowed = match access {
            Access::Read => true,
            Access::Write => pte.protection().write,
            Access::Execute => pte.protection().execute,
        };
        match pte.state() {
            State::Valid(frame) if self.is_watched(va, frame) => Err(refused(false)),
            State::Valid(_) | State::Device(_) if !allowed => Err(refused(true)),
            State::Valid(frame) => Ok((at, frame)),
            State::Device(number) => Err(Fault::Device(number << PAGE_SHIFT | offset(address) as u64)),
            _ => Err(refused(false)),
        }
    }

    /// The same, and the access happens: sets the accessed bit, for a write the dirty bit.
    fn translate(&mut self, address: u64, access: Access) -> Result<u32, Fault> {
        let (at, frame) = self.check(address, access)?;
        let pte = self.read_entry(at);
        let marked = if access == Access::Write { pte.written() } else { pte.accessed() };
        if marked != pte {
            self.write_entry(at, marked);
        }
        self.remember_table(Va(address), at);
        self.clock.note_access(frame);
        Ok(frame)
    }

    fn place_to_read(&mut self, address: u64) -> Result<Place, Fault> {
        let page = Va(address).page();
        if let Some(place) = self.tlb.read(page) {
            return Ok(place);
        }
        let frame = self.translate(address, Access::Read)?;
        let place = self.frames.place(frame);
        if !self.has_kept(page) {
            self.tlb.fill_read(page, place);
        }
        Ok(place)
    }

    fn place_to_write(&mut self, address: u64) -> Result<Place, Fault> {
        let page = Va(address).page();
        if let Some(place) = self.tlb.write(page) {
            return Ok(place);
        }
        let frame = self.translate(address, Access::Write)?;
        let place = self.claim(frame);
        if !self.has_kept(page) {
            self.tlb.fill_write(page, place);
        }
        Ok(place)
    }

    /// Prepares a frame in use for new content: its page becomes this machine's own and loses its stamp.
    pub(crate) fn claim(&mut self, frame: u32) -> Place {
        if self.frames.unshare(frame) {
            self.forget_place(frame);
        }
        if self.pfn(frame).stamp != 0 {
            self.pfns.get_mut(frame).stamp = 0;
            self.epoch = new_code_epoch();
            self.tlb.flush_execute();
        }
        self.frames.place(frame)
    }

    fn forget_place(&mut self, frame: u32) {
        let pfn = self.pfn(frame);
        if pfn.used == Use::Page {
            self.tlb.shoot(pfn.page);
        } else {
            self.tlb.flush();
        }
    }

    #[cold]
    fn fetch_slow(&mut self, address: u64) -> Result<(Place, u64), Fault> {
        let frame = self.translate(address, Access::Execute)?;
        self.check_kept_fetch(address)?;
        let mut stamp = self.pfn(frame).stamp;
        if stamp == 0 {
            stamp = new_stamp();
            self.pfns.get_mut(frame).stamp = stamp;
            // From now on a write must pass through `claim`.
            self.tlb.flush_write();
        }
        let place = self.frames.place(frame);
        let page = Va(address).page();
        if !self.has_kept_code(page) {
            self.tlb.fill_execute(page, place, stamp);
        }
        Ok((place, stamp))
    }

    /// Reads a range of any length.
    pub(crate) fn read_range(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        for (at, piece) in pieces(address, buffer.len()) {
            let place = self.place_to_read(at)?;
            self.check_kept(at, piece.len(), Access::Read)?;
            let (start, length) = (offset(at), piece.len());
            buffer[piece].copy_from_slice(&self.frames.at(place)[start..start + length]);
        }
        Ok(())
    }

    /// Writes a range of any length; all of it or nothing.
    pub(crate) fn write_range(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.check_range(address, bytes.len(), Access::Write)?;
        for (at, piece) in pieces(address, bytes.len()) {
            let place = self.place_to_write(at)?;
            let start = offset(at);
            self.frames.at_mut(place)[start..start + piece.len()].copy_from_slice(&bytes[piece]);
        }
        Ok(())
    }

    pub(crate) fn check_range(&self, address: u64, length: usize, access: Access) -> Result<(), Fault> {
        pieces(address, length).try_for_each(|(at, piece)| {
            self.check(at, access)?;
            self.check_kept(at, piece.len(), access)
        })
    }

    #[cold]
    fn load_slow<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read_range(address, &mut bytes)?;
        Ok(bytes)
    }

    #[cold]
    fn store_slow(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.write_range(address, bytes)
    }
}

impl Mmu for Memory {
    #[inline]
    fn load<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Fault> {
        if let Some(place) = self.tlb.read(address >> PAGE_SHIFT)
            && let Some(bytes) = self.frames.at(place)[offset(address)..].first_chunk()
        {
            return Ok(*bytes);
        }
        self.load_slow(address)
    }

    #[inline]
    fn store<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Result<(), Fault> {
        if let Some(place) = self.tlb.write(address >> PAGE_SHIFT)
            && let Some(target) = self.frames.at_mut(place)[offset(address)..].first_chunk_mut()
        {
            *target = bytes;
            return Ok(());
        }
        self.store_slow(address, &bytes)
    }

    fn probe_store(&mut self, address: u64, length: usize) -> Result<(), Fault> {
        if self.tlb.write(address >> PAGE_SHIFT).is_some() && offset(address) + length <= PAGE_SIZE as usize {
            return Ok(());
        }
        self.check_range(address, length, Access::Write)
    }

    fn copy(&mut self, destination: u64, source: u64, length: usize) -> Result<(), Fault> {
        self.place_to_read(source)?;
        self.check_kept(source, length, Access::Read)?;
        self.check_kept(destination, length, Access::Write)?;
        let to = self.place_to_write(destination)?;
        // Only now: claiming the destination moves the page if it is the source, too.
        let from = self.place_to_read(source)?;
        self.frames.copy((to, offset(destination)), (from, offset(source)), length);
        Ok(())
    }

    fn fill(&mut self, address: u64, pattern: &[u8], length: usize) -> Result<(), Fault> {
        let place = self.place_to_write(address)?;
        self.check_kept(address, length, Access::Write)?;
        let target = &mut self.frames.at_mut(place)[offset(address)..][..length];
        match pattern {
            [byte] => target.fill(*byte),
            _ => target.chunks_mut(pattern.len()).for_each(|chunk| chunk.copy_from_slice(&pattern[..chunk.len()])),
        }
        Ok(())
    }

    #[inline]
    fn fetch(&mut self, address: u64) -> Result<CodeSpan<'_>, Fault> {
        let (place, stamp) = match self.tlb.execute(address >> PAGE_SHIFT) {
            Some(known) => known,
            None => self.fetch_slow(address)?,
        };
        Ok(CodeSpan { bytes: &self.frames.at(place)[offset(address)..], stamp })
    }

    #[inline]
    fn code_epoch(&self) -> u64 {
        self.epoch
    }
}

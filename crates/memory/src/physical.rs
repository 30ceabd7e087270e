//! Memory by physical address, and past the protection.

use std::ops::Range;

use engine::{Access, Fault};
use nt_types::{PAGE_SHIFT, Va};

use crate::Memory;
use crate::mmu::{offset, pieces};
use crate::pfn::Use;
use crate::pte::State;
use crate::ram;

impl Memory {
    /// Physical address of `va`, if its page is resident or device memory.
    pub fn physical(&self, va: Va) -> Option<u64> {
        let number = match self.pte_of(va).state() {
            State::Valid(frame) => u64::from(frame),
            State::Device(number) => number,
            _ => return None,
        };
        Some(number << PAGE_SHIFT | va.page_offset() as u64)
    }

    /// Numbers of the physical pages that are RAM, in ranges, lowest first: as in a PC, with room for firmware and devices
    /// between.
    pub fn ram_pages(&self) -> impl Iterator<Item = Range<u64>> {
        ram::ranges(self.frames.limit())
    }

    /// True for an address of RAM.
    pub fn is_ram(&self, physical: u64) -> bool {
        self.ram_pages().any(|pages| pages.contains(&(physical >> PAGE_SHIFT)))
    }

    /// Number of the last physical page that is RAM.
    pub fn last_ram_page(&self) -> u64 {
        self.ram_pages().last().map_or(0, |pages| pages.end - 1)
    }

    /// True where the content of a page of RAM stays where it is: it is pinned, or nothing lets it leave. False for RAM that
    /// is not in use, and for no RAM.
    pub fn stays(&self, physical: u64) -> bool {
        if !self.is_ram(physical) {
            return false;
        }
        let frame = (physical >> PAGE_SHIFT) as u32;
        !matches!(self.pfn(frame).used, Use::Free | Use::Standby) && !self.may_leave(frame)
    }

    /// Reads RAM; false, and nothing read, if the range is not RAM.
    pub fn read_physical(&self, physical: u64, buffer: &mut [u8]) -> bool {
        if !pieces(physical, buffer.len()).all(|(at, _)| self.is_ram(at)) {
            return false;
        }
        for (at, piece) in pieces(physical, buffer.len()) {
            let (start, length) = (offset(at), piece.len());
            buffer[piece].copy_from_slice(&self.frames.read((at >> PAGE_SHIFT) as u32)[start..start + length]);
        }
        true
    }

    /// Writes RAM that is in use and holds no page table; false, and nothing written, otherwise.
    pub fn write_physical(&mut self, physical: u64, bytes: &[u8]) -> bool {
        let used = |at: u64| self.is_ram(at).then(|| self.pfn((at >> PAGE_SHIFT) as u32).used);
        let fit = |(at, _)| used(at).is_some_and(|used| !matches!(used, Use::Free | Use::Table));
        if !pieces(physical, bytes.len()).all(fit) {
            return false;
        }
        for (at, piece) in pieces(physical, bytes.len()) {
            let range = offset(at)..offset(at) + piece.len();
            self.write_frame((at >> PAGE_SHIFT) as u32, range, |target| target.copy_from_slice(&bytes[piece]));
        }
        true
    }

    /// Writes resident pages whatever their protection: poison (D11), and what the kernel itself changes.
    ///
    /// # Errors
    /// The fault of the first page that is not resident; nothing is written.
    pub fn poke(&mut self, va: Va, bytes: &[u8]) -> Result<(), Fault> {
        self.poke_with(va, bytes.len(), |target, piece| target.copy_from_slice(&bytes[piece]))
    }

    /// The same with `length` times this byte.
    ///
    /// # Errors
    /// As for [`Memory::poke`].
    pub fn poke_all(&mut self, va: Va, byte: u8, length: u64) -> Result<(), Fault> {
        self.poke_with(va, length as usize, |target, _| target.fill(byte))
    }

    fn poke_with(&mut self, va: Va, length: usize, write: impl Fn(&mut [u8], Range<usize>)) -> Result<(), Fault> {
        pieces(va.0, length).try_for_each(|(at, _)| self.frame_to_poke(at).map(drop))?;
        for (at, piece) in pieces(va.0, length) {
            let frame = self.frame_to_poke(at)?;
            self.write_frame(frame, offset(at)..offset(at) + piece.len(), |target| write(target, piece));
        }
        Ok(())
    }

    fn frame_to_poke(&self, at: u64) -> Result<u32, Fault> {
        match self.pte_of(Va(at)).state() {
            State::Valid(frame) => Ok(frame),
            _ => self.check(at, Access::Read).map(|(_, frame)| frame),
        }
    }

    /// Writes a range of a frame in use behind the back of the tables.
    fn write_frame(&mut self, frame: u32, range: Range<usize>, write: impl FnOnce(&mut [u8])) {
        let place = self.claim(frame);
        write(&mut self.frames.at_mut(place)[range]);
        let va = self.va_of(frame);
        if let Some(at) = self.entry(va) {
            let pte = self.read_entry(at);
            if matches!(pte.state(), State::Valid(mapped) | State::Transition(mapped) if mapped == frame) {
                self.write_entry(at, pte.dirtied());
            }
        }
    }
}

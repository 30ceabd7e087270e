//! The page tables: four levels of 512 entries, in frames.

use engine::new_code_epoch;
use nt_types::{PAGE_SHIFT, Va};

use crate::Memory;
use crate::error::NoFrames;
use crate::frames::Page;
use crate::pfn::{Pfn, Use};
use crate::pte::{Pte, State};

/// Where a last-level entry lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryAt {
    pub(crate) table: u32,
    pub(crate) index: usize,
}

/// Log2 of the bytes that an entry of the upper three levels covers, from the top.
const UPPER_SHIFTS: [u32; 3] = [39, 30, LAST_SHIFT];
/// The last of them, whose entries point at last-level tables.
const LAST_SHIFT: u32 = 21;
/// What the record of an upper table has for its first page.
pub(crate) const UPPER_TABLE: u64 = u64::MAX;

fn index(va: Va, shift: u32) -> usize {
    (va.0 >> shift) as usize % 512
}

fn entry_of(table: &Page, index: usize) -> Pte {
    let (entries, _) = table.as_chunks::<8>();
    Pte(u64::from_le_bytes(entries[index]))
}

/// The number that [`crate::tlb::Tlb::table`] knows a last-level table by.
fn span(va: Va) -> u64 {
    va.0 >> 21
}

impl Memory {
    /// The last-level entry for `va`, if its table exists. No address that is not canonical has one.
    pub(crate) fn entry(&self, va: Va) -> Option<EntryAt> {
        if !va.is_canonical() {
            return None;
        }
        let table = match self.tlb.table(span(va)) {
            Some(table) => table,
            None => self.walk(va)?,
        };
        Some(EntryAt { table, index: index(va, PAGE_SHIFT) })
    }

    fn walk(&self, va: Va) -> Option<u32> {
        UPPER_SHIFTS.iter().try_fold(self.root, |table, &shift| {
            match entry_of(self.frames.read(table), index(va, shift)).state() {
                State::Valid(next) => Some(next),
                _ => None,
            }
        })
    }

    /// Remembers the table of `va`, so that the next walk is short.
    pub(crate) fn remember_table(&mut self, va: Va, at: EntryAt) {
        self.tlb.fill_table(span(va), at.table);
    }

    /// The same as [`Memory::entry`], with missing tables made.
    pub(crate) fn make_entry(&mut self, va: Va) -> Result<EntryAt, NoFrames> {
        if let Some(at) = self.entry(va) {
            self.remember_table(va, at);
            return Ok(at);
        }
        let mut table = self.root;
        for shift in UPPER_SHIFTS {
            let index = index(va, shift);
            table = match entry_of(self.frames.read(table), index).state() {
                State::Valid(next) => next,
                _ => self.add_table(table, index, if shift == LAST_SHIFT { va.page() & !511 } else { UPPER_TABLE })?,
            };
        }
        Ok(EntryAt { table, index: index(va, PAGE_SHIFT) })
    }

    fn add_table(&mut self, upper: u32, index: usize, page: u64) -> Result<u32, NoFrames> {
        let table = self.take_frame()?;
        *self.pfns.get_mut(table) = Pfn { used: Use::Table, page, ..Pfn::default() };
        self.write_entry(EntryAt { table: upper, index }, Pte::table(table));
        Ok(table)
    }

    pub(crate) fn read_entry(&self, at: EntryAt) -> Pte {
        entry_of(self.frames.read(at.table), at.index)
    }

    /// Writes an entry as it is; for accessed and dirty bits. Everything else goes through [`Memory::set_pte`].
    pub(crate) fn write_entry(&mut self, at: EntryAt, pte: Pte) {
        let (entries, _) = self.frames.write(at.table).as_chunks_mut::<8>();
        entries[at.index] = pte.0.to_le_bytes();
    }

    /// The entry of a page; an empty one where there is no table.
    pub(crate) fn pte_of(&self, va: Va) -> Pte {
        self.entry(va).map_or(Pte::default(), |at| self.read_entry(at))
    }

    /// Changes the mapping or protection of a page, so that nobody holds on to the old one.
    pub(crate) fn set_pte(&mut self, va: Va, at: EntryAt, pte: Pte) {
        if let State::Valid(frame) = self.read_entry(at).state()
            && self.pfn(frame).stamp != 0
        {
            self.epoch = new_code_epoch();
        }
        self.write_entry(at, pte);
        self.tlb.shoot(va.page());
    }
}

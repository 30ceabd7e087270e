//! The translation cache.
//!
//! Three direct-mapped tables, one for each kind of access: an entry stands for "this access to this page is allowed, has
//! set its accessed and dirty bits, and its bytes lie there". What would make it untrue removes it, so it needs no check.

use crate::frames::Place;

const ENTRIES: usize = 512;
/// Drivers run in few pages at one time, and each fork has these tables for itself.
const CODE_ENTRIES: usize = 128;
/// No page has this number.
const NOTHING: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry {
    page: u64,
    place: Place,
}

#[derive(Clone, Copy)]
struct CodeEntry {
    page: u64,
    stamp: u64,
    place: Place,
}

/// Translations by page number.
pub(crate) struct Tlb {
    read: [Entry; ENTRIES],
    write: [Entry; ENTRIES],
    execute: [CodeEntry; CODE_ENTRIES],
    /// The page table of each 2 MiB, by address divided by 2 MiB. Tables stay for good, so nothing removes an entry.
    tables: [(u64, u32); TABLES],
}

const TABLES: usize = 64;

/// Regions begin at multiples of 512 GiB: mixing in higher bits keeps their first pages apart.
#[inline]
fn slot(page: u64) -> usize {
    (page ^ (page >> 9) ^ (page >> 24)) as usize % ENTRIES
}

#[inline]
fn code_slot(page: u64) -> usize {
    slot(page) % CODE_ENTRIES
}

fn table_slot(span: u64) -> usize {
    (span ^ (span >> 15)) as usize % TABLES
}

impl Tlb {
    pub(crate) fn new() -> Box<Tlb> {
        let entry = Entry { page: NOTHING, place: Place::NONE };
        let code = CodeEntry { page: NOTHING, stamp: 0, place: Place::NONE };
        Box::new(Tlb {
            read: [entry; ENTRIES],
            write: [entry; ENTRIES],
            execute: [code; CODE_ENTRIES],
            tables: [(NOTHING, 0); TABLES],
        })
    }

    #[inline]
    pub(crate) fn read(&self, page: u64) -> Option<Place> {
        let entry = &self.read[slot(page)];
        (entry.page == page).then_some(entry.place)
    }

    #[inline]
    pub(crate) fn write(&self, page: u64) -> Option<Place> {
        let entry = &self.write[slot(page)];
        (entry.page == page).then_some(entry.place)
    }

    /// Place and stamp of a code page.
    #[inline]
    pub(crate) fn execute(&self, page: u64) -> Option<(Place, u64)> {
        let entry = &self.execute[code_slot(page)];
        (entry.page == page).then_some((entry.place, entry.stamp))
    }

    pub(crate) fn table(&self, span: u64) -> Option<u32> {
        let (found, table) = self.tables[table_slot(span)];
        (found == span).then_some(table)
    }

    pub(crate) fn fill_read(&mut self, page: u64, place: Place) {
        self.read[slot(page)] = Entry { page, place };
    }

    pub(crate) fn fill_write(&mut self, page: u64, place: Place) {
        self.write[slot(page)] = Entry { page, place };
    }

    pub(crate) fn fill_execute(&mut self, page: u64, place: Place, stamp: u64) {
        self.execute[code_slot(page)] = CodeEntry { page, stamp, place };
    }

    pub(crate) fn fill_table(&mut self, span: u64, table: u32) {
        self.tables[table_slot(span)] = (span, table);
    }

    /// Removes what is known of one page.
    pub(crate) fn shoot(&mut self, page: u64) {
        let slot = slot(page);
        if self.read[slot].page == page {
            self.read[slot].page = NOTHING;
        }
        if self.write[slot].page == page {
            self.write[slot].page = NOTHING;
        }
        let code = &mut self.execute[code_slot(page)];
        if code.page == page {
            code.page = NOTHING;
        }
    }

    /// Removes what is known of the pages whose bytes lie here, but for writes.
    pub(crate) fn forget(&mut self, place: Place) {
        let known = self.read.iter_mut().filter(|entry| entry.place == place);
        known.for_each(|entry| entry.page = NOTHING);
        let known = self.execute.iter_mut().filter(|entry| entry.place == place);
        known.for_each(|entry| entry.page = NOTHING);
    }

    pub(crate) fn flush(&mut self) {
        self.read.iter_mut().for_each(|entry| entry.page = NOTHING);
        self.flush_write();
        self.flush_execute();
    }

    pub(crate) fn flush_write(&mut self) {
        self.write.iter_mut().for_each(|entry| entry.page = NOTHING);
    }

    pub(crate) fn flush_execute(&mut self) {
        self.execute.iter_mut().for_each(|entry| entry.page = NOTHING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shooting_removes_one_page_only() {
        let mut tlb = Tlb::new();
        tlb.fill_read(7, Place::NONE);
        tlb.fill_execute(7, Place::NONE, 3);
        tlb.fill_write(8, Place::NONE);
        tlb.shoot(7);
        assert!(tlb.read(7).is_none() && tlb.execute(7).is_none() && tlb.write(8).is_some());
    }
}

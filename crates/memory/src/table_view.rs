//! Page tables as a driver sees them by their physical addresses, and changes them.
//!
//! Some drivers edit the entry of a page of theirs to look at other memory, then put the old entry back. That works as on
//! a processor, except that a change takes effect at once. What would take a page away from the memory manager is refused.

use nt_types::{PAGE_SHIFT, Va};

use crate::Memory;
use crate::error::TableWriteError;
use crate::pfn::Use;
use crate::pte::{Pte, State};
use crate::tables::{EntryAt, UPPER_TABLE};

impl Memory {
    /// Address of the page that a frame was first mapped for, while it still is mapped there.
    pub fn virtual_of(&self, physical: u64) -> Option<Va> {
        let number = (physical >> PAGE_SHIFT) as u32;
        let va = Va(self.pfn(number).page << PAGE_SHIFT) + (physical % nt_types::PAGE_SIZE);
        (self.is_ram(physical) && self.pte_of(va).state() == State::Valid(number)).then_some(va)
    }

    /// True for RAM that holds a page table.
    pub fn is_page_table(&self, physical: u64) -> bool {
        self.is_ram(physical) && self.pfn((physical >> PAGE_SHIFT) as u32).used == Use::Table
    }

    /// Writes bytes of one page-table entry on behalf of the guest. The page that loses its last mapping keeps its frame
    /// for the rest of the run.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn write_page_table(&mut self, physical: u64, bytes: &[u8]) -> Result<(), TableWriteError> {
        let (start, table) = (physical as usize % 8, (physical >> PAGE_SHIFT) as u32);
        if !self.is_page_table(physical) || start + bytes.len() > 8 {
            return Err(TableWriteError::NoEntry);
        }
        let at = EntryAt { table, index: Va(physical).page_offset() / 8 };
        let old = self.read_entry(at);
        let mut entry = old.0.to_le_bytes();
        entry[start..start + bytes.len()].copy_from_slice(bytes);
        let new = Pte(u64::from_le_bytes(entry));
        match self.pfn(table).page {
            UPPER_TABLE if new.differs_in_marks_only(old) => self.write_entry(at, new),
            UPPER_TABLE => return Err(TableWriteError::Upper),
            first => self.change_entry(Va((first + at.index as u64) << PAGE_SHIFT), at, old, new)?,
        }
        Ok(())
    }

    fn change_entry(&mut self, va: Va, at: EntryAt, old: Pte, new: Pte) -> Result<(), TableWriteError> {
        if new.differs_in_marks_only(old) {
            self.set_pte(va, at, new);
            return Ok(());
        }
        if !old.is_present() || !new.is_present() {
            return Err(TableWriteError::NotPresent);
        }
        if matches!(old.state(), State::Valid(frame) if self.pfn(frame).used != Use::Shared) {
            return Err(TableWriteError::Owned);
        }
        let target = new.target();
        let used = if self.is_ram(target) { self.pfn((target >> PAGE_SHIFT) as u32).used } else { Use::Table };
        if used == Use::Standby {
            return Err(TableWriteError::Owned);
        }
        self.keep_without_mapping(old);
        let new = self.retarget(va, new, used);
        self.set_pte(va, at, new);
        Ok(())
    }

    /// The entry with its page in use for it; pages that are no RAM and page tables count as devices.
    fn retarget(&mut self, va: Va, new: Pte, used: Use) -> Pte {
        let target = new.target();
        let frame = (target >> PAGE_SHIFT) as u32;
        match used {
            Use::Table => return new.device(target),
            Use::Free => {
                self.frames.allocate_at(frame);
                let pfn = self.pfns.get_mut(frame);
                (pfn.used, pfn.page, pfn.mappings) = (Use::Shared, va.page(), 1);
            }
            _ => {
                let pfn = self.pfns.get_mut(frame);
                (pfn.used, pfn.mappings) = (Use::Shared, pfn.mappings + 1);
                self.reconsider(frame);
            }
        }
        new.valid(frame, true)
    }

    /// The page of an entry that a driver overwrites: it may want it back, so it stays.
    fn keep_without_mapping(&mut self, old: Pte) {
        let State::Valid(frame) = old.state() else { return };
        let pfn = self.pfns.get_mut(frame);
        pfn.mappings = pfn.mappings.saturating_sub(1);
        if pfn.mappings == 0 && pfn.pins == 0 {
            pfn.pins = 1;
            self.counters.frames_leaked += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backing, Frame, MemoryConfig, PageState, Protection, Region};

    fn entry_of(memory: &Memory, va: Va) -> u64 {
        let at = memory.entry(va).unwrap();
        Frame(at.table).physical() + at.index as u64 * 8
    }

    /// Two pages, the second mapped at a second address, and the physical address of that mapping's entry.
    fn two_pages(memory: &mut Memory) -> (Va, Va, u64) {
        let own = memory.allocate(Region::NonpagedPool, 2, Backing::Resident, Protection::READ_WRITE).unwrap();
        let PageState::Resident { frame, .. } = memory.page_state(own + 0x1000) else { unreachable!() };
        let view =
            memory.allocate(Region::SystemMapping, 1, Backing::Frames(&[frame]), Protection::READ_WRITE).unwrap();
        memory.write_u64(own, 1).unwrap();
        memory.write_u64(own + 0x1000, 2).unwrap();
        let entry = entry_of(memory, view);
        (own, view, entry)
    }

    fn retarget(memory: &mut Memory, entry: u64, physical: u64) -> Result<u64, TableWriteError> {
        let mut bytes = [0; 8];
        assert!(memory.read_physical(entry, &mut bytes));
        let old = u64::from_le_bytes(bytes);
        memory.write_page_table(entry, &(old & 0xfff0_0000_0000_0fff | physical).to_le_bytes()).map(|()| old)
    }

    #[test]
    fn an_entry_leads_to_another_page_and_back() {
        let mut memory = Memory::new(MemoryConfig::default()).unwrap();
        let (own, view, entry) = two_pages(&mut memory);
        assert_eq!(memory.read_u64(view), Ok(2));
        let target = memory.physical(own).unwrap();
        let old = retarget(&mut memory, entry, target).unwrap();
        assert_eq!(memory.read_u64(view), Ok(1));
        memory.write_page_table(entry, &old.to_le_bytes()).unwrap();
        assert_eq!(memory.read_u64(view), Ok(2));
        memory.release(view);
        memory.release(own);
        assert_eq!(memory.counters().frames_leaked, 0);
    }

    #[test]
    fn no_ram_tables_and_unused_ram_can_be_looked_at() {
        let mut memory = Memory::new(MemoryConfig::default()).unwrap();
        let (_, view, entry) = two_pages(&mut memory);
        retarget(&mut memory, entry, 0).unwrap();
        assert_eq!(memory.read_u64(view), Err(engine::Fault::Device(0)));
        let root = memory.cr3();
        retarget(&mut memory, entry, root).unwrap();
        assert_eq!(memory.read_u64(view), Err(engine::Fault::Device(root)));
        retarget(&mut memory, entry, 0x80_0000).unwrap();
        assert_eq!((memory.read_u64(view), memory.physical(view)), (Ok(0), Some(0x80_0000)));
    }

    #[test]
    fn what_the_memory_manager_owns_is_refused() {
        let mut memory = Memory::new(MemoryConfig::default()).unwrap();
        let (own, _, entry) = two_pages(&mut memory);
        let root = memory.cr3();
        assert_eq!(memory.write_page_table(entry, &[0; 8]), Err(TableWriteError::NotPresent));
        assert_eq!(memory.write_page_table(root, &[0; 8]), Ok(()), "an entry that stays as it is");
        assert_eq!(memory.write_page_table(root, &[1; 8]), Err(TableWriteError::Upper));
        let owned = entry_of(&memory, own);
        assert_eq!(retarget(&mut memory, owned, 0), Err(TableWriteError::Owned));
        assert_eq!(memory.write_page_table(entry + 4, &[0; 8]), Err(TableWriteError::NoEntry));
        let page = memory.physical(own).unwrap();
        assert_eq!(memory.write_page_table(page, &[0; 8]), Err(TableWriteError::NoEntry));
    }
}

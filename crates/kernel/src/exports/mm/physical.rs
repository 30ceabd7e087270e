//! Physical memory and device memory (ddi: MmMapIoSpace, MmGetPhysicalAddress, MmGetPhysicalMemoryRanges).

use std::ops::Range;

use memory::{Backing, Protection, Region};
use nt_types::layout::physical_memory_range as range;
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use super::mdl::pages_of;
use super::pool::{Block, PoolKind};
use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::stop::PageMisuse;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmGetPhysicalAddress(address: Va), HIGH),
    export!(Ntoskrnl, MmGetPhysicalMemoryRanges(; ..), PASSIVE),
    export!(Ntoskrnl, MmGetVirtualForPhysical(physical: u64), HIGH),
    export!(Ntoskrnl, MmMapIoSpace(physical: u64, bytes: u64, cache: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmMapIoSpaceEx(physical: u64, bytes: u64, protect: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmUnmapIoSpace(address: Va, bytes: u64), DISPATCH),
];

/// `PAGE_READONLY` and the like: bits of `PAGE_*` that allow stores and fetches.
const WRITABLE: u32 = 0x04 | 0x40;
const EXECUTABLE: u32 = 0x10 | 0x20 | 0x40;

fn MmGetPhysicalAddress(m: &mut Machine, address: Va) -> Outcome {
    Ok(Next::Return(m.memory.physical(address).unwrap_or(0)))
}

fn MmMapIoSpace(m: &mut Machine, call: &Call, physical: u64, bytes: u64, _cache: u32) -> Outcome {
    map(m, call, physical, bytes, Protection::READ_WRITE)
}

fn MmMapIoSpaceEx(m: &mut Machine, call: &Call, physical: u64, bytes: u64, protect: u32) -> Outcome {
    let protection = Protection { write: protect & WRITABLE != 0, execute: protect & EXECUTABLE != 0 };
    map(m, call, physical, bytes, protection)
}

fn map(m: &mut Machine, call: &Call, physical: u64, bytes: u64, protection: Protection) -> Outcome {
    if let Some(frame) = m.unlocked_page_of(physical, bytes) {
        return Err(m.page_misuse(call.return_address, PageMisuse::PhysicalUnlocked { frame }));
    }
    let start = Va(physical);
    let (first, pages) = (start.page_down().0, pages_of(start, bytes));
    let base = m.memory.allocate(Region::SystemMapping, pages, Backing::Physical(first), protection);
    Ok(Next::pointer(base.map_or(Va::NULL, |base| base + start.page_offset() as u64)))
}

fn MmUnmapIoSpace(m: &mut Machine, address: Va, _bytes: u64) -> Outcome {
    if m.memory.release(address.page_down()).is_none() {
        return Err(m.refuse("MmUnmapIoSpace", format!("`{address}`, where nothing is mapped")));
    }
    Ok(Next::VOID)
}

/// The caller frees the list with ExFreePool. It ends with an empty range.
fn MmGetPhysicalMemoryRanges(m: &mut Machine, call: &Call) -> Outcome {
    let ranges: Vec<Range<u64>> = m.memory.ram_pages().chain(std::iter::once(0..0)).collect();
    let bytes = ranges.len() as u64 * range::SIZEOF;
    let block = Block { bytes, kind: PoolKind::NonPaged, tag: *b"hPmM", site: call.return_address };
    let Some(list) = m.pool_allocate(block) else { return Ok(Next::pointer(Va::NULL)) };
    for (index, pages) in (0..).zip(ranges) {
        let entry = list + index * range::SIZEOF;
        m.write_u64(range::BASE_ADDRESS.at(entry), pages.start << PAGE_SHIFT)?;
        m.write_u64(range::NUMBER_OF_BYTES.at(entry), (pages.end - pages.start) << PAGE_SHIFT)?;
    }
    Ok(Next::pointer(list))
}

/// Reserved for system use. Page tables get a view of their own at the first call.
fn MmGetVirtualForPhysical(m: &mut Machine, physical: u64) -> Outcome {
    let offset = Va(physical).page_offset() as u64;
    if !m.memory.is_page_table(physical) {
        return Ok(Next::pointer(m.memory.virtual_of(physical).unwrap_or(Va::NULL)));
    }
    let page = Va(physical).page_down().0;
    if let Some(view) = m.mm.table_views.get(&page) {
        return Ok(Next::pointer(*view + offset));
    }
    let view = m.memory.allocate(Region::SystemMapping, 1, Backing::Physical(page), Protection::READ_WRITE);
    let Ok(view) = view else { return Ok(Next::pointer(Va::NULL)) };
    m.mm.table_views.insert(page, view);
    Ok(Next::pointer(view + offset))
}

impl Machine {
    /// The first page of RAM among these physical addresses that may leave, or that nobody uses.
    pub(crate) fn unlocked_page_of(&self, physical: u64, bytes: u64) -> Option<u64> {
        let start = Va(physical);
        let pages = (0..pages_of(start, bytes)).map(|page| start.page_down().0.saturating_add(page * PAGE_SIZE));
        let mut of_ram = pages.take_while(|page| self.memory.is_ram(*page));
        of_ram.find(|page| !self.memory.stays(*page)).map(|page| page >> PAGE_SHIFT)
    }
}

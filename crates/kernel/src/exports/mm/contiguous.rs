//! Contiguous and noncached memory (ddi: MmAllocateContiguousMemorySpecifyCache, MmAllocateNonCachedMemory).

use memory::{Backing, Protection, Region};
use nt_types::{PAGE_SIZE, Va};

use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmAllocateContiguousMemory(bytes: u64, highest: u64), DISPATCH),
    export!(Ntoskrnl, MmAllocateContiguousMemorySpecifyCache(bytes: u64, lowest: u64, highest: u64, boundary: u64, cache: u32), DISPATCH),
    export!(Ntoskrnl, MmAllocateContiguousMemorySpecifyCacheNode(bytes: u64, lowest: u64, highest: u64, boundary: u64, cache: u32, node: u32), DISPATCH),
    export!(Ntoskrnl, MmAllocateContiguousNodeMemory(bytes: u64, lowest: u64, highest: u64, boundary: u64, protect: u32, node: u32), DISPATCH),
    export!(Ntoskrnl, MmAllocateNonCachedMemory(bytes: u64), APC),
    export!(Ntoskrnl, MmFreeContiguousMemory(address: Va; ..), DISPATCH),
    export!(Ntoskrnl, MmFreeContiguousMemorySpecifyCache(address: Va, bytes: u64, cache: u32), DISPATCH),
    export!(Ntoskrnl, MmFreeNonCachedMemory(address: Va, bytes: u64), APC),
];

fn MmAllocateContiguousMemory(m: &mut Machine, bytes: u64, highest: u64) -> Outcome {
    MmAllocateContiguousMemorySpecifyCache(m, bytes, 0, highest, 0, 0)
}

fn MmAllocateContiguousMemorySpecifyCache(
    m: &mut Machine,
    bytes: u64,
    lowest: u64,
    highest: u64,
    boundary: u64,
    _cache: u32,
) -> Outcome {
    let backing = Backing::Contiguous { below: highest.saturating_add(1) };
    let Some(address) = m.pages_for(bytes, backing) else { return Ok(Next::pointer(Va::NULL)) };
    let first = m.memory.physical(address).unwrap_or(0);
    let last = first.saturating_add(bytes.max(1) - 1);
    // The lowest free run is the only candidate: an allocation that cannot have it fails, which is a documented answer.
    if first < lowest || (boundary != 0 && first / boundary != last / boundary) {
        m.take_pages_back(address);
        return Ok(Next::pointer(Va::NULL));
    }
    Ok(Next::pointer(address))
}

fn MmAllocateContiguousMemorySpecifyCacheNode(
    m: &mut Machine,
    bytes: u64,
    lowest: u64,
    highest: u64,
    boundary: u64,
    cache: u32,
    _node: u32,
) -> Outcome {
    MmAllocateContiguousMemorySpecifyCache(m, bytes, lowest, highest, boundary, cache)
}

fn MmAllocateContiguousNodeMemory(
    m: &mut Machine,
    bytes: u64,
    lowest: u64,
    highest: u64,
    boundary: u64,
    _protect: u32,
    _node: u32,
) -> Outcome {
    MmAllocateContiguousMemorySpecifyCache(m, bytes, lowest, highest, boundary, 0)
}

fn MmAllocateNonCachedMemory(m: &mut Machine, bytes: u64) -> Outcome {
    Ok(Next::pointer(m.pages_for(bytes, Backing::Resident).unwrap_or(Va::NULL)))
}

/// 0xC2/0x60 for what is no such memory.
fn MmFreeContiguousMemory(m: &mut Machine, call: &Call, address: Va) -> Outcome {
    match m.take_pages_back(address) {
        true => Ok(Next::VOID),
        false => Err(m.not_allocated(call.return_address, [0x60, address.0, 0, 0], address)),
    }
}

fn MmFreeContiguousMemorySpecifyCache(m: &mut Machine, address: Va, _bytes: u64, _cache: u32) -> Outcome {
    m.free_pages("MmFreeContiguousMemorySpecifyCache", address)
}

fn MmFreeNonCachedMemory(m: &mut Machine, address: Va, _bytes: u64) -> Outcome {
    m.free_pages("MmFreeNonCachedMemory", address)
}

impl Machine {
    /// Contiguous memory below an address, if there is any.
    pub(crate) fn contiguous(&mut self, bytes: u64, highest: u64) -> Option<Va> {
        self.pages_for(bytes, Backing::Contiguous { below: highest.saturating_add(1) })
    }

    fn pages_for(&mut self, bytes: u64, backing: Backing<'_>) -> Option<Va> {
        let pages = bytes.div_ceil(PAGE_SIZE);
        if pages > u64::from(self.memory.config().frames) {
            return None;
        }
        let address = self.memory.allocate(Region::NonpagedPool, pages, backing, Protection::READ_WRITE).ok()?;
        self.mm.contiguous.insert(address);
        Some(address)
    }

    /// Frees contiguous or noncached memory; false where none begins.
    pub(crate) fn take_pages_back(&mut self, address: Va) -> bool {
        self.mm.contiguous.remove(&address) && self.memory.release(address).is_some()
    }

    fn free_pages(&mut self, routine: &'static str, address: Va) -> Outcome {
        match self.take_pages_back(address) {
            true => Ok(Next::VOID),
            false => Err(self.refuse(routine, format!("`{address}`, which was not allocated"))),
        }
    }
}

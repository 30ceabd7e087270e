//! Pool: blocks of one size class share pages, larger blocks have pages of their own.
//!
//! As documented for ExAllocatePoolWithTag: blocks are aligned to 16 bytes; a block smaller than a page does not cross a
//! page boundary; a block of a page or more begins on one.

use std::collections::BTreeMap;

use engine::{Access, Fault, PageFault};
use memory::{Backing, PageState, Protection, Region};
use nt_types::{PAGE_SIZE, Va};

use super::special_pool::{Side, is_special};
use crate::call::Trap;
use crate::machine::Machine;

/// Which pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PoolKind {
    /// Always resident.
    NonPaged,
    /// May leave memory.
    Paged,
}

/// A block in use.
#[derive(Clone, Hash, Debug)]
pub struct Block {
    /// Bytes asked for.
    pub bytes: u64,
    /// Which pool.
    pub kind: PoolKind,
    /// The tag, in memory order.
    pub tag: [u8; 4],
    /// Return address of the allocation.
    pub site: Va,
}

/// Both pools.
#[derive(Clone, Default, Hash, Debug)]
pub struct Pool {
    blocks: BTreeMap<u64, Block>,
    /// Free places by pool and size class; the last freed is used first.
    free: BTreeMap<(PoolKind, u64), Vec<u64>>,
}

/// Byte that fresh blocks are filled with, so that a driver cannot count on zeros.
pub(super) const FRESH: u8 = 0xCB;

impl Pool {
    /// The block that begins at this address.
    pub fn block(&self, address: Va) -> Option<&Block> {
        self.blocks.get(&address.0)
    }

    /// The block that holds this address, and where it begins.
    pub fn block_around(&self, address: Va) -> Option<(Va, &Block)> {
        let (start, block) = self.blocks.range(..=address.0).next_back()?;
        (address.0 - start < block.bytes.max(1)).then_some((Va(*start), block))
    }

    /// Blocks that begin at this address or above.
    pub(crate) fn blocks_from(&self, address: Va) -> impl Iterator<Item = (Va, &Block)> {
        self.blocks.range(address.0..).map(|(address, block)| (Va(*address), block))
    }

    /// Blocks in use, by address.
    pub fn blocks(&self) -> impl Iterator<Item = (Va, &Block)> {
        self.blocks.iter().map(|(address, block)| (Va(*address), block))
    }
}

/// Smallest power-of-two class, at least 16 bytes, that holds `bytes`; `None` for whole pages.
fn size_class(bytes: u64) -> Option<u64> {
    let class = bytes.max(16).next_power_of_two();
    (class < PAGE_SIZE).then_some(class)
}

impl Machine {
    /// Allocates a block, filled with a pattern if it is nonpaged; `None` when memory is short.
    pub fn pool_allocate(&mut self, block: Block) -> Option<Va> {
        self.pool_allocate_at(block, Side::End)
    }

    /// The same; `side` says where in its page a block of special pool lies.
    pub(crate) fn pool_allocate_at(&mut self, block: Block, side: Side) -> Option<Va> {
        let (kind, bytes) = (block.kind, block.bytes);
        let address = self.place_block(block, side)?;
        if kind == PoolKind::NonPaged && !is_special(address) {
            self.memory.poke_all(address, FRESH, bytes).ok()?;
        }
        Some(address)
    }

    /// The same, and the block holds anything.
    fn place_block(&mut self, block: Block, side: Side) -> Option<Va> {
        let address = match (self.special_place(&block, side), size_class(block.bytes)) {
            (Some(special), _) => special,
            (None, Some(class)) => self.take_place(block.kind, class)?,
            (None, None) => self.pool_pages(block.kind, block.bytes.div_ceil(PAGE_SIZE))?,
        };
        self.mm.pool.blocks.insert(address.0, block);
        Some(address)
    }

    /// Allocates a block whose pages are in memory, for services that fill it. Where one must be read first, nothing is
    /// allocated and the service starts over after the read.
    pub(crate) fn pool_allocate_resident(&mut self, block: Block) -> Result<Option<Va>, Trap> {
        let bytes = block.bytes.max(1);
        let Some(address) = self.pool_allocate(block) else { return Ok(None) };
        for page in 0..(address.page_offset() as u64 + bytes).div_ceil(PAGE_SIZE) {
            let page = address.page_down() + page * PAGE_SIZE;
            if let PageState::Out { .. } = self.memory.page_state(page) {
                self.pool_free(address);
                let fault = PageFault { address: page.0, access: Access::Write, protection: false };
                return Err(Trap::Fault(Fault::Page(fault)));
            }
            self.memory.begin_page_in(page).map_err(|error| self.in_page_stop(&error, page))?;
        }
        Ok(Some(address))
    }

    /// Nonpaged memory for the kernel's own objects, zeroed.
    pub(crate) fn kernel_object(&mut self, bytes: u64, tag: [u8; 4]) -> Option<Va> {
        let block = Block { bytes, kind: PoolKind::NonPaged, tag, site: Va::NULL };
        let address = self.place_block(block, Side::End)?;
        self.memory.poke_all(address, 0, bytes).ok()?;
        Some(address)
    }

    /// Frees the block that begins here; `None` where there is none.
    pub fn pool_free(&mut self, address: Va) -> Option<Block> {
        let block = self.mm.pool.blocks.remove(&address.0)?;
        match size_class(block.bytes) {
            _ if is_special(address) => drop(self.memory.release(address.page_down())),
            Some(class) => self.mm.pool.free.entry((block.kind, class)).or_default().push(address.0),
            None => drop(self.memory.release(address)),
        }
        Some(block)
    }

    fn take_place(&mut self, kind: PoolKind, class: u64) -> Option<Va> {
        if let Some(place) = self.mm.pool.free.get_mut(&(kind, class)).and_then(Vec::pop) {
            return Some(Va(place));
        }
        let page = self.pool_pages(kind, 1)?;
        let places = (1..PAGE_SIZE / class).rev().map(|index| page.0 + index * class);
        self.mm.pool.free.entry((kind, class)).or_default().extend(places);
        Some(page)
    }

    fn pool_pages(&mut self, kind: PoolKind, pages: u64) -> Option<Va> {
        let (region, backing) = match kind {
            PoolKind::NonPaged => (Region::NonpagedPool, Backing::Resident),
            PoolKind::Paged => (Region::PagedPool, Backing::Pageable),
        };
        self.memory.allocate(region, pages, backing, Protection::READ_WRITE).ok()
    }
}

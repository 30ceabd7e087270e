//! Special pool: each block has a page of its own between pages that are never mapped, and that page is not used again when the
//! block is freed. What lies beside the block in its page is a pattern, which is looked at when the block is freed (docs:
//! devtest/special-pool). A block for which there is no room comes from where all others do.

use memory::{Absence, Backing, PageState, Protection, Region};
use nt_types::{BugCheck, BugCheckCode, PAGE_SIZE, Va};

use super::pool::{Block, FRESH, PoolKind};
use crate::call::Trap;
use crate::machine::Machine;
use crate::stop::{Cause, PoolMisuse, Refusal, StopKind};

/// Where in its page a block lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// As near to the end as it fits: for what goes on beyond a block, the default.
    End,
    /// At the start: for what begins before a block.
    Start,
}

/// What fills the page beside a block.
const PATTERN: u8 = 0xA5;
/// Blocks of pool are aligned to this.
const ALIGNMENT: u64 = 16;

impl Machine {
    /// A place for a block that a verified driver asks for, filled with a pattern: blocks of a page and more have none.
    pub(super) fn special_place(&mut self, block: &Block, side: Side) -> Option<Va> {
        let asked = self.options.verifier.special_pool && self.modules.driver_at(block.site).is_some();
        if !asked || block.bytes >= PAGE_SIZE {
            return None;
        }
        let backing = match block.kind {
            PoolKind::NonPaged => Backing::Resident,
            PoolKind::Paged => Backing::Pageable,
        };
        let page = self.memory.allocate(Region::SpecialPool, 1, backing, Protection::READ_WRITE).ok()?;
        let start = match side {
            Side::End => PAGE_SIZE - block.bytes.max(1).next_multiple_of(ALIGNMENT),
            Side::Start => 0,
        };
        let mut content = vec![PATTERN; PAGE_SIZE as usize];
        content[start as usize..(start + block.bytes) as usize].fill(FRESH);
        if self.memory.begin_page_in(page).is_err() || self.memory.poke(page, &content).is_err() {
            self.memory.release(page);
            return None;
        }
        Some(page + start)
    }

    /// 0xC1 where something has written beside a block that is about to be freed. Its page comes in first.
    pub(crate) fn check_beside(&mut self, caller: Va, address: Va) -> Result<(), Trap> {
        let Some(block) = self.mm.pool.block(address).filter(|_| is_special(address)) else { return Ok(()) };
        let (start, bytes) = (address.page_offset(), block.bytes as usize);
        let page = self.read_bytes(address.page_down(), PAGE_SIZE)?;
        let beside = |index: &usize| !(start..start + bytes).contains(index) && page[*index] != PATTERN;
        let spoiled: Vec<usize> = (0..page.len()).filter(beside).collect();
        let Some(first) = spoiled.iter().find(|index| **index > start).or(spoiled.first()) else { return Ok(()) };
        let at = address.page_down() + *first as u64;
        let bits: u32 = spoiled.iter().map(|index| (page[*index] ^ PATTERN).count_ones()).sum();
        let kind = match bits {
            1 => 0x32,
            _ if at > address => 0x24,
            _ => 0x23,
        };
        Err(self.special_pool_stop(caller, [address.0, at.0, 0, kind], PoolMisuse::Overwritten { address, at }))
    }

    /// 0xC1 for an address of special pool at which no block begins.
    pub(crate) fn bad_special_address(&mut self, caller: Va, address: Va) -> Trap {
        let end = address.page_down() + PAGE_SIZE;
        let block = self.mm.pool.blocks_from(address.page_down()).next().filter(|(start, _)| *start < end);
        let parameters = match block {
            Some((_, block)) => [address.0, block.bytes, end - address, 0x21],
            None => [address.0, 0, 0, 0x20],
        };
        self.special_pool_stop(caller, parameters, PoolMisuse::NotABlock { address })
    }

    fn special_pool_stop(&mut self, caller: Va, parameters: [u64; 4], misuse: PoolMisuse) -> Trap {
        let check = BugCheck { code: BugCheckCode::SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameters };
        self.stop_at(caller, StopKind::BugCheck(check, Cause::Pool(misuse))).into()
    }

    /// What is wrong with touching an absent page of special pool; `None` for other memory, and far from all blocks.
    pub(crate) fn special_refusal(&self, address: Va) -> Option<Refusal> {
        if !is_special(address) {
            return None;
        }
        let page = address.page_down();
        let absence = |page: Va| match self.memory.page_state(page) {
            PageState::Absent(absence) => Some(absence),
            _ => None,
        };
        let never_used = |page: Va| absence(page) == Some(Absence::NeverMapped);
        match absence(page)? {
            Absence::Freed => Some(Refusal::SpecialPoolFreed),
            _ if never_used(Va(page.0 - PAGE_SIZE)) && never_used(page + PAGE_SIZE) => None,
            _ => Some(Refusal::SpecialPoolEnd),
        }
    }

    /// The bug check for such an access at or below `APC_LEVEL`, by who made it; above it is that of all absent memory (D41).
    pub(crate) fn special_pool_fault(&self, freed: bool, by_kernel: bool) -> BugCheckCode {
        match (freed, by_kernel) {
            (true, true) => BugCheckCode::PAGE_FAULT_IN_FREED_SPECIAL_POOL,
            (true, false) => BugCheckCode::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL,
            (false, true) => BugCheckCode::PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
            (false, false) => BugCheckCode::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
        }
    }
}

pub(crate) fn is_special(address: Va) -> bool {
    Region::of(address) == Some(Region::SpecialPool)
}

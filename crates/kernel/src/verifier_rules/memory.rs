//! Pages that are locked, mapped and described by MDLs.

use nt_types::constants as c;
use nt_types::layout::mdl;
use nt_types::{Irql, PAGE_SHIFT, Va};
use section_paging::PageRun;

use super::Broken;
use crate::call::{Call, Trap};
use crate::exports::mm::pool::PoolKind;
use crate::machine::Machine;

const PAGES: &str = "pages are locked and mapped at or below `DISPATCH_LEVEL`";
const LOCK: &str = "MmProbeAndLockPages gets an MDL of pages that are not locked, mapped or nonpaged yet";
const LOCK_PROCESS: &str =
    "MmProbeAndLockProcessPages gets an MDL of pages that are not locked, mapped or nonpaged yet";
const DEVICE: &str = "pages of a device need no lock";
const UNLOCK: &str = "pages are unlocked that MmProbeAndLockPages has locked";
const PART: &str = "a partial MDL is neither unlocked nor unmapped: its source is";
const NONPAGED_MDL: &str = "MmBuildMdlForNonPagedPool gets an MDL of nonpaged pool";
const PAGEABLE_MDL: &str = "MmBuildMdlForNonPagedPool gets an MDL of memory that never leaves";
const LOCKED_FIRST: &str = "pages are locked before they are mapped";
const MAPPED_ONCE: &str = "an MDL that is mapped is not mapped again";
const REAL_PAGES: &str = "an MDL that is not marked as one of a device holds pages of memory";
const OLD_MAPPING: &str =
    "an MDL is mapped by MmMapLockedPagesSpecifyCache, which need not stop the system where it fails";
const NO_STOP: &str = "MmMapLockedPagesSpecifyCache is not asked to stop the system where it fails";
const UNMAP: &str = "an MDL is unmapped while it is mapped";
const STILL_MAPPED: &str = "an MDL is unmapped before it is freed";

/// What an MDL says of pages that stay.
const KEPT: u32 = c::MDL_PAGES_LOCKED | c::MDL_PARTIAL | c::MDL_SOURCE_IS_NONPAGED_POOL | c::MDL_IO_SPACE;
/// What an MDL must not say when its pages are to be locked.
const NOT_TO_LOCK: u32 =
    c::MDL_PAGES_LOCKED | c::MDL_PARTIAL | c::MDL_SOURCE_IS_NONPAGED_POOL | c::MDL_MAPPED_TO_SYSTEM_VA;

type Found = Result<Option<Broken>, Trap>;

fn broken(parameters: [u64; 4], rule: &'static str) -> Option<Broken> {
    Some(Broken { parameters, rule })
}

impl Machine {
    pub(super) fn broken_memory_rule(&mut self, routine: &str, call: &Call) -> Found {
        let irql = self.irql();
        let (level, too_high) = (u64::from(irql.level()), irql > Irql::DISPATCH);
        let (list, second) = (call.raw(self, 0)?, call.raw(self, 1)?);
        let user = second as u32 & 0xFF == c::USER_MODE;
        let raised = |subcode: u64, p3: u64, p4: u64| broken([subcode, level, p3, p4], PAGES);
        let too_high_to_map = if user { irql > Irql::APC } else { too_high };
        Ok(match routine {
            "MmProbeAndLockPages" if too_high => raised(0x70, list, second & 0xFF),
            "MmProbeAndLockProcessPages" if too_high => raised(0x71, list, second),
            "MmProbeAndLockSelectedPages" if too_high => raised(0x72, list, self.current_process().0),
            "MmMapIoSpace" if too_high => raised(0x73, list, second),
            "MmMapLockedPages" if too_high_to_map => raised(if user { 0x75 } else { 0x74 }, list, user.into()),
            "MmMapLockedPagesSpecifyCache" if too_high_to_map => {
                raised(if user { 0x77 } else { 0x76 }, list, user.into())
            }
            "MmUnlockPages" if too_high => raised(0x78, list, 0),
            "MmUnmapLockedPages" if Va(list).is_kernel() && too_high => raised(0x79, list, second),
            "MmUnmapLockedPages" if !Va(list).is_kernel() && irql > Irql::APC => raised(0x7A, list, second),
            "MmUnmapIoSpace" if too_high => raised(0x7B, list, second),
            "MmAllocatePagesForMdl" | "MmAllocatePagesForMdlEx" | "MmFreePagesFromMdl" if too_high => {
                raised(0x7E, u64::from(Irql::DISPATCH.level()), 0)
            }
            "MmProbeAndLockPages" => self.broken_lock(Va(list))?,
            "MmProbeAndLockProcessPages" => {
                let flags = self.mdl_flags(Va(list))?;
                let wrong = u64::from(flags & NOT_TO_LOCK);
                broken([0xB1, list, flags.into(), wrong], LOCK_PROCESS).filter(|_| wrong != 0)
            }
            "MmUnlockPages" => self.broken_unlock(Va(list))?,
            "MmBuildMdlForNonPagedPool" => self.broken_build(Va(list))?,
            "MmMapIoSpace" => self.broken_physical(list, second),
            "MmMapLockedPages" => match self.broken_map(Va(list), user)? {
                None => broken([0x81, list, self.mdl_flags(Va(list))?.into(), 0], OLD_MAPPING),
                found => found,
            },
            "MmMapLockedPagesSpecifyCache" => match self.broken_map(Va(list), user)? {
                None if !user && call.raw(self, 4)? as u32 != 0 => {
                    broken([0x82, list, self.mdl_flags(Va(list))?.into(), 0], NO_STOP)
                }
                found => found,
            },
            "MmUnmapLockedPages" => self.broken_unmap(Va(list), Va(second))?,
            "IoFreeMdl" => self.broken_free(Va(list))?,
            _ => None,
        })
    }

    /// Locking what need not or cannot be locked.
    fn broken_lock(&mut self, list: Va) -> Found {
        let flags = self.mdl_flags(list)?;
        if flags & NOT_TO_LOCK != 0 {
            return Ok(broken([0xB0, list.0, flags.into(), u64::from(flags & NOT_TO_LOCK)], LOCK));
        }
        let extent = self.mdl_extent(list)?;
        let pages = (0..extent.pages()).map(|page| extent.start + (page << PAGE_SHIFT));
        let device =
            pages.filter_map(|page| self.memory.physical(page)).find(|physical| !self.memory.is_ram(*physical));
        let highest = self.memory.last_ram_page();
        Ok(device.and_then(|physical| broken([0x6F, list.0, physical >> PAGE_SHIFT, highest], DEVICE)))
    }

    /// Unlocking what was not locked, or cannot be.
    fn broken_unlock(&mut self, list: Va) -> Found {
        let flags = self.mdl_flags(list)?;
        let unlocked = |subcode: u64| broken([subcode, list.0, flags.into(), 0], UNLOCK);
        Ok(match flags {
            _ if flags & c::MDL_SOURCE_IS_NONPAGED_POOL != 0 => unlocked(0x7D),
            _ if flags & c::MDL_PARTIAL != 0 => broken([0xB4, list.0, flags.into(), c::MDL_PARTIAL.into()], PART),
            _ if flags & c::MDL_PAGES_LOCKED == 0 => unlocked(0x7C),
            _ => None,
        })
    }

    /// An MDL for nonpaged pool that describes paged pool, or a part of an image that may leave.
    fn broken_build(&mut self, list: Va) -> Found {
        let extent = self.mdl_extent(list)?;
        let buffer = extent.buffer();
        let (level, flags) = (u64::from(self.irql().level()), u64::from(self.mdl_flags(list)?));
        if self.mm.pool.block_around(buffer).is_some_and(|(_, block)| block.kind == PoolKind::Paged) {
            return Ok(broken([0x7F, level, list.0, flags], NONPAGED_MDL));
        }
        let mut pages = PageRun::at(extent.start, extent.pages()).pages();
        let pageable = pages.any(|page| self.memory.paging().is_eligible(page));
        Ok(broken([0x140, level, list.0, buffer.0], PAGEABLE_MDL).filter(|_| pageable))
    }

    fn broken_physical(&self, physical: u64, bytes: u64) -> Option<Broken> {
        let frame = self.unlocked_page_of(physical, bytes)?;
        broken([0x83, physical, bytes, frame], LOCKED_FIRST)
    }

    /// Mapping an MDL whose flags or pages do not allow it.
    fn broken_map(&mut self, list: Va, user: bool) -> Found {
        let (flags, frames) = (self.mdl_flags(list)?, self.mdl_frames(list)?);
        let mapped = flags & c::MDL_MAPPED_TO_SYSTEM_VA;
        if !user && mapped != 0 {
            return Ok(broken([0xB2, list.0, flags.into(), mapped.into()], MAPPED_ONCE));
        }
        if flags & KEPT == 0 {
            return Ok(broken([0xB3, list.0, flags.into(), KEPT.into()], LOCKED_FIRST));
        }
        let no_memory = |frame: &u64| flags & c::MDL_IO_SPACE == 0 && !self.memory.is_ram(frame << PAGE_SHIFT);
        if let Some((index, &frame)) = (0..).zip(&frames).find(|(_, frame)| no_memory(frame)) {
            return Ok(broken([0x89, list.0, (list + mdl::SIZEOF + 8 * index).0, frame], REAL_PAGES));
        }
        let unlocked = frames.iter().find(|frame| !self.is_kept(**frame));
        Ok(unlocked.and_then(|frame| broken([0x85, list.0, frames.len() as u64, *frame], LOCKED_FIRST)))
    }

    /// Unmapping what is not mapped, or is the source's to unmap.
    fn broken_unmap(&mut self, address: Va, list: Va) -> Found {
        let flags = self.mdl_flags(list)?;
        let mapped = c::MDL_MAPPED_TO_SYSTEM_VA;
        Ok(match flags {
            _ if !address.is_kernel() => broken([0xB9, address.0, list.0, 0], UNMAP)
                .filter(|_| self.memory.reserved(address.page_down()).is_none()),
            _ if flags & c::MDL_PARTIAL != 0 => broken([0xB5, list.0, flags.into(), c::MDL_PARTIAL.into()], PART),
            _ if flags & mapped == 0 => broken([0xB6, list.0, flags.into(), mapped.into()], UNMAP),
            _ => None,
        })
    }

    /// Freeing an MDL that is mapped, unless it is a partial one: IoFreeMdl unmaps that.
    fn broken_free(&mut self, list: Va) -> Found {
        let flags = self.mdl_flags(list)?;
        let mapped =
            flags & (c::MDL_MAPPED_TO_SYSTEM_VA | c::MDL_PARTIAL_HAS_BEEN_MAPPED) == c::MDL_MAPPED_TO_SYSTEM_VA;
        Ok(broken([0xB8, list.0, flags.into(), 0], STILL_MAPPED).filter(|_| mapped))
    }
}

//! Mapping the pages of an MDL (ddi: MmMapLockedPagesSpecifyCache, MmUnmapLockedPages, MmProtectMdlSystemAddress).

use memory::{Backing, MapError, Protection, Region};
use nt_types::constants as c;
use nt_types::layout::mdl;
use nt_types::{NtStatus, PAGE_SHIFT, PAGE_SIZE, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::stop::{PageMisuse, Unsupported};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmMapLockedPages(list: Va, mode: u8; ..), DISPATCH),
    export!(Ntoskrnl, MmMapLockedPagesSpecifyCache(list: Va, mode: u8, cache: u32, address: Va, bug_check: u32, priority: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmProtectMdlSystemAddress(list: Va, protection: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmUnmapLockedPages(address: Va, list: Va; ..), DISPATCH),
];

/// `MdlMappingNoWrite` and `MdlMappingNoExecute` in a page priority.
const NO_WRITE: u32 = 0x8000_0000;
const NO_EXECUTE: u32 = 0x4000_0000;
/// `PAGE_*` protections.
const PAGE_NOACCESS: u32 = 0x01;
const PAGE_READONLY: u32 = 0x02;
const PAGE_READWRITE: u32 = 0x04;
const PAGE_EXECUTE: u32 = 0x10;
const PAGE_EXECUTE_READ: u32 = 0x20;
const PAGE_EXECUTE_READWRITE: u32 = 0x40;

fn MmMapLockedPages(m: &mut Machine, call: &Call, list: Va, mode: u8) -> Outcome {
    MmMapLockedPagesSpecifyCache(m, call, list, mode, c::MM_CACHED, Va::NULL, 1, c::NORMAL_PAGE_PRIORITY)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn MmMapLockedPagesSpecifyCache(
    m: &mut Machine,
    call: &Call,
    list: Va,
    mode: u8,
    _cache: u32,
    address: Va,
    _bug_check: u32,
    priority: u32,
) -> Outcome {
    if !address.is_null() {
        return Err(m.refuse("MmMapLockedPagesSpecifyCache", "`RequestedAddress` other than NULL"));
    }
    let user = u32::from(mode) == c::USER_MODE;
    let protection = Protection { write: priority & NO_WRITE == 0, execute: priority & NO_EXECUTE == 0 };
    let (extent, flags, frames) = (m.mdl_extent(list)?, m.mdl_flags(list)?, m.mdl_frames(list)?);
    m.probe_write(list, mdl::SIZEOF)?;
    if let Some((index, &frame)) = (0..).zip(&frames).find(|(_, frame)| !m.is_kept(**frame)) {
        let misuse = PageMisuse::MdlUnlocked { list, index, frame };
        return Err(m.page_misuse(call.return_address, misuse));
    }
    let region = if user { Region::User } else { Region::SystemMapping };
    let base = match m.map_frames(region, &frames, protection)? {
        Some(base) => base + extent.offset,
        None if user => return Err(Trap::Raise(NtStatus::INSUFFICIENT_RESOURCES)),
        None => return Ok(Next::pointer(Va::NULL)),
    };
    if !user {
        let partial = if flags & c::MDL_PARTIAL != 0 { c::MDL_PARTIAL_HAS_BEEN_MAPPED } else { 0 };
        m.write_u64(mdl::MAPPED_SYSTEM_VA.at(list), base.0)?;
        m.set_mdl_flags(list, flags | c::MDL_MAPPED_TO_SYSTEM_VA | partial)?;
    }
    Ok(Next::pointer(base))
}

fn MmUnmapLockedPages(m: &mut Machine, call: &Call, address: Va, list: Va) -> Outcome {
    m.unmap_locked(address, list, call.return_address)?;
    Ok(Next::VOID)
}

fn MmProtectMdlSystemAddress(m: &mut Machine, call: &Call, list: Va, protection: u32) -> Outcome {
    let protection = match protection {
        PAGE_READONLY => Protection::READ,
        PAGE_READWRITE => Protection::READ_WRITE,
        PAGE_EXECUTE | PAGE_EXECUTE_READ => Protection::READ_EXECUTE,
        PAGE_EXECUTE_READWRITE => Protection::ALL,
        PAGE_NOACCESS => return Err(m.refuse("MmProtectMdlSystemAddress", "`PAGE_NOACCESS`")),
        _ => return Ok(Next::status(NtStatus::INVALID_PAGE_PROTECTION)),
    };
    if m.mdl_flags(list)? & c::MDL_MAPPED_TO_SYSTEM_VA == 0 {
        return Ok(Next::status(NtStatus::NOT_MAPPED_VIEW));
    }
    let mapped = m.read_va(mdl::MAPPED_SYSTEM_VA.at(list))?;
    let pages = m.mdl_extent(list)?.pages();
    if (0..pages).any(|page| m.memory.physical(mapped + page * PAGE_SIZE).is_none()) {
        let misuse = PageMisuse::NotMapped { list, address: mapped };
        return Err(m.page_misuse(call.return_address, misuse));
    }
    m.memory.protect(mapped.page_down(), pages, protection);
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// Takes away the system mapping of an MDL.
    pub(super) fn unmap_mdl(&mut self, list: Va, caller: Va) -> Result<(), Trap> {
        let mapped = self.read_va(mdl::MAPPED_SYSTEM_VA.at(list))?;
        self.unmap_locked(mapped, list, caller)
    }

    fn unmap_locked(&mut self, address: Va, list: Va, caller: Va) -> Result<(), Trap> {
        let (flags, mapped) = (self.mdl_flags(list)?, self.read_va(mdl::MAPPED_SYSTEM_VA.at(list))?);
        let pages = self.mdl_extent(list)?.pages();
        if self.memory.release(address.page_down()).is_none() {
            let misuse = PageMisuse::UnmappedTwice { list, address, pages };
            return Err(self.page_misuse(caller, misuse));
        }
        if mapped == address {
            self.set_mdl_flags(list, flags & !(c::MDL_MAPPED_TO_SYSTEM_VA | c::MDL_PARTIAL_HAS_BEEN_MAPPED))?;
        }
        Ok(())
    }

    /// Maps pages by number, RAM and device memory alike; `None` where there is no room.
    pub(super) fn map_frames(
        &mut self,
        region: Region,
        frames: &[u64],
        protection: Protection,
    ) -> Result<Option<Va>, Trap> {
        let Ok(base) = self.memory.reserve(region, frames.len() as u64) else { return Ok(None) };
        for (index, frame) in frames.iter().enumerate() {
            let page = base + index as u64 * PAGE_SIZE;
            if let Err(error) = self.memory.map(page, 1, Backing::Physical(frame << PAGE_SHIFT), protection) {
                self.memory.release(base);
                return self.not_mapped(&error);
            }
        }
        Ok(Some(base))
    }

    fn not_mapped(&mut self, error: &MapError) -> Result<Option<Va>, Trap> {
        match error {
            MapError::BadFrame(frame) => {
                let what =
                    format!("a mapping of the page at `{:#x}`, which is about to leave memory", frame.physical());
                Err(self.unsupported(Unsupported::Feature(what)).into())
            }
            _ => Ok(None),
        }
    }
}

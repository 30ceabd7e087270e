//! Locking the pages of an MDL, and MDLs of pages without an address (ddi: MmProbeAndLockPages, MmUnlockPages,
//! MmAllocatePagesForMdlEx).

use engine::{Access, Fault};
use memory::{Backing, Frame, PageState, Protection, Region};
use nt_types::constants as c;
use nt_types::layout::mdl;
use nt_types::{NtStatus, PAGE_SHIFT, PAGE_SIZE, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::ps::known;
use crate::machine::Machine;
use crate::stop::PageMisuse;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmAllocatePagesForMdl(low: u64, high: u64, skip: u64, bytes: u64; ..), APC),
    export!(Ntoskrnl, MmAllocatePagesForMdlEx(low: u64, high: u64, skip: u64, bytes: u64, cache: u32, flags: u32; ..), APC),
    export!(Ntoskrnl, MmFreePagesFromMdl(list: Va; ..), APC),
    export!(Ntoskrnl, MmProbeAndLockPages(list: Va, mode: u8, operation: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmProbeAndLockProcessPages(list: Va, process: Va, mode: u8, operation: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmProbeAndLockSelectedPages(list: Va, segments: Va, mode: u8, operation: u32; ..), DISPATCH),
    export!(Ntoskrnl, MmUnlockPages(list: Va; ..), DISPATCH),
];

/// `MM_ALLOCATE_FULLY_REQUIRED` and `MM_ALLOCATE_REQUIRE_CONTIGUOUS_CHUNKS` of MmAllocatePagesForMdlEx.
const FULLY_REQUIRED: u32 = 4;
const CONTIGUOUS_CHUNKS: u32 = 0x20;

fn MmProbeAndLockPages(m: &mut Machine, call: &Call, list: Va, mode: u8, operation: u32) -> Outcome {
    let extent = m.mdl_extent(list)?;
    m.probe_write(list, mdl::SIZEOF + 8 * extent.pages())?;
    if u32::from(mode) == c::USER_MODE && extent.buffer().is_kernel() {
        return Err(Trap::Raise(NtStatus::ACCESS_VIOLATION));
    }
    m.lock_mdl(list, operation, call.return_address)?;
    Ok(Next::VOID)
}

/// The same for the buffer of a process, of which there is one.
fn MmProbeAndLockProcessPages(
    m: &mut Machine,
    call: &Call,
    list: Va,
    process: Va,
    mode: u8,
    operation: u32,
) -> Outcome {
    known(m, "MmProbeAndLockProcessPages", process)?;
    MmProbeAndLockPages(m, call, list, mode, operation)
}

/// The pages that an array of FILE_SEGMENT_ELEMENT names, in its order: as many as the MDL has pages.
fn MmProbeAndLockSelectedPages(
    m: &mut Machine,
    call: &Call,
    list: Va,
    segments: Va,
    mode: u8,
    operation: u32,
) -> Outcome {
    let extent = m.mdl_extent(list)?;
    m.probe_write(list, mdl::SIZEOF + 8 * extent.pages())?;
    let mut pages = Vec::new();
    for index in 0..extent.pages() {
        let page = m.read_va(segments + 8 * index)?;
        if page.page_offset() != 0 {
            return Err(m.refuse("MmProbeAndLockSelectedPages", format!("a segment at `{page}`, which is no page")));
        }
        if u32::from(mode) == c::USER_MODE && page.is_kernel() {
            return Err(Trap::Raise(NtStatus::ACCESS_VIOLATION));
        }
        pages.push(page);
    }
    m.lock_selected(list, &pages, operation, call.return_address)?;
    Ok(Next::VOID)
}

fn MmUnlockPages(m: &mut Machine, call: &Call, list: Va) -> Outcome {
    m.unlock_mdl(list, call.return_address)?;
    Ok(Next::VOID)
}

fn unpin(m: &mut Machine, caller: Va, frames: &[u64]) -> Result<(), Trap> {
    let ram: Vec<Frame> = frames
        .iter()
        .filter(|frame| m.memory.is_ram(**frame << PAGE_SHIFT))
        .map(|frame| Frame(*frame as u32))
        .collect();
    m.memory
        .unpin(&ram)
        .map_err(|error| m.page_misuse(caller, PageMisuse::UnlockedTooOften { frame: error.0.0.into() }))
}

fn MmAllocatePagesForMdl(m: &mut Machine, call: &Call, low: u64, high: u64, skip: u64, bytes: u64) -> Outcome {
    MmAllocatePagesForMdlEx(m, call, low, high, skip, bytes, c::MM_CACHED, 0)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn MmAllocatePagesForMdlEx(
    m: &mut Machine,
    call: &Call,
    low: u64,
    high: u64,
    _skip: u64,
    bytes: u64,
    _cache: u32,
    flags: u32,
) -> Outcome {
    let pages = bytes.div_ceil(PAGE_SIZE);
    let limit = u64::from(m.memory.config().frames);
    let backing = match flags & CONTIGUOUS_CHUNKS {
        0 => Backing::Resident,
        _ => Backing::Contiguous { below: high.saturating_add(1) },
    };
    // Fewer pages than asked for are a legal answer, unless all are required.
    let wanted = if flags & FULLY_REQUIRED == 0 { pages.min(limit / 2) } else { pages };
    let Ok(view) = m.memory.allocate(Region::SystemMapping, wanted, backing, Protection::READ_WRITE) else {
        return Ok(Next::pointer(Va::NULL));
    };
    let frames: Vec<u64> =
        (0..wanted).filter_map(|page| m.memory.physical(view + page * PAGE_SIZE)).map(|at| at >> PAGE_SHIFT).collect();
    let in_range = frames.iter().all(|frame| (low..=high).contains(&(frame << PAGE_SHIFT)));
    let pinned = if in_range { m.memory.pin(view, (wanted * PAGE_SIZE) as usize, Access::Read).is_ok() } else { false };
    m.memory.release(view);
    if !pinned {
        return Ok(Next::pointer(Va::NULL));
    }
    match m.new_mdl(Va::NULL, wanted * PAGE_SIZE, call.return_address)? {
        Some(list) => {
            m.write_mdl_frames(list, &frames)?;
            m.set_mdl_flags(list, c::MDL_PAGES_LOCKED)?;
            Ok(Next::pointer(list))
        }
        None => unpin(m, call.return_address, &frames).map(|()| Next::pointer(Va::NULL)),
    }
}

fn MmFreePagesFromMdl(m: &mut Machine, call: &Call, list: Va) -> Outcome {
    let flags = m.mdl_flags(list)?;
    let frames = m.mdl_frames(list)?;
    unpin(m, call.return_address, &frames)?;
    m.set_mdl_flags(list, flags & !c::MDL_PAGES_LOCKED)?;
    Ok(Next::VOID)
}

fn access_of(operation: u32) -> Access {
    if operation == c::IO_READ_ACCESS { Access::Read } else { Access::Write }
}

impl Machine {
    /// Locks the pages of an MDL in memory.
    pub(crate) fn lock_mdl(&mut self, list: Va, operation: u32, caller: Va) -> Result<(), Trap> {
        let extent = self.mdl_extent(list)?;
        let access = access_of(operation);
        let frames = self.pin_buffer(extent.start, extent.pages(), access)?;
        self.locked(list, (extent.start, access), &frames, caller)
    }

    /// Locks pages that need not lie together in the place of those that an MDL has an address for: all or none.
    fn lock_selected(&mut self, list: Va, pages: &[Va], operation: u32, caller: Va) -> Result<(), Trap> {
        let access = access_of(operation);
        let mut frames = Vec::new();
        for page in pages {
            match self.pin_buffer(*page, 1, access) {
                Ok(frame) => frames.extend(frame),
                Err(trap) => {
                    unpin(self, caller, &frames)?;
                    return Err(trap);
                }
            }
        }
        let first = pages.first().copied().unwrap_or(Va::NULL);
        self.locked(list, (first, access), &frames, caller)
    }

    /// The pages of an MDL are locked: it tells so. The first page says whose they are.
    fn locked(&mut self, list: Va, of: (Va, Access), frames: &[u64], caller: Va) -> Result<(), Trap> {
        let ((start, access), flags) = (of, self.mdl_flags(list)?);
        self.write_mdl_frames(list, frames)?;
        let process = if start.is_kernel() { Va::NULL } else { self.current_process() };
        if !process.is_null() {
            self.process_pages_locked(list, frames.len() as u64, caller);
        }
        self.write_u64(mdl::PROCESS.at(list), process.0)?;
        let device = frames.iter().any(|frame| !self.memory.is_ram(frame << PAGE_SHIFT));
        let io_space = if device { c::MDL_IO_SPACE } else { 0 };
        let written = if access == Access::Write { c::MDL_WRITE_OPERATION } else { 0 };
        self.set_mdl_flags(list, flags | c::MDL_PAGES_LOCKED | io_space | written)
    }

    /// Takes the lock back, and the mapping that the MDL may have.
    pub(crate) fn unlock_mdl(&mut self, list: Va, caller: Va) -> Result<(), Trap> {
        let flags = self.mdl_flags(list)?;
        let frames = self.mdl_frames(list)?;
        let process = self.read_va(mdl::PROCESS.at(list))?;
        if flags & c::MDL_PAGES_LOCKED == 0 {
            let misuse = self.not_locked(list, process, &frames);
            return Err(self.page_misuse(caller, misuse));
        }
        if flags & c::MDL_MAPPED_TO_SYSTEM_VA != 0 {
            self.unmap_mdl(list, caller)?;
        }
        unpin(self, caller, &frames)?;
        if !process.is_null() {
            self.process_pages_unlocked(list, frames.len() as u64);
        }
        let flags = self.mdl_flags(list)?;
        self.set_mdl_flags(list, flags & !(c::MDL_PAGES_LOCKED | c::MDL_IO_SPACE | c::MDL_WRITE_OPERATION))?;
        self.settle();
        Ok(())
    }

    /// What unlocking pages is that are not locked.
    fn not_locked(&self, list: Va, process: Va, frames: &[u64]) -> PageMisuse {
        match frames.first().copied().unwrap_or(0) {
            base if base != 0 && !self.memory.is_ram(base << PAGE_SHIFT) => {
                PageMisuse::DeviceNotLocked { base, pages: frames.len() as u64 }
            }
            _ if !process.is_null() => PageMisuse::ProcessNotLocked { list },
            frame => PageMisuse::UnlockedTooOften { frame },
        }
    }

    /// Pins the pages of a buffer and returns their numbers; a buffer that can never be touched raises
    /// `STATUS_ACCESS_VIOLATION`, as documented.
    fn pin_buffer(&mut self, start: Va, pages: u64, access: Access) -> Result<Vec<u64>, Trap> {
        let length = (pages * PAGE_SIZE) as usize;
        match self.memory.pin(start, length, access) {
            Ok(frames) => Ok(frames.into_iter().map(|frame| u64::from(frame.0)).collect()),
            Err(Fault::Device(_)) => {
                let physical = |page| self.memory.physical(start + page * PAGE_SIZE).unwrap_or(0) >> PAGE_SHIFT;
                Ok((0..pages).map(physical).collect())
            }
            Err(Fault::NonCanonical(_)) => Err(Trap::Raise(NtStatus::ACCESS_VIOLATION)),
            Err(Fault::Page(fault)) => {
                let absent = matches!(self.memory.page_state(Va(fault.address)), PageState::Absent(_));
                Err(match absent || fault.protection {
                    true => Trap::Raise(NtStatus::ACCESS_VIOLATION),
                    false => Trap::Fault(Fault::Page(fault)),
                })
            }
        }
    }
}

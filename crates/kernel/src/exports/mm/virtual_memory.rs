//! Memory of the current process (ddi: ZwAllocateVirtualMemory, ZwFreeVirtualMemory, ZwQueryVirtualMemory). Pages are
//! committed when they are reserved.

use memory::{Backing, Protection, Region};
use nt_types::{NtStatus, PAGE_SIZE, Va};

use super::mdl::pages_of;
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::{Object, ObjectType};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ZwAllocateVirtualMemory(process: u64, base: Va, zero_bits: u64, size: Va, kind: u32, protect: u32), PASSIVE),
    export!(Ntoskrnl, ZwFreeVirtualMemory(process: u64, base: Va, size: Va, kind: u32), PASSIVE),
    export!(Ntoskrnl, ZwLockVirtualMemory(process: u64, base: Va, size: Va, kind: u32), PASSIVE),
    export!(Ntoskrnl, ZwProtectVirtualMemory(process: u64, base: Va, size: Va, protect: u32, old: Va), PASSIVE),
    export!(Ntoskrnl, ZwQueryVirtualMemory(process: u64, base: Va, class: u32, information: Va, length: u64, result: Va), PASSIVE),
];

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_RELEASE: u32 = 0x8000;
const MEM_FREE: u32 = 0x1_0000;
const MEM_PRIVATE: u32 = 0x2_0000;
const PAGE_NOACCESS: u32 = 1;
/// `PAGE_READONLY` to `PAGE_EXECUTE_READWRITE` without copy-on-write: their bits for stores and fetches.
const SIMPLE: [u32; 5] = [0x02, 0x04, 0x10, 0x20, 0x40];
const WRITABLE: u32 = 0x04 | 0x40;
const EXECUTABLE: u32 = 0x10 | 0x20 | 0x40;
/// Largest allocation, in pages: 1 GiB.
const MAX_PAGES: u64 = 1 << 18;

/// What was allocated at an address.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Allocation {
    pages: u64,
    /// `PAGE_*` at allocation and now.
    first_protect: u32,
    protect: u32,
}

fn protection(protect: u32) -> Option<Protection> {
    let known = SIMPLE.contains(&protect);
    known.then_some(Protection { write: protect & WRITABLE != 0, execute: protect & EXECUTABLE != 0 })
}

fn ZwAllocateVirtualMemory(
    m: &mut Machine,
    process: u64,
    base: Va,
    _zero_bits: u64,
    size: Va,
    kind: u32,
    protect: u32,
) -> Outcome {
    if let Err(status) = own_process(m, process) {
        return Ok(Next::status(status));
    }
    let (wanted, bytes) = (m.read_va(base)?, m.read_u64(size)?);
    m.probe_write(base, 8)?;
    m.probe_write(size, 8)?;
    let Some(access) = protection(protect) else { return Ok(Next::status(NtStatus::INVALID_PAGE_PROTECTION)) };
    if !wanted.is_null() || kind & MEM_COMMIT == 0 || kind & !(MEM_COMMIT | MEM_RESERVE) != 0 {
        let what = format!("`AllocationType` {kind:#x} at `{wanted}`");
        return Err(m.refuse("ZwAllocateVirtualMemory", what));
    }
    let pages = pages_of(Va::NULL, bytes);
    if pages == 0 {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER_4));
    }
    if pages > MAX_PAGES {
        return Ok(Next::status(NtStatus::NO_MEMORY));
    }
    let Ok(address) = m.memory.allocate(Region::User, pages, Backing::Resident, access) else {
        return Ok(Next::status(NtStatus::NO_MEMORY));
    };
    m.mm.allocations.insert(address, Allocation { pages, first_protect: protect, protect });
    m.write_u64(base, address.0)?;
    m.write_u64(size, pages * PAGE_SIZE)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ZwFreeVirtualMemory(m: &mut Machine, process: u64, base: Va, size: Va, kind: u32) -> Outcome {
    if let Err(status) = own_process(m, process) {
        return Ok(Next::status(status));
    }
    let (address, bytes) = (m.read_va(base)?, m.read_u64(size)?);
    m.probe_write(size, 8)?;
    if kind != MEM_RELEASE || bytes != 0 {
        return Err(m.refuse("ZwFreeVirtualMemory", format!("`FreeType` {kind:#x} of {bytes:#x} bytes")));
    }
    let Some(allocation) = m.mm.allocations.remove(&address) else {
        return Ok(Next::status(NtStatus::MEMORY_NOT_ALLOCATED));
    };
    m.memory.release(address);
    m.write_u64(size, allocation.pages * PAGE_SIZE)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// The whole of an allocation, or STATUS_CONFLICTING_ADDRESSES where there is none; parts are refused.
fn ZwProtectVirtualMemory(m: &mut Machine, process: u64, base: Va, size: Va, protect: u32, old: Va) -> Outcome {
    if let Err(status) = own_process(m, process) {
        return Ok(Next::status(status));
    }
    let (start, bytes) = (m.read_va(base)?, m.read_u64(size)?);
    let Some((address, allocation)) = m.allocation_at(start) else {
        return Ok(Next::status(NtStatus::CONFLICTING_ADDRESSES));
    };
    let Some(access) = protection(protect) else { return Ok(Next::status(NtStatus::INVALID_PAGE_PROTECTION)) };
    if start.page_down() != address || pages_of(start, bytes) != allocation.pages {
        return Err(m.refuse("ZwProtectVirtualMemory", "a part of an allocation"));
    }
    for slot in [base, size] {
        m.probe_write(slot, 8)?;
    }
    m.write_u32(old, allocation.protect)?;
    m.write_u64(base, address.0)?;
    m.write_u64(size, allocation.pages * PAGE_SIZE)?;
    m.memory.protect(address, allocation.pages, access);
    m.mm.allocations.insert(address, Allocation { protect, ..allocation });
    Ok(Next::status(NtStatus::SUCCESS))
}

/// `MemoryBasicInformation`: base, base and protection of the allocation, size, state, protection, type.
fn ZwQueryVirtualMemory(
    m: &mut Machine,
    process: u64,
    base: Va,
    class: u32,
    information: Va,
    length: u64,
    result: Va,
) -> Outcome {
    const BASIC: u32 = 0;
    const BYTES: u64 = 0x30;
    if let Err(status) = own_process(m, process) {
        return Ok(Next::status(status));
    }
    if class != BASIC {
        return Err(m.refuse("ZwQueryVirtualMemory", format!("`MemoryInformationClass` {class}")));
    }
    if base.is_kernel() {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    if length < BYTES {
        return Ok(Next::status(NtStatus::INFO_LENGTH_MISMATCH));
    }
    let page = base.page_down();
    let words = match m.allocation_at(base) {
        Some((address, own)) => {
            let left = own.pages * PAGE_SIZE - (page - address);
            let state = u64::from(MEM_COMMIT) | u64::from(own.protect) << 32;
            [page.0, address.0, own.first_protect.into(), left, state, MEM_PRIVATE.into()]
        }
        None => [page.0, 0, 0, PAGE_SIZE, u64::from(MEM_FREE) | u64::from(PAGE_NOACCESS) << 32, 0],
    };
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    m.write_bytes(information, &bytes)?;
    if !result.is_null() {
        m.write_u64(result, BYTES)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Committed pages do not leave memory here.
fn ZwLockVirtualMemory(m: &mut Machine, process: u64, base: Va, size: Va, _kind: u32) -> Outcome {
    if let Err(status) = own_process(m, process) {
        return Ok(Next::status(status));
    }
    let (start, bytes) = (m.read_va(base)?, m.read_u64(size)?);
    let fits = m
        .allocation_at(start)
        .is_some_and(|(address, own)| (start - address).saturating_add(bytes) <= own.pages * PAGE_SIZE);
    Ok(Next::status(if fits { NtStatus::SUCCESS } else { NtStatus::ACCESS_VIOLATION }))
}

fn own_process(m: &mut Machine, process: u64) -> Result<(), NtStatus> {
    match m.object_of(process) {
        Some(Object::Body(ObjectType::Process, _)) => Ok(()),
        Some(_) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        None => Err(NtStatus::INVALID_HANDLE),
    }
}

impl Machine {
    /// The allocation that holds an address.
    fn allocation_at(&self, address: Va) -> Option<(Va, Allocation)> {
        let (base, own) = self.mm.allocations.range(..=address).next_back()?;
        (address - *base < own.pages * PAGE_SIZE).then_some((*base, *own))
    }
}

//! Sections (ddi: ZwOpenSection, ZwMapViewOfSection): the one that Windows has of physical memory. Sections of files and
//! of the paging file are not modelled.

use memory::{Protection, Region};
use nt_types::{NtStatus, PAGE_SHIFT, PAGE_SIZE, Va};

use super::mdl::pages_of;
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::Object;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ZwCreateSection(handle: Va, access: u32, attributes: Va, size: Va, protection: u32, kind: u32, file: u64), PASSIVE),
    export!(Ntoskrnl, ZwMapViewOfSection(section: u64, process: u64, base: Va, zero_bits: u64, commit: u64, offset: Va, size: Va, inherit: u32, kind: u32, protection: u32), PASSIVE),
    export!(Ntoskrnl, ZwOpenSection(handle: Va, access: u32, attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwUnmapViewOfSection(process: u64, base: Va), PASSIVE),
];

const PHYSICAL_MEMORY: &str = "\\Device\\PhysicalMemory";
/// Bits of `PAGE_*` that allow stores.
const WRITABLE: u32 = 0x04 | 0x40;

fn ZwOpenSection(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    if !attributes.name.eq_ignore_ascii_case(PHYSICAL_MEMORY) {
        return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND));
    }
    Ok(Next::status(m.give_handle(handle, Object::PhysicalMemory, attributes.kernel())?))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwCreateSection(
    m: &mut Machine,
    _handle: Va,
    _access: u32,
    _attributes: Va,
    _size: Va,
    _protection: u32,
    _kind: u32,
    _file: u64,
) -> Outcome {
    Err(m.refuse("ZwCreateSection", "any section: only `\\Device\\PhysicalMemory` is modelled"))
}

/// Views begin at page boundaries; where a view begins and how large it is goes back to the caller.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwMapViewOfSection(
    m: &mut Machine,
    section: u64,
    _process: u64,
    base: Va,
    _zero_bits: u64,
    _commit: u64,
    offset: Va,
    size: Va,
    _inherit: u32,
    _kind: u32,
    protection: u32,
) -> Outcome {
    match m.object_of(section) {
        Some(Object::PhysicalMemory) => {}
        Some(_) => return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH)),
        None => return Ok(Next::status(NtStatus::INVALID_HANDLE)),
    }
    if !m.read_va(base)?.is_null() {
        return Err(m.refuse("ZwMapViewOfSection", "`BaseAddress` other than NULL"));
    }
    let start = if offset.is_null() { Va::NULL } else { m.read_va(offset)? };
    let pages = pages_of(start, m.read_u64(size)?.max(1));
    let limit = m.memory.last_ram_page().max(1 << 20);
    if pages > limit {
        return Ok(Next::status(NtStatus::INVALID_VIEW_SIZE));
    }
    m.probe_write(base, 8)?;
    m.probe_write(size, 8)?;
    let frames: Vec<u64> = (0..pages).map(|page| (start.0 >> PAGE_SHIFT) + page).collect();
    let protection = Protection { write: protection & WRITABLE != 0, execute: false };
    let Some(view) = m.map_frames(Region::User, &frames, protection)? else {
        return Ok(Next::status(NtStatus::NO_MEMORY));
    };
    if !offset.is_null() {
        m.write_u64(offset, start.page_down().0)?;
    }
    m.write_u64(base, view.0)?;
    m.write_u64(size, pages * PAGE_SIZE)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ZwUnmapViewOfSection(m: &mut Machine, _process: u64, base: Va) -> Outcome {
    Ok(Next::status(match m.memory.release(base.page_down()) {
        Some(_) => NtStatus::SUCCESS,
        None => NtStatus::NOT_MAPPED_VIEW,
    }))
}

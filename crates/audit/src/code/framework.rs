//! Where a driver of the Kernel-Mode Driver Framework (KMDF) keeps the addresses of the framework's routines.
//!
//! It imports none of them: it hands `WdfVersionBind` a `WDF_BIND_INFO` (fxldr.h) with the place of a table that the loader
//! of the framework fills in. Code calls through entries of the table, by the numbers of wdffuncenum.h.

use super::program::Program;

/// The library that `WDF_BIND_INFO` names.
const LIBRARY: &str = "KmdfLibrary\0";
/// Fields of `WDF_BIND_INFO`, in bytes from `Component`, which holds the address of that name.
mod bind_info {
    pub(super) const MINOR_VERSION: u32 = 0x0c;
    pub(super) const COUNT: u32 = 0x14;
    pub(super) const TABLE: u32 = 0x18;
}
/// The first minor version whose table is a pointer to one that the framework has; before, the driver has it itself.
const FIRST_BY_POINTER: u32 = 13;
/// The first minor version with `WDF_INTERRUPT_CONFIG.PassiveHandling`.
const FIRST_PASSIVE: u32 = 11;
/// Most entries of a table.
const MAX_COUNT: u32 = 1 << 12;

/// The table of a driver.
#[derive(Clone, Copy)]
pub(super) struct Framework {
    /// The table, or the pointer to it.
    pub(super) table: u32,
    pub(super) by_pointer: bool,
    /// It can handle interrupts at PASSIVE_LEVEL.
    pub(super) passive_interrupts: bool,
    pub(super) count: u32,
}

/// Finds the table of a driver, if it has one.
pub(super) fn find(program: &Program<'_>) -> Option<Framework> {
    let library: Vec<u8> = LIBRARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let names_it = |place: u32| {
        let name = program.pointer_at(place)? as usize;
        program.bytes.get(name..)?.starts_with(&library).then_some(place)
    };
    let component = program.image.relocations().iter().find_map(|place| names_it(place.0))?;
    let at = |offset| component.checked_add(offset);
    let count = program.u32(at(bind_info::COUNT)?).filter(|count| *count <= MAX_COUNT)?;
    let table = program.pointer_at(at(bind_info::TABLE)?)?;
    let minor = program.u32(at(bind_info::MINOR_VERSION)?)?;
    let (by_pointer, passive_interrupts) = (minor >= FIRST_BY_POINTER, minor >= FIRST_PASSIVE);
    Some(Framework { table, by_pointer, passive_interrupts, count })
}

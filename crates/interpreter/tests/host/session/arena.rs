//! The few pages that an instruction under test can reach, at the same addresses in the host and in the guest.

use engine::flat::{FlatMmu, PAGE_SIZE, Protection};

/// Below 2 GiB, so that absolute 32-bit displacements reach everything.
pub(crate) const BASE: u64 = 0x2000_0000;
pub(crate) const PAGES: usize = 8;
/// Bytes in all pages.
pub(crate) const LENGTH: usize = PAGES * PAGE_SIZE as usize;

pub(crate) const CODE: u64 = BASE;
/// Two pages, writable, behind an absent one.
pub(crate) const DATA: u64 = BASE + 2 * PAGE_SIZE;
/// Where the data pages end.
pub(crate) const READ_ONLY: u64 = BASE + 4 * PAGE_SIZE;
pub(crate) const ABSENT: u64 = BASE + 5 * PAGE_SIZE;
/// Writable, between absent pages.
pub(crate) const STACK: u64 = BASE + 6 * PAGE_SIZE;

/// Each page and what it allows.
pub(crate) const LAYOUT: [Protection; PAGES] = [
    Protection::ReadWriteExecute,
    Protection::Absent,
    Protection::ReadWrite,
    Protection::ReadWrite,
    Protection::ReadOnly,
    Protection::Absent,
    Protection::ReadWrite,
    Protection::Absent,
];

/// The pages, zeroed.
pub(crate) fn new() -> FlatMmu {
    let mut arena = FlatMmu::new(BASE, PAGES, Protection::Absent);
    for (address, protection) in (BASE..).step_by(PAGE_SIZE as usize).zip(LAYOUT) {
        arena.protect(address, protection);
    }
    arena
}

//! Page-table entries, in the processor's format.
//!
//! | bits | present | not present |
//! |---|---|---|
//! | 0 | 1 | 0 |
//! | 1 | writable | writable when it comes in |
//! | 2 | user | user |
//! | 3-5 | 3, 4: uncached (device); 5: accessed | state: 0 never mapped, 1 transition, 2 paging file, 3 demand-zero, 4 freed, 5 discarded, 6 guard |
//! | 6 | dirty: differs from the paging file | the same (transition) |
//! | 9 | device memory: the address is no RAM | |
//! | 10 | pageable by itself, not through an image | the same |
//! | 12-51 | frame number | frame (transition), slot (paging file) |
//! | 63 | no execute | no execute when it comes in |
//!
//! The protection stays where it is when a page leaves, so leaving and coming back change the state only.

use nt_types::{PAGE_SHIFT, Va};

use crate::types::Protection;

/// The contents of a page-table entry.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pte(pub(crate) u64);

/// What an entry says of its page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    NeverMapped,
    Valid(u32),
    /// The physical page number.
    Device(u64),
    Transition(u32),
    /// The slot.
    PagingFile(u32),
    DemandZero,
    Freed,
    Discarded,
    Guard,
}

impl Pte {
    const PRESENT: u64 = 1 << 0;
    const WRITE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const UNCACHED: u64 = 3 << 3;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;
    const DEVICE: u64 = 1 << 9;
    const PAGEABLE: u64 = 1 << 10;
    const NO_EXECUTE: u64 = 1 << 63;
    const PAYLOAD: u64 = 0x000f_ffff_ffff_f000;
    const STATE: u64 = 7 << 3;
    /// What stays when the state changes.
    const KEPT: u64 = Self::WRITE | Self::USER | Self::PAGEABLE | Self::NO_EXECUTE;

    /// An entry of an upper table: everything is decided by the last level.
    pub(crate) fn table(frame: u32) -> Pte {
        Pte(payload(frame) | Self::PRESENT | Self::WRITE | Self::USER | Self::ACCESSED)
    }

    /// A demand-zero entry: the protection without a page.
    pub(crate) fn new(va: Va, protection: Protection, pageable: bool) -> Pte {
        let user = if va.is_kernel() { 0 } else { Self::USER };
        let pageable = if pageable { Self::PAGEABLE } else { 0 };
        Pte(3 << 3 | user | pageable).with_protection(protection)
    }

    pub(crate) fn with_protection(self, protection: Protection) -> Pte {
        let write = if protection.write { Self::WRITE } else { 0 };
        let no_execute = if protection.execute { 0 } else { Self::NO_EXECUTE };
        Pte(self.0 & !(Self::WRITE | Self::NO_EXECUTE) | write | no_execute)
    }

    pub(crate) fn with_pageable(self, pageable: bool) -> Pte {
        Pte(if pageable { self.0 | Self::PAGEABLE } else { self.0 & !Self::PAGEABLE })
    }

    pub(crate) fn protection(self) -> Protection {
        Protection { write: self.0 & Self::WRITE != 0, execute: self.0 & Self::NO_EXECUTE == 0 }
    }

    /// The page is in this frame.
    pub(crate) fn valid(self, frame: u32, dirty: bool) -> Pte {
        let dirty = if dirty { Self::DIRTY } else { 0 };
        Pte(self.0 & Self::KEPT | payload(frame) | Self::PRESENT | dirty)
    }

    /// The page is device memory.
    pub(crate) fn device(self, physical: u64) -> Pte {
        Pte(self.0 & Self::KEPT | physical & Self::PAYLOAD | Self::PRESENT | Self::DEVICE | Self::UNCACHED)
    }

    /// The page has left, but its frame keeps it.
    pub(crate) fn transition(self, frame: u32) -> Pte {
        Pte(self.0 & (Self::KEPT | Self::DIRTY) | payload(frame) | 1 << 3)
    }

    /// The page is in the paging file only.
    pub(crate) fn paging_file(self, slot: u32) -> Pte {
        Pte(self.0 & Self::KEPT | payload(slot) | 2 << 3)
    }

    /// The page is unmapped.
    pub(crate) const FREED: Pte = Pte(4 << 3);
    /// The page of an image is discarded.
    pub(crate) const DISCARDED: Pte = Pte(5 << 3);
    /// The page is a guard page.
    pub(crate) const GUARD: Pte = Pte(6 << 3);

    pub(crate) fn state(self) -> State {
        let number = (self.0 & Self::PAYLOAD) >> PAGE_SHIFT;
        if self.0 & Self::PRESENT != 0 {
            return if self.0 & Self::DEVICE != 0 { State::Device(number) } else { State::Valid(number as u32) };
        }
        match (self.0 & Self::STATE) >> 3 {
            1 => State::Transition(number as u32),
            2 => State::PagingFile(number as u32),
            3 => State::DemandZero,
            4 => State::Freed,
            5 => State::Discarded,
            6 => State::Guard,
            _ => State::NeverMapped,
        }
    }

    /// True where a page is, be it in memory or not.
    pub(crate) fn is_mapped(self) -> bool {
        !matches!(self.state(), State::NeverMapped | State::Freed | State::Discarded | State::Guard)
    }

    pub(crate) fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Physical address of the page, where one is present.
    pub(crate) fn target(self) -> u64 {
        self.0 & Self::PAYLOAD
    }

    /// True where two entries are alike but for what the processor sets by itself.
    pub(crate) fn differs_in_marks_only(self, other: Pte) -> bool {
        (self.0 ^ other.0) & !(Self::ACCESSED | Self::DIRTY) == 0
    }

    pub(crate) fn is_pageable(self) -> bool {
        self.0 & Self::PAGEABLE != 0
    }

    pub(crate) fn is_accessed(self) -> bool {
        self.0 & Self::ACCESSED != 0
    }

    pub(crate) fn is_dirty(self) -> bool {
        self.0 & Self::DIRTY != 0
    }

    pub(crate) fn accessed(self) -> Pte {
        Pte(self.0 | Self::ACCESSED)
    }

    pub(crate) fn not_accessed(self) -> Pte {
        Pte(self.0 & !Self::ACCESSED)
    }

    pub(crate) fn written(self) -> Pte {
        Pte(self.0 | Self::ACCESSED | Self::DIRTY)
    }

    pub(crate) fn dirtied(self) -> Pte {
        Pte(self.0 | Self::DIRTY)
    }
}

fn payload(number: u32) -> u64 {
    u64::from(number) << PAGE_SHIFT
}

/// The address of the page-table entry of `va`, where NT's self-map has it (`0xFFFFF680_00000000`). It is a value for
/// bug checks; nothing is mapped there.
pub const fn pte_address(va: Va) -> u64 {
    0xFFFF_F680_0000_0000 | ((va.0 & 0xFFFF_FFFF_F000) >> 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip_and_keep_the_protection() {
        let kernel = Va(0xFFFF_F800_0000_0000);
        for protection in [Protection::READ, Protection::READ_WRITE, Protection::READ_EXECUTE, Protection::ALL] {
            let pte = Pte::new(kernel, protection, true);
            assert_eq!(pte.state(), State::DemandZero);
            let states = [
                (pte.valid(0xff_ffff, true), State::Valid(0xff_ffff)),
                (pte.valid(5, true).transition(5), State::Transition(5)),
                (pte.valid(5, false).paging_file(u32::MAX), State::PagingFile(u32::MAX)),
                (pte.device(0xfed0_0000), State::Device(0xfed00)),
            ];
            for (pte, state) in states {
                assert_eq!((pte.state(), pte.protection(), pte.is_pageable()), (state, protection, true));
            }
        }
    }

    #[test]
    fn a_transition_entry_remembers_whether_it_is_dirty() {
        let pte = Pte::new(Va(0x1000), Protection::READ_WRITE, true);
        assert!(pte.valid(1, true).transition(1).is_dirty());
        assert!(!pte.valid(1, false).accessed().transition(1).is_dirty());
        assert!(pte.valid(1, true).not_accessed().is_dirty());
    }

    #[test]
    fn entry_addresses_follow_the_self_map() {
        assert_eq!(pte_address(Va(0)), 0xFFFF_F680_0000_0000);
        assert_eq!(pte_address(Va(0xFFFF_F800_0000_0FFF)), 0xFFFF_F6FC_0000_0000);
        assert_eq!(pte_address(Va(u64::MAX)), 0xFFFF_F6FF_FFFF_FFF8);
    }
}

//! The checker findings that this machine can see by itself (BEHAVIOUR.md section 10).

use alloc::vec::Vec;

use nt_types::Va;

use crate::call_sites::CallSites;
use crate::id::{ImageId, SectionId};

/// A section that is locked, and by whom.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LockedSection {
    /// The section.
    pub section: SectionId,
    /// Its count, at least 1.
    pub count: u32,
    /// Where it was locked.
    pub call_sites: CallSites,
}

/// Something that a driver should not do. A finding never changes the result of the call that it stands beside.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Finding {
    /// K01: lock of a section that is not pageable by name while no override is in force.
    LockNonpageable {
        /// The section that was locked.
        section: SectionId,
    },
    /// K03: `MmPageEntireDriver` while an interrupt of the driver is connected.
    PageEntireWithInterrupt {
        /// The driver.
        image: ImageId,
    },
    /// K04: `MmResetDriverPaging` while an interrupt of the driver is connected. An error if the override was set, since
    /// the interrupt could have found its code out; else a warning (D34).
    ResetWithInterrupt {
        /// The driver.
        image: ImageId,
        /// Whether its code may be out: the override is set, or a call that sets or clears it is in progress.
        overridden: bool,
    },
    /// K05: an image was unloaded while sections were locked.
    UnloadWithLocks {
        /// The image.
        image: ImageId,
        /// Its locked sections, in header order.
        locked: Vec<LockedSection>,
    },
    /// K06: the caller does not own the section.
    ForeignLock {
        /// The section that was locked or unlocked.
        section: SectionId,
        /// The image of the caller; `None` if the return address lies in no image.
        caller: Option<ImageId>,
    },
    /// K18: a further lock by address of a section that was locked by address before.
    RepeatLockByAddress {
        /// The section.
        section: SectionId,
    },
    /// K20: an unload met calls in progress on the image.
    UnloadDuringCall {
        /// The image.
        image: ImageId,
        /// How many calls.
        calls: u32,
    },
    /// K25: sections were locked when they were discarded.
    LockOfDiscarded {
        /// The sections, in header order.
        locked: Vec<LockedSection>,
    },
    /// K28: `MmPageEntireDriver` or `MmResetDriverPaging` with an address in no driver.
    NoModule {
        /// The address.
        address: Va,
    },
}

impl Finding {
    /// The number of the finding: 1 for K01.
    pub const fn number(&self) -> u8 {
        match self {
            Finding::LockNonpageable { .. } => 1,
            Finding::PageEntireWithInterrupt { .. } => 3,
            Finding::ResetWithInterrupt { .. } => 4,
            Finding::UnloadWithLocks { .. } => 5,
            Finding::ForeignLock { .. } => 6,
            Finding::RepeatLockByAddress { .. } => 18,
            Finding::UnloadDuringCall { .. } => 20,
            Finding::LockOfDiscarded { .. } => 25,
            Finding::NoModule { .. } => 28,
        }
    }
}

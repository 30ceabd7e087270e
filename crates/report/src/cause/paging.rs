//! Misuse of the six routines.

use nt_types::{Irql, Va};

use super::evidence::Requests;
use crate::span::Place;

/// Misuse of a paging routine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Paging {
    /// A lock or unlock that Windows answers with bug check 0x1A (D16).
    Refused {
        /// The routine called.
        routine: String,
        /// Lock or unlock.
        operation: Operation,
        /// The address or handle passed.
        value: Va,
        /// What is wrong with it.
        reason: Refusal,
    },
    /// A routine of rule IrqlMmApcLte above `APC_LEVEL`: K02, or 0xC4/0x00020019 with the verifier.
    AboveApc {
        /// The routine.
        routine: String,
        /// IRQL of the call.
        irql: Irql,
    },
    /// Lock of a section that is not pageable (K01).
    LockNonpageable {
        /// The section locked.
        section: String,
        /// Where the address is a jump thunk: the section of its target.
        thunk_to: Option<String>,
    },
    /// MmPageEntireDriver while an interrupt is connected (K03).
    PageEntireWithInterrupt {
        /// The vector.
        vector: u32,
        /// The service routine.
        routine: Place,
    },
    /// MmResetDriverPaging while an interrupt is connected (K04).
    ResetWithInterrupt {
        /// The vector.
        vector: u32,
        /// An override was in force, so the interrupt could have met an absent page.
        overridden: bool,
    },
    /// A driver locks or unlocks a section of another one (K06).
    ForeignLock {
        /// Lock or unlock.
        operation: Operation,
        /// The image that called.
        caller: String,
        /// The image that owns the section.
        owner: String,
        /// The section.
        section: String,
    },
    /// A section handle was used as a pointer (K07).
    HandleDereferenced {
        /// The handle.
        handle: Va,
        /// The section it stands for.
        section: String,
    },
    /// Unlock while requests are pending (K08).
    UnlockWithRequests {
        /// The section.
        section: String,
        /// Count after the unlock.
        count: u32,
        /// What is pending.
        outstanding: Requests,
    },
    /// A section locked by address more than once (K18).
    RepeatLockByAddress {
        /// The section.
        section: String,
        /// Locks by address so far.
        times: u32,
    },
    /// MmPageEntireDriver overlaps an open that connects interrupts (K19).
    PageEntireRace {
        /// The processor that opens.
        opener: u32,
    },
    /// INIT locked when it was discarded (K25).
    LockOfInit {
        /// The section.
        section: String,
        /// Its count.
        count: u32,
    },
    /// MmPageEntireDriver or MmResetDriverPaging with an address in no driver (K28).
    NoModule {
        /// The routine.
        routine: String,
        /// The address.
        address: Va,
        /// The address is in the kernel or HAL.
        system: bool,
    },
}

/// Lock or unlock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    Lock,
    Unlock,
}

/// Reasons of bug check 0x1A for the six routines; the numbers are those of D16.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 1: the address is in no loaded image.
    NoModule,
    /// 2: in an image, but in no section.
    NoSection {
        /// The image.
        image: String,
    },
    /// 3: the section was discarded.
    Discarded {
        /// The section.
        section: String,
    },
    /// 4: a handle that was never issued, NULL included.
    UnknownHandle,
    /// 5: a handle of an image that has been unloaded.
    StaleHandle {
        /// The image.
        image: String,
        /// The section.
        section: String,
    },
    /// 6: the count is already zero.
    CountZero {
        /// The section.
        section: String,
        /// Another thread's first lock has not returned yet.
        locking: bool,
    },
    /// 7: the count would pass its limit.
    CountOverflow {
        /// The section.
        section: String,
        /// The limit.
        limit: u32,
    },
}

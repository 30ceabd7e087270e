//! Misuse of the six routines.

use nt_types::{Irql, Va};

use super::evidence::Requests;
use super::refusal::{Operation, Refusal};
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::span::Place;
use crate::words::{Rule, Words, bug_check_or};

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

pub(super) const HANDLE_IS_OPAQUE: Rule = Rule {
    text: "a section handle is an opaque value, valid as long as its driver is loaded",
    source: "MmLockPagableDataSection function",
};
const APC_OR_BELOW: Rule =
    Rule { text: "the routine may be called at or below `APC_LEVEL` only", source: "IrqlMmApcLte Rule (WDM)" };
const PAGE_NAMES: Rule =
    Rule { text: "only a section whose name begins with `PAGE` is pageable", source: "Making Drivers Pageable" };
const NO_ISR_WHEN_PAGED: Rule = Rule {
    text: "a driver that is paged as a whole has no interrupt connected",
    source: "MmPageEntireDriver function",
};
const RESET_FIRST: Rule = Rule {
    text: "`MmResetDriverPaging` is called before an interrupt is connected",
    source: "Paging an Entire Driver",
};
const OWN_SECTIONS: Rule =
    Rule { text: "a driver locks and unlocks sections of its own", source: "Locking Pageable Code or Data" };
const NO_QUEUED_IRPS: Rule = Rule {
    text: "a handle is not released while the driver has outstanding requests",
    source: "MmUnlockPagableImageSection function",
};
const FIRST_BY_ADDRESS: Rule = Rule {
    text: "only the first lock is by address, later ones are by handle",
    source: "MmLockPagableDataSection function",
};
const OPEN_IS_SERIALISED: Rule = Rule {
    text: "no processor pages the driver while another one connects an interrupt for an open",
    source: "Paging an Entire Driver",
};
pub(super) const INIT_IS_NOT_PAGEABLE: Rule = Rule {
    text: "`INIT` is not pageable, and is discarded when initialisation ends",
    source: "MmLockPagableCodeSection macro",
};
pub(super) const ADDRESS_IN_DRIVER: Rule =
    Rule { text: "the address passed lies in the driver that is meant", source: "MmPageEntireDriver function" };

impl Paging {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            Paging::Refused { routine, operation, value, reason } => reason.words(routine, *operation, *value, report),
            Paging::AboveApc { routine, irql } => {
                let title = format!("`{routine}` called at `{irql}`");
                Words::driver(bug_check_or(report.bug_check, Finding::MmIrql), Level::Error, title, APC_OR_BELOW)
                    .label("this call may have to read pages")
                    .help("lock before the IRQL is raised, for instance when the device is opened")
            }
            Paging::LockNonpageable { section, thunk_to } => lock_nonpageable(section, thunk_to.as_deref()),
            Paging::PageEntireWithInterrupt { vector, routine } => {
                let title =
                    format!("`MmPageEntireDriver` called while the interrupt on vector {vector:#x} is connected");
                Words::finding(Finding::PageEntireWithInterrupt, Level::Error, title, NO_ISR_WHEN_PAGED)
                    .note(format!("its service routine is {}", routine.function()))
                    .help("disconnect the interrupt first, then page the driver")
            }
            Paging::ResetWithInterrupt { vector, overridden } => reset_with_interrupt(*vector, *overridden),
            Paging::ForeignLock { operation, caller, owner, section } => {
                let title = format!("`{caller}` {} section `{section}` of `{owner}`", operation.verb());
                Words::finding(Finding::ForeignLock, Level::Warning, title, OWN_SECTIONS)
                    .help(format!("let `{owner}` lock its section, and call it for that"))
            }
            Paging::HandleDereferenced { handle, section } => {
                let title = format!("the handle of section `{section}` used as a pointer");
                Words::finding(Finding::HandleDereferenced, Level::Error, title, HANDLE_IS_OPAQUE)
                    .label(format!("access to the handle `{handle}`"))
            }
            Paging::UnlockWithRequests { section, count, outstanding } => {
                let level = if *count == 0 { Level::Error } else { Level::Info };
                let title = format!("section `{section}` unlocked while {outstanding} pending");
                Words::finding(Finding::UnlockWithQueuedIrps, level, title, NO_QUEUED_IRPS)
                    .label(format!("lock count {} -> {count}", count.saturating_add(1)))
                    .help("complete or cancel all requests before the section is unlocked")
            }
            Paging::RepeatLockByAddress { section } => {
                let title = format!("section `{section}` locked by address again");
                Words::finding(Finding::RepeatLockByAddress, Level::Info, title, FIRST_BY_ADDRESS)
                    .help("keep the handle of the first lock and use `MmLockPagableSectionByHandle`")
            }
            Paging::PageEntireRace { opener } => {
                let title = format!("`MmPageEntireDriver` runs while cpu {opener} opens the driver");
                Words::finding(Finding::PageEntireRace, Level::Error, title, OPEN_IS_SERIALISED)
                    .help("hold one mutex around the open count, the interrupt and the paging calls")
            }
            Paging::LockOfInit { section, count } => {
                let title = format!("section `{section}` discarded while locked");
                Words::finding(Finding::LockOfInit, Level::Error, title, INIT_IS_NOT_PAGEABLE)
                    .label(format!("lock count {count} when it was discarded"))
                    .help(format!("unlock `{section}` before `DriverEntry` returns, or do not lock it"))
            }
            Paging::NoModule { routine, address, system } => {
                let place = if *system { "the kernel or HAL" } else { "no driver" };
                let title = format!("`{routine}` called with `{address}`, which is in {place}");
                Words::finding(Finding::NoModule, Level::Error, title, ADDRESS_IN_DRIVER)
                    .help("pass the address of a routine of the driver, such as `DriverEntry`")
            }
        }
    }
}

fn lock_nonpageable(section: &str, thunk_to: Option<&str>) -> Words {
    let title = format!("lock of section `{section}`, which is not pageable");
    let words = Words::finding(Finding::LockNonpageable, Level::Warning, title, PAGE_NAMES);
    match thunk_to {
        Some(target) => words
            .label(format!("the address is a jump thunk to section `{target}`"))
            .help(format!("link without incremental linking, so that the address lies in `{target}`")),
        None => words.help("lock a section that is pageable, or drop the lock"),
    }
}

fn reset_with_interrupt(vector: u32, overridden: bool) -> Words {
    let title = format!("`MmResetDriverPaging` called while the interrupt on vector {vector:#x} is connected");
    let (level, note) = match overridden {
        true => (Level::Error, "the driver was pageable from the connection of the interrupt to this call"),
        false => (Level::Warning, "the driver was not paged as a whole, so that the call does nothing"),
    };
    Words::finding(Finding::ResetWithInterrupt, level, title, RESET_FIRST)
        .note(note)
        .help("call `MmResetDriverPaging` first, then connect the interrupt")
}

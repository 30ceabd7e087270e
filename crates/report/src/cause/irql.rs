//! Code at the wrong IRQL.

use std::ops::RangeInclusive;

use nt_types::Irql;

use super::evidence::ObjectKind;
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::words::{Rule, Words, on_verifier};

/// Code at the wrong IRQL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IrqlMisuse {
    /// Code in an eligible page raises to `DISPATCH_LEVEL` or above (K26).
    RaiseInPageable {
        /// The section of the code.
        section: String,
        /// The export called; `None` for a write to CR8.
        routine: Option<String>,
        /// Level after.
        to: Irql,
    },
    /// Wait = TRUE from an eligible page (K14).
    WaitTrue {
        /// The routine.
        routine: String,
        /// The section of the caller.
        section: String,
    },
    /// A routine outside its documented IRQL range.
    OutOfRange {
        /// The routine.
        routine: String,
        /// IRQL of the call.
        irql: Irql,
        /// The levels allowed.
        allowed: RangeInclusive<Irql>,
        /// Whether the code of the routine itself may be out of memory.
        pageable: bool,
    },
    /// KeRaiseIrql to a lower level, or KeLowerIrql to a higher one.
    WrongDirection {
        /// The routine.
        routine: String,
        /// Level before.
        from: Irql,
        /// Level asked for.
        to: Irql,
    },
    /// A routine of the driver returned at another IRQL than it was called at (0xC8).
    NotRestored {
        /// What the system had called: "DPC routine", "dispatch routine" and so on.
        callback: Callback,
        /// Level before.
        expected: Irql,
        /// Level after.
        found: Irql,
    },
    /// A routine of the driver returned in other critical and guarded regions than it was called in (0x01, 0xC7).
    RegionsNotLeft {
        /// What the system had called.
        callback: Callback,
    },
    /// A wait above `APC_LEVEL` (0xB8).
    Wait {
        /// The routine.
        routine: String,
        /// IRQL of the wait.
        irql: Irql,
    },
    /// A lock acquired again by its owner, which can never get it.
    AcquiredTwice {
        /// Its kind.
        object: ObjectKind,
    },
    /// A lock released by code that does not hold it.
    NotHeld {
        /// Its kind.
        object: ObjectKind,
    },
}

/// Routines of a driver that the system calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the documentation")]
pub enum Callback {
    DriverEntry,
    AddDevice,
    Dispatch,
    StartIo,
    Cancel,
    Completion,
    Dpc,
    ThreadedDpc,
    Apc,
    Isr,
    Timer,
    WorkItem,
    Thread,
    Reinitialize,
    Unload,
    DllInitialize,
    DllUnload,
}

impl Callback {
    /// The documented name of the kind of routine.
    pub fn name(self) -> &'static str {
        match self {
            Callback::DriverEntry => "`DriverEntry`",
            Callback::AddDevice => "`AddDevice` routine",
            Callback::Dispatch => "dispatch routine",
            Callback::StartIo => "`StartIo` routine",
            Callback::Cancel => "`Cancel` routine",
            Callback::Completion => "completion routine",
            Callback::Dpc => "DPC routine",
            Callback::ThreadedDpc => "threaded DPC routine",
            Callback::Apc => "APC routine",
            Callback::Isr => "interrupt service routine",
            Callback::Timer => "timer routine",
            Callback::WorkItem => "work item routine",
            Callback::Thread => "thread routine",
            Callback::Reinitialize => "`Reinitialize` routine",
            Callback::Unload => "`Unload` routine",
            Callback::DllInitialize => "`DllInitialize`",
            Callback::DllUnload => "`DllUnload`",
        }
    }
}

const RESIDENT_ABOVE_APC: Rule = Rule {
    text: "code that acquires a spin lock or raises IRQL to `DISPATCH_LEVEL` is resident",
    source: "When Should Code and Data be Pageable",
};
const NO_WAIT_FROM_PAGED: Rule = Rule {
    text: "a call with Wait = TRUE returns at `DISPATCH_LEVEL`, so that its caller is resident",
    source: "KeSetEvent function",
};
const IRQL_RANGE: Rule =
    Rule { text: "each routine is called within its documented IRQL range", source: "Managing Hardware Priorities" };
const RAISE_AND_LOWER: Rule = Rule {
    text: "IRQL is raised to a level not below the current one, and lowered to one not above it",
    source: "KeRaiseIrql macro",
};
const RETURN_AT_ENTRY_IRQL: Rule =
    Rule { text: "a routine returns at the IRQL at which it was called", source: "IrqlReturn Rule (WDM)" };
const LEAVE_REGIONS: Rule =
    Rule { text: "each critical or guarded region that is entered is left", source: "CriticalRegions Rule (WDM)" };
const NO_WAIT_ABOVE_APC: Rule =
    Rule { text: "a wait at or above `DISPATCH_LEVEL` is a fatal error", source: "Managing Hardware Priorities" };
const SPIN_LOCKS: Rule = Rule {
    text: "a spin lock is acquired once and released by its holder",
    source: "Preventing Errors and Deadlocks While Using Spin Locks",
};

impl IrqlMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            IrqlMisuse::RaiseInPageable { section, routine, to } => {
                // These acquire a spin lock for code that has raised before, and raise nothing.
                let at_level = routine.as_ref().is_some_and(|routine| routine.ends_with("AtDpcLevel"));
                let what = if at_level { "acquires a spin lock at" } else { "raises IRQL to" };
                let title = format!("code in pageable section `{section}` {what} `{to}`");
                let by = routine.as_ref().map_or("by a write to CR8".to_owned(), |routine| format!("by `{routine}`"));
                Words::finding(Finding::RaiseInPageable, Level::Error, title, RESIDENT_ABOVE_APC)
                    .label(by)
                    .help("move the part that runs at raised IRQL to a nonpaged section")
                    .help(format!("or lock `{section}` before this code is called"))
            }
            IrqlMisuse::WaitTrue { routine, section } => {
                let title = format!("`{routine}` called with Wait = TRUE from pageable section `{section}`");
                Words::finding(Finding::WaitTruePageable, Level::Error, title, NO_WAIT_FROM_PAGED)
                    .help("pass FALSE for Wait")
            }
            IrqlMisuse::OutOfRange { routine, irql, allowed, pageable } => {
                let (lowest, highest) = (allowed.start(), allowed.end());
                let range = match lowest == highest {
                    true => format!("at `{lowest}` only"),
                    false => format!("from `{lowest}` to `{highest}`"),
                };
                let title = format!("`{routine}` called at `{irql}`");
                let words = on_verifier(report, title, IRQL_RANGE).note(format!("it may be called {range}"));
                match *pageable && *irql >= Irql::DISPATCH {
                    true => {
                        words.note("its own code may be paged out: the call works while it happens to be in memory")
                    }
                    false => words,
                }
            }
            IrqlMisuse::WrongDirection { routine, from, to } => {
                let title = format!("`{routine}` called at `{from}` with new level `{to}`");
                on_verifier(report, title, RAISE_AND_LOWER)
            }
            IrqlMisuse::NotRestored { callback, expected, found } => {
                let title = format!("{} returned at `{found}`", callback.name());
                on_verifier(report, title, RETURN_AT_ENTRY_IRQL)
                    .note(format!("it was called at `{expected}`"))
                    .help("lower the IRQL, or release the spin lock, on each path out of the routine")
            }
            IrqlMisuse::RegionsNotLeft { callback } => {
                let title = format!("{} returned in a critical or guarded region", callback.name());
                on_verifier(report, title, LEAVE_REGIONS)
                    .help("call `KeLeaveCriticalRegion` or `KeLeaveGuardedRegion` on each path out of the routine")
            }
            IrqlMisuse::Wait { routine, irql } => {
                let title = format!("`{routine}` has to wait at `{irql}`");
                on_verifier(report, title, NO_WAIT_ABOVE_APC)
                    .help("wait at or below `APC_LEVEL`, or with a timeout of zero")
            }
            IrqlMisuse::AcquiredTwice { object } => {
                on_verifier(report, format!("{object} acquired by code that holds it already"), SPIN_LOCKS)
            }
            IrqlMisuse::NotHeld { object } => {
                on_verifier(report, format!("{object} released by code that does not hold it"), SPIN_LOCKS)
            }
        }
    }
}

//! Code at the wrong IRQL.

use nt_types::Irql;

use super::evidence::ObjectKind;

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
        /// Lowest level allowed.
        lowest: Irql,
        /// Highest level allowed.
        highest: Irql,
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
    Isr,
    Timer,
    WorkItem,
    Thread,
    Reinitialize,
    Unload,
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
            Callback::Isr => "interrupt service routine",
            Callback::Timer => "timer routine",
            Callback::WorkItem => "work item routine",
            Callback::Thread => "thread routine",
            Callback::Reinitialize => "`Reinitialize` routine",
            Callback::Unload => "`Unload` routine",
        }
    }
}

//! Objects and routines that must be nonpaged.

use nt_types::Va;

use super::evidence::{Home, ObjectKind, RequestKind};
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;
use crate::words::{Rule, Words, bug_check_or, on_verifier};

/// An object or routine in the wrong memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectMisuse {
    /// A synchronisation object in pageable memory: K11, or 0xC4/0xE1 with the verifier.
    Pageable {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
        /// Where it lies.
        home: Home,
    },
    /// A synchronisation object on a stack that may leave memory, because its thread waits in user mode (K11).
    Waited {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// A wait in user mode for an object on the stack, or with its wait blocks there (K11).
    WaitOnStack {
        /// The wait blocks lie there.
        blocks: bool,
    },
    /// An interrupt service routine in a PAGE or INIT section (K09).
    Isr {
        /// The section.
        section: String,
        /// The section is locked.
        locked: bool,
    },
    /// A DPC queued from an interrupt, or a threaded one, has its routine in a pageable section (K10).
    Dpc {
        /// The section.
        section: String,
        /// The section is locked.
        locked: bool,
        /// The DPC is a threaded one, and no interrupt queued it.
        threaded: bool,
    },
    /// A completion routine in a pageable section: K21, or 0xC9/0x227 with I/O verification.
    Completion {
        /// The section.
        section: String,
    },
    /// A work item in pageable memory: K22, or 0xC4/0x131 with the verifier.
    WorkItem {
        /// Its address.
        address: Va,
        /// Where it lies.
        home: Home,
    },
    /// A pageable dispatch routine in a driver of the paging path (K23).
    PagingPath {
        /// For these requests.
        function: RequestKind,
        /// The section.
        section: String,
    },
    /// A device object in the paging path lacks what its neighbours have: DO_POWER_PAGABLE not inherited (0xC9/0x23F).
    PowerPageableNotInherited,
    /// A timer, DPC or DPC routine in memory that is going away, or a wrong APC count after a DPC (0xC7); a work
    /// item in such memory (0xE4).
    GoingAway {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
        /// Where it lies, if the driver allocated it.
        home: Option<Home>,
    },
    /// An object used before it was initialised, or after it was destroyed.
    NotInitialised {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
}

const OBJECTS_NONPAGED: Rule = Rule {
    text: "timers, DPCs, events, mutexes, semaphores, spin locks and work items lie in nonpaged memory",
    source: "Force IRQL Checking",
};
const KERNEL_MODE_FOR_STACK: Rule = Rule {
    text: "what a wait needs lies on the stack only where the wait is in kernel mode; in user mode the stack can be swapped out",
    source: "KeWaitForSingleObject function",
};
const ISR_NONPAGED: Rule = Rule {
    text: "an interrupt service routine is never pageable, even if its device's interrupts can be disabled",
    source: "MmLockPagableCodeSection macro",
};
const DPC_NONPAGED: Rule = Rule {
    text: "a DPC routine is not pageable where the driver does not control when it is queued",
    source: "MmLockPagableCodeSection macro",
};
const COMPLETION_NONPAGED: Rule = Rule {
    text: "a completion routine may be called at `DISPATCH_LEVEL`, so that it is resident",
    source: "Implementing an IoCompletion Routine",
};
const PAGING_PATH: Rule = Rule {
    text: "what serves reads, writes or power in the paging path is nonpaged",
    source: "Restrictions on Pageable Code in Storage Drivers",
};
const INHERIT_FLAG: Rule = Rule {
    text: "a device object takes `DO_POWER_PAGABLE` from the device object below it",
    source: "Setting Device Object Flags for Power Management",
};
const OUTLIVES: Rule = Rule {
    text: "memory that holds a queued timer or DPC is not freed or unloaded",
    source: "Bug Check 0xC7 TIMER_OR_DPC_INVALID",
};
const WORK_OUTLIVES: Rule =
    Rule { text: "memory that holds a queued work item is not freed", source: "Bug Check 0xE4 WORKER_INVALID" };
const INITIALISED: Rule = Rule {
    text: "an object is initialised before it is used",
    source: "Bug Check 0xC4 DRIVER_VERIFIER_DETECTED_VIOLATION",
};

impl ObjectMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            ObjectMisuse::Pageable { object, address, home } => {
                let code = bug_check_or(report.bug_check, Finding::ObjectPageable);
                Words::driver(code, Level::Error, format!("{object} in pageable memory"), OBJECTS_NONPAGED)
                    .note(format!("the {object} at `{address}` lies in {home}"))
                    .help("put it in the device extension, or in nonpaged pool")
            }
            ObjectMisuse::Waited { object, address } => {
                on_stack(format!("{object} on the stack of a thread that waits in user mode"))
                    .note(format!("the {object} at `{address}` lies on the stack of that thread"))
            }
            ObjectMisuse::WaitOnStack { blocks: false } => {
                on_stack("wait in user mode for an object on the stack".to_owned())
            }
            ObjectMisuse::WaitOnStack { blocks: true } => {
                on_stack("wait in user mode with wait blocks on the stack".to_owned())
            }
            ObjectMisuse::Isr { section, locked } => {
                let lock = if *locked { ", locked now," } else { "" };
                let title = format!("interrupt service routine in section `{section}`{lock} connected");
                Words::finding(Finding::IsrPageable, Level::Error, title, ISR_NONPAGED)
                    .help("move it, and all it calls and touches, to nonpaged sections")
            }
            ObjectMisuse::Dpc { section, locked, threaded } => {
                let level = if *locked { Level::Warning } else { Level::Error };
                let title = match *threaded {
                    true => format!("threaded DPC routine in pageable section `{section}`, which is not locked"),
                    false => format!("DPC routine in pageable section `{section}` queued from an interrupt"),
                };
                Words::finding(Finding::DpcPageable, level, title, DPC_NONPAGED)
                    .help("move it, and all it calls and touches, to nonpaged sections")
            }
            ObjectMisuse::Completion { section } => {
                let code = bug_check_or(report.bug_check, Finding::CompletionPageable);
                let title = format!("completion routine in pageable section `{section}`");
                Words::driver(code, Level::Error, title, COMPLETION_NONPAGED).help("move it to a nonpaged section")
            }
            ObjectMisuse::WorkItem { address, home } => {
                let code = bug_check_or(report.bug_check, Finding::WorkItemPageable);
                Words::driver(code, Level::Error, "work item in pageable memory", OBJECTS_NONPAGED)
                    .note(format!("the work item at `{address}` lies in {home}"))
                    .help("allocate it with `IoAllocateWorkItem`")
            }
            ObjectMisuse::PagingPath { function, section } => {
                let title = format!("dispatch routine for `{}` in pageable section `{section}`", function.major());
                Words::finding(Finding::PagingPathPageable, Level::Error, title, PAGING_PATH)
                    .note(
                        "the driver is in the paging path: to bring this routine in, paging may need this very routine",
                    )
                    .help("move it to a nonpaged section")
            }
            ObjectMisuse::PowerPageableNotInherited => {
                on_verifier(report, "device object without the `DO_POWER_PAGABLE` of the one below it", INHERIT_FLAG)
                    .help("copy the flag after `IoAttachDeviceToDeviceStack`")
            }
            ObjectMisuse::GoingAway { object, address, home } => {
                let (rule, help) = match object {
                    ObjectKind::WorkItem => {
                        (WORK_OUTLIVES, "let its routine free it, or wait for an event that its routine sets")
                    }
                    _ => (OUTLIVES, "cancel it, and call `KeFlushQueuedDpcs`, before its memory is freed"),
                };
                let words = on_verifier(report, format!("queued {object} in memory that goes away"), rule).help(help);
                match home {
                    Some(home) => words.note(format!("the {object} at `{address}` lies in {home}")),
                    None => words,
                }
            }
            ObjectMisuse::NotInitialised { object, address } => {
                on_verifier(report, format!("{object} used before it was initialised"), INITIALISED)
                    .label(format!("the {object} at `{address}`"))
            }
        }
    }
}

fn on_stack(title: String) -> Words {
    Words::finding(Finding::ObjectPageable, Level::Error, title, KERNEL_MODE_FOR_STACK)
        .help("wait with `KernelMode` as `WaitMode`: then the stack stays in memory")
        .help("or put it in the device extension, or in nonpaged pool")
}

//! What the audit sees in an image without running it. It claims only what a static view can.

use core::fmt;

use nt_types::{BugCheckCode, Irql, Rva};

use super::evidence::{Access, ObjectKind};
use super::paging::{ADDRESS_IN_DRIVER, HANDLE_IS_OPAQUE};
use super::refusal::LOCK_NAMES_A_SECTION;
use crate::code::{Class, Code, Level};
use crate::finding::Finding;
use crate::span::{Place, Source};
use crate::words::{Rule, Words};

/// What the audit sees, where a run would see something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Audit {
    /// Pageable code is entered where a page fault is fatal (K13).
    PageableCode {
        /// Its section.
        section: String,
        /// Lowest IRQL.
        irql: Irql,
    },
    /// Pageable data are used where a page fault is fatal (K13).
    PageableData {
        /// Which.
        target: InSection,
        /// How.
        access: Access,
        /// The routine that uses them; `None` for the instruction itself.
        routine: Option<String>,
        /// Lowest IRQL.
        irql: Irql,
    },
    /// Discarded code or data are used after initialisation (K12).
    Discarded {
        /// Which.
        target: InSection,
        /// How.
        usage: Usage,
    },
    /// A DPC or timer routine in a pageable section that is never locked (K10).
    DpcPageable {
        /// The documented name of this kind of routine.
        role: String,
        /// The section.
        section: String,
    },
    /// A synchronisation object (K11) or work item (K22) in pageable memory.
    Object {
        /// Its kind.
        object: ObjectKind,
        /// Where it lies; `None` for paged pool.
        home: Option<InSection>,
    },
    /// A discarded section is locked during initialisation (K25).
    LockOfInit {
        /// The section.
        section: String,
    },
    /// NULL instead of a handle (0x1A).
    NullHandle {
        /// The routine.
        routine: String,
    },
    /// An address in no driver: K28, or 0x1A for a lock.
    NoModule {
        /// The routine.
        routine: String,
        /// The address is that of pool; otherwise it is a number.
        pool: bool,
        /// The routine locks.
        locks: bool,
    },
    /// The header of the image, which lies in no section, is to be locked (0x1A).
    NoSection {
        /// The routine.
        routine: String,
    },
    /// A lock that nobody undoes (K05).
    LockKept {
        /// The section.
        section: String,
        /// Who leaves it.
        left_by: LeftBy,
    },
    /// A request unlocks without having locked, as the request that ends its kind does, too (A01).
    UnlockWithoutLock,
    /// A routine unlocks a section more often than it is locked (A01).
    TooManyUnlocks {
        /// The section.
        section: String,
    },
    /// A section is locked by address in several places (K18).
    RepeatLock {
        /// The section.
        section: String,
        /// Number of places.
        places: u32,
    },
    /// The handle of a section is used as an address (K07).
    HandleDereferenced,
    /// MmPageEntireDriver where an interrupt may be connected (K03).
    PageEntireWithInterrupt,
    /// An interrupt is connected without MmResetDriverPaging before it (K04).
    ConnectBeforeReset,
    /// MmPageEntireDriver outside every mutex (K19).
    PageEntireRace,
    /// A routine that asserts PAGED_CODE is called above APC_LEVEL (A02).
    PagedCodeFails {
        /// Lowest IRQL.
        irql: Irql,
    },
    /// PAGED_CODE in a section that is not pageable (A03).
    PagedCodeInNonpaged,
    /// A pageable routine without PAGED_CODE, in a driver that has it elsewhere (A04).
    PagedCodeMissing,
    /// Something was not looked at.
    Incomplete {
        /// What, in words.
        reasons: Vec<String>,
    },
}

/// Who leaves a lock behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftBy {
    /// DriverEntry, which fails.
    Entry,
    /// Unload, which undoes nothing of what DriverEntry locked.
    Unload,
    /// A way through a routine that fails, and keeps no handle.
    ErrorPath,
    /// A way through a routine that neither unlocks nor keeps the handle.
    OnePath,
    /// Who unlocks less often than was locked.
    Count,
    /// A way through `Unload` that leaves out the unlock.
    UnloadPath,
    /// A way through a routine that deletes the device in whose extension the handle lies.
    Device,
    /// A routine that throws the handle away, where nobody unlocks the section.
    Nobody,
    /// A routine that stores the handle where nobody looks for it.
    Handle,
}

/// A place in the image that is not in memory when it is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InSection {
    /// Its section.
    pub section: String,
    /// Where.
    pub rva: Rva,
    /// What begins there, where that is known.
    pub name: Option<Name>,
}

/// What begins at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// What symbols name so.
    Symbol(String),
    /// The table of a `switch`.
    JumpTable {
        /// The jump through it: its function, as far as names are known.
        jump: Box<Place>,
    },
}

impl fmt::Display for Name {
    /// "`Limit`", or "jump table of `Dpc` (`switch` at dpc.c:17)", with what is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jump = match self {
            Name::Symbol(name) => return write!(f, "`{name}`"),
            Name::JumpTable { jump } => jump,
        };
        match &jump.symbol {
            Some(function) => write!(f, "jump table of `{}`", function.name)?,
            None => write!(f, "jump table of the code at rva {}", jump.rva)?,
        }
        match &jump.source {
            Some(Source { file, line }) => write!(f, " (`switch` at {file}:{line})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for InSection {
    /// "`Limit` in section `PAGEDATA`, rva 0x5000", with what is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InSection { section, rva, name } = self;
        match name {
            Some(name) => write!(f, "{name} in section `{section}`, rva {rva}"),
            None => write!(f, "rva {rva} in section `{section}`"),
        }
    }
}

/// How discarded code or data are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Usage {
    Called,
    Read,
    Written,
    Locked,
    Named,
}

const NO_FAULT_ABOVE_APC: Rule = Rule {
    text: "a page fault at or above `DISPATCH_LEVEL` cannot be serviced",
    source: "Managing Hardware Priorities",
};
const INIT_IS_DISCARDED: Rule = Rule {
    text: "what is in `INIT` is discarded as soon as `DriverEntry`, or its last `Reinitialize` routine, returns",
    source: "MmLockPagableCodeSection macro",
};
const DPC_NONPAGED: Rule = Rule {
    text: "a DPC or timer routine runs at `DISPATCH_LEVEL` and is resident then",
    source: "MmLockPagableCodeSection macro",
};
const OBJECTS_NONPAGED: Rule = Rule {
    text: "timers, DPCs, events, mutexes, semaphores, spin locks and work items lie in nonpaged memory",
    source: "Force IRQL Checking",
};
const BALANCED: Rule = Rule {
    text: "each lock has one unlock, and all counts are zero when the driver is unloaded",
    source: "Locking Pageable Code or Data",
};
const ASSERTED: Rule = Rule {
    text: "`PAGED_CODE` stands in pageable routines, and asserts that IRQL is at or below `APC_LEVEL`",
    source: "PAGED_CODE macro",
};
const FIRST_BY_ADDRESS: Rule = Rule {
    text: "only the first lock is by address, later ones are by handle",
    source: "MmLockPagableDataSection function",
};
const NO_ISR_WHEN_PAGED: Rule = Rule {
    text: "a driver that is paged as a whole has no interrupt connected",
    source: "MmPageEntireDriver function",
};
const RESET_FIRST: Rule = Rule {
    text: "`MmResetDriverPaging` is called before an interrupt is connected",
    source: "Paging an Entire Driver",
};
const OPEN_IS_SERIALISED: Rule = Rule {
    text: "no processor pages the driver while another one connects an interrupt for an open",
    source: "Paging an Entire Driver",
};

impl Audit {
    pub(super) fn words(&self) -> Words {
        match self {
            Audit::PageableCode { section, irql } => {
                let title = format!("pageable code may be reached at `{irql}`");
                Words::finding(Finding::LatentFault, Level::Error, title, NO_FAULT_ABOVE_APC)
                    .label(format!("enters section `{section}`"))
                    .note(no_lock(section))
                    .help("move it to a nonpaged section, or lock its section before the IRQL is raised")
                    .help(FEASIBLE)
            }
            Audit::PageableData { target, access, routine, irql } => {
                let title = format!("pageable data may be {} at `{irql}`", access.participle());
                let by = routine.as_ref().map_or(String::new(), |routine| format!(" by `{routine}`"));
                Words::finding(Finding::LatentFault, Level::Error, title, NO_FAULT_ABOVE_APC)
                    .label(format!("{} of {target}{by}", access.noun()))
                    .note(no_lock(&target.section))
                    .help("move the data to a nonpaged section, or lock their section before the IRQL is raised")
                    .help(FEASIBLE)
            }
            Audit::Discarded { target, usage } => discarded(target, *usage),
            Audit::DpcPageable { role, section } => {
                let title = format!("{role} in pageable section `{section}`, which is never locked");
                Words::finding(Finding::DpcPageable, Level::Error, title, DPC_NONPAGED)
                    .help("move it, and all it calls and touches, to nonpaged sections")
            }
            Audit::Object { object, home } => object_words(*object, home.as_ref()),
            Audit::LockOfInit { section } => {
                let title = format!("section `{section}` locked during initialisation");
                Words::finding(Finding::LockOfInit, Level::Error, title, INIT_IS_DISCARDED)
                    .help(format!("do not lock `{section}`; put what is needed later into another section"))
            }
            Audit::NullHandle { routine } => {
                let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
                let title = format!("`{routine}` called with NULL for a handle");
                Words::driver(code, Level::Error, title, HANDLE_IS_OPAQUE)
                    .help("lock by address first, and keep the handle")
            }
            Audit::NoModule { routine, pool, locks } => {
                let what = if *pool { "an address in pool" } else { "a constant" };
                let title = format!("`{routine}` called with {what}, which is in no driver");
                let words = match locks {
                    true => {
                        let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
                        Words::driver(code, Level::Error, title, ADDRESS_IN_DRIVER)
                    }
                    false => Words::finding(Finding::NoModule, Level::Error, title, ADDRESS_IN_DRIVER),
                };
                words.help("pass the address of a routine of the driver, such as `DriverEntry`")
            }
            Audit::NoSection { routine } => {
                let code = Code::BugCheck(BugCheckCode::MEMORY_MANAGEMENT);
                let title = format!("`{routine}` called with the start of the image, which is in no section");
                Words::driver(code, Level::Error, title, LOCK_NAMES_A_SECTION)
                    .help("pass the address of a routine or variable in the section")
            }
            Audit::LockKept { section, left_by } => lock_kept(section, *left_by),
            Audit::UnlockWithoutLock => {
                let title = "a request unlocks a section that it did not lock";
                Words::finding(Finding::UnlockWithoutLock, Level::Error, title, BALANCED)
                    .note("the request that ends this kind of use unlocks it as well")
                    .help("let one routine own each lock")
            }
            Audit::TooManyUnlocks { section } => {
                let title = format!("section `{section}` is unlocked more often than it is locked");
                Words::finding(Finding::UnlockWithoutLock, Level::Error, title, BALANCED)
                    .help("unlock once for each lock")
            }
            Audit::RepeatLock { section, places } => {
                let title = format!("section `{section}` locked by address in {places} places");
                Words::finding(Finding::RepeatLockByAddress, Level::Info, title, FIRST_BY_ADDRESS)
                    .help("keep the handle of the first lock and use `MmLockPagableSectionByHandle`")
            }
            Audit::HandleDereferenced => {
                let title = "the handle of a section is used as a pointer";
                Words::finding(Finding::HandleDereferenced, Level::Error, title, HANDLE_IS_OPAQUE)
            }
            Audit::PageEntireWithInterrupt => {
                let title = "`MmPageEntireDriver` called where an interrupt may be connected";
                Words::finding(Finding::PageEntireWithInterrupt, Level::Error, title, NO_ISR_WHEN_PAGED)
                    .help("disconnect the interrupt first, then page the driver")
            }
            Audit::ConnectBeforeReset => {
                let title = "interrupt connected before `MmResetDriverPaging` is called";
                Words::finding(Finding::ResetWithInterrupt, Level::Error, title, RESET_FIRST)
                    .note("another routine pages the driver as a whole")
                    .help("call `MmResetDriverPaging` first, then connect the interrupt")
            }
            Audit::PageEntireRace => {
                let title = "`MmPageEntireDriver` called outside a mutex";
                Words::finding(Finding::PageEntireRace, Level::Error, title, OPEN_IS_SERIALISED)
                    .help("hold one mutex around the open count, the interrupt and the paging calls")
            }
            Audit::PagedCodeFails { irql } => {
                let title = format!("routine with `PAGED_CODE` may be called at `{irql}`");
                Words::finding(Finding::PagedCodeFails, Level::Error, title, ASSERTED)
                    .help("call it before the IRQL is raised, or drop the macro and keep the routine resident")
            }
            Audit::PagedCodeInNonpaged => {
                let title = "`PAGED_CODE` in a section that is not pageable";
                Words::finding(Finding::PagedCodeInNonpaged, Level::Info, title, ASSERTED)
                    .note("code analysis calls this C28172")
                    .help("put the routine into `PAGE`, or drop the macro")
            }
            Audit::PagedCodeMissing => {
                let title = "pageable routine without `PAGED_CODE`";
                Words::finding(Finding::PagedCodeMissing, Level::Info, title, ASSERTED)
                    .note("code analysis calls this C28170; other routines of this driver have the macro")
                    .help("begin it with `PAGED_CODE`")
            }
            Audit::Incomplete { reasons } => {
                let words = Words::plain(Code::Note, Level::Info, Class::Remark, "analysis incomplete");
                reasons.iter().fold(words, |words, reason| words.note(reason.clone()))
            }
        }
    }
}

const FEASIBLE: &str = "`nonpaged run --trim=on-raise` shows whether the path is feasible";

fn no_lock(section: &str) -> String {
    format!("no lock of `{section}` is taken on this path, or left to it by another routine")
}

fn discarded(target: &InSection, usage: Usage) -> Words {
    let (what, label) = match usage {
        Usage::Called => ("code called", "calls"),
        Usage::Read => ("data read", "reads"),
        Usage::Written => ("data written", "writes"),
        Usage::Locked => ("section locked", "locks"),
        Usage::Named => ("routine named to the system", "names"),
    };
    let title = format!("discarded {what} after initialisation");
    let title = if usage == Usage::Named { format!("{what} that is discarded before it is called") } else { title };
    Words::finding(Finding::InitUseAfterDiscard, Level::Error, title, INIT_IS_DISCARDED)
        .label(format!("{label} {target}"))
        .help("move it to `PAGE`, or to a nonpaged section if it is used at `DISPATCH_LEVEL`")
}

fn object_words(object: ObjectKind, home: Option<&InSection>) -> Words {
    let finding = if object == ObjectKind::WorkItem { Finding::WorkItemPageable } else { Finding::ObjectPageable };
    let lies = match home {
        Some(home) if home.name.is_some() => format!("it is {home}"),
        Some(home) => format!("it lies at {home}"),
        None => "it lies in paged pool".to_owned(),
    };
    Words::finding(finding, Level::Error, format!("{object} in pageable memory"), OBJECTS_NONPAGED)
        .note(lies)
        .help("put it in the device extension, or in nonpaged pool")
}

fn lock_kept(section: &str, left_by: LeftBy) -> Words {
    let (title, help) = match left_by {
        LeftBy::Entry => (
            format!("`DriverEntry` fails while section `{section}` is locked"),
            "unlock it on the way out: after a failure no routine of the driver is called",
        ),
        LeftBy::ErrorPath => (
            format!("a routine fails while section `{section}` is locked, and keeps no handle"),
            "unlock it on the way out: without the handle, nobody can later",
        ),
        LeftBy::OnePath => (
            format!("section `{section}` stays locked on this way, and nobody keeps the handle"),
            "unlock it on this way as on the others, or keep the handle",
        ),
        LeftBy::Count => (
            format!("section `{section}` is locked again here, and unlocked less often than that"),
            "unlock once for each lock",
        ),
        LeftBy::UnloadPath => (
            format!("section `{section}`, which `DriverEntry` locks, stays locked on this way through `Unload`"),
            "unlock in `Unload` what `DriverEntry` locked, or test the handle alone",
        ),
        LeftBy::Device => (
            format!("a device is deleted while section `{section}` is locked, and the handle with it"),
            "unlock it before `IoDeleteDevice`: the handle lies in the extension of the device only",
        ),
        LeftBy::Nobody => (
            format!("section `{section}` is locked, the handle is thrown away, and nobody unlocks it"),
            "keep the handle, and unlock by it when the device or file is closed, or in `Unload`",
        ),
        LeftBy::Handle => (
            format!("section `{section}` is locked, and nobody unlocks it by the handle that is kept here"),
            "unlock by this handle when the device or file is closed, or in `Unload`",
        ),
        LeftBy::Unload => (
            format!("section `{section}` is locked by `DriverEntry` and never unlocked by `Unload`"),
            "unlock in `Unload` what `DriverEntry` locked",
        ),
    };
    Words::finding(Finding::UnloadWithLocks, Level::Error, title, BALANCED).help(help)
}

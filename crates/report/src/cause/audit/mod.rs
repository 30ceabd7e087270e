//! What the audit sees in an image without running it. It claims only what a static view can.

mod driver_paging;
mod locks;
mod paged_code;
mod residency;

use core::fmt;

use nt_types::{Irql, Rva};

use super::evidence::{Access, ObjectKind};
use crate::code::{Class, Code, Level};
use crate::span::{Place, Source};
use crate::words::Words;

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

impl Audit {
    pub(super) fn words(&self) -> Words {
        match self {
            Audit::PageableCode { section, irql } => residency::pageable_code(section, *irql),
            Audit::PageableData { target, access, routine, irql } => {
                residency::pageable_data(target, *access, routine.as_deref(), *irql)
            }
            Audit::Discarded { target, usage } => residency::discarded(target, *usage),
            Audit::DpcPageable { role, section } => residency::dpc_pageable(role, section),
            Audit::Object { object, home } => residency::object(*object, home.as_ref()),
            Audit::LockOfInit { section } => locks::of_init(section),
            Audit::NullHandle { routine } => locks::null_handle(routine),
            Audit::NoModule { routine, pool, locks } => locks::no_module(routine, *pool, *locks),
            Audit::NoSection { routine } => locks::no_section(routine),
            Audit::LockKept { section, left_by } => locks::kept(section, *left_by),
            Audit::UnlockWithoutLock => locks::unlocked_unasked(),
            Audit::TooManyUnlocks { section } => locks::unlocked_too_often(section),
            Audit::RepeatLock { section, places } => locks::repeated(section, *places),
            Audit::HandleDereferenced => locks::handle_dereferenced(),
            Audit::PageEntireWithInterrupt => driver_paging::with_interrupt(),
            Audit::ConnectBeforeReset => driver_paging::connect_before_reset(),
            Audit::PageEntireRace => driver_paging::race(),
            Audit::PagedCodeFails { irql } => paged_code::fails(*irql),
            Audit::PagedCodeInNonpaged => paged_code::in_nonpaged(),
            Audit::PagedCodeMissing => paged_code::missing(),
            Audit::Incomplete { reasons } => incomplete(reasons),
        }
    }
}

fn incomplete(reasons: &[String]) -> Words {
    let words = Words::plain(Code::Note, Level::Info, Class::Remark, "analysis incomplete");
    reasons.iter().fold(words, |words, reason| words.note(reason.clone()))
}

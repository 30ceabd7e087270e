//! What is wrong: each kind of finding in the file of its area.

mod balance;
mod handles;
mod irql;
mod locks;
mod objects;
mod paged_code;
mod paging;
mod residency;
mod stacks;

use std::collections::BTreeSet;

use nt_types::Rva;

use crate::ddi::Kind;
use crate::flow::{Event, Facts, Range};
use crate::model::Model;
use crate::reach::{ContextId, Reach, Step, path};

/// Something that is wrong with a driver, as far as its image shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong, with the evidence.
    pub kind: FindingKind,
    /// The instruction, or the start of the routine.
    pub at: Rva,
    /// The way there: from the system, through calls, to the instruction.
    pub path: Vec<Step>,
    /// What the image does not show and must be so for the finding to be right; `None` where it shows all of it.
    pub assumes: Option<Assumption>,
}

/// What a finding that is only possible takes for granted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assumption {
    /// The section is not locked then, although the driver locks it somewhere.
    NotLocked {
        /// The section.
        section: String,
    },
    /// A routine whose purpose is not known is called after initialisation.
    CalledLater,
    /// The system calls the routine at DISPATCH_LEVEL, which it may.
    AtDispatch,
}

/// A place that is not in memory when it is needed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Target {
    /// Name of the section.
    pub section: String,
    /// Where.
    pub rva: Rva,
    /// The jump that goes through the table which begins there, as compilers write them for `switch`.
    pub jump: Option<Rva>,
}

/// What is wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FindingKind {
    /// Pageable code is entered where a page fault is fatal (K13).
    PageableCode {
        /// The code.
        target: Target,
        /// Lowest IRQL.
        irql: u8,
    },
    /// Pageable data are used where a page fault is fatal (K13).
    PageableData {
        /// The data.
        target: Target,
        /// Written rather than read.
        write: bool,
        /// The routine that uses them; `None` for the instruction itself.
        routine: Option<String>,
        /// Lowest IRQL.
        irql: u8,
    },
    /// Pageable code raises IRQL or takes a spin lock (K26).
    RaiseInPageable {
        /// The section.
        section: String,
        /// The routine called; `None` for a write to CR8.
        routine: Option<String>,
        /// Lowest IRQL after.
        to: u8,
    },
    /// Wait = TRUE from pageable code (K14).
    WaitTrue {
        /// The routine.
        routine: String,
        /// The section of the caller.
        section: String,
    },
    /// A routine for APC_LEVEL and below called above it (K02).
    AboveApc {
        /// The routine.
        routine: String,
        /// Lowest IRQL.
        irql: u8,
    },
    /// An interrupt service routine in a pageable or discarded section (K09).
    Isr {
        /// The section.
        section: String,
    },
    /// A DPC or timer routine in a pageable section that is never locked (K10).
    Dpc {
        /// The documented name of this kind of routine.
        role: &'static str,
        /// The section.
        section: String,
    },
    /// A completion routine in a pageable section (K21).
    Completion {
        /// The section.
        section: String,
    },
    /// An object that must be nonpaged lies in a pageable section (K11), or in paged pool.
    Object {
        /// Its kind.
        object: Kind,
        /// Where; `None` for paged pool.
        target: Option<Target>,
        /// The routine that is given it.
        routine: String,
    },
    /// A wait in user mode for an object on the stack, or with its wait blocks there (K11).
    WaitOnStack {
        /// The wait blocks lie there.
        blocks: bool,
    },
    /// A work item in paged pool or a pageable section (K22).
    WorkItem {
        /// Where; `None` for paged pool.
        target: Option<Target>,
    },
    /// Code or data of a discarded section are used after initialisation (K12).
    Discarded {
        /// What.
        target: Target,
        /// How: called, read, written, locked, or named as a routine to call later.
        how: Use,
    },
    /// A section that is not pageable is locked (K01).
    LockNonpageable {
        /// The section.
        section: String,
        /// The section that a jump at the address leads to.
        thunk_to: Option<String>,
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
    /// An address in no driver (K28; 0x1A for a lock).
    NoModule {
        /// The routine.
        routine: String,
        /// The address is that of pool; otherwise it is a number.
        pool: bool,
        /// The routine locks.
        locks: bool,
    },
    /// The address of the header of the image, which lies in no section, is to be locked (0x1A).
    NoSection {
        /// The routine.
        routine: String,
    },
    /// A lock that nobody undoes (K05).
    UnloadWithLocks {
        /// The section.
        section: String,
        /// Who leaves it.
        left_by: LeftBy,
    },
    /// A request unlocks what another kind of request locks and unlocks (A01).
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
    /// MmPageEntireDriver while an interrupt is connected (K03).
    PageEntireWithInterrupt,
    /// An interrupt is connected without MmResetDriverPaging before it (K04).
    ConnectBeforeReset,
    /// MmPageEntireDriver without a mutex (K19).
    PageEntireRace,
    /// A routine that asserts PAGED_CODE is called above APC_LEVEL (A02).
    PagedCodeFails {
        /// The routine.
        routine: Rva,
        /// Lowest IRQL.
        irql: u8,
    },
    /// PAGED_CODE in a section that is not pageable (A03).
    PagedCodeInNonpaged,
    /// A pageable routine without PAGED_CODE, in a driver that has it elsewhere (A04).
    PagedCodeMissing,
}

/// Who leaves a lock behind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LeftBy {
    /// DriverEntry, which fails.
    Entry,
    /// Unload, which undoes nothing of what DriverEntry locked.
    Unload,
    /// A way through a routine that fails and keeps no handle, as others of its ways do.
    ErrorPath,
    /// A way through a routine that neither unlocks nor keeps the handle, as others of its ways do, in a driver that unlocks this
    /// section nowhere else.
    OnePath,
    /// `Unload`, which undoes fewer locks than `DriverEntry` took.
    Count,
    /// A way through `Unload` that leaves out the unlock.
    UnloadPath,
    /// A way through a routine that deletes a device, in whose extension alone the handle lies.
    Device,
    /// A routine that throws the handle away, in a driver that unlocks this section nowhere.
    Nobody,
    /// Whoever stores the handle where nobody who unlocks looks for one.
    Handle,
}

/// How something is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Use {
    Called,
    Read,
    Written,
    Locked,
    Named,
}

/// Most findings of one image. A driver with more has been told enough.
const MAX_FINDINGS: usize = 10_000;

/// Collects findings; of those that say the same, the first stays.
pub(crate) struct Collector<'m, 'a> {
    pub(crate) model: &'m Model<'a>,
    pub(crate) reach: &'m Reach,
    /// Sections that the driver locks, anywhere.
    locked: Facts,
    seen: BTreeSet<(FindingKind, Rva, Option<Assumption>)>,
    /// Objects in pageable sections that were told.
    objects: BTreeSet<(Kind, Option<Target>)>,
    found: Vec<Finding>,
    /// There were more.
    left_out: bool,
}

impl<'m, 'a> Collector<'m, 'a> {
    /// Everything that is wrong, in the order of addresses.
    /// And whether some were left out because there were too many.
    pub(crate) fn all(model: &'m Model<'a>, reach: &'m Reach) -> (Vec<Finding>, bool) {
        let mut collector = Collector {
            model,
            reach,
            locked: model.locked_anywhere(),
            seen: BTreeSet::new(),
            objects: BTreeSet::new(),
            found: Vec::new(),
            left_out: false,
        };
        residency::find(&mut collector);
        irql::find(&mut collector);
        objects::find(&mut collector);
        stacks::find(&mut collector);
        locks::find(&mut collector);
        balance::find(&mut collector);
        handles::find(&mut collector);
        paging::find(&mut collector);
        paged_code::find(&mut collector);
        // What is certain comes first, and stays.
        let key = |finding: &Finding| (finding.at, finding.kind.clone(), finding.assumes.clone());
        collector.found.sort_by_cached_key(key);
        collector.found.dedup_by(|next, one| (next.at, &next.kind) == (one.at, &one.kind));
        (collector.found, collector.left_out)
    }

    /// Adds a finding at an instruction, reached in a context of its function at a level.
    fn add(&mut self, kind: FindingKind, at: u32, way: Option<(ContextId, Range)>) {
        self.add_assuming(kind, at, way, None);
    }

    /// Adds a finding that is one however its instruction is reached.
    fn add_on_any_way(&mut self, kind: FindingKind, function: usize, event: &Event) {
        let way = self.reach.at(function, event).next();
        self.add(kind, event.at, way.map(|way| (way.context, way.irql)));
    }

    /// As [`Collector::add`], for a finding that may take something for granted.
    fn add_assuming(
        &mut self,
        kind: FindingKind,
        at: u32,
        way: Option<(ContextId, Range)>,
        assumes: Option<Assumption>,
    ) {
        if self.found.len() >= MAX_FINDINGS {
            self.left_out = true;
            return;
        }
        let path = way.map_or_else(Vec::new, |(context, irql)| path(self.model, self.reach, context, at, irql));
        self.add_with(kind, at, path, assumes);
    }

    fn add_with(&mut self, kind: FindingKind, at: u32, path: Vec<Step>, assumes: Option<Assumption>) {
        if self.seen.insert((kind.clone(), Rva(at), assumes.clone())) {
            self.found.push(Finding { kind, at: Rva(at), path, assumes });
        }
    }

    fn target(&self, section: usize, rva: u32) -> Target {
        let jump = self.model.functions.jump_through(rva).map(Rva);
        Target { section: self.model.program.section_name(section), rva: Rva(rva), jump }
    }
}

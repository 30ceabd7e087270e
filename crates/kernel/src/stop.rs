//! Why a run ended, with the evidence.

use std::ops::RangeInclusive;

use engine::Access;
use nt_types::{BugCheck, Irql, NtStatus, Va};

use crate::routine::{ObjectKind, Routine};
use crate::thread::ThreadId;

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Stop {
    /// What happened.
    pub kind: StopKind,
    /// Where.
    pub place: Place,
}

/// Where something happened. The default is before anything happens: no processor has been started.
#[derive(Clone, Default, Debug)]
pub struct Place {
    /// Processor number.
    pub processor: usize,
    /// The thread that was current.
    pub thread: ThreadId,
    /// IRQL at that moment.
    pub irql: Irql,
    /// The guest instruction, or the service that acted on the guest's behalf, or where that service returns to.
    pub instruction: Va,
    /// The service, in the last two cases.
    pub service: Option<&'static str>,
    /// Spin locks that the processor held.
    pub spin_locks: usize,
    /// Instructions retired by the whole machine before this moment.
    pub step: u64,
    /// Return addresses, innermost first; the first is `instruction`.
    pub stack: Vec<Va>,
    /// The branch that led to `instruction`, where it was not reached from the one before it.
    pub came_from: Option<Va>,
}

/// What ended the run.
#[derive(Clone, Debug)]
pub enum StopKind {
    /// Windows would stop here.
    BugCheck(BugCheck, Cause),
    /// The driver asked for something that this machine does not model.
    Unsupported(Unsupported),
    /// A limit that the user set was reached.
    Limit(Limit),
    /// The host did not take a page for the paging file. Nothing is lost, but the run cannot go on.
    PagingFile(memory::WriteError),
    /// A contradiction inside this program.
    Internal(String),
}

/// What led to a bug check.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A memory access that could not be served.
    Access {
        /// The address.
        address: Va,
        /// How.
        access: Access,
        /// Why it was refused.
        why: Refusal,
    },
    /// The page could not be read from the paging file (0x7A).
    InPage {
        /// The address whose page was wanted.
        address: Va,
        /// What the paging file answered.
        error: memory::InPageError,
    },
    /// A page of the stack of a thread that is to run could not be read from the paging file (0x77).
    StackInPage {
        /// The thread.
        thread: ThreadId,
        /// What the paging file answered.
        error: memory::InPageError,
    },
    /// A thread ended while its stack was not allowed to leave memory (0x94).
    StackLockedAtExit,
    /// A section lock or unlock that the memory manager rejects (D16).
    Section(section_paging::Failure),
    /// A routine was called above its documented IRQL while that is checked (R142).
    Irql {
        /// The routine.
        routine: &'static str,
        /// The levels at which it may be called.
        allowed: RangeInclusive<Irql>,
    },
    /// The thread would have to wait at `DISPATCH_LEVEL` or above (D40).
    WaitAtDispatch {
        /// The routine that waits.
        routine: Va,
    },
    /// An exception that nobody handled.
    Exception {
        /// Its code.
        code: NtStatus,
        /// Where it was raised.
        address: Va,
    },
    /// The kernel stack is used up.
    StackOverflow {
        /// The address touched beyond it.
        address: Va,
    },
    /// An exception could not be written to the stack: the stack pointer does not point to one.
    BadStack {
        /// The address.
        address: Va,
    },
    /// The driver called `KeBugCheckEx` itself.
    Requested,
    /// An object is initialised in pageable memory while the verifier is on (0xC4/0xE1).
    ObjectPageable {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// Pool with a queued object in it is freed (0xC7).
    GoingAway {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// A work item in pageable memory is queued while the verifier is on (0xC4/0x131).
    WorkItemPageable {
        /// Its address.
        item: Va,
    },
    /// A completion routine lies in a pageable section while the verifier is on (0xC9/0x227).
    CompletionPageable {
        /// Its address.
        routine: Va,
        /// The section.
        section: String,
    },
    /// A device object lacks the DO_POWER_PAGABLE of the one below it (0xC9/0x23F).
    PowerFlagMissing,
    /// Pool handled wrongly.
    Pool(PoolMisuse),
    /// A driver is unloaded and has not freed its pool, with pool tracking (0xC4/0x62): the first block.
    PoolLeft {
        /// The address.
        address: Va,
        /// Its bytes.
        bytes: u64,
        /// Its tag.
        tag: [u8; 4],
    },
    /// Pages described, mapped or unlocked that nobody keeps in memory.
    Pages(PageMisuse),
    /// A request handled wrongly.
    Request(RequestMisuse),
    /// A routine that the system called returned in more critical or guarded regions than it was called in, or in fewer.
    RegionsNotLeft {
        /// What kind of routine.
        what: Routine,
    },
    /// A routine that the system called returned at another IRQL.
    IrqlNotRestored {
        /// What kind of routine.
        what: Routine,
        /// Level that it was called at.
        before: Irql,
        /// Level that it returned at.
        after: Irql,
    },
    /// Code integrity checks do not allow a section of the image (0xC4/0x2003 to 0x2005).
    Integrity {
        /// The section.
        section: String,
        /// What about it.
        flaw: ImageFlaw,
    },
    /// A documented rule of a routine that no other cause covers.
    Rule {
        /// The routine.
        routine: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

/// Pool handled wrongly (bug check 0xC2, of special pool 0xC1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolMisuse {
    /// No block begins at the address that was freed.
    NotABlock {
        /// The address.
        address: Va,
    },
    /// Something was written beside a block of special pool.
    Overwritten {
        /// The address of the block.
        address: Va,
        /// Where.
        at: Va,
    },
    /// The block has another tag.
    WrongTag {
        /// Its address.
        address: Va,
        /// The tag passed.
        passed: [u8; 4],
        /// The tag it was allocated with.
        actual: [u8; 4],
    },
}

/// What code integrity checks do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageFlaw {
    /// A section that is both executable and writable.
    WritableCode,
    /// A section that does not begin at a page.
    Unaligned,
    /// The import address table in an executable section.
    ImportsInCode,
}

/// Pages described, mapped or unlocked that nobody keeps in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageMisuse {
    /// A page of RAM that may leave is mapped by its physical address (0x1A/0x1233).
    PhysicalUnlocked {
        /// Its number.
        frame: u64,
    },
    /// The mapping that an MDL tells of is gone (0x1A/0x1235).
    NotMapped {
        /// The MDL.
        list: Va,
        /// Where it was mapped.
        address: Va,
    },
    /// An MDL is mapped whose pages may leave, or that holds what is the number of no page (0x1A/0x1236).
    MdlUnlocked {
        /// The MDL.
        list: Va,
        /// Which of its pages.
        index: u64,
        /// The number of that page.
        frame: u64,
    },
    /// An MDL for nonpaged memory is built of an address whose page is not resident (0x1A/0x1240).
    NotResident {
        /// The MDL.
        list: Va,
        /// The page.
        page: Va,
    },
    /// Pages of RAM are unlocked more often than they were locked (0x4E/7).
    UnlockedTooOften {
        /// Number of the first one.
        frame: u64,
    },
    /// Pages of a process are unlocked that are not locked (0x76/1).
    ProcessNotLocked {
        /// The MDL.
        list: Va,
    },
    /// The process ends while pages of it are locked (0x76/0, 0xCB where locks are tracked).
    LeftLocked {
        /// The MDL, the last one if there are several.
        list: Va,
        /// Pages that it keeps locked.
        pages: u64,
    },
    /// Pages of a device are unlocked that are not locked (0x1A/0x61948).
    DeviceNotLocked {
        /// Number of the first one.
        base: u64,
        /// How many.
        pages: u64,
    },
    /// An MDL is unmapped that is not mapped there (0xDA/6).
    UnmappedTwice {
        /// The MDL.
        list: Va,
        /// The address passed.
        address: Va,
        /// Pages of the MDL.
        pages: u64,
    },
    /// A partial MDL is to describe what its source does not (0x12E).
    PartOutside {
        /// The source.
        source: Va,
        /// The partial MDL.
        target: Va,
        /// First byte of the part.
        address: Va,
        /// Bytes of the part.
        bytes: u64,
    },
    /// A partial MDL has no room for its pages (0x40).
    PartTooLarge {
        /// The partial MDL.
        target: Va,
        /// Pages of the part.
        pages: u64,
    },
}

/// A request handled wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestMisuse {
    /// Completed more than once (0x44).
    CompletedTwice {
        /// The request.
        irp: Va,
    },
    /// Sent on with no stack location left (0x35).
    NoStackLocation {
        /// The request.
        irp: Va,
    },
}

/// Why memory refused an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The page is pageable and not in memory, at an IRQL that cannot wait for it.
    Out,
    /// The page was freed when initialisation ended.
    Discarded,
    /// Nothing is mapped there.
    NotMapped,
    /// The page belonged to a driver that has been unloaded.
    Unloaded,
    /// The page held a block of special pool that was freed.
    SpecialPoolFreed,
    /// The page is one of those before and after a block of special pool.
    SpecialPoolEnd,
    /// The address is not canonical.
    NonCanonical,
    /// The page is present and read-only.
    ReadOnly,
    /// The page is present and not executable.
    NoExecute,
}

/// Something not modelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsupported {
    /// A call to an import that nobody implements.
    Import {
        /// The exporting image.
        module: String,
        /// The routine.
        name: String,
    },
    /// A read or write of an imported variable that nobody implements.
    DataImport {
        /// The exporting image.
        module: String,
        /// The variable.
        name: String,
    },
    /// A routine refuses a parameter value.
    Parameter {
        /// The routine.
        routine: &'static str,
        /// The parameter and what about it.
        what: String,
    },
    /// An instruction.
    Instruction(Vec<u8>),
    /// A model-specific register.
    Msr {
        /// Its number.
        register: u32,
        /// What was to be written; `None` for a read.
        write: Option<u64>,
    },
    /// A request code that the machine does not model.
    Feature(String),
}

/// A limit of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Instructions.
    Steps(u64),
    /// Nothing can ever happen again, but a request has not ended.
    Deadlock,
    /// Host or guest resource named here.
    Resource(&'static str),
}

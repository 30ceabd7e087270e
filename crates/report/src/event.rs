//! Earlier events that made a fault possible.

use nt_types::{Irql, NtStatus, Va};

use crate::cause::{Home, ObjectKind, Requests};
use crate::span::Span;

/// Instructions retired since the machine started, over all processors.
pub type Step = u64;

/// Something that happened before, with its own place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub step: Step,
    /// Where in the driver; `None` where the system did it on its own (a trim, a discard).
    pub at: Option<Span>,
}

/// What happened. Evidence only: the words are in [`crate::draw`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// KeRaiseIrql, a spin lock, a write to CR8, delivery of a DPC or an interrupt.
    IrqlRaised {
        /// Level before.
        from: Irql,
        /// Level after.
        to: Irql,
        /// What raised it.
        by: RaisedBy,
    },
    /// The faulting code was called from here. Drawn inside the window of the event before it where it lies there.
    Entered,
    /// The processor came from here to where no code is.
    Jumped,
    /// An unlock, or the first one to leave the section unlocked.
    SectionUnlocked {
        /// The section.
        section: String,
        /// Count before.
        from: u32,
        /// Count after.
        to: u32,
        /// Requests the driver had pending at that moment.
        outstanding: Requests,
    },
    /// A lock.
    SectionLocked {
        /// The section.
        section: String,
        /// Count after.
        count: u32,
    },
    /// No lock was ever taken: pageable since the image was loaded.
    PageableSinceLoad {
        /// The section.
        section: String,
    },
    /// Pages of a section left memory.
    SectionTrimmed {
        /// The section.
        section: String,
        /// Pages that left.
        pages: u32,
        /// Pages the section has that may leave.
        of: u32,
    },
    /// One page left memory.
    PageTrimmed {
        /// Address of the page.
        page: Va,
    },
    /// A thread began to wait in user mode: its stack may leave memory.
    WaitsInUserMode {
        /// Its name.
        thread: String,
    },
    /// The stack of a thread left memory.
    StackTrimmed {
        /// The name of the thread.
        thread: String,
        /// Pages that left.
        pages: u32,
    },
    /// A thread was told to keep its stack in memory.
    StackKept,
    /// MmPageEntireDriver made the whole image pageable.
    DriverPaged,
    /// MmResetDriverPaging restored the attributes of the sections.
    DriverReset,
    /// The section was discarded when initialisation ended.
    Discarded {
        /// The section.
        section: String,
        /// Bytes freed with it.
        bytes: u64,
    },
    /// An address that was discarded later was given to a routine.
    AddressGiven {
        /// The routine.
        routine: String,
    },
    /// An address that was discarded is kept. The place is the instruction that takes it.
    AddressKept(Keeper),
    /// Pool was allocated.
    Allocated {
        /// Where it lies.
        home: Home,
        /// Bytes asked for.
        bytes: u64,
    },
    /// Pool was freed.
    Freed {
        /// Where it lay.
        home: Home,
    },
    /// An object was initialised.
    Initialised {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// A DPC, timer, APC, work item or request was queued.
    Queued {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// An interrupt was connected.
    InterruptConnected {
        /// The vector.
        vector: u32,
    },
    /// A request was completed.
    Completed {
        /// The request.
        irp: Va,
        /// With this status.
        status: NtStatus,
    },
    /// A spin lock, mutex or resource was acquired.
    Acquired {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// A driver was unloaded.
    Unloaded {
        /// The image.
        image: String,
    },
    /// The schedule that is explored or replayed had something happen.
    Scheduled(Deed),
}

/// Where a driver keeps an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Keeper {
    /// A variable of the image.
    Variable {
        /// Its name in backticks, or its place.
        name: String,
    },
    /// The driver object: `MajorFunction[IRP_MJ_READ]` or another member of it.
    DriverObject {
        /// The member.
        member: String,
    },
    /// A device object, or its extension.
    Device {
        /// The address that holds it.
        address: Va,
    },
    /// Pool.
    Pool {
        /// The address that holds it.
        address: Va,
        /// The pool.
        home: Home,
    },
}

/// What a schedule has happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// All that may leave memory left it.
    Trim,
    /// All of one section that may leave memory left it.
    TrimSection {
        /// Its name, or what is in no section.
        section: String,
    },
    /// One page left memory.
    TrimPage {
        /// Its first byte.
        page: Va,
    },
    /// An interrupt that no device asked for.
    Interrupt {
        /// The vector.
        vector: u32,
    },
    /// Another thread got the processor.
    Switch {
        /// Its name.
        thread: String,
    },
    /// Another processor went on.
    Processor {
        /// Its number.
        number: u8,
    },
    /// Time passed to the next moment at which something was due.
    Time,
    /// A request was cancelled.
    Cancel,
    /// A routine found no memory.
    Fail {
        /// Its name.
        routine: String,
    },
    /// A device answered as one does that was pulled out.
    Absent,
    /// Something had another turn than usual.
    Order(Order),
    /// Something happened to a device.
    Befall {
        /// What, as a sentence.
        mishap: String,
    },
}

/// Another turn than the usual one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// A timer was handled before another one that came due before it.
    FirstTimer(Timed),
    /// A timer expired with the next tick of the clock.
    LateTimer(Timed),
    /// A wait timed out with the next tick of the clock.
    LateTimeout {
        /// The name of the thread.
        thread: String,
    },
    /// A read from the paging file took longer than what was due next.
    LateRead {
        /// The page.
        page: Va,
    },
    /// A queue of DPCs was left alone until the next tick of the clock.
    LateDpc(Timed),
    /// A thread got an object before those that had waited for longer.
    FirstWaiter {
        /// Its name.
        thread: String,
    },
    /// A thread missed that an event was pulsed.
    MissedPulse {
        /// Its name.
        thread: String,
    },
    /// The driver of the bus left a request pending and completed it later.
    LateCompletion {
        /// The request.
        request: Va,
    },
    /// The same, and completed it in a DPC.
    CompletionInDpc {
        /// The request.
        request: Va,
    },
    /// Threaded DPCs were disabled.
    ThreadedDpcsDisabled,
}

/// A timer or a DPC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed {
    /// The object.
    pub address: Va,
    /// The routine of the DPC, where there is one.
    pub routine: Option<String>,
}

/// What raised the IRQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RaisedBy {
    /// A spin lock that is still held at the report.
    SpinLockHeld,
    /// A spin lock that has been released since.
    SpinLock,
    /// KeRaiseIrql and its like, or a write to CR8.
    Raise,
    /// The system entered a DPC routine.
    Dpc,
    /// The system entered an interrupt service routine.
    Interrupt,
}

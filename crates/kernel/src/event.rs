//! What happened, in order: the story behind every report.

use nt_types::{Irql, NtStatus, Va};

use crate::deed::Deed;
use crate::finding::Finding;
use crate::routine::{ObjectKind, Routine};
use crate::thread::ThreadId;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Instructions retired before it.
    pub step: u64,
    /// Virtual time, nanoseconds.
    pub time_ns: u64,
    /// Processor.
    pub processor: usize,
    /// Thread.
    pub thread: ThreadId,
    /// IRQL at that moment.
    pub irql: Irql,
    /// The instruction, or the return address of the service called.
    pub place: Va,
    /// The service called, where `place` is its return address.
    pub service: Option<&'static str>,
    /// What.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A driver image was mapped.
    Loaded {
        /// File name.
        image: String,
        /// First byte of the image.
        base: Va,
        /// Number of pages.
        pages: u64,
    },
    /// A driver image was unmapped.
    Unloaded {
        /// File name.
        image: String,
        /// First byte of the image.
        base: Va,
        /// Pages that stay allocated because they were locked (D28).
        leaked_pages: u64,
    },
    /// INIT and discardable pages were freed.
    Discarded {
        /// File name.
        image: String,
        /// Number of pages.
        pages: u64,
    },
    /// A routine of a driver was entered by the kernel, at the IRQL of the event.
    Entered {
        /// What kind of routine.
        what: Routine,
        /// Its address.
        routine: Va,
    },
    /// It returned.
    Left {
        /// What kind of routine.
        what: Routine,
        /// Its address.
        routine: Va,
        /// What it left in RAX.
        result: u64,
    },
    /// The IRQL went up.
    IrqlRaised {
        /// Before.
        from: Irql,
        /// After.
        to: Irql,
    },
    /// The IRQL went down.
    IrqlLowered {
        /// Before.
        from: Irql,
        /// After.
        to: Irql,
    },
    /// A section was locked; `count` is the new count.
    SectionLocked {
        /// The section.
        section: section_paging::SectionId,
        /// Its lock count now.
        count: u32,
    },
    /// A section was unlocked.
    SectionUnlocked {
        /// The section.
        section: section_paging::SectionId,
        /// Its lock count now.
        count: u32,
    },
    /// The whole driver became pageable.
    DriverPaged {
        /// First byte of the image.
        base: Va,
    },
    /// The whole driver went back to its attributes.
    DriverPagingReset {
        /// First byte of the image.
        base: Va,
        /// Pages that came in.
        pages: u64,
    },
    /// Pages left memory.
    Trimmed {
        /// The pages.
        pages: Vec<Va>,
        /// Why.
        reason: memory::TrimReason,
    },
    /// A page came back; `hard` where it was read from the paging file.
    PagedIn {
        /// First byte of the page.
        page: Va,
        /// It was read from the paging file.
        hard: bool,
    },
    /// The thread begins to wait in user mode: its stack may leave memory.
    WaitsInUserMode {
        /// Lowest and highest address of its stack.
        stack: (Va, Va),
    },
    /// The thread allows its stack to leave memory while it waits in user mode, or does not.
    StackSwap {
        /// It may.
        enabled: bool,
    },
    /// A service got an address of a section that is discarded when initialisation ends.
    Passed {
        /// The address.
        address: Va,
    },
    /// A kernel object was initialised.
    Initialised {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
    /// A timer was set.
    TimerSet {
        /// The timer.
        timer: Va,
        /// Its DPC, or null.
        dpc: Va,
    },
    /// A work item was queued.
    WorkItemQueued {
        /// The work item.
        item: Va,
        /// Its routine.
        routine: Va,
    },
    /// Pool was allocated.
    Allocated {
        /// The block.
        address: Va,
        /// Its size.
        bytes: u64,
        /// Its tag, in memory order.
        tag: [u8; 4],
        /// From paged pool.
        paged: bool,
    },
    /// Pool was freed.
    Freed {
        /// The block.
        address: Va,
    },
    /// An interrupt service routine was connected.
    InterruptConnected {
        /// The vector.
        vector: u32,
        /// The routine.
        routine: Va,
    },
    /// It was disconnected.
    InterruptDisconnected {
        /// The vector.
        vector: u32,
        /// The routine.
        routine: Va,
    },
    /// A DPC was queued.
    DpcQueued {
        /// The KDPC.
        dpc: Va,
        /// Its address.
        routine: Va,
    },
    /// A device raised its line.
    InterruptRaised {
        /// The vector.
        vector: u32,
    },
    /// An I/O request was sent to a driver.
    IrpSent {
        /// The IRP.
        irp: Va,
        /// IRP_MJ_*.
        major: u8,
        /// IRP_MN_*.
        minor: u8,
        /// The device object.
        device: Va,
    },
    /// It was completed.
    IrpCompleted {
        /// The IRP.
        irp: Va,
        /// IoStatus.Status.
        status: NtStatus,
        /// IoStatus.Information.
        information: u64,
    },
    /// Cancellation was asked for.
    IrpCancelled {
        /// The IRP.
        irp: Va,
    },
    /// A thread began.
    ThreadStarted {
        /// The new thread.
        started: ThreadId,
        /// Its address.
        routine: Va,
    },
    /// A thread ended.
    ThreadEnded {
        /// The thread.
        ended: ThreadId,
    },
    /// The driver printed.
    Printed {
        /// The text.
        text: String,
    },
    /// The driver wrote to the error log.
    ErrorLogged {
        /// `ErrorCode` of the entry.
        code: NtStatus,
        /// `FinalStatus` of the entry.
        status: NtStatus,
    },
    /// The driver asked for the address of a routine that this kernel does not have.
    RoutineNotFound {
        /// The name.
        name: String,
    },
    /// Something happened because it was chosen.
    Chosen {
        /// What.
        deed: Deed,
    },
    /// The checker found something.
    Found(Finding),
    /// A scenario step or harness action began.
    Action {
        /// The text.
        text: String,
    },
    /// An exception was raised.
    Exception {
        /// Exception code.
        code: NtStatus,
        /// Where it was raised.
        address: Va,
    },
}

/// The events of a run, bounded.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    events: Vec<Event>,
    dropped: u64,
    findings_only: bool,
}

/// Events kept; when twice as many are held, the older half goes.
const KEPT: usize = 1 << 19;

impl EventLog {
    /// Keeps findings only from now on: for runs of which nobody tells a story.
    pub fn keep_findings_only(&mut self) {
        self.findings_only = true;
    }

    pub(crate) fn wants(&self, kind: &EventKind) -> bool {
        !self.findings_only || matches!(kind, EventKind::Found(_))
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        if self.events.len() >= 2 * KEPT {
            self.events.drain(..KEPT);
            self.dropped += KEPT as u64;
        }
        self.events.push(event);
    }

    /// The events kept, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.events.iter()
    }

    /// Number of events dropped from the front.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes the events out, for a consumer that writes them as it goes.
    pub fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

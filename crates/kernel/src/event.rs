//! What happened, in order: the story behind every report.

use nt_types::{Irql, NtStatus, Va};

use crate::finding::Finding;
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
    /// What.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A driver image was mapped.
    Loaded { image: String, base: Va, pages: u64 },
    /// A driver image was unmapped.
    Unloaded { image: String, base: Va, leaked_pages: u64 },
    /// INIT and discardable pages were freed.
    Discarded { image: String, pages: u64 },
    /// A routine of a driver was entered by the kernel.
    Entered { what: &'static str, routine: Va },
    /// It returned.
    Left { what: &'static str, routine: Va, result: u64 },
    /// The IRQL went up.
    IrqlRaised { from: Irql, to: Irql },
    /// The IRQL went down.
    IrqlLowered { from: Irql, to: Irql },
    /// A section was locked; `count` is the new count.
    SectionLocked { section: section_paging::SectionId, count: u32 },
    /// A section was unlocked.
    SectionUnlocked { section: section_paging::SectionId, count: u32 },
    /// The whole driver became pageable.
    DriverPaged { base: Va },
    /// The whole driver went back to its attributes.
    DriverPagingReset { base: Va, pages: u64 },
    /// Pages left memory.
    Trimmed { pages: Vec<Va>, reason: memory::TrimReason },
    /// A page came back; `hard` where it was read from the paging file.
    PagedIn { page: Va, hard: bool },
    /// A DPC was queued.
    DpcQueued { dpc: Va, routine: Va },
    /// A device raised its line.
    InterruptRaised { vector: u32 },
    /// An I/O request was sent to a driver.
    IrpSent { irp: Va, major: u8, minor: u8, device: Va },
    /// It was completed.
    IrpCompleted { irp: Va, status: NtStatus, information: u64 },
    /// A driver marked it pending.
    IrpPending { irp: Va },
    /// Cancellation was asked for.
    IrpCancelled { irp: Va },
    /// A thread began.
    ThreadStarted { started: ThreadId, routine: Va },
    /// A thread ended.
    ThreadEnded { ended: ThreadId },
    /// The driver printed.
    Printed { text: String },
    /// The checker found something.
    Found(Finding),
    /// A scenario step or harness action began.
    Action { text: String },
    /// An exception was raised.
    Exception { code: NtStatus, address: Va },
}

/// The events of a run, bounded.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    events: Vec<Event>,
    dropped: u64,
}

/// Events kept; when twice as many are held, the older half goes.
const KEPT: usize = 1 << 19;

impl EventLog {
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

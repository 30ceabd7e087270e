//! What a thread can wait for.

use nt_types::Va;

/// A wait: what ends it, and when it gives up.
#[derive(Clone, Hash, Debug)]
pub struct Wait {
    /// What ends it.
    pub on: WaitOn,
    /// Virtual time in nanoseconds at which it ends with `STATUS_TIMEOUT`; `None` waits for ever.
    pub deadline_ns: Option<u64>,
    /// May user APCs or alerts end it.
    pub alertable: bool,
}

/// The things a thread can wait for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum WaitOn {
    /// Dispatcher objects in guest memory: any of them, or all.
    Objects {
        /// The objects.
        objects: Vec<Va>,
        /// All of them, not any.
        all: bool,
    },
    /// Time only.
    Time,
    /// Reads from the paging file: all of them.
    PageReads(Vec<memory::ReadTicket>),
    /// Something inside the memory manager: another caller's lock, page-entire or reset, or the calls on an image.
    Paging(section_paging::Event),
    /// An address that a kernel-owned lock lives at (resource, push lock, fast mutex): woken explicitly.
    Address(Va),
    /// The DPCs that were queued before this number of the DPC sequence.
    DpcFlush(u64),
    /// The I/O request at this address.
    Irp(Va),
    /// Another thread's end.
    Thread(crate::thread::ThreadId),
}

impl Wait {
    /// A wait without a deadline that nothing but its object ends.
    pub fn on(on: WaitOn) -> Wait {
        Wait { on, deadline_ns: None, alertable: false }
    }
}

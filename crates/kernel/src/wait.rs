//! What a thread can wait for.

use std::hash::{Hash, Hasher};

use nt_types::{Va, constants};

/// A wait: what ends it, and when it gives up.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What ends it.
    pub on: WaitOn,
    /// Virtual time in nanoseconds at which it ends with `STATUS_TIMEOUT`; `None` waits for ever.
    pub deadline_ns: Option<u64>,
    /// May user APCs or alerts end it.
    pub alertable: bool,
    /// The caller waits with `WaitMode` = `UserMode`: its stack may leave memory meanwhile (R190). A wait that the kernel makes
    /// for itself is one in kernel mode.
    pub user_mode: bool,
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

impl Hash for Wait {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The machine keeps the deadline of a thread that waits with all others.
        let Wait { on, deadline_ns: _, alertable, user_mode } = self;
        (on, alertable, user_mode).hash(state);
    }
}

/// In which manner a driver waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) alertable: bool,
    pub(crate) user_mode: bool,
}

impl Manner {
    /// As the parameters `WaitMode` and `Alertable` say.
    pub(crate) fn of(mode: u8, alertable: bool) -> Manner {
        Manner { alertable, user_mode: u32::from(mode) == constants::USER_MODE }
    }
}

impl Wait {
    /// A wait that a driver asks for.
    pub(crate) fn by_driver(on: WaitOn, deadline_ns: Option<u64>, manner: Manner) -> Wait {
        Wait { on, deadline_ns, alertable: manner.alertable, user_mode: manner.user_mode }
    }

    /// A wait without a deadline that nothing but its object ends.
    pub fn on(on: WaitOn) -> Wait {
        Wait { on, deadline_ns: None, alertable: false, user_mode: false }
    }
}

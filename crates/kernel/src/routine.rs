//! What the kernel calls in a driver, and what drivers hand to it: names for evidence.

use core::fmt;

use nt_types::layout;

/// A kind of routine that the kernel calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the documentation")]
pub enum Routine {
    DriverEntry,
    Reinitialize,
    AddDevice,
    Unload,
    DllInitialize,
    DllUnload,
    Dispatch,
    WorkItem,
    Dpc,
    /// A DPC in a thread of its own, at `PASSIVE_LEVEL`.
    ThreadedDpc,
    Apc,
    /// An interrupt service routine, called for this vector.
    Isr {
        vector: u32,
    },
}

impl Routine {
    /// True for what runs on top of whatever the processor was doing.
    pub fn interrupts(self) -> bool {
        matches!(self, Routine::Dpc | Routine::Apc | Routine::Isr { .. })
    }
}

impl fmt::Display for Routine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Routine::DriverEntry => "DriverEntry",
            Routine::Reinitialize => "Reinitialize routine",
            Routine::AddDevice => "AddDevice routine",
            Routine::Unload => "Unload routine",
            Routine::DllInitialize => "DllInitialize",
            Routine::DllUnload => "DllUnload",
            Routine::Dispatch => "dispatch routine",
            Routine::WorkItem => "work item routine",
            Routine::Dpc => "DPC routine",
            Routine::ThreadedDpc => "threaded DPC routine",
            Routine::Apc => "APC routine",
            Routine::Isr { .. } => "interrupt service routine",
        })
    }
}

/// A kind of kernel object that lies in memory of the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are those of the documentation")]
pub enum ObjectKind {
    Timer,
    Dpc,
    Apc,
    Event,
    Mutex,
    FastMutex,
    Semaphore,
    SpinLock,
    Resource,
    RemoveLock,
    WorkItem,
}

impl ObjectKind {
    /// Size of its structure.
    pub fn size_bytes(self) -> u64 {
        match self {
            ObjectKind::Timer => layout::ktimer::SIZEOF,
            ObjectKind::Dpc => layout::kdpc::SIZEOF,
            ObjectKind::Apc => layout::kapc::SIZEOF,
            ObjectKind::Event => layout::kevent::SIZEOF,
            ObjectKind::Mutex => layout::kmutant::SIZEOF,
            ObjectKind::FastMutex => layout::fast_mutex::SIZEOF,
            ObjectKind::Semaphore => layout::ksemaphore::SIZEOF,
            ObjectKind::SpinLock => 8,
            ObjectKind::Resource => layout::eresource::SIZEOF,
            ObjectKind::RemoveLock => layout::io_remove_lock::SIZEOF,
            ObjectKind::WorkItem => layout::work_queue_item::SIZEOF,
        }
    }
}

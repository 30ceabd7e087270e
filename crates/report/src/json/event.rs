//! Earlier events.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Source;
use crate::event::{self, Deed, EventKind, Keeper};

/// Something that happened before.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Event {
    // Flattening spoils error messages of readers; this type is only ever written.
    #[serde(flatten)]
    what: What,
    /// Instructions retired when it happened.
    step: u64,
    /// The image where it happened; left out, as the place in it, where the system did it on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// Bytes from the image base.
    #[serde(skip_serializing_if = "Option::is_none")]
    rva: Option<u32>,
    /// The nearest name at or before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    /// Bytes from that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u32>,
    /// The source line.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

/// What happened.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[cfg_attr(test, derive(JsonSchema))]
enum What {
    /// IRQL went up.
    IrqlRaised {
        /// Level before, 0 to 15.
        from: u8,
        /// Level after.
        to: u8,
    },
    /// The routine at fault was called.
    Entered,
    /// The processor came from here to where no code is.
    Jumped,
    /// A section was locked.
    SectionLocked {
        /// Its name.
        section: String,
        /// Count after.
        lock_count: u32,
    },
    /// A section was unlocked.
    SectionUnlocked {
        /// Its name.
        section: String,
        /// Count after.
        lock_count: u32,
        /// Requests pending at that moment.
        outstanding: u32,
    },
    /// A section that nothing locked became pageable at load.
    PageableSinceLoad {
        /// Its name.
        section: String,
    },
    /// Pages of a section left memory.
    SectionTrimmed {
        /// Its name.
        section: String,
        /// Pages that left.
        pages: u32,
        /// Pages that may leave.
        of: u32,
    },
    /// One page left memory.
    PageTrimmed {
        /// Its address.
        page: String,
    },
    /// A thread began to wait in user mode.
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
    /// MmPageEntireDriver.
    DriverPaged,
    /// MmResetDriverPaging.
    DriverReset,
    /// A section was discarded.
    Discarded {
        /// Its name.
        section: String,
        /// Bytes freed.
        bytes: u64,
    },
    /// An address that was discarded later was given to a routine.
    AddressGiven {
        /// The routine.
        routine: String,
    },
    /// An address that was discarded is kept.
    AddressKept {
        /// `variable`, `driver_object`, `device` or `pool`.
        keeper: &'static str,
        /// The member of the driver object.
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<String>,
        /// The address that holds it, in a device object or in pool.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    /// Pool was allocated.
    Allocated {
        /// Where.
        home: String,
        /// Bytes.
        bytes: u64,
    },
    /// Pool was freed.
    Freed {
        /// Where.
        home: String,
    },
    /// An object was initialised.
    Initialised {
        /// Its kind.
        object: String,
        /// Its address.
        address: String,
    },
    /// An object was queued.
    Queued {
        /// Its kind.
        object: String,
        /// Its address.
        address: String,
    },
    /// An object was acquired.
    Acquired {
        /// Its kind.
        object: String,
        /// Its address.
        address: String,
    },
    /// An interrupt was connected.
    InterruptConnected {
        /// The vector.
        vector: u32,
    },
    /// A request was completed.
    Completed {
        /// Its address.
        irp: String,
        /// The NTSTATUS, in hexadecimal.
        status: String,
    },
    /// A driver was unloaded.
    Unloaded {
        /// Its image.
        driver: String,
    },
    /// The schedule that is explored or replayed had something happen.
    Scheduled {
        /// `trim`, `interrupt`, `switch`, `processor`, `time`, `cancel`, `fail` or `absent`.
        deed: &'static str,
    },
}

impl From<&event::Event> for Event {
    fn from(event: &event::Event) -> Event {
        let place = event.at.as_ref().map(|span| &span.place);
        let symbol = place.and_then(|place| place.symbol.as_ref());
        Event {
            what: What::from(&event.kind),
            step: event.step,
            image: place.map(|place| place.image.clone()),
            rva: place.map(|place| place.rva.0),
            symbol: symbol.map(|symbol| symbol.name.clone()),
            offset: symbol.map(|symbol| symbol.offset),
            source: place.and_then(|place| place.source.as_ref()).map(Source::from),
        }
    }
}

impl From<&EventKind> for What {
    fn from(kind: &EventKind) -> What {
        match kind.clone() {
            EventKind::IrqlRaised { from, to, .. } => What::IrqlRaised { from: from.level(), to: to.level() },
            EventKind::Entered => What::Entered,
            EventKind::Jumped => What::Jumped,
            EventKind::SectionLocked { section, count } => What::SectionLocked { section, lock_count: count },
            EventKind::SectionUnlocked { section, to, outstanding, .. } => {
                What::SectionUnlocked { section, lock_count: to, outstanding: outstanding.count }
            }
            EventKind::PageableSinceLoad { section } => What::PageableSinceLoad { section },
            EventKind::SectionTrimmed { section, pages, of } => What::SectionTrimmed { section, pages, of },
            EventKind::PageTrimmed { page } => What::PageTrimmed { page: page.to_string() },
            EventKind::WaitsInUserMode { thread } => What::WaitsInUserMode { thread },
            EventKind::StackTrimmed { thread, pages } => What::StackTrimmed { thread, pages },
            EventKind::StackKept => What::StackKept,
            EventKind::DriverPaged => What::DriverPaged,
            EventKind::DriverReset => What::DriverReset,
            EventKind::Discarded { section, bytes } => What::Discarded { section, bytes },
            EventKind::AddressGiven { routine } => What::AddressGiven { routine },
            EventKind::AddressKept(keeper) => kept(keeper),
            EventKind::Allocated { home, bytes } => What::Allocated { home: home.to_string(), bytes },
            EventKind::Freed { home } => What::Freed { home: home.to_string() },
            EventKind::Initialised { object, address } => {
                What::Initialised { object: object.to_string(), address: address.to_string() }
            }
            EventKind::Queued { object, address } => {
                What::Queued { object: object.to_string(), address: address.to_string() }
            }
            EventKind::Acquired { object, address } => {
                What::Acquired { object: object.to_string(), address: address.to_string() }
            }
            EventKind::InterruptConnected { vector } => What::InterruptConnected { vector },
            EventKind::Completed { irp, status } => {
                What::Completed { irp: irp.to_string(), status: format!("{:#010x}", status.0) }
            }
            EventKind::Unloaded { image } => What::Unloaded { driver: image },
            EventKind::Scheduled(deed) => What::Scheduled { deed: word(&deed) },
        }
    }
}

fn kept(keeper: Keeper) -> What {
    let (keeper, member, address) = match keeper {
        Keeper::Variable { .. } => ("variable", None, None),
        Keeper::DriverObject { member } => ("driver_object", Some(member), None),
        Keeper::Device { address } => ("device", None, Some(address)),
        Keeper::Pool { address, .. } => ("pool", None, Some(address)),
    };
    What::AddressKept { keeper, member, address: address.map(|address| address.to_string()) }
}

fn word(deed: &Deed) -> &'static str {
    match deed {
        Deed::Trim | Deed::TrimSection { .. } | Deed::TrimPage { .. } => "trim",
        Deed::Interrupt { .. } => "interrupt",
        Deed::Switch { .. } => "switch",
        Deed::Processor { .. } => "processor",
        Deed::Time => "time",
        Deed::Cancel => "cancel",
        Deed::Fail { .. } => "fail",
        Deed::Absent => "absent",
        Deed::Order(_) => "order",
        Deed::Befall { .. } => "device",
    }
}

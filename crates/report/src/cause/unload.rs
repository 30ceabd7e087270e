//! Things left behind, and calls that outlive the driver.

use super::evidence::{Holder, ObjectKind, Tag};

/// What is wrong at unload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnloadMisuse {
    /// Sections still locked (K05).
    Locks {
        /// The section.
        section: String,
        /// Its count.
        count: u32,
        /// Who took the outstanding locks, oldest first.
        holders: Vec<Holder>,
        /// Pages that stay in memory for good.
        pages: u32,
        /// `DriverEntry` failed, rather than the driver being unloaded.
        entry_failed: bool,
    },
    /// A call into a paging routine was in progress (K20).
    DuringCall {
        /// The routine.
        routine: String,
        /// The section it works on.
        section: Option<String>,
    },
    /// Pool not freed (0xC4/0x62 with the verifier).
    PoolLeak {
        /// The tag.
        tag: Tag,
        /// Allocations.
        blocks: u32,
        /// Bytes in them.
        bytes: u64,
        /// Who allocated them, oldest first.
        holders: Vec<Holder>,
    },
    /// An object left behind: a device, a symbolic link, a connected interrupt, a queued timer or work item.
    Left {
        /// Its kind.
        object: LeftBehind,
        /// Its name, where it has one.
        name: Option<String>,
    },
}

/// What a driver can leave behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LeftBehind {
    Device,
    SymbolicLink,
    DeviceInterface,
    Object(ObjectKind),
}

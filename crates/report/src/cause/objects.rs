//! Objects and routines that must be nonpaged.

use nt_types::Va;

use super::evidence::{Home, ObjectKind, RequestKind};

/// An object or routine in the wrong memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectMisuse {
    /// A synchronisation object in pageable memory: K11, or 0xC4/0xE1 with the verifier.
    Pageable {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
        /// Where it lies.
        home: Home,
    },
    /// An interrupt service routine in a PAGE or INIT section (K09).
    Isr {
        /// The section.
        section: String,
        /// The section is locked.
        locked: bool,
    },
    /// A DPC queued from an interrupt has its routine in a pageable section (K10).
    Dpc {
        /// The section.
        section: String,
        /// The section is locked.
        locked: bool,
    },
    /// A completion routine in a pageable section: K21, or 0xC9/0x227 with I/O verification.
    Completion {
        /// The section.
        section: String,
    },
    /// A work item in pageable memory: K22, or 0xC4/0x131 with the verifier.
    WorkItem {
        /// Its address.
        address: Va,
        /// Where it lies.
        home: Home,
    },
    /// A pageable dispatch routine in a driver of the paging path (K23).
    PagingPath {
        /// For these requests.
        function: RequestKind,
        /// The section.
        section: String,
    },
    /// A device object in the paging path lacks what its neighbours have: DO_POWER_PAGABLE not inherited (0xC9/0x23F).
    PowerPageableNotInherited,
    /// A timer, DPC or DPC routine in memory that is going away, or a wrong APC count after a DPC (0xC7).
    GoingAway {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
        /// Where it lies.
        home: Home,
    },
    /// An object used before it was initialised, or after it was destroyed.
    NotInitialised {
        /// Its kind.
        object: ObjectKind,
        /// Its address.
        address: Va,
    },
}

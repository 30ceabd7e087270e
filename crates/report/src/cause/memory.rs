//! Faults: accesses that memory refused, and pages that could not come back.

use nt_types::{Irql, NtStatus, Va};

use super::evidence::{Access, Tag};

/// A fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Memory {
    /// An access that ended the run, or would have (K13). 0x0A, 0x50, 0xBE, 0xCE, 0xD1, 0xD3, 0xD4, 0xFC.
    Fault(Fault),
    /// Discarded bytes were used where their page was kept (K12, D11).
    InitUse {
        /// The discarded section.
        section: String,
        /// How it was used.
        access: Access,
    },
    /// A page could not be read back (0x7A).
    InPage {
        /// Address whose access needed the page.
        address: Va,
        /// Why not.
        reason: InPageReason,
    },
    /// A page came back with a wrong checksum (0x1A/0x3f).
    PagingFileCorrupt {
        /// Offset of the page in the paging file, in bytes.
        offset: u64,
        /// The checksum found.
        found: u32,
        /// The checksum expected.
        expected: u32,
    },
}

/// An access that memory refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The address.
    pub address: Va,
    /// How it was accessed.
    pub access: Access,
    /// IRQL of the access.
    pub irql: Irql,
    /// What lies there.
    pub target: Target,
    /// The export that made the access, where it was not the driver's own instruction.
    pub service: Option<String>,
    /// The page was resident by luck: a finding, not a bug check (D47).
    pub latent: bool,
}

/// What lies at an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A section of a loaded image.
    Section {
        /// The image.
        image: String,
        /// The section.
        section: String,
        /// State of the page.
        state: PageState,
        /// Pageable by MmPageEntireDriver alone, not by its name.
        overridden: bool,
    },
    /// Headers of a loaded image, or a gap between its sections.
    Image {
        /// The image.
        image: String,
        /// State of the page.
        state: PageState,
    },
    /// Paged pool.
    PagedPool(Tag),
    /// Pool that was freed.
    FreedPool(Tag),
    /// An image that was unloaded.
    Unloaded {
        /// The image.
        image: String,
    },
    /// The handle of a locked section (K07).
    Handle {
        /// The section it stands for.
        section: String,
    },
    /// The guard page below a kernel stack.
    StackGuard,
    /// A user-mode address.
    User,
    /// The first 64 KiB.
    Null,
    /// An address whose upper bits no processor accepts.
    NonCanonical,
    /// Nothing at all.
    Unmapped,
}

/// State of a page of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageState {
    /// In memory: its protection refused, or the fault is latent.
    Resident,
    /// In the paging file only.
    PagedOut,
    /// Discarded when initialisation ended.
    Discarded,
}

/// Why a page could not be read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InPageReason {
    /// The paging file returned this status.
    Io(NtStatus),
    /// A read error that the scenario asked for.
    Injected(NtStatus),
    /// Pinned pages fill the frame budget (D27).
    NoFrames {
        /// The budget, in pages.
        frames: u64,
    },
}

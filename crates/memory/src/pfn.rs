//! What is known of a frame besides its bytes.

/// No slot in the paging file.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// What a frame is used for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Use {
    /// Nothing.
    #[default]
    Free,
    /// A page table.
    Table,
    /// The page of one address. It may leave if it is pageable.
    Page,
    /// The page of several addresses, or of none but pinned: it never leaves.
    Shared,
    /// A page in transition.
    Standby,
}

/// The record of one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pfn {
    pub(crate) used: Use,
    /// Number of the page that it was first mapped for.
    pub(crate) page: u64,
    /// Identity of its content for [`engine::CodeSpan`]; 0 until it is fetched, but for code of images, and again once it is
    /// written.
    pub(crate) stamp: u64,
    /// Slot that the page has in the paging file, whether or not the content there is current.
    pub(crate) slot: u32,
    /// MDLs that keep it, and leaks (D28).
    pub(crate) pins: u32,
    /// Page-table entries that map it.
    pub(crate) mappings: u32,
    /// May leave by itself, not through an image.
    pub(crate) pageable: bool,
    /// Its place among the frames in transition.
    pub(crate) order: u64,
}

impl Default for Pfn {
    fn default() -> Pfn {
        Pfn { used: Use::Free, page: 0, stamp: 0, slot: NO_SLOT, pins: 0, mappings: 0, pageable: false, order: 0 }
    }
}

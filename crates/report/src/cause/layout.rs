//! What the image alone shows.

/// A property of the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A PAGE section without a single page that can leave (K15).
    PageableNowhere {
        /// The section.
        section: String,
        /// Its length in bytes.
        bytes: u32,
        /// The image's section alignment in bytes.
        alignment: u32,
    },
    /// A name that looks like PAGE or INIT and is not (K16).
    SuspiciousName {
        /// The name.
        section: String,
    },
    /// A PAGE section both writable and executable (K17).
    MixedSection {
        /// The section.
        section: String,
    },
    /// A Storport miniport imports a prohibited routine (K24).
    ProhibitedImport {
        /// The routine.
        routine: String,
    },
    /// Pageable code or data below 4 KB in total (K27).
    SmallPageable {
        /// Code rather than data.
        code: bool,
        /// Bytes in total.
        bytes: u64,
    },
}

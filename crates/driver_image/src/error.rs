//! Why a file is not a loadable image.

use nt_types::{Rva, Va};

use crate::Directory;

/// Why an image, or one of its tables, cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A signature is missing.
    #[error("not a PE image: no {0} signature")]
    NotPe(&'static str),
    /// The file ends before the structure does.
    #[error("the file is truncated: {what} needs {needed} bytes and the file has {available}")]
    Truncated {
        /// What lies there.
        what: &'static str,
        /// Where it ends, in bytes from the start of the file.
        needed: u64,
        /// Length of the file in bytes.
        available: u64,
    },
    /// The machine is not x64.
    #[error("the image is for machine `{0:#x}`, not for x64 (`0x8664`)")]
    Machine(u16),
    /// The optional header is not the one of PE32+.
    #[error("the optional header has magic `{0:#x}`, not that of PE32+ (`0x20b`)")]
    OptionalHeaderMagic(u16),
    /// The optional header is too short for the fields every driver has.
    #[error("the optional header has {0} bytes, too few for PE32+")]
    OptionalHeaderSize(u16),
    /// A linked image has this characteristic, an object file does not.
    #[error("the file is not an executable image: characteristics are `{0:#x}`")]
    NotExecutable(u16),
    /// Not a driver.
    #[error("the subsystem is {0}, not native (1): this is not a kernel-mode driver")]
    Subsystem(u16),
    /// An alignment that is zero or no power of two.
    #[error("{field} is `{value:#x}`, not a power of two")]
    Alignment {
        /// The header field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The preferred base is not on a page boundary, or the image would wrap around there.
    #[error("an image of `{size:#x}` bytes cannot lie at `{base}`")]
    Base {
        /// The base asked for.
        base: Va,
        /// `SizeOfImage`.
        size: u32,
    },
    /// `SizeOfImage` is zero or larger than [`MAX_IMAGE_SIZE`](crate::MAX_IMAGE_SIZE).
    #[error("SizeOfImage is `{0:#x}`, outside 1 to `{max:#x}`", max = crate::MAX_IMAGE_SIZE)]
    ImageSize(u32),
    /// `SizeOfHeaders` does not cover the headers, or passes the end of the image.
    #[error("SizeOfHeaders is `{size:#x}`: it must cover `{used:#x}` bytes of headers and fit in the image")]
    HeadersSize {
        /// `SizeOfHeaders`.
        size: u32,
        /// Where the section table ends.
        used: u64,
    },
    /// The entry point is not in the image.
    #[error("the entry point `{0}` is outside the image")]
    EntryPoint(Rva),
    /// There is nothing to load, or more than the Windows loader takes.
    #[error("the image has {0} sections, not 1 to {max}", max = crate::MAX_SECTIONS)]
    SectionCount(usize),
    /// A section starts before the previous one, or the headers, end.
    #[error("section {index} at `{rva}` overlaps what precedes it, which ends at `{previous_end:#x}`")]
    SectionOverlap {
        /// Index in header order.
        index: usize,
        /// Where it starts.
        rva: Rva,
        /// Where the previous one ends.
        previous_end: u64,
    },
    /// The raw bytes of a section overlap those of another one.
    #[error("the file bytes of section {index} at `{offset:#x}` are also those of another section")]
    RawOverlap {
        /// Index in header order.
        index: usize,
        /// Offset in the file.
        offset: u64,
    },
    /// A section does not start on a multiple of `SectionAlignment`.
    #[error("section {index} at `{rva}` does not start on a multiple of SectionAlignment")]
    SectionAlignment {
        /// Index in header order.
        index: usize,
        /// Where it starts.
        rva: Rva,
    },
    /// A section ends after the image does.
    #[error("section {index} ends at `{end:#x}`, past the end of the image")]
    SectionOutside {
        /// Index in header order.
        index: usize,
        /// Where it ends, as an offset from the image base.
        end: u64,
    },
    /// A read outside the image.
    #[error("`{length:#x}` bytes at `{rva}` lie outside the image")]
    Outside {
        /// Where the read starts.
        rva: Rva,
        /// Bytes wanted.
        length: usize,
    },
    /// A table, or something it points to, lies outside the image.
    #[error("the {directory} points outside the image: `{length:#x}` bytes at `{rva}`")]
    TableOutside {
        /// The table.
        directory: Directory,
        /// Where the read started.
        rva: Rva,
        /// Bytes wanted.
        length: usize,
    },
    /// A table contradicts itself.
    #[error("the {directory} is malformed at `{rva}`: {reason}")]
    Malformed {
        /// The table.
        directory: Directory,
        /// Where.
        rva: Rva,
        /// What is wrong.
        reason: &'static str,
    },
    /// More entries than any driver has.
    #[error("the {directory} has more than {limit} entries")]
    TooMany {
        /// The table.
        directory: Directory,
        /// The limit.
        limit: usize,
    },
    /// A relocation type that x64 images do not use.
    #[error("relocation type {kind} at `{rva}` does not exist on x64")]
    RelocationType {
        /// The type, 0 to 15.
        kind: u8,
        /// The place to relocate.
        rva: Rva,
    },
    /// The image must lie at its preferred base and was asked to lie elsewhere.
    #[error("the image has no relocations and can lie only at `{0}`")]
    NotRelocatable(Va),
}

impl ImageError {
    /// Says which table led to a read outside the image.
    pub(crate) fn in_table(self, directory: Directory) -> ImageError {
        match self {
            ImageError::Outside { rva, length } => ImageError::TableOutside { directory, rva, length },
            other => other,
        }
    }
}

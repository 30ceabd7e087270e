//! What can go wrong, with the evidence.

use std::io;
use std::path::PathBuf;

use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};
use section_paging::LoadError;

use crate::types::Frame;

/// A memory that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The paging file cannot be created or written.
    #[error("cannot create the paging file in `{}`: {source}", path.display())]
    PagingFile {
        /// The directory, or the file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The named file exists and is no paging file.
    #[error("`{}` exists and is not a paging file", path.display())]
    NotAPagingFile {
        /// The file.
        path: PathBuf,
    },
    /// Another machine uses the named file.
    #[error("the paging file `{}` is in use", path.display())]
    PagingFileInUse {
        /// The file.
        path: PathBuf,
    },
    /// The frame budget is outside what the machine can address.
    #[error("a frame budget of {frames} is outside {min} to {max}")]
    FrameBudget {
        /// What was asked for.
        frames: u32,
        /// Smallest usable budget.
        min: u32,
        /// Largest budget.
        max: u32,
    },
}

/// The frame budget is exhausted and no page may leave (D27).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all {budget} frames are in use and no page can leave ({pinned} pinned){}", self.because())]
pub struct NoFrames {
    /// The frame budget.
    pub budget: u32,
    /// Frames that MDLs or leaks keep.
    pub pinned: u32,
    /// Set if pages were eligible, but the paging file did not take them.
    pub write: Option<WriteError>,
}

impl NoFrames {
    fn because(&self) -> String {
        self.write.map(|error| format!(": {error}")).unwrap_or_default()
    }
}

/// A change of a page table by the guest that is not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TableWriteError {
    /// The address is not in a page table, or the write is not within one entry.
    #[error("no page-table entry is there")]
    NoEntry,
    /// The table is not of the last level.
    #[error("the entry is one of an upper table")]
    Upper,
    /// The page is not mapped, or would not be afterwards.
    #[error("only entries that map a page can be changed, to map another page")]
    NotPresent,
    /// The page may leave memory, or the new one is in transition: who changes the entry would lose a page.
    #[error("the memory manager itself may change the entry")]
    Owned,
}

/// A request on the address space that cannot be met; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError {
    /// No frame is left.
    #[error(transparent)]
    NoFrames(#[from] NoFrames),
    /// No run of free frames is long enough, or none lies low enough.
    #[error("no {pages} consecutive free frames")]
    NoContiguousFrames {
        /// Length of the run.
        pages: u64,
    },
    /// The region has no free range of this many pages.
    #[error("no free range of {pages} pages in the region")]
    NoAddressSpace {
        /// Length of the range.
        pages: u64,
    },
    /// The range is empty, wraps, is not page-aligned or not canonical.
    #[error("`{0}` does not begin a valid range of pages")]
    BadRange(Va),
    /// Something is mapped there already.
    #[error("`{0}` is mapped already")]
    Occupied(Va),
    /// The physical range is not page-aligned, too high for a page-table entry, or only partly RAM.
    #[error("physical range at `{0:#x}` cannot be mapped")]
    BadPhysicalRange(u64),
    /// The frames to be mapped are fewer or more than the pages.
    #[error("{frames} frames for {pages} pages")]
    FrameCount {
        /// Frames given.
        frames: u64,
        /// Pages to map.
        pages: u64,
    },
    /// This frame is free or holds a page table.
    #[error("frame {:#x} cannot be mapped", .0.0)]
    BadFrame(Frame),
}

/// An image that cannot be loaded; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImageError {
    /// section_paging refuses the layout.
    #[error(transparent)]
    Layout(#[from] LoadError),
    /// The pages cannot be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The paging file does not take the pages that must start out (D1).
    #[error(transparent)]
    PagingFile(#[from] WriteError),
    /// Content or protections do not fit the size of the image.
    #[error("an image of {pages} pages comes with {protections} protections and {bytes} bytes")]
    Content {
        /// Pages of the image.
        pages: usize,
        /// Protections given.
        protections: usize,
        /// Bytes given.
        bytes: usize,
    },
}

/// Pages could not be written to the paging file. They are still in memory: nothing is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Hash)]
pub enum WriteError {
    /// The host refused the write.
    #[error("cannot write to the paging file: {0}")]
    Io(io::ErrorKind),
    /// The paging file has its largest size.
    #[error("the paging file is full ({pages} pages)")]
    Full {
        /// Its largest size in pages.
        pages: u32,
    },
}

/// Why a page did not come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InPageCause {
    /// There is no frame for it (D27).
    NoFrames(NoFrames),
    /// The paging file ended before the page did.
    ShortRead,
    /// The host refused the read.
    Io(io::ErrorKind),
    /// The injected status of a test.
    Injected,
    /// The bytes read are not the bytes written.
    Checksum {
        /// Slot in the paging file.
        slot: u32,
        /// CRC-32 of the bytes read.
        found: u32,
        /// CRC-32 of the bytes written.
        expected: u32,
    },
}

/// A page that cannot be brought in (R168, D26, D46): always fatal for the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("page `{va}` cannot be read from the paging file: {status}")]
pub struct InPageError {
    /// First byte of the page.
    pub va: Va,
    /// Address of its page-table entry; see [`pte_address`](crate::pte_address).
    pub pte_address: u64,
    /// Contents of the entry.
    pub pte_contents: u64,
    /// Where it lies in the paging file, in bytes; 0 for a page that is not there.
    pub file_offset: u64,
    /// The status that stands for the cause.
    pub status: NtStatus,
    /// The cause.
    pub cause: InPageCause,
}

impl InPageError {
    /// The bug check that NT raises: 0x1A/0x3f for a checksum mismatch, otherwise 0x7A in its third form with
    /// `faulting` as P4 (D46).
    pub fn bug_check(&self, faulting: Va) -> BugCheck {
        match self.cause {
            InPageCause::Checksum { slot, found, expected } => BugCheck {
                code: BugCheckCode::MEMORY_MANAGEMENT,
                parameters: [0x3f, u64::from(slot) << 12, found.into(), expected.into()],
            },
            _ => BugCheck {
                code: BugCheckCode::KERNEL_DATA_INPAGE_ERROR,
                parameters: [self.pte_address, self.status.0.into(), self.pte_contents, faulting.0],
            },
        }
    }
}

/// An unpin of a frame that is not pinned (bug check 0x76, P1 = 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("frame {:#x} is not locked", .0.0)]
pub struct NotPinned(pub Frame);

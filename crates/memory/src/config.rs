//! How a memory is set up.

use std::num::NonZeroU32;
use std::path::PathBuf;

/// When eligible pages leave memory (D5).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum TrimPolicy {
    /// Never, for differential tests; an exhausted frame budget is an error at once.
    Never,
    /// Only when the frame budget is exhausted.
    Pressure,
    /// Also before every raise to DISPATCH_LEVEL or above: the verifier's trim (R180). The caller asks for it with
    /// [`Memory::trim`](crate::Memory::trim).
    #[default]
    OnRaise,
    /// Also when a page becomes eligible; see [`Memory::settle`](crate::Memory::settle).
    AtOnce,
    /// Also between any two instructions: the strictest. The caller asks for it with [`Memory::trim`](crate::Memory::trim).
    EachStep,
}

impl TrimPolicy {
    /// Pages leave as soon as they become eligible.
    pub fn leaves_at_once(self) -> bool {
        matches!(self, TrimPolicy::AtOnce | TrimPolicy::EachStep)
    }

    /// All that is eligible leaves before a raise to `DISPATCH_LEVEL` or above.
    pub fn trims_on_raise(self) -> bool {
        matches!(self, TrimPolicy::OnRaise) || self.leaves_at_once()
    }
}

/// Where pageable pages of an image are when load is complete (D1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum InitialResidency {
    /// In the paging file only.
    #[default]
    Out,
    /// In memory, and eligible.
    Resident,
}

/// Where the paging file lies.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum PagingFileConfig {
    /// A nameless file in the host's directory for temporary files.
    #[default]
    Anonymous,
    /// A nameless file in this directory.
    Directory(PathBuf),
    /// A file with this name. It is created, or overwritten if it is a paging file of an earlier run; any other file is
    /// refused and stays as it is.
    File(PathBuf),
}

/// Everything that is fixed when a memory is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryConfig {
    /// The frame budget: frames of 4 KiB in guest memory, page tables included. At most 2^24 (64 GiB).
    pub frames: u32,
    /// When eligible pages leave.
    pub trim: TrimPolicy,
    /// Where load-map pages are after load.
    pub initial: InitialResidency,
    /// Where the paging file lies.
    pub paging_file: PagingFileConfig,
    /// Largest size of the paging file in pages.
    pub paging_file_pages: u32,
    /// True: an evicted page keeps its frame for as long as nobody needs it, and a touch brings it back without a read
    /// (soft fault). False: its frame is free at once.
    pub transition_stay: bool,
    /// False for DisablePagingExecutive (R60): no image page is ever eligible.
    pub paging_enabled: bool,
    /// The largest lock count of a section (D25).
    pub lock_limit: NonZeroU32,
    /// Where the clock hand of eviction under pressure starts. Everything else is the same for all seeds.
    pub seed: u64,
}

impl Default for MemoryConfig {
    fn default() -> MemoryConfig {
        MemoryConfig {
            frames: 16_384,
            trim: TrimPolicy::default(),
            initial: InitialResidency::default(),
            paging_file: PagingFileConfig::default(),
            paging_file_pages: 1 << 20,
            transition_stay: false,
            paging_enabled: true,
            lock_limit: NonZeroU32::MAX,
            seed: 0,
        }
    }
}

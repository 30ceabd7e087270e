//! The vocabulary of this crate.

use std::io;

use nt_types::{NtStatus, PAGE_SHIFT, Va};

use crate::error::WriteError;

/// A physical page of RAM: physical address divided by 4096, as in the page array of an MDL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame(pub u32);

impl Frame {
    /// Physical address of its first byte.
    pub fn physical(self) -> u64 {
        u64::from(self.0) << PAGE_SHIFT
    }
}

/// What a page allows besides reading.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Protection {
    /// Stores are allowed.
    pub write: bool,
    /// Instruction fetches are allowed.
    pub execute: bool,
}

impl Protection {
    /// Reading only.
    pub const READ: Protection = Protection { write: false, execute: false };
    /// Reading and writing.
    pub const READ_WRITE: Protection = Protection { write: true, execute: false };
    /// Reading and executing.
    pub const READ_EXECUTE: Protection = Protection { write: false, execute: true };
    /// Everything.
    pub const ALL: Protection = Protection { write: true, execute: true };

    /// What either allows (R53).
    pub fn union(self, other: Protection) -> Protection {
        Protection { write: self.write || other.write, execute: self.execute || other.execute }
    }
}

/// A part of the address space with its own purpose; see [`Region::base`] for the map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Region {
    /// The lower half.
    User,
    /// Pool that is always resident.
    NonpagedPool,
    /// Pool that is paged.
    PagedPool,
    /// Blocks of pool that have a page of their own. Each reservation has a page below it that is never mapped, and no address is
    /// used twice.
    SpecialPool,
    /// Kernel stacks. Each reservation has a guard page below it; its pages leave memory together.
    KernelStack,
    /// Views of other memory: MDLs, device memory, processor blocks.
    SystemMapping,
    /// Driver and kernel images. No address is ever used twice (D28).
    Image,
}

/// What lies behind newly mapped pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing<'a> {
    /// Zeroed frames of their own that stay.
    Resident,
    /// Zeroed frames with consecutive numbers, wholly below this physical address.
    Contiguous {
        /// First physical address that is too high.
        below: u64,
    },
    /// Nothing yet: zeroed frames at the first touch (a soft fault), eligible to leave while not pinned.
    Pageable,
    /// These frames, which something else owns as well.
    Frames(&'a [Frame]),
    /// Physical memory from this page-aligned address on: device memory where there is no RAM.
    Physical(u64),
}

/// Where a page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageState {
    /// In memory and mapped.
    Resident {
        /// Its frame.
        frame: Frame,
        /// Changed since it was last written to the paging file, or never written.
        dirty: bool,
        /// May leave memory now.
        eligible: bool,
    },
    /// Evicted, but the frame still holds it.
    Transition {
        /// Its frame.
        frame: Frame,
    },
    /// In the paging file only.
    Out {
        /// Its slot there.
        slot: u32,
        /// A read is in progress.
        reading: bool,
    },
    /// Pageable and never touched: zero.
    DemandZero,
    /// Device memory.
    Device {
        /// Physical address of its first byte.
        physical: u64,
    },
    /// Nothing, for this reason.
    Absent(Absence),
}

/// Why there is nothing at an address (D12, D44).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// The address is not canonical.
    NonCanonical,
    /// Nothing was ever mapped there.
    NeverMapped,
    /// What was mapped there has been unmapped.
    Freed,
    /// A page of a loaded image that was discarded.
    Discarded,
    /// The guard page below a kernel stack.
    Guard,
    /// It is in the paging file and cannot be read there. Only [`Memory::peek`](crate::Memory::peek) says so.
    Unreadable,
}

/// What [`Memory::begin_page_in`](crate::Memory::begin_page_in) found or did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageIn {
    /// The page is resident: repeat the access (another fault brought it in), or the protection refuses.
    AlreadyIn,
    /// It is resident now, without a read: from transition, or demand-zero.
    Soft,
    /// A read has begun. Let simulated time pass, then call [`Memory::finish`](crate::Memory::finish).
    Hard(ReadTicket),
    /// A read that began earlier will bring it in: wait for that one.
    Shared(ReadTicket),
    /// It will never come in.
    Absent(Absence),
}

/// Names a read in progress. Never used twice in a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadTicket {
    pub(crate) first_page: u64,
    pub(crate) number: u64,
}

impl ReadTicket {
    /// The first page that it brings in.
    pub const fn page(self) -> Va {
        Va(self.first_page << PAGE_SHIFT)
    }
}

/// What [`Memory::begin_page_in_runs`](crate::Memory::begin_page_in_runs) did.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RangePageIn {
    /// Pages that came in without a read.
    pub soft_pages: u64,
    /// Pages that a read which began now will bring in.
    pub hard_pages: u64,
    /// Reads to wait for, begun now or earlier. Empty: everything that can come in is in.
    pub tickets: Vec<ReadTicket>,
}

/// Why pages leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrimReason {
    /// The image was loaded and its load map starts out (D1).
    Load,
    /// The verifier's trim before a raise (D48), or one between two instructions.
    Raise,
    /// A page became eligible under [`TrimPolicy::AtOnce`](crate::TrimPolicy::AtOnce).
    Eligible,
    /// The frame budget was exhausted.
    Pressure,
    /// A command of a test or scenario.
    Command,
    /// Somebody who explores chose this moment.
    Choice,
}

/// Pages that left memory.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct TrimReport {
    /// The pages, by address.
    pub pages: Vec<Va>,
    /// How many of them had to be written to the paging file.
    pub written_pages: u64,
    /// Pages that should have left and could not be written. They are still in memory.
    pub failed: Vec<(Va, WriteError)>,
}

/// The paging history of one page.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct PageHistory {
    /// Step at which it last left memory, and why.
    pub trimmed: Option<(u64, TrimReason)>,
    /// Step at which it last came back.
    pub paged_in: Option<u64>,
}

/// What happened so far in this machine, its past before a fork included.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Pages that came back from transition.
    pub transition_faults: u64,
    /// Pages that were first touched.
    pub demand_zero_faults: u64,
    /// Pages that came back from the paging file.
    pub pages_read: u64,
    /// Pages written to the paging file.
    pub pages_written: u64,
    /// Reads of the paging file; one brings in neighbouring slots.
    pub reads: u64,
    /// Writes to the paging file.
    pub writes: u64,
    /// Pages that left memory.
    pub pages_evicted: u64,
    /// The most pages that had a place in the paging file at one time.
    pub slots_peak: u32,
    /// Frames in use, page tables included.
    pub frames_used: u32,
    /// The most frames ever in use.
    pub frames_peak: u32,
    /// Frames that stay allocated because their image was unloaded while they were locked (D28).
    pub frames_leaked: u32,
}

/// A fault that a test puts into the paging file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Injection {
    /// Which read or write of this machine fails, counted from the moment of injection, from 1.
    pub number: u64,
    /// How it fails.
    pub fault: InjectedFault,
}

/// How the paging file fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InjectedFault {
    /// A read ends with this status (D46).
    ReadStatus(NtStatus),
    /// A read fails as the host reports it.
    ReadIo(io::ErrorKind),
    /// A read ends before its page does.
    ShortRead,
    /// One bit of what a read returns is wrong.
    BitFlip,
    /// A write fails as the host reports it; `StorageFull` for a full disk.
    WriteIo(io::ErrorKind),
}

//! The guest's memory: frames, x64 page tables, translation cache, trimming, the paging file, snapshots.
//!
//! [`Memory`] is all of it, as data. An engine reaches it through [`engine::Mmu`]; the modelled kernel maps, pins, trims
//! and pages in; [`Memory::fork`] makes a second machine that shares every page until one of them writes it.
//!
//! One address space serves the whole machine. Every page is a supervisor page (user pages carry the user bit as well)
//! and engines run at privilege level 0 with write protection on.
#![forbid(unsafe_code)]
#![expect(clippy::todo, reason = "API skeleton; being filled")]

mod config;
mod error;
mod types;

use engine::{CodeSpan, Fault, Mmu};
use nt_types::Va;

pub use config::{InitialResidency, MemoryConfig, PagingFileConfig, TrimPolicy};
pub use error::{InPageCause, InPageError, MapError, NoFrames, NotPinned, SetupError, WriteError};
pub use types::{
    Absence, Backing, Counters, Frame, ImageContent, Injection, PageHistory, PageIn, PageState, Protection,
    RangePageIn, ReadTicket, Region, TrimReason, TrimReport,
};

/// The address of the page-table entry of `va`, where NT's self-map has it (`0xFFFFF680_00000000`). It is a value for
/// bug checks; nothing is mapped there.
pub const fn pte_address(va: Va) -> u64 {
    0xFFFF_F680_0000_0000 | ((va.0 & 0xFFFF_FFFF_F000) >> 9)
}

/// All memory of one machine.
pub struct Memory {
    config: MemoryConfig,
}

/// Life.
impl Memory {
    /// An empty address space and an empty paging file.
    pub fn new(_config: MemoryConfig) -> Result<Memory, SetupError> {
        todo!()
    }

    /// A second machine in the same state. Pages are shared until one of the two writes them.
    pub fn fork(&mut self) -> Memory {
        todo!()
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &MemoryConfig {
        &self.config
    }

    /// Sets the step that histories record from now on.
    pub fn set_step(&mut self, _step: u64) {
        todo!()
    }

    /// Physical address of the top page table.
    pub fn cr3(&self) -> u64 {
        todo!()
    }
}

/// The address space.
impl Memory {
    /// Takes the lowest free range of `pages` pages in `region`. Nothing is mapped yet.
    pub fn reserve(&mut self, _region: Region, _pages: u64) -> Result<Va, MapError> {
        todo!()
    }

    /// Unmaps a range that [`Memory::reserve`] returned and gives it back; image ranges are never given out again.
    pub fn release(&mut self, _va: Va, _pages: u64) {
        todo!()
    }

    /// Maps `pages` pages at `va`, all or none. The range need not be reserved (KUSER_SHARED_DATA has its fixed place),
    /// but must not be mapped.
    pub fn map(
        &mut self,
        _va: Va,
        _pages: u64,
        _backing: Backing<'_>,
        _protection: Protection,
    ) -> Result<(), MapError> {
        todo!()
    }

    /// [`reserve`](Memory::reserve) and [`map`](Memory::map).
    pub fn allocate(
        &mut self,
        _region: Region,
        _pages: u64,
        _backing: Backing<'_>,
        _protection: Protection,
    ) -> Result<Va, MapError> {
        todo!()
    }

    /// Unmaps the range; unmapped pages in it are skipped. A frame is free once it is mapped nowhere and not pinned.
    pub fn unmap(&mut self, _va: Va, _pages: u64) {
        todo!()
    }

    /// Changes the protection of the mapped pages in the range, resident or not.
    pub fn protect(&mut self, _va: Va, _pages: u64, _protection: Protection) {
        todo!()
    }

    /// Pins the resident pages of `length` bytes at `va` and returns their frames, like MmProbeAndLockPages; pins count.
    /// A page that is not resident or refuses `access` is the fault: bring it in and start over.
    pub fn pin(&mut self, _va: Va, _length: u64, _access: engine::Access) -> Result<Vec<Frame>, Fault> {
        todo!()
    }

    /// Takes back one pin of each frame; none if one of them is not pinned.
    pub fn unpin(&mut self, _frames: &[Frame]) -> Result<(), NotPinned> {
        todo!()
    }
}

/// Images. The memory owns the state machine of section_paging, `sections()` and `sections_mut()`: a page of an image
/// leaves only if that machine calls it eligible. (These two and the image argument's sections follow with its API.)
impl Memory {
    /// Maps an image that is relocated, bound and complete (R40) and registers it with section_paging. Load-map pages are
    /// written to the paging file and start out unless configured otherwise (D1, D4).
    pub fn load_image(&mut self, _image: &ImageContent<'_>) -> Result<(), MapError> {
        todo!()
    }

    /// Frees pages of a loaded image for good (D9, D12).
    pub fn discard(&mut self, _va: Va, _pages: u64) {
        todo!()
    }

    /// Unmaps an image. Frames of pages that locked sections cover stay allocated for the rest of the run (D28); returns
    /// their number.
    pub fn unload_image(&mut self, _base: Va) -> u32 {
        todo!()
    }
}

/// Paging.
impl Memory {
    /// Evicts every eligible page (D48). The report is empty under [`TrimPolicy::Never`].
    pub fn trim(&mut self, _reason: TrimReason) -> TrimReport {
        todo!()
    }

    /// Under [`TrimPolicy::AtOnce`] evicts the pages that became eligible since the last call, except those that a fault
    /// brought in; otherwise does nothing. To be called after each change of locks, pins and overrides.
    pub fn settle(&mut self) -> TrimReport {
        todo!()
    }

    /// Evicts these pages as far as they are eligible, whatever the policy: for test commands and schedulers.
    pub fn evict(&mut self, _pages: &[Va], _reason: TrimReason) -> TrimReport {
        todo!()
    }

    /// The pages that were evicted under pressure since the last call.
    pub fn take_pressure_report(&mut self) -> TrimReport {
        todo!()
    }

    /// The resident pages that may leave now, by address.
    pub fn eligible(&self) -> Vec<Va> {
        todo!()
    }

    /// Starts bringing in the page of `va` (D6). After any answer but `Absent` the access starts over from the
    /// beginning: nothing stays true while a read is in progress.
    pub fn begin_page_in(&mut self, _va: Va) -> Result<PageIn, InPageError> {
        todo!()
    }

    /// The same for a range, for locks and resets: neighbours in the paging file are read together. Pages that will
    /// never come in are skipped (D22).
    pub fn begin_page_in_range(&mut self, _va: Va, _pages: u64) -> Result<RangePageIn, InPageError> {
        todo!()
    }

    /// Ends a read: the pages that still want to come in are resident afterwards. A ticket that is finished already is
    /// no error.
    pub fn finish(&mut self, _ticket: ReadTicket) -> Result<(), InPageError> {
        todo!()
    }

    /// Arranges for the paging file to fail.
    pub fn inject(&mut self, _injection: Injection) {
        todo!()
    }
}

/// Looking without touching: nothing here changes state or counters.
impl Memory {
    /// Reads the current content, also of pages that are out; the error names the first page that has none.
    pub fn peek(&self, _va: Va, _buffer: &mut [u8]) -> Result<(), Absence> {
        todo!()
    }

    /// Where the page of `va` is.
    pub fn page_state(&self, _va: Va) -> PageState {
        todo!()
    }

    /// Why nothing is at `va`, or `None` if something is (resident or not).
    pub fn why_absent(&self, _va: Va) -> Option<Absence> {
        todo!()
    }

    /// The page-table entry of `va`: its address ([`pte_address`]) and contents (0 where there is no table).
    pub fn pte(&self, _va: Va) -> (u64, u64) {
        todo!()
    }

    /// What the page of `va` allows, if there is one.
    pub fn protection(&self, _va: Va) -> Option<Protection> {
        todo!()
    }

    /// The paging history of the page of `va`.
    pub fn history(&self, _va: Va) -> PageHistory {
        todo!()
    }

    /// Physical address of `va`, if its page is resident or device memory.
    pub fn physical(&self, _va: Va) -> Option<u64> {
        todo!()
    }

    /// True for an address of RAM.
    pub fn is_ram(&self, _physical: u64) -> bool {
        todo!()
    }

    /// Reads RAM; false, and nothing read, if the range is not RAM.
    pub fn read_physical(&self, _physical: u64, _buffer: &mut [u8]) -> bool {
        todo!()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        todo!()
    }
}

/// Writing past the protection.
impl Memory {
    /// Writes RAM that is in use and no page table; false, and nothing written, otherwise.
    pub fn write_physical(&mut self, _physical: u64, _bytes: &[u8]) -> bool {
        todo!()
    }

    /// Writes resident pages whatever their protection (for poison, D11, and kernel data); a page that is not resident is
    /// the fault, and nothing is written.
    pub fn poke(&mut self, _va: Va, _bytes: &[u8]) -> Result<(), Fault> {
        todo!()
    }
}

/// Accesses of the modelled kernel, checked and counted like those of guest code.
impl Memory {
    /// One byte.
    pub fn read_u8(&mut self, _va: Va) -> Result<u8, Fault> {
        todo!()
    }
    /// Two bytes, little-endian.
    pub fn read_u16(&mut self, _va: Va) -> Result<u16, Fault> {
        todo!()
    }
    /// Four bytes, little-endian.
    pub fn read_u32(&mut self, _va: Va) -> Result<u32, Fault> {
        todo!()
    }
    /// Eight bytes, little-endian.
    pub fn read_u64(&mut self, _va: Va) -> Result<u64, Fault> {
        todo!()
    }
    /// An address.
    pub fn read_va(&mut self, _va: Va) -> Result<Va, Fault> {
        todo!()
    }
    /// Fills `buffer`.
    pub fn read_bytes(&mut self, _va: Va, _buffer: &mut [u8]) -> Result<(), Fault> {
        todo!()
    }
    /// `units` UTF-16 units.
    pub fn read_utf16(&mut self, _va: Va, _units: u16) -> Result<Vec<u16>, Fault> {
        todo!()
    }
    /// Bytes up to a NUL (not included), at most `limit`.
    pub fn read_c_string(&mut self, _va: Va, _limit: usize) -> Result<Vec<u8>, Fault> {
        todo!()
    }
    /// One byte.
    pub fn write_u8(&mut self, _va: Va, _value: u8) -> Result<(), Fault> {
        todo!()
    }
    /// Two bytes.
    pub fn write_u16(&mut self, _va: Va, _value: u16) -> Result<(), Fault> {
        todo!()
    }
    /// Four bytes.
    pub fn write_u32(&mut self, _va: Va, _value: u32) -> Result<(), Fault> {
        todo!()
    }
    /// Eight bytes.
    pub fn write_u64(&mut self, _va: Va, _value: u64) -> Result<(), Fault> {
        todo!()
    }
    /// All of `bytes` or, on a fault, none.
    pub fn write_bytes(&mut self, _va: Va, _bytes: &[u8]) -> Result<(), Fault> {
        todo!()
    }
}

impl Mmu for Memory {
    fn load<const N: usize>(&mut self, _address: u64) -> Result<[u8; N], Fault> {
        todo!()
    }
    fn store<const N: usize>(&mut self, _address: u64, _bytes: [u8; N]) -> Result<(), Fault> {
        todo!()
    }
    fn probe_store(&mut self, _address: u64, _length: usize) -> Result<(), Fault> {
        todo!()
    }
    fn copy(&mut self, _destination: u64, _source: u64, _length: usize) -> Result<(), Fault> {
        todo!()
    }
    fn fill(&mut self, _address: u64, _pattern: &[u8], _length: usize) -> Result<(), Fault> {
        todo!()
    }
    fn fetch(&mut self, _address: u64) -> Result<CodeSpan<'_>, Fault> {
        todo!()
    }
    fn code_epoch(&self) -> u64 {
        todo!()
    }
}

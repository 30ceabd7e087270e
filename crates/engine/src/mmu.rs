//! What an engine asks of memory.

use core::sync::atomic::{AtomicU64, Ordering};

/// How an address is accessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Access {
    /// A data read.
    Read,
    /// A data write.
    Write,
    /// An instruction fetch.
    Execute,
}

/// An access that the page tables refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// The lowest byte of the access that lies in the refusing page.
    pub address: u64,
    /// How it was accessed.
    pub access: Access,
    /// True where the page is present and its protection refuses; false where it is not present.
    pub protection: bool,
}

/// Why an access did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The page tables refuse.
    Page(PageFault),
    /// The address is device memory at this physical address.
    Device(u64),
    /// The address is not canonical: #GP (or #SS) for data, #GP for a fetch.
    NonCanonical(u64),
}

/// Bytes to execute, and the identity of what they are.
#[derive(Clone, Copy, Debug)]
pub struct CodeSpan<'a> {
    /// From the address asked for to the end of its page.
    pub bytes: &'a [u8],
    /// Identity of the page's *content*: two fetches with equal stamps saw equal bytes, in this machine or a fork of it,
    /// whether or not the page left memory in between. Never 0.
    pub stamp: u64,
}

/// Guest memory as an engine sees it: linear addresses, supervisor accesses, write protection honoured.
///
/// Every method either does the whole access or none of it and has no other visible effect (accessed and dirty bits
/// apart). The implementation keeps its translation cache coherent by itself.
pub trait Mmu {
    /// Reads `N` bytes (1, 2, 4, 8, 10, 16 or 32) at any alignment, across a page boundary if need be.
    fn load<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Fault>;

    /// Writes `N` bytes at any alignment, across a page boundary if need be; on a fault nothing is written.
    fn store<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Result<(), Fault>;

    /// Would a store of `length` bytes (at most a page) succeed? For instructions with several effects.
    fn probe_store(&mut self, address: u64, length: usize) -> Result<(), Fault>;

    /// Copies `length` bytes upwards from `source` to `destination`; both must lie within one page each. Overlap behaves
    /// as byte-by-byte copying does. For `rep movs`.
    fn copy(&mut self, destination: u64, source: u64, length: usize) -> Result<(), Fault>;

    /// Writes `length` bytes within one page, repeating `pattern` (1, 2, 4 or 8 bytes). For `rep stos`.
    fn fill(&mut self, address: u64, pattern: &[u8], length: usize) -> Result<(), Fault>;

    /// The code bytes at `address`.
    fn fetch(&mut self, address: u64) -> Result<CodeSpan<'_>, Fault>;

    /// Changes whenever anything that an earlier [`fetch`](Mmu::fetch) returned may no longer hold: a write to a fetched
    /// page, or a change of the mapping or protection of one. While it stays, decoded code may run without asking again.
    ///
    /// Epochs come from [`new_code_epoch`], also for a fork: equal epochs mean the same memory, so that an engine need not
    /// know which memory it ran on last.
    fn code_epoch(&self) -> u64;
}

/// A value for [`Mmu::code_epoch`] that no memory of this process has had. It must not influence results.
pub fn new_code_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

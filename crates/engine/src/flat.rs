//! A memory without page tables, for the tests of engines: small, and obviously right.

use crate::{Access, CodeSpan, Fault, Mmu, PageFault, new_code_epoch};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 0x1000;

/// What a page allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Not present.
    Absent,
    /// Reads.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
    /// Reads and execution.
    ReadExecute,
    /// Everything.
    ReadWriteExecute,
    /// Device memory that begins at this physical address.
    Device(u64),
}

impl Protection {
    fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => self != Protection::Absent,
            Access::Write => matches!(self, Protection::ReadWrite | Protection::ReadWriteExecute),
            Access::Execute => matches!(self, Protection::ReadExecute | Protection::ReadWriteExecute),
        }
    }
}

#[derive(Clone, Copy)]
struct Page {
    protection: Protection,
    /// Identity of the content; 0 where it was written since the last fetch.
    stamp: u64,
}

/// A window of consecutive pages at any canonical address; nothing is mapped outside.
pub struct FlatMmu {
    base: u64,
    bytes: Vec<u8>,
    pages: Vec<Page>,
    epoch: u64,
}

/// Stamps are unique in the process, so that clones never give the same one to different contents.
static NEXT_STAMP: AtomicU64 = AtomicU64::new(1);

impl Clone for FlatMmu {
    fn clone(&self) -> FlatMmu {
        let (base, bytes, pages) = (self.base, self.bytes.clone(), self.pages.clone());
        FlatMmu { base, bytes, pages, epoch: new_code_epoch() }
    }
}

impl FlatMmu {
    /// A window of zeroed pages at a page-aligned address.
    pub fn new(base: u64, pages: usize, protection: Protection) -> FlatMmu {
        assert!(base.is_multiple_of(PAGE_SIZE));
        let bytes = vec![0; pages * PAGE_SIZE as usize];
        FlatMmu { base, bytes, pages: vec![Page { protection, stamp: 0 }; pages], epoch: new_code_epoch() }
    }

    /// First address of the window.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Changes what the page at `address` allows. Its content stays.
    pub fn protect(&mut self, address: u64, protection: Protection) {
        let page = self.page_index(address).expect("in the window");
        self.pages[page].protection = protection;
        self.epoch = new_code_epoch();
    }

    /// The bytes at an address, whatever their protection.
    pub fn peek(&self, address: u64, length: usize) -> &[u8] {
        let start = self.offset(address);
        &self.bytes[start..start + length]
    }

    /// Sets the bytes at an address, whatever their protection.
    pub fn poke(&mut self, address: u64, bytes: &[u8]) {
        let start = self.offset(address);
        self.write(start, bytes);
    }

    fn offset(&self, address: u64) -> usize {
        address.wrapping_sub(self.base) as usize
    }

    fn page_index(&self, address: u64) -> Option<usize> {
        let page = (address.wrapping_sub(self.base) / PAGE_SIZE) as usize;
        (page < self.pages.len()).then_some(page)
    }

    /// Checks each page that an access touches, and gives its place in `bytes`.
    fn check(&self, address: u64, length: usize, access: Access) -> Result<usize, Fault> {
        let last = address.wrapping_add(length.saturating_sub(1) as u64);
        self.check_page(address, access)?;
        if (address ^ last) >= PAGE_SIZE {
            self.check_page(last & !(PAGE_SIZE - 1), access)?;
        }
        Ok(self.offset(address))
    }

    fn check_page(&self, address: u64, access: Access) -> Result<(), Fault> {
        if ((address << 16) as i64 >> 16) as u64 != address {
            return Err(Fault::NonCanonical(address));
        }
        let protection = self.page_index(address).map_or(Protection::Absent, |page| self.pages[page].protection);
        match protection {
            Protection::Device(start) if access != Access::Execute => Err(Fault::Device(start + address % PAGE_SIZE)),
            _ if protection.allows(access) => Ok(()),
            _ => Err(Fault::Page(PageFault { address, access, protection: protection != Protection::Absent })),
        }
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.written(start, bytes.len());
    }

    fn written(&mut self, start: usize, length: usize) {
        let size = PAGE_SIZE as usize;
        for page in &mut self.pages[start / size..(start + length).div_ceil(size)] {
            if std::mem::take(&mut page.stamp) != 0 {
                self.epoch = new_code_epoch();
            }
        }
    }
}

impl Mmu for FlatMmu {
    fn load<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Fault> {
        let start = self.check(address, N, Access::Read)?;
        Ok(*self.bytes[start..].first_chunk().expect("checked"))
    }

    fn store<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Result<(), Fault> {
        let start = self.check(address, N, Access::Write)?;
        self.write(start, &bytes);
        Ok(())
    }

    fn probe_store(&mut self, address: u64, length: usize) -> Result<(), Fault> {
        self.check(address, length, Access::Write).map(drop)
    }

    fn copy(&mut self, destination: u64, source: u64, length: usize) -> Result<(), Fault> {
        let from = self.check(source, length, Access::Read)?;
        let to = self.check(destination, length, Access::Write)?;
        match to.checked_sub(from) {
            Some(distance) if distance < length => repeat(&mut self.bytes[from..to + length], distance),
            _ => self.bytes.copy_within(from..from + length, to),
        }
        self.written(to, length);
        Ok(())
    }

    fn fill(&mut self, address: u64, pattern: &[u8], length: usize) -> Result<(), Fault> {
        let start = self.check(address, length, Access::Write)?;
        for (byte, value) in self.bytes[start..start + length].iter_mut().zip(pattern.iter().cycle()) {
            *byte = *value;
        }
        self.written(start, length);
        Ok(())
    }

    fn fetch(&mut self, address: u64) -> Result<CodeSpan<'_>, Fault> {
        let start = self.check(address, 1, Access::Execute)?;
        let page = start / PAGE_SIZE as usize;
        if self.pages[page].stamp == 0 {
            self.pages[page].stamp = NEXT_STAMP.fetch_add(1, Ordering::Relaxed);
        }
        let end = (page + 1) * PAGE_SIZE as usize;
        Ok(CodeSpan { bytes: &self.bytes[start..end], stamp: self.pages[page].stamp })
    }

    fn code_epoch(&self) -> u64 {
        self.epoch
    }
}

/// What copying byte by byte to a place `distance` bytes ahead, less than the length, does: the first bytes repeat.
fn repeat(bytes: &mut [u8], distance: usize) {
    for place in distance..bytes.len() {
        bytes[place] = bytes[place - distance];
    }
}

#[cfg(test)]
mod tests {
    use super::{FlatMmu, PAGE_SIZE, Protection};
    use crate::{Access, Fault, Mmu, PageFault};

    const BASE: u64 = 0xffff_f800_0000_0000;

    fn memory() -> FlatMmu {
        FlatMmu::new(BASE, 2, Protection::ReadWriteExecute)
    }

    #[test]
    fn a_straddling_store_faults_at_the_second_page_and_writes_nothing() {
        let mut memory = memory();
        memory.protect(BASE + PAGE_SIZE, Protection::ReadOnly);
        let fault = PageFault { address: BASE + PAGE_SIZE, access: Access::Write, protection: true };
        assert_eq!(memory.store(BASE + PAGE_SIZE - 2, [1; 4]), Err(Fault::Page(fault)));
        assert_eq!(memory.load(BASE + PAGE_SIZE - 2), Ok([0; 4]));
    }

    #[test]
    fn a_write_to_a_fetched_page_changes_its_stamp_and_the_epoch() {
        let mut memory = memory();
        let stamp = memory.fetch(BASE).unwrap().stamp;
        let epoch = memory.code_epoch();
        assert_eq!(memory.store(BASE + PAGE_SIZE, [1]), Ok(()));
        assert_eq!((memory.code_epoch(), memory.fetch(BASE).unwrap().stamp), (epoch, stamp));
        assert_eq!(memory.store(BASE + 9, [1]), Ok(()));
        assert_ne!(memory.code_epoch(), epoch);
        assert_ne!(memory.fetch(BASE).unwrap().stamp, stamp);
    }

    #[test]
    fn device_memory_gives_its_physical_address() {
        let mut memory = memory();
        memory.protect(BASE, Protection::Device(0xfee0_0000));
        assert_eq!(memory.load::<4>(BASE + 0x30), Err(Fault::Device(0xfee0_0030)));
    }
}

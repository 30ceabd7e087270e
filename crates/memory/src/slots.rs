//! One machine's view of the paging file: numbered slots with checksums.
//!
//! Slot numbers appear in page-table entries and reports and depend on this machine alone. The block behind a slot is
//! shared with forks and its number never shows.

use std::hash::{Hash, Hasher};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use nt_types::{NtStatus, PAGE_SIZE};
use twox_hash::XxHash3_128;

use crate::bits::Bits;
use crate::cow::CowVec;
use crate::error::{InPageCause, WriteError};
use crate::extents::Extents;
use crate::frames::Page;
use crate::paging_file::{Block, PagingFile};
use crate::read_ahead::ReadAhead;
use crate::types::{InjectedFault, Injection, PageHistory};

/// Most pages that one read or write moves.
pub(crate) const CLUSTER: usize = 32;

const PAGE: usize = PAGE_SIZE as usize;

/// What a slot holds.
#[derive(Clone, Default)]
pub(crate) struct Slot {
    block: Option<Arc<Block>>,
    /// CRC-32 of the content.
    checksum: u32,
    /// Hash of the content.
    hash: u128,
    /// Stamp of the content; see [`crate::pfn::Pfn::stamp`].
    pub(crate) stamp: u64,
    /// Of the page that the slot belongs to.
    pub(crate) history: PageHistory,
}

/// A read that failed: the slot, the cause and the status that stands for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadError {
    pub(crate) slot: u32,
    pub(crate) cause: InPageCause,
    pub(crate) status: NtStatus,
}

/// All slots of one machine.
pub(crate) struct Slots {
    file: Arc<PagingFile>,
    slots: CowVec<Slot>,
    ahead: ReadAhead,
    free: Extents,
    limit: u32,
    used: u32,
    /// The most slots ever in use.
    pub(crate) used_peak: u32,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) pages_read: u64,
    pub(crate) pages_written: u64,
    /// Which read, counted from the start of the machine, fails how.
    read_faults: Vec<(u64, InjectedFault)>,
    write_faults: Vec<(u64, InjectedFault)>,
}

impl Slots {
    pub(crate) fn new(file: Arc<PagingFile>, limit: u32) -> Slots {
        Slots {
            file,
            slots: CowVec::default(),
            ahead: ReadAhead::default(),
            free: Extents::new(0, limit.into()),
            limit,
            used: 0,
            used_peak: 0,
            reads: 0,
            writes: 0,
            pages_read: 0,
            pages_written: 0,
            read_faults: Vec::new(),
            write_faults: Vec::new(),
        }
    }

    /// The slots of a second machine with the same content.
    pub(crate) fn fork(&mut self) -> Slots {
        Slots {
            file: Arc::clone(&self.file),
            slots: self.slots.fork(),
            ahead: ReadAhead::default(),
            free: self.free.clone(),
            read_faults: self.read_faults.clone(),
            write_faults: self.write_faults.clone(),
            ..*self
        }
    }

    /// The lowest run of `count` slots.
    pub(crate) fn take(&mut self, count: u64) -> Result<u32, WriteError> {
        let first = self.free.take(count).ok_or(WriteError::Full { pages: self.limit })?;
        self.used += count as u32;
        self.used_peak = self.used_peak.max(self.used);
        Ok(first as u32)
    }

    /// Frees a slot and its content.
    pub(crate) fn give(&mut self, slot: u32) {
        *self.slots.get_mut(slot) = Slot::default();
        self.free.give(slot.into(), 1);
        self.used -= 1;
    }

    pub(crate) fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        self.slots.get_mut(slot)
    }

    pub(crate) fn history(&self, slot: u32) -> PageHistory {
        self.slots.get(slot).map(|slot| slot.history).unwrap_or_default()
    }

    /// True once a page was written there.
    pub(crate) fn has_content(&self, slot: u32) -> bool {
        self.block(slot).is_some()
    }

    fn block(&self, slot: u32) -> Option<&Arc<Block>> {
        self.slots.get(slot)?.block.as_ref()
    }

    /// Writes whole pages to the slots from `first` on, in one write. On an error the slots keep what they had.
    pub(crate) fn write(&mut self, first: u32, pages: &[u8]) -> Result<(), WriteError> {
        self.writes += 1;
        if let Some(&(_, InjectedFault::WriteIo(kind))) = self.write_faults.iter().find(|fault| fault.0 == self.writes)
        {
            return Err(WriteError::Io(kind));
        }
        let blocks = self.file.write(pages).map_err(|error| WriteError::Io(error.kind()))?;
        for ((slot, block), page) in (first..).zip(blocks).zip(pages.chunks(PAGE)) {
            let slot = self.slots.get_mut(slot);
            slot.checksum = crc32fast::hash(page);
            slot.hash = XxHash3_128::oneshot(page);
            slot.block = Some(block);
            self.pages_written += 1;
        }
        Ok(())
    }

    /// Reads the pages of `slots` in one read as far as this machine is concerned, and verifies them.
    pub(crate) fn read(&mut self, slots: Range<u32>, pages: &mut [u8]) -> Result<(), ReadError> {
        self.reads += 1;
        self.pages_read += slots.len() as u64;
        let injected = self.read_faults.iter().find(|fault| fault.0 == self.reads).map(|fault| fault.1);
        match injected {
            Some(InjectedFault::ReadStatus(status)) => {
                return Err(ReadError { slot: slots.start, cause: InPageCause::Injected, status });
            }
            Some(InjectedFault::ReadIo(kind)) => return Err(ReadError::host(slots.start, kind)),
            Some(InjectedFault::ShortRead) => {
                return Err(ReadError::host(slots.start, io::ErrorKind::UnexpectedEof));
            }
            _ if slots.len() == 1 => self.read_alone(slots.start, pages)?,
            _ => self.read_blocks(slots.clone(), pages)?,
        }
        if let (Some(InjectedFault::BitFlip), Some(byte)) = (injected, pages.first_mut()) {
            *byte ^= 1;
        }
        slots.zip(pages.chunks(PAGE)).try_for_each(|(slot, page)| self.verify(slot, page))
    }

    /// Reads one page without counting it; injected faults do not apply.
    pub(crate) fn peek(&self, slot: u32, page: &mut Page) -> Result<(), ReadError> {
        self.read_blocks(slot..slot + 1, page)?;
        self.verify(slot, page)
    }

    /// Arranges for a fault. Its count starts now.
    pub(crate) fn inject(&mut self, injection: Injection) {
        let (faults, done) = match injection.fault {
            InjectedFault::WriteIo(_) => (&mut self.write_faults, self.writes),
            _ => (&mut self.read_faults, self.reads),
        };
        faults.push((done.saturating_add(injection.number), injection.fault));
    }

    /// Feeds a hasher what a read or a write of a slot may come to. The content of those that are `stale` does not matter.
    pub(crate) fn hash_state(&self, stale: &Bits, state: &mut impl Hasher) {
        let Slots {
            file: _,
            slots,
            ahead: _, // a cache
            free,
            limit,
            used: _, // as many as are not free
            used_peak: _,
            reads,
            writes,
            pages_read: _,
            pages_written: _,
            read_faults,
            write_faults,
        } = self;
        (free, limit).hash(state);
        for (slot, Slot { block, checksum, hash, stamp: _, history: _ }) in slots.iter() {
            if block.is_some() && !stale.contains(slot) {
                (slot, checksum, hash).hash(state);
            }
        }
        for (faults, done) in [(read_faults, reads), (write_faults, writes)] {
            // How far ahead they are; those that have happened do not happen again.
            for (number, fault) in faults.iter().filter(|(number, _)| number > done) {
                (number - done, fault).hash(state);
            }
        }
    }

    /// Reads one page, and what lies behind it if such reads follow one another. Only what was asked for can fail.
    fn read_alone(&mut self, slot: u32, page: &mut [u8]) -> Result<(), ReadError> {
        let known = self.block(slot).is_some_and(|block| self.ahead.get(block).is_some());
        let depth = self.ahead.ask(slot, known);
        if !known && depth > 1 {
            let blocks = self.neighbours(slot).take(depth).cloned().collect();
            self.ahead.fill(blocks, &self.file);
        }
        match self.block(slot).and_then(|block| self.ahead.get(block)) {
            Some(content) => page.copy_from_slice(content),
            None => self.read_blocks(slot..slot + 1, page)?,
        }
        Ok(())
    }

    /// Neighbouring slots lie in neighbouring blocks as a rule; where they do not, the host reads more than once.
    fn read_blocks(&self, slots: Range<u32>, pages: &mut [u8]) -> Result<(), ReadError> {
        let lost = |slot| ReadError::host(slot, io::ErrorKind::UnexpectedEof);
        let mut start = slots.start;
        while start < slots.end {
            let first = self.block(start).ok_or(lost(start))?.number();
            let count = self.neighbours(start).take((slots.end - start) as usize).count();
            let at = (start - slots.start) as usize * PAGE;
            let read = self.file.read(first, &mut pages[at..at + count * PAGE]);
            read.map_err(|error| ReadError::host(start, error.kind()))?;
            start += count as u32;
        }
        Ok(())
    }

    /// The block of this slot and those of the slots behind it, for as long as they are neighbours in the file, too.
    fn neighbours(&self, start: u32) -> impl Iterator<Item = &Arc<Block>> {
        let first = self.block(start).map_or(0, |block| block.number());
        let blocks = (start..self.limit).map_while(|slot| self.block(slot));
        blocks.zip(first..).take_while(|(block, number)| block.number() == *number).map(|(block, _)| block)
    }

    fn verify(&self, slot: u32, page: &[u8]) -> Result<(), ReadError> {
        let found = crc32fast::hash(page);
        let expected = self.slots.get(slot).map_or(0, |slot| slot.checksum);
        if found == expected {
            return Ok(());
        }
        let cause = InPageCause::Checksum { slot, found, expected };
        Err(ReadError { slot, cause, status: NtStatus::DEVICE_DATA_ERROR })
    }
}

impl ReadError {
    fn host(slot: u32, kind: io::ErrorKind) -> ReadError {
        match kind {
            io::ErrorKind::UnexpectedEof => {
                ReadError { slot, cause: InPageCause::ShortRead, status: NtStatus::DEVICE_DATA_ERROR }
            }
            _ => ReadError { slot, cause: InPageCause::Io(kind), status: NtStatus::IO_DEVICE_ERROR },
        }
    }
}

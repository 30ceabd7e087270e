//! Pages come back, in two phases: a read begins, simulated time passes, the read ends (D6).

use std::hash::{Hash, Hasher};

use nt_types::{NtStatus, PAGE_SHIFT, PAGE_SIZE, Va};
use section_paging::PageRun;

use crate::Memory;
use crate::error::{InPageCause, InPageError, NoFrames};
use crate::pfn::{NO_SLOT, Pfn, Use};
use crate::pte::{State, pte_address};
use crate::slots::{CLUSTER, ReadError};
use crate::tables::EntryAt;
use crate::types::{Absence, Injection, PageIn, RangePageIn, ReadTicket};

/// A read in progress: of pages that follow one another, in slots that do.
#[derive(Clone, Copy)]
struct Read {
    number: u64,
    count: u32,
    /// Where the first page was when the read began.
    slot: u32,
}

/// Reads in progress.
#[derive(Clone, Default)]
pub(crate) struct Reads {
    begun: u64,
    /// By number of the first page. Few at a time, and no page is in two.
    pending: Vec<(u64, Read)>,
}

impl Reads {
    fn begin(&mut self, first_page: u64, slot: u32, count: u32) -> ReadTicket {
        self.begun += 1;
        let number = self.begun;
        self.pending.insert(self.position(first_page), (first_page, Read { number, count, slot }));
        ReadTicket { first_page, number }
    }

    fn end(&mut self, ticket: ReadTicket) -> Option<Read> {
        let position = self.position(ticket.first_page);
        let (first_page, read) = self.pending.get(position)?;
        let found = *first_page == ticket.first_page && read.number == ticket.number;
        found.then(|| self.pending.remove(position).1)
    }

    /// Feeds a hasher the reads in progress. Their numbers count from the next one: so what was read before does not tell.
    pub(crate) fn hash_state(&self, state: &mut impl Hasher) {
        let Reads { begun, pending } = self;
        for (first_page, Read { number, count, slot }) in pending {
            (first_page, begun - number, count, slot).hash(state);
        }
    }

    /// The read that will bring in this page.
    pub(crate) fn of(&self, page: u64) -> Option<ReadTicket> {
        let (first_page, read) = *self.pending.get(self.position(page + 1).checked_sub(1)?)?;
        let ticket = ReadTicket { first_page, number: read.number };
        (page - first_page < read.count.into()).then_some(ticket)
    }

    /// Where the reads from this page on begin.
    fn position(&self, page: u64) -> usize {
        self.pending.partition_point(|(first_page, _)| *first_page < page)
    }
}

impl Memory {
    /// Starts bringing in the page of `va` (D6). Whatever the answer, the access starts over from the beginning
    /// afterwards: nothing stays true while a read is in progress.
    ///
    /// # Errors
    /// There is no frame for it (D27).
    pub fn begin_page_in(&mut self, va: Va) -> Result<PageIn, InPageError> {
        if let Some(soft) = self.soft_page_in(va)? {
            return Ok(soft);
        }
        let page = va.page();
        Ok(match (self.pte_of(va).state(), self.reads.of(page)) {
            (State::PagingFile(_), Some(ticket)) => PageIn::Shared(ticket),
            (State::PagingFile(slot), None) => PageIn::Hard(self.reads.begin(page, slot, 1)),
            _ => PageIn::Absent(self.why_absent(va).unwrap_or(Absence::NeverMapped)),
        })
    }

    /// The same for many pages, for locks and resets: what lies together in the paging file is read together. Pages that
    /// will never come in are skipped (D22).
    ///
    /// # Errors
    /// There is no frame for one of them (D27).
    pub fn begin_page_in_runs(&mut self, runs: impl IntoIterator<Item = PageRun>) -> Result<RangePageIn, InPageError> {
        let mut begun = RangePageIn::default();
        let mut wanted: Vec<(u64, u32)> = Vec::new();
        for page in runs.into_iter().flat_map(PageRun::pages) {
            let va = Va(page << PAGE_SHIFT);
            if let Some(soft) = self.soft_page_in(va)? {
                begun.soft_pages += u64::from(soft == PageIn::Soft);
            } else if let State::PagingFile(slot) = self.pte_of(va).state() {
                match self.reads.of(page) {
                    Some(ticket) => begun.tickets.push(ticket),
                    None => wanted.push((page, slot)),
                }
            }
        }
        begun.hard_pages = wanted.len() as u64;
        let follows = |a: &(u64, u32), b: &(u64, u32)| a.0 + 1 == b.0 && a.1.checked_add(1) == Some(b.1);
        for cluster in wanted.chunk_by(follows).flat_map(|run| run.chunks(CLUSTER)) {
            let (page, slot) = cluster[0];
            begun.tickets.push(self.reads.begin(page, slot, cluster.len() as u32));
        }
        begun.tickets.sort_unstable();
        begun.tickets.dedup();
        Ok(begun)
    }

    /// Ends a read: the pages that are still out, where they were, are resident afterwards; others are left alone, for
    /// the image may be gone by now (D6). A ticket that was finished before is no error.
    ///
    /// # Errors
    /// A page cannot be read, or there is no frame for it. It stays out; the machine must stop (R168).
    pub fn finish(&mut self, ticket: ReadTicket) -> Result<(), InPageError> {
        let Some(read) = self.reads.end(ticket) else { return Ok(()) };
        let page = |index: u32| ticket.first_page + u64::from(index);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut done = Ok(());
        let mut start = 0;
        while start < read.count && done.is_ok() {
            let wanted = |index: &u32| self.is_out(page(*index), read.slot + index);
            let count = (start..read.count).take_while(wanted).count() as u32;
            done = self.read_cluster(page(start), read.slot + start, count, &mut buffer);
            // The page after these is not wanted any more.
            start += count + 1;
        }
        self.buffer = buffer;
        done
    }

    fn is_out(&self, page: u64, slot: u32) -> bool {
        self.pte_of(Va(page << PAGE_SHIFT)).state() == State::PagingFile(slot)
    }

    /// Arranges for the paging file to fail.
    pub fn inject(&mut self, injection: Injection) {
        self.slots.inject(injection);
    }

    fn read_cluster(&mut self, page: u64, slot: u32, count: u32, buffer: &mut Vec<u8>) -> Result<(), InPageError> {
        if count < 2 {
            return if count == 0 { Ok(()) } else { self.read_page(page, slot) };
        }
        buffer.resize(count as usize * PAGE_SIZE as usize, 0);
        let read = self.slots.read(slot..slot + count, buffer);
        read.map_err(|error| self.in_page_error(page + u64::from(error.slot - slot), error))?;
        let (pages, _) = buffer.as_chunks();
        for ((page, slot), content) in (page..).zip(slot..).zip(pages) {
            let frame = self.take_frame().map_err(|none| self.no_frame_for(page, none))?;
            *self.frames.overwrite(frame) = *content;
            self.bring_in(page, slot, frame);
        }
        Ok(())
    }

    /// One page needs no buffer.
    fn read_page(&mut self, page: u64, slot: u32) -> Result<(), InPageError> {
        let frame = self.take_frame().map_err(|none| self.no_frame_for(page, none))?;
        match self.slots.read(slot..slot + 1, self.frames.overwrite(frame)) {
            Ok(()) => {
                self.bring_in(page, slot, frame);
                Ok(())
            }
            Err(error) => {
                self.frames.release(frame);
                Err(self.in_page_error(page, error))
            }
        }
    }

    /// Maps a page that was read into this frame.
    fn bring_in(&mut self, page: u64, slot: u32, frame: u32) {
        let va = Va(page << PAGE_SHIFT);
        let place = self.slots.slot_mut(slot);
        place.history.paged_in = Some(self.step);
        let stamp = place.stamp;
        self.map_in(va, frame, Pfn { slot, stamp, ..Pfn::default() });
    }

    /// What needs no read: the page is there already, in transition, or zero. `None` if it needs one or never comes.
    fn soft_page_in(&mut self, va: Va) -> Result<Option<PageIn>, InPageError> {
        let Some(at) = self.entry(va) else { return Ok(None) };
        match self.read_entry(at).state() {
            State::Valid(_) | State::Device(_) => return Ok(Some(PageIn::AlreadyIn)),
            State::Transition(frame) => self.revive(va, at, frame),
            State::DemandZero => {
                let frame = self.take_frame().map_err(|none| self.no_frame_for(va.page(), none))?;
                self.map_in(va, frame, Pfn::default());
                self.counters.demand_zero_faults += 1;
            }
            _ => return Ok(None),
        }
        Ok(Some(PageIn::Soft))
    }

    fn revive(&mut self, va: Va, at: EntryAt, frame: u32) {
        let pte = self.read_entry(at);
        self.set_pte(va, at, pte.valid(frame, pte.is_dirty()));
        let pfn = self.pfns.get_mut(frame);
        pfn.used = Use::Page;
        let (order, slot) = (pfn.order, pfn.slot);
        self.standby.remove(&order);
        self.slots.slot_mut(slot).history.paged_in = Some(self.step);
        self.counters.transition_faults += 1;
        self.note_arrival(frame);
    }

    /// Maps a page that is in this frame now. `known` says what is known of its content.
    fn map_in(&mut self, va: Va, frame: u32, known: Pfn) {
        if let Some(at) = self.entry(va) {
            let pte = self.read_entry(at);
            let pageable = pte.is_pageable();
            *self.pfns.get_mut(frame) = Pfn { used: Use::Page, page: va.page(), mappings: 1, pageable, ..known };
            self.set_pte(va, at, pte.valid(frame, false));
            self.note_arrival(frame);
        }
    }

    /// What stands for a page that comes in again and again, because there are too few frames for all the pages that are
    /// needed at the same time (D27).
    pub fn too_few_frames(&self, va: Va) -> InPageError {
        self.no_frame_for(va.page(), self.no_frames())
    }

    fn no_frame_for(&self, page: u64, none: NoFrames) -> InPageError {
        let cause = InPageCause::NoFrames(none);
        self.in_page_error(page, ReadError { slot: NO_SLOT, cause, status: NtStatus::INSUFFICIENT_RESOURCES })
    }

    fn in_page_error(&self, page: u64, error: ReadError) -> InPageError {
        let va = Va(page << PAGE_SHIFT);
        let pte = self.pte_of(va);
        let slot = if let State::PagingFile(slot) = pte.state() { slot } else { 0 };
        InPageError {
            va,
            pte_address: pte_address(va),
            pte_contents: pte.0,
            file_offset: u64::from(slot) * PAGE_SIZE,
            status: error.status,
            cause: error.cause,
        }
    }
}

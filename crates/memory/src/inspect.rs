//! Looking without touching: nothing here changes state or counters.

use nt_types::{PAGE_SIZE, Va};

use crate::Memory;
use crate::frames::Page;
use crate::mmu::{offset, pieces};
use crate::pfn::NO_SLOT;
use crate::pte::{State, pte_address};
use crate::types::{Absence, Counters, Frame, PageHistory, PageState, Protection};

impl Memory {
    /// True where the page of this number is mapped to a frame.
    pub fn is_resident(&self, page: u64) -> bool {
        matches!(self.page_state(Va(page * PAGE_SIZE)), PageState::Resident { .. })
    }

    /// Reads the current content, also of pages that are out.
    ///
    /// # Errors
    /// Why the first page without content has none; the buffer is partly filled then. Device memory counts as never
    /// mapped: it cannot be read without an effect.
    pub fn peek(&self, va: Va, buffer: &mut [u8]) -> Result<(), Absence> {
        for (at, piece) in pieces(va.0, buffer.len()) {
            self.peek_piece(Va(at), &mut buffer[piece])?;
        }
        Ok(())
    }

    /// Reads bytes that lie in one page.
    fn peek_piece(&self, va: Va, buffer: &mut [u8]) -> Result<(), Absence> {
        let (start, length) = (offset(va.0), buffer.len());
        match self.page_state(va) {
            PageState::Resident { frame, .. } | PageState::Transition { frame } => {
                buffer.copy_from_slice(&self.frames.read(frame.0)[start..start + length]);
            }
            PageState::Out { slot, .. } => {
                let mut page: Page = [0; PAGE_SIZE as usize];
                self.slots.peek(slot, &mut page).map_err(|_| Absence::Unreadable)?;
                buffer.copy_from_slice(&page[start..start + length]);
            }
            PageState::DemandZero => buffer.fill(0),
            PageState::Device { .. } => return Err(Absence::NeverMapped),
            PageState::Absent(absence) => return Err(absence),
        }
        Ok(())
    }

    /// Where the page of `va` is.
    pub fn page_state(&self, va: Va) -> PageState {
        if !va.is_canonical() {
            return PageState::Absent(Absence::NonCanonical);
        }
        let pte = self.pte_of(va);
        match pte.state() {
            State::Valid(frame) => {
                let dirty = pte.is_dirty() || !self.slots.has_content(self.pfn(frame).slot);
                PageState::Resident { frame: Frame(frame), dirty, eligible: self.may_leave(frame) }
            }
            State::Device(number) => PageState::Device { physical: number * PAGE_SIZE },
            State::Transition(frame) => PageState::Transition { frame: Frame(frame) },
            State::PagingFile(slot) => PageState::Out { slot, reading: self.reads.of(va.page()).is_some() },
            State::DemandZero => PageState::DemandZero,
            State::NeverMapped => PageState::Absent(Absence::NeverMapped),
            State::Freed => PageState::Absent(Absence::Freed),
            State::Discarded => PageState::Absent(Absence::Discarded),
            State::Guard => PageState::Absent(Absence::Guard),
        }
    }

    /// Why nothing is at `va`, or `None` if something is, resident or not (D44).
    pub fn why_absent(&self, va: Va) -> Option<Absence> {
        match self.page_state(va) {
            PageState::Absent(absence) => Some(absence),
            _ => None,
        }
    }

    /// The page-table entry of `va`: its address ([`pte_address`]) and contents, 0 where there is no table.
    pub fn pte(&self, va: Va) -> (u64, u64) {
        (pte_address(va), self.pte_of(va).0)
    }

    /// What the page of `va` allows, if there is one.
    pub fn protection(&self, va: Va) -> Option<Protection> {
        let pte = self.pte_of(va);
        pte.is_mapped().then(|| pte.protection())
    }

    /// When the page of `va` last left and came back. Empty for a page that never left.
    pub fn history(&self, va: Va) -> PageHistory {
        let slot = match self.pte_of(va).state() {
            State::Valid(frame) | State::Transition(frame) => self.pfn(frame).slot,
            State::PagingFile(slot) => slot,
            _ => NO_SLOT,
        };
        self.slots.history(slot)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        Counters {
            pages_read: self.slots.pages_read,
            pages_written: self.slots.pages_written,
            reads: self.slots.reads,
            writes: self.slots.writes,
            slots_peak: self.slots.used_peak,
            frames_used: self.frames.used(),
            frames_peak: self.frames.peak(),
            ..self.counters
        }
    }
}

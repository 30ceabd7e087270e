//! Calls that start over. A call whose page is out ends with nothing done and starts over when the page is there (D6); so it
//! needs all its pages at one time, which may be more than there are frames. What it has had in memory once it need not bring
//! in again: a page that left meanwhile is read where it lies now, so that each start gets at least one page further.

use std::collections::BTreeSet;

use engine::Fault;
use memory::PageState;
use nt_types::{PAGE_SIZE, Va};

use crate::call::{Call, Trap};
use crate::machine::Machine;

/// What names a call while it may start over: the service, and the stack pointer.
pub(crate) type CallName = (Va, u64);

/// A call of a thread that needed pages which were out.
#[derive(Clone, Hash, Debug)]
pub struct Attempt {
    call: CallName,
    /// Numbers of the pages that came in for it.
    pages: BTreeSet<u64>,
    /// The last of them that was read where it lies: its number and content. Nothing else runs while a call reads.
    last: Option<(u64, Vec<u8>)>,
}

impl Machine {
    /// A call begins, or starts over. Most calls need nothing that is out, so this is all that they pay.
    pub(crate) fn attempt(&mut self, call: &Call) {
        let name = (call.service, call.rsp);
        let thread = self.thread();
        thread.call = Some(name);
        match &mut thread.attempt {
            Some(attempt) if attempt.call == name => attempt.last = None,
            Some(_) => thread.attempt = None,
            None => {}
        }
    }

    /// The call did what it is for, or a part that need not be done again.
    pub(crate) fn attempt_ended(&mut self) {
        let thread = self.thread();
        thread.call = None;
        thread.attempt = None;
    }

    /// A page has to come in. The first time is a step forward for the call that needs it.
    pub(crate) fn note_needed(&mut self, address: Va) {
        let thread = self.thread();
        let Some(call) = thread.call else { return };
        let new = || Attempt { call, pages: BTreeSet::new(), last: None };
        if thread.attempt.get_or_insert_with(new).pages.insert(address.page()) {
            self.got_on();
        }
    }

    /// Reads what refused to be read, as far as it has been in memory for this call before.
    pub(crate) fn read_again(&mut self, address: Va, buffer: &mut [u8], fault: Fault) -> Result<(), Trap> {
        let known = self.thread().attempt.as_ref().is_some_and(|attempt| !attempt.pages.is_empty());
        if !known || !self.irql().may_fault() {
            return Err(fault.into());
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = Va(address.0.wrapping_add(done as u64));
            let offset = (at.0 % PAGE_SIZE) as usize;
            let length = (buffer.len() - done).min(PAGE_SIZE as usize - offset);
            let piece = &mut buffer[done..done + length];
            match self.page_read_before(at) {
                Some(page) => piece.copy_from_slice(&page[offset..offset + length]),
                None => self.memory.read_bytes(at, piece)?,
            }
            done += length;
        }
        Ok(())
    }

    /// The content of a page that is out, and was in memory for this call.
    fn page_read_before(&mut self, address: Va) -> Option<&[u8]> {
        let number = address.page();
        if !matches!(self.memory.page_state(address), PageState::Out { .. }) {
            return None;
        }
        let attempt = self.thread().attempt.as_mut()?;
        if !attempt.pages.contains(&number) {
            return None;
        }
        if attempt.last.as_ref().is_none_or(|(last, _)| *last != number) {
            let mut content = vec![0; PAGE_SIZE as usize];
            self.memory.peek(address.page_down(), &mut content).ok()?;
            self.thread().attempt.as_mut()?.last = Some((number, content));
        }
        self.thread().attempt.as_ref()?.last.as_ref().map(|(_, content)| content.as_slice())
    }
}

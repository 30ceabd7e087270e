//! Kernel stacks leave memory while their threads wait in user mode (R190; docs: kernel/using-the-kernel-stack).
//!
//! A thread takes its stack along when it gets a processor again: a wait that ends makes it ready once all pages are back
//! (D51). Until then they are pageable memory like any other, so that who touches them above `APC_LEVEL` is wrong.

use memory::{InPageCause, InPageError};
use nt_types::{BugCheck, BugCheckCode, PAGE_SIZE, Va};
use section_paging::PageRun;

use crate::event::EventKind;
use crate::machine::Machine;
use crate::stop::{Cause, StopKind};
use crate::thread::{Thread, ThreadId, ThreadState};
use crate::wait::{Wait, WaitOn};

impl Thread {
    /// True for an address in its kernel stack.
    pub fn has_on_stack(&self, address: Va) -> bool {
        (self.stack.0..self.stack.1).contains(&address)
    }

    fn stack_pages(&self) -> u64 {
        (self.stack.1 - self.stack.0) / PAGE_SIZE
    }
}

impl Machine {
    /// The thread that has not ended and whose stack holds this address.
    pub fn thread_on_stack(&self, address: Va) -> Option<&Thread> {
        self.threads.live().find(|thread| thread.has_on_stack(address))
    }

    /// A thread has given up its processor: its stack may leave if it waits in user mode.
    pub(crate) fn let_stack_leave(&mut self, id: ThreadId) {
        let thread = &mut self.threads[id.0 as usize];
        let in_user_mode = matches!(&thread.state, ThreadState::Waiting { wait, .. } if wait.user_mode);
        if !in_user_mode || !thread.stack_swap || self.mm.stacks_stay {
            return;
        }
        thread.stack_may_leave = true;
        let (stack, pages) = (thread.stack.0, thread.stack_pages());
        self.memory.set_pageable(stack, pages, true);
        self.settle();
    }

    /// The wait of a thread is over: it is ready once its stack is in memory, where it stays from now on.
    pub(crate) fn bring_stack_in(&mut self, id: ThreadId) {
        let thread = &mut self.threads[id.0 as usize];
        if !std::mem::take(&mut thread.stack_may_leave) {
            return;
        }
        let (stack, pages) = (thread.stack.0, thread.stack_pages());
        let run = PageRun::at(stack, pages);
        let out: Vec<Va> = run.pages().map(|page| Va(page * PAGE_SIZE)).filter(|page| !self.is_in(*page)).collect();
        self.memory.set_pageable(stack, pages, false);
        match self.memory.begin_page_in_runs([run]) {
            Ok(begun) => {
                for page in out {
                    self.record(EventKind::PagedIn { page, hard: !self.is_in(page) });
                }
                self.await_stack(id, begun.tickets);
            }
            Err(error) => self.stack_lost(id, &error),
        }
    }

    fn is_in(&self, page: Va) -> bool {
        self.memory.is_resident(page.page())
    }

    fn await_stack(&mut self, id: ThreadId, reads: Vec<memory::ReadTicket>) {
        if reads.is_empty() {
            return;
        }
        reads.iter().for_each(|ticket| self.page_read_began(*ticket));
        self.waits += 1;
        let wait = Wait::on(WaitOn::PageReads(reads));
        self.threads[id.0 as usize].state = ThreadState::Waiting { wait, gives_status: false, since: self.waits };
    }

    /// The thread whose stack this page is, where the page comes in because that thread is to run.
    pub(crate) fn brings_stack_in(&self, page: Va) -> Option<ThreadId> {
        self.thread_on_stack(page).filter(|thread| !thread.stack_may_leave).map(|thread| thread.id)
    }

    /// A page of the stack of a thread that is to run cannot be read: 0x77 (R192), or 0x1A/0x3f as for other pages (D46).
    pub(crate) fn stack_lost(&mut self, id: ThreadId, error: &InPageError) {
        self.as_thread(id, |m| {
            let here = m.here();
            let check = stack_bug_check(error);
            let stop = m.stop_at(here, StopKind::BugCheck(check, Cause::StackInPage { thread: id, error: *error }));
            m.halt(stop);
        });
    }

    /// A thread is about to end whose stack is not allowed to leave: 0x94, which has no parameters (R193).
    pub(crate) fn stack_locked_at_exit(&mut self) {
        let here = self.here();
        let check = BugCheck { code: BugCheckCode::KERNEL_STACK_LOCKED_AT_EXIT, parameters: [0; 4] };
        let stop = self.stop_at(here, StopKind::BugCheck(check, Cause::StackLockedAtExit));
        self.halt(stop);
    }
}

/// D53: a read that ends early is the documented form with P1 = 2. There is no signature on a stack here: the value found is 0,
/// and its address is that of the page. Other failures have P1 = P2 = the status, and the offset in paging file 0.
fn stack_bug_check(error: &InPageError) -> BugCheck {
    /// The read succeeded without giving all of the page.
    const SHORT_READ: u64 = 2;
    let status = u64::from(error.status.0);
    let parameters = match error.cause {
        InPageCause::Checksum { .. } => return error.bug_check(error.va),
        InPageCause::ShortRead => [SHORT_READ, 0, 0, error.va.0],
        InPageCause::NoFrames(_) | InPageCause::Injected | InPageCause::Io(_) => [status, status, 0, error.file_offset],
    };
    BugCheck { code: BugCheckCode::KERNEL_STACK_INPAGE_ERROR, parameters }
}

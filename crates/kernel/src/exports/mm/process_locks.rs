//! Pages of the process that drivers lock, and what becomes of them when it ends (docs: debugger/bug-check-0x76,
//! debugger/bug-check-0xcb). The one process of this machine stands for the programs, too.

use nt_types::{BugCheck, BugCheckCode, Va};

use crate::boot::MEMORY_MANAGEMENT;
use crate::machine::Machine;
use crate::stop::{Cause, PageMisuse, StopKind};

/// What one MDL keeps locked.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct ProcessLock {
    /// Its pages, as often as they are locked.
    pages: u64,
    /// Return address of the last lock.
    caller: Va,
}

impl Machine {
    /// Pages of the process that are locked.
    pub(crate) fn locked_in_process(&self) -> u64 {
        self.mm.process_locks.values().map(|lock| lock.pages).sum()
    }

    /// The pages of an MDL have been locked.
    pub(crate) fn process_pages_locked(&mut self, list: Va, pages: u64, caller: Va) {
        let lock = self.mm.process_locks.entry(list).or_insert(ProcessLock { pages: 0, caller });
        *lock = ProcessLock { pages: lock.pages + pages, caller };
    }

    /// They have been unlocked.
    pub(crate) fn process_pages_unlocked(&mut self, list: Va, pages: u64) {
        if let Some(lock) = self.mm.process_locks.get_mut(&list) {
            lock.pages = lock.pages.saturating_sub(pages);
        }
        self.mm.process_locks.retain(|_, lock| lock.pages > 0);
    }

    /// The program that uses the drivers ends, with all its handles closed: true, and the machine stops, if pages of it are still
    /// locked. A program with a request under way does not end before that does.
    pub fn end_program(&mut self) -> bool {
        let waits = self.requests().any(|request| request.answer.is_none());
        let last = self.mm.process_locks.last_key_value().filter(|_| !waits);
        let Some((&list, &lock)) = last else { return false };
        let misuse = PageMisuse::LeftLocked { list, pages: lock.pages };
        let check = if self.tracks_locked_pages() {
            let structure: Vec<u8> =
                [list.0, lock.pages, lock.caller.0].into_iter().flat_map(u64::to_le_bytes).collect();
            let parameters = [self.verifier_note(&structure).0, 0, list.0, lock.pages];
            BugCheck { code: BugCheckCode::DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS, parameters }
        } else {
            self.check_of(misuse)
        };
        let stop = self.stop_at(lock.caller, StopKind::BugCheck(check, Cause::Pages(misuse)));
        self.halt(stop);
        true
    }

    /// Pool tracking, or the value of the registry that turns this on alone.
    fn tracks_locked_pages(&self) -> bool {
        let value = self.cm.registry.dword(MEMORY_MANAGEMENT, "TrackLockedPages");
        self.options.verifier.pool_tracking || value == Some(1)
    }
}

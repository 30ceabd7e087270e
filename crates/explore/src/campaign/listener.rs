//! Who is told what a search comes to, and may end it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Watched;
use super::board::Board;

/// Time between two reports of progress.
const TICK: Duration = Duration::from_millis(200);

/// The listener of all threads of a search.
pub(super) struct Listener<W> {
    watch: Mutex<W>,
    /// The search is to end.
    over: AtomicBool,
}

impl<W: FnMut(Watched<'_>) -> bool> Listener<W> {
    pub(super) fn new(watch: W) -> Listener<W> {
        Listener { watch: Mutex::new(watch), over: AtomicBool::new(false) }
    }

    /// Tells, and ends the search where no more is wanted.
    pub(super) fn tell(&self, what: Watched<'_>) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if !watch(what) {
            self.end();
        }
    }

    /// Tells now and then how far the search is, however long a unit of it takes, until nobody is left who sends.
    pub(super) fn tell_progress(&self, board: &Board, working: &Receiver<()>) {
        while working.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            self.tell(Watched::Progress(&board.progress()));
        }
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

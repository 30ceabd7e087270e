//! K19: a driver that pages itself while another thread is opening it (R28).
//!
//! An open that is to connect an interrupt resets paging first (R25). From that reset until the connection, or until the
//! dispatch routine that made it returns, nobody else may page the driver.

use nt_types::Va;

use crate::call::{Frame, Then};
use crate::exports::mm;
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::thread::{ThreadId, ThreadState};

/// A thread between its reset and its connection.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Opening {
    image: Va,
    thread: ThreadId,
    /// Modelled frames that the thread has for as long as its dispatch routine runs.
    frames: usize,
    processor: usize,
}

impl Machine {
    /// A dispatch routine of the driver at `address` resets its paging.
    pub(crate) fn opening_began(&mut self, address: Va) {
        let Some(image) = self.modules.driver_at(address).map(|driver| driver.base) else { return };
        let (thread, processor) = (self.current_thread(), self.active);
        let frames = self.thread().frames.len();
        if self.is_being_paged(image) {
            self.find(FindingKind::K19PageEntireRace { base: image, opener: processor }, image);
        }
        self.mm.openings.retain(|opening| opening.thread != thread);
        self.mm.openings.push(Opening { image, thread, frames, processor });
    }

    /// True while another thread is inside MmPageEntireDriver for the driver at `base`.
    fn is_being_paged(&self, base: Va) -> bool {
        let Some(image) = self.modules.driver_at(base).map(|driver| driver.id) else { return false };
        let inside = |frame: &Frame| match &frame.then {
            Then::Mm(mm::Then::Paging(then)) => then.pages_entirely(image),
            _ => false,
        };
        self.threads.live().any(|thread| thread.frames.iter().any(inside))
    }

    /// The driver at `image` has connected its interrupt.
    pub(crate) fn opening_ended(&mut self, image: Va) {
        let thread = self.current_thread();
        self.mm.openings.retain(|opening| (opening.image, opening.thread) != (image, thread));
    }

    /// The driver at `address` pages itself.
    pub(crate) fn check_opening(&mut self, address: Va) {
        let (driver, thread) = (self.modules.driver_at(address).map(|driver| driver.base), self.current_thread());
        let threads = &self.threads;
        self.mm.openings.retain(|opening| {
            let opener = threads.get(opening.thread.0 as usize);
            opener.is_some_and(|opener| {
                !matches!(opener.state, ThreadState::Ended(_)) && opener.frames.len() >= opening.frames
            })
        });
        let other = |opening: &&Opening| Some(opening.image) == driver && opening.thread != thread;
        if let Some(Opening { image, processor, .. }) = self.mm.openings.iter().find(other).copied() {
            self.find(FindingKind::K19PageEntireRace { base: image, opener: processor }, image);
        }
    }
}

//! The I/O manager.

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {}

impl Then {
    pub(crate) fn run(self, _m: &mut Machine, _value: u64) -> Outcome {
        match self {}
    }
}

impl Machine {
    /// Requests that the driver at this base marked pending and has not completed, the one now in dispatch left out.
    pub(crate) fn pending_requests_of(&self, _base: nt_types::Va) -> usize {
        0
    }

    /// Lets devices do what is due.
    pub(crate) fn advance_devices(&mut self) {
        let now = self.now_ns();
        if self.bus.advance(now) {
            self.attention = true;
        }
    }
}

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

//! The run-time library, and the Zw, Ob, Ps and Se services.

mod memory;
mod print;
mod string;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[memory::EXPORTS, print::EXPORTS, string::EXPORTS];

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

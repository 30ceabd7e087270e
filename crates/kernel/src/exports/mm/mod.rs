//! The memory manager: the six routines, pool, MDLs, mappings.

mod mdl;
mod paging;
pub mod pool;
mod race;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[paging::EXPORTS];

/// True for the routines that lock, unlock, page and reset.
pub(crate) fn is_paging_routine(name: &str) -> bool {
    paging::EXPORTS.iter().any(|export| export.name == name)
}

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {
    pub(crate) pool: pool::Pool,
    /// Threads that are opening a driver which pages itself.
    pub(crate) openings: Vec<race::Opening>,
}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {
    /// The six routines.
    Paging(paging::PagingThen),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Paging(then) => then.run(m, value),
        }
    }
}

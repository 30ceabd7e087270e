//! The executive: pool, fast mutexes, work items, interlocked lists.

mod fast_mutex;
mod pool;
mod work_item;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[fast_mutex::EXPORTS, pool::EXPORTS, work_item::EXPORTS];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {}

/// Continuations of this family.
#[derive(Clone, Debug)]
pub enum Then {
    /// A worker thread starts on its item.
    WorkItem(work_item::Work),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, _value: u64) -> Outcome {
        match self {
            Then::WorkItem(work) => work.run(m),
        }
    }
}

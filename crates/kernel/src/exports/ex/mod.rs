//! The executive: pool, locks, callbacks, work items, interlocked lists.

mod callback;
mod etw;
mod fast_mutex;
mod interlocked;
mod lookaside;
mod pool;
mod push_lock;
mod resource;
mod slist;
mod system_information;
mod timer_resolution;
mod work_item;

use std::collections::BTreeSet;

use nt_types::Va;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    callback::EXPORTS,
    etw::EXPORTS,
    fast_mutex::EXPORTS,
    interlocked::EXPORTS,
    lookaside::EXPORTS,
    pool::EXPORTS,
    push_lock::EXPORTS,
    resource::EXPORTS,
    slist::EXPORTS,
    system_information::EXPORTS,
    timer_resolution::EXPORTS,
    work_item::EXPORTS,
];

/// What this family remembers.
#[derive(Clone, Default, Hash, Debug)]
pub struct State {
    pub(crate) callbacks: callback::Callbacks,
    /// Handles of event providers, ascending.
    pub(crate) etw_providers: Vec<u64>,
    pub(crate) resources: resource::Resources,
    /// Work items that are queued, of the executive and of the I/O manager.
    queued_work: BTreeSet<Va>,
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// A worker thread starts on its item.
    WorkItem(work_item::Work),
    /// A routine of a callback object returned.
    Notifying(callback::Notifying),
    /// A lookaside list freed an entry.
    Emptying(lookaside::Emptying),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, _value: u64) -> Outcome {
        match self {
            Then::WorkItem(work) => work.run(m),
            Then::Notifying(notifying) => notifying.run(),
            Then::Emptying(emptying) => emptying.run(m),
        }
    }
}

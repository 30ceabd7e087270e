//! The memory manager: the six routines, pool, MDLs, mappings.

mod contiguous;
mod copy;
mod mdl;
mod mdl_lock;
mod mdl_map;
mod page_misuse;
mod paging;
mod physical;
pub mod pool;
pub(crate) mod process_locks;
mod query;
mod race;
mod section;
pub(crate) mod special_pool;
mod virtual_memory;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use nt_types::Va;

use super::Export;
use crate::call::Outcome;
use crate::machine::Machine;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[
    contiguous::EXPORTS,
    copy::EXPORTS,
    mdl::EXPORTS,
    mdl_lock::EXPORTS,
    mdl_map::EXPORTS,
    paging::EXPORTS,
    physical::EXPORTS,
    query::EXPORTS,
    section::EXPORTS,
    virtual_memory::EXPORTS,
];

/// The routines of rule IrqlMmApcLte (R142; docs: devtest/wdm-irqlmmapclte), and the alias of one of them (D15).
pub(crate) const IRQL_MM_APC_LTE: [&str; 13] = [
    "MmAllocateNonCachedMemory",
    "MmAllocatePagesForMdl",
    "MmAllocatePagesForMdlEx",
    "MmFreeNonCachedMemory",
    "MmFreePagesFromMdl",
    "MmLockPagableDataSection",
    "MmLockPagableImageSection",
    "MmLockPagableSectionByHandle",
    "MmPageEntireDriver",
    "MmResetDriverPaging",
    "MmSecureVirtualMemory",
    "MmUnlockPagableImageSection",
    "MmUnsecureVirtualMemory",
];

/// What this family remembers.
#[derive(Clone, Default, Debug)]
pub struct State {
    pub(crate) pool: pool::Pool,
    /// Threads that are opening a driver which pages itself.
    pub(crate) openings: Vec<race::Opening>,
    /// Page-ins in a row without an instruction retired, and the step of that.
    pub(crate) page_ins_in_a_row: (u64, u32),
    /// Pages of the process that drivers have locked, by the MDL.
    pub(crate) process_locks: BTreeMap<Va, process_locks::ProcessLock>,
    /// Memory of the process, by address.
    allocations: BTreeMap<Va, virtual_memory::Allocation>,
    /// Contiguous and noncached memory that drivers have, by address.
    contiguous: BTreeSet<Va>,
    /// Stacks never leave memory: the global flag "Disable paging of kernel stacks" was set at boot (D52).
    pub(crate) stacks_stay: bool,
    /// Views of page tables, by physical address.
    pub(crate) table_views: BTreeMap<u64, Va>,
}

impl State {
    /// What tells its state at this step.
    pub(crate) fn hash_at(&self, step: u64, state: &mut impl Hasher) {
        let State {
            pool,
            openings,
            page_ins_in_a_row,
            process_locks,
            allocations,
            contiguous,
            table_views,
            stacks_stay,
        } = self;
        let (last, in_a_row) = *page_ins_in_a_row;
        (pool, openings, if last == step { in_a_row } else { 0 }).hash(state);
        (process_locks, allocations, contiguous, table_views, stacks_stay).hash(state);
    }
}

/// Continuations of this family.
#[derive(Clone, Hash, Debug)]
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

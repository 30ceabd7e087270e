//! Latent faults: accesses that only luck with trimming saves (D47).

use std::collections::BTreeSet;

use engine::new_code_epoch;
use nt_types::Va;

use crate::Memory;

/// Whether accesses to pages that may leave are let through.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    on: bool,
    /// Pages that are let through all the same.
    allowed: BTreeSet<u64>,
}

impl Memory {
    /// While `on`, an access to a resident page that may leave is a page fault, as if the page had left: to be on while a
    /// processor above APC_LEVEL runs (D47, K13). Whoever finds such a page resident reports it, calls
    /// [`Memory::allow`] and starts the access over. Nothing but accesses is affected.
    pub fn watch_eligible(&mut self, on: bool) {
        if on && !self.watch.on {
            self.watch.allowed.clear();
            self.reconsider_images();
            if self.eligible.count() > 0 {
                self.forget_accesses();
            }
        }
        self.watch.on = on;
    }

    /// Lets accesses to the page of `va` through until watching starts anew.
    pub fn allow(&mut self, va: Va) {
        self.watch.allowed.insert(va.page());
    }

    /// True if an access to this page, which lies in this frame, is to be seen.
    pub(crate) fn is_watched(&self, va: Va, frame: u32) -> bool {
        self.watch.on && !self.watch.allowed.contains(&va.page()) && self.may_leave(frame)
    }

    /// While watching, a page that became eligible must not be known to the cache.
    pub(crate) fn eligibility_changed(&mut self) {
        if self.watch.on {
            self.forget_accesses();
        }
    }

    fn forget_accesses(&mut self) {
        self.tlb.flush();
        self.epoch = new_code_epoch();
    }
}

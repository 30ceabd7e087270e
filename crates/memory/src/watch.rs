//! Accesses that only luck saves: with trimming (D47), or with a page that was kept for its neighbours (D11).

use std::collections::BTreeSet;
use std::ops::Range;

use engine::{Access, Fault, PageFault, new_code_epoch};
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::Memory;

/// Whether accesses to pages that may leave are let through.
#[derive(Clone, Default, Hash)]
pub(crate) struct Watch {
    on: bool,
    /// Pages that are let through all the same.
    allowed: BTreeSet<u64>,
    /// Discarded bytes whose page was kept.
    kept: Vec<Kept>,
    /// Addresses of them that are let through all the same.
    kept_allowed: BTreeSet<u64>,
}

/// Discarded bytes whose page was kept.
#[derive(Clone, Hash)]
struct Kept {
    bytes: Range<u64>,
    /// Fetching instructions from them is an access, too.
    fetches: bool,
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

    /// From now on an access to these bytes, which were discarded and whose page was kept, is a page fault (D11, K12); a
    /// fetch of instructions only with `fetches`. Whoever finds such a page resident reports it, calls
    /// [`Memory::allow_kept`] and starts the access over.
    pub fn watch_kept(&mut self, bytes: Range<Va>, fetches: bool) {
        self.watch.kept.push(Kept { bytes: bytes.start.0..bytes.end.0, fetches });
        self.forget_accesses();
    }

    /// Nothing in this range is watched any more: its image goes.
    pub(crate) fn forget_kept(&mut self, start: Va, pages: u64) {
        let gone = start.0..start.0 + pages * PAGE_SIZE;
        self.watch.kept.retain(|kept| !gone.contains(&kept.bytes.start));
        self.watch.kept_allowed.retain(|address| !gone.contains(address));
    }

    /// True if an access to this discarded byte is to be seen.
    pub fn is_kept_watched(&self, address: Va, access: Access) -> bool {
        let mut kept = self.watch.kept.iter().filter(|kept| kept.bytes.contains(&address.0));
        match access {
            Access::Execute => kept.any(|kept| kept.fetches),
            Access::Read | Access::Write => kept.next().is_some() && !self.watch.kept_allowed.contains(&address.0),
        }
    }

    /// Lets accesses through whose first discarded byte is this. Where instructions run, those that follow will.
    pub fn allow_kept(&mut self, address: Va, access: Access) {
        match access {
            Access::Execute => {
                let holds = |kept: &&mut Kept| kept.bytes.contains(&address.0);
                self.watch.kept.iter_mut().filter(holds).for_each(|kept| kept.fetches = false);
            }
            Access::Read | Access::Write => drop(self.watch.kept_allowed.insert(address.0)),
        }
    }

    /// Refuses an access within one page to discarded bytes that are watched.
    pub(crate) fn check_kept(&self, address: u64, length: usize, access: Access) -> Result<(), Fault> {
        let end = address.saturating_add(length as u64);
        let touched =
            |Kept { bytes, .. }: &Kept| (address < bytes.end && bytes.start < end).then(|| bytes.start.max(address));
        let seen = |address: &u64| !self.watch.kept_allowed.contains(address);
        match self.watch.kept.iter().filter_map(touched).find(seen) {
            Some(address) => Err(Fault::Page(PageFault { address, access, protection: false })),
            None => Ok(()),
        }
    }

    /// Refuses to fetch an instruction from discarded bytes where that is watched.
    pub(crate) fn check_kept_fetch(&self, address: u64) -> Result<(), Fault> {
        let access = Access::Execute;
        match self.is_kept_watched(Va(address), access) {
            true => Err(Fault::Page(PageFault { address, access, protection: false })),
            false => Ok(()),
        }
    }

    /// True if every access to this page looks into the tables, because some of its bytes are watched.
    pub(crate) fn has_kept(&self, page: u64) -> bool {
        self.watch.kept.iter().any(|kept| kept.lies_in(page))
    }

    /// The same for fetches.
    pub(crate) fn has_kept_code(&self, page: u64) -> bool {
        self.watch.kept.iter().any(|kept| kept.fetches && kept.lies_in(page))
    }

    fn forget_accesses(&mut self) {
        self.tlb.flush();
        self.epoch = new_code_epoch();
    }
}

impl Kept {
    fn lies_in(&self, page: u64) -> bool {
        self.bytes.start >> PAGE_SHIFT <= page && page <= (self.bytes.end - 1) >> PAGE_SHIFT
    }
}

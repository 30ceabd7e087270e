//! Paging a whole driver: `MmPageEntireDriver` and `MmResetDriverPaging` (D31 to D38).

use alloc::vec::Vec;

use nt_types::Va;

use crate::finding::Finding;
use crate::id::ImageId;
use crate::image::{Image, ImageKind};
use crate::pages::Runs;
use crate::paging::Paging;
use crate::step::{Answer, DpcFlush, PageEntireStep, PagedEntire, ResetStep, Restore, WholeWait};

impl Paging {
    /// `MmPageEntireDriver`: makes every page of the image pageable, without evicting any (D33).
    ///
    /// `interrupt_connected` says whether an interrupt of the driver at this address is connected (D34); only the kernel
    /// knows. It gives K03 and changes nothing else. IRQL <= APC_LEVEL.
    pub fn page_entire(&mut self, address: Va, interrupt_connected: bool) -> Answer<PageEntireStep> {
        let Some(image) = self.open_at(address) else {
            return Answer { step: PageEntireStep::Done(Va::NULL), findings: no_module(address) };
        };
        let (id, base) = (image.id, image.base);
        if image.kind == ImageKind::Kernel {
            return Answer { step: PageEntireStep::Done(base), findings: no_module(address) };
        }
        let finding = interrupt_connected.then_some(Finding::PageEntireWithInterrupt { image: id });
        let step = if self.config.paging { self.begin_page_entire(id) } else { PageEntireStep::Done(base) };
        Answer { step, findings: finding.into_iter().collect() }
    }

    /// Goes on with `MmPageEntireDriver` after the event it waited for is over.
    pub fn resume_page_entire(&mut self, wait: WholeWait) -> PageEntireStep {
        self.inside(wait.image).calls -= 1;
        self.begin_page_entire(wait.image)
    }

    /// Ends `MmPageEntireDriver`: the queued DPCs have run. Sets the override.
    ///
    /// # Panics
    /// If the ticket was used before, or belongs to another machine.
    pub fn finish_page_entire(&mut self, flush: DpcFlush) -> PagedEntire {
        let image = self.inside(flush.image);
        image.end_exclusive();
        let newly_eligible = if image.overridden { Runs::new() } else { image.outside_load_map(|page| page.pins == 0) };
        image.overridden = true;
        PagedEntire { base: image.base, newly_eligible }
    }

    /// `MmResetDriverPaging`: nonpageable pages come back to stay; pageable ones are left as they are (D36).
    ///
    /// `interrupt_connected` as in [`Self::page_entire`]; it gives K04. IRQL <= APC_LEVEL.
    pub fn reset(&mut self, address: Va, interrupt_connected: bool) -> Answer<ResetStep> {
        let Some(image) = self.open_at(address).filter(|image| image.kind == ImageKind::Driver) else {
            return Answer { step: ResetStep::Done, findings: no_module(address) };
        };
        let id = image.id;
        let finding = Finding::ResetWithInterrupt { image: id, overridden: image.overridden || image.exclusive };
        let findings = interrupt_connected.then_some(finding).into_iter().collect();
        Answer { step: self.begin_reset(id), findings }
    }

    /// Goes on with `MmResetDriverPaging` after the event it waited for is over.
    pub fn resume_reset(&mut self, wait: WholeWait) -> ResetStep {
        self.inside(wait.image).calls -= 1;
        self.begin_reset(wait.image)
    }

    /// Ends `MmResetDriverPaging`: all its pages are resident.
    ///
    /// # Panics
    /// If the ticket was used before, or belongs to another machine.
    pub fn finish_reset(&mut self, restore: Restore) {
        self.inside(restore.image).end_exclusive();
    }

    /// Ends `MmResetDriverPaging` whose pages cannot be brought in (D26). The override is set again, as if the call had
    /// never begun.
    ///
    /// # Panics
    /// If the ticket was used before, or belongs to another machine.
    pub fn abort_reset(&mut self, restore: Restore) {
        let image = self.inside(restore.image);
        image.end_exclusive();
        image.overridden = true;
    }

    fn open_at(&self, address: Va) -> Option<&Image> {
        self.table.at(address).filter(|image| !image.closing)
    }

    fn begin_page_entire(&mut self, id: ImageId) -> PageEntireStep {
        let image = self.inside(id);
        if image.begin_exclusive() {
            PageEntireStep::FlushDpcs(DpcFlush { image: id })
        } else {
            PageEntireStep::Wait(WholeWait { image: id })
        }
    }

    fn begin_reset(&mut self, id: ImageId) -> ResetStep {
        let image = self.inside(id);
        if !image.exclusive && !image.overridden {
            return ResetStep::Done;
        }
        if !image.begin_exclusive() {
            return ResetStep::Wait(WholeWait { image: id });
        }
        image.overridden = false;
        ResetStep::PageIn(Restore { image: id, pages: image.outside_load_map(|_| true) })
    }
}

impl Image {
    /// Enters the image for one of the two routines; false if one is in progress and the caller must wait (D38).
    fn begin_exclusive(&mut self) -> bool {
        self.calls += 1;
        !core::mem::replace(&mut self.exclusive, true)
    }

    fn end_exclusive(&mut self) {
        assert!(self.exclusive, "a call ends once");
        self.exclusive = false;
        self.calls -= 1;
    }

    /// Pages outside the load map that are not discarded.
    fn outside_load_map(&self, keep: impl Fn(&crate::image::Page) -> bool) -> Runs {
        self.select(self.run(), |page| !page.in_load_map && !page.discarded && keep(page))
    }
}

fn no_module(address: Va) -> Vec<Finding> {
    alloc::vec![Finding::NoModule { address }]
}

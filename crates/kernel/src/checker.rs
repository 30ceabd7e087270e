//! Rules about where code and objects may live.

use memory::Region;
use nt_types::Va;
use section_paging::SectionId;

use crate::call::Trap;
use crate::exports::mm::pool::Block;
use crate::finding::FindingKind;
use crate::machine::Machine;

impl Machine {
    /// The pageable section that holds this address, by name, and whether it is locked now.
    pub(crate) fn pageable_section(&self, address: Va) -> Option<(String, bool)> {
        let sections = self.memory.paging();
        let state = sections.section(sections.section_at(address)?)?;
        let name = self.modules.section_name(address)?;
        (state.pageable || state.discarded).then_some((name, state.count > 0))
    }

    /// K11: a synchronisation object must not lie where memory can leave it (R22).
    pub(crate) fn check_object_home(&mut self, object: Va, what: &'static str) -> Result<(), Trap> {
        if self.is_pageable_memory(object) {
            self.find(FindingKind::K11ObjectPageable { object, what }, object);
        }
        Ok(())
    }

    /// True for paged pool and for the load map of an image.
    pub(crate) fn is_pageable_memory(&self, address: Va) -> bool {
        let in_load_map = self.memory.paging().page(address.page()).is_some_and(|page| page.in_load_map);
        in_load_map || (Region::PagedPool.base()..Region::KernelStack.base()).contains(&address)
    }

    /// K08: a lock was given back while the driver still holds requests (R16).
    pub(crate) fn unlocked_with_requests(&mut self, section: SectionId, count: u32, caller: Va) {
        let Some(image) = self.memory.paging().image(section.image).map(|image| image.base) else { return };
        let pending = self.pending_requests_of(image);
        if pending > 0 {
            let name = self.modules.section_name_of(image, usize::from(section.index)).unwrap_or_default();
            let kind = FindingKind::K08UnlockWithQueuedIrps { section: name, pending, last: count == 0 };
            self.find(kind, caller);
        }
    }

    /// What a driver leaves behind when its image goes: connected interrupts and pool.
    pub(crate) fn check_left_behind(&mut self, base: Va, size: u64) {
        let connected: Vec<Va> =
            self.connected_interrupts().iter().filter(|other| other.owner == base).map(|other| other.routine).collect();
        for isr in connected {
            self.find(FindingKind::InterruptLeak { isr }, isr);
        }
        let leaks: Vec<(Va, Block)> = self
            .mm
            .pool
            .blocks()
            .filter(|(_, block)| block.site - base < size)
            .map(|(address, block)| (address, block.clone()))
            .collect();
        for (address, block) in leaks {
            let kind = FindingKind::PoolLeak { address, bytes: block.bytes, tag: block.tag, site: block.site };
            self.find(kind, address);
        }
    }
}

//! Rules about where code and objects may live.

use memory::Region;
use nt_types::constants as c;
use nt_types::layout::device_object;
use nt_types::{BugCheck, BugCheckCode, Va};
use section_paging::{Finding, ImageId, SectionId};

use crate::call::{Frame, Then, Trap};
use crate::exports::mm;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::exports::mm::special_pool::is_special;
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::stop::{Cause, StopKind};

impl Machine {
    /// The pageable section that holds this address, by name, and whether it is locked now.
    pub(crate) fn pageable_section(&self, address: Va) -> Option<(String, bool)> {
        let sections = self.memory.paging();
        let state = sections.section(sections.section_at(address)?)?;
        let name = self.modules.section_name(address)?;
        (state.pageable || state.discarded).then_some((name, state.count > 0))
    }

    /// A work item is being queued. It must not lie in pageable memory: K22, or with the verifier 0xC4/0x131.
    pub(crate) fn check_work_item(&mut self, item: Va) -> Result<(), Trap> {
        if self.is_pageable_memory(item) {
            if self.options.verifier.verified {
                return Err(self.pageable_with_verifier(0x131, item, Cause::WorkItemPageable { item }));
            }
            self.find(FindingKind::K22WorkItemPageable { item }, item);
        }
        Ok(())
    }

    /// A completion routine is about to be called. It must not be pageable: K21, and with I/O verification 0xC9/0x227 (docs:
    /// debugger/bug-check-0xc9).
    pub(crate) fn check_completion_routine(&mut self, routine: Va, irp: Va) -> Result<(), Trap> {
        let Some((section, _)) = self.pageable_section(routine) else { return Ok(()) };
        self.find(FindingKind::K21CompletionPageable { routine, section: section.clone() }, routine);
        if self.options.verifier.io {
            let code = BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION;
            let check = BugCheck { code, parameters: [0x227, routine.0, irp.0, 0] };
            let here = self.here();
            return Err(self
                .stop_at(here, StopKind::BugCheck(check, Cause::CompletionPageable { routine, section }))
                .into());
        }
        Ok(())
    }

    /// AddDevice returned. A device object takes DO_POWER_PAGABLE from the one below it: with I/O verification 0xC9/0x23F (docs:
    /// debugger/bug-check-0xc9). `physical` is the lowest of the stack.
    pub(crate) fn check_power_flags(&mut self, add_device: Va, physical: Va) -> Result<(), Trap> {
        let pageable = |m: &mut Machine, device: Va| {
            m.read_u32(device_object::FLAGS.at(device)).map(|flags| flags & c::DO_POWER_PAGABLE != 0)
        };
        let mut below = physical;
        while self.options.verifier.io && !below.is_null() {
            let above = self.read_va(device_object::ATTACHED_DEVICE.at(below))?;
            if !above.is_null() && pageable(self, below)? && !pageable(self, above)? {
                let code = BugCheckCode::DRIVER_VERIFIER_IOMANAGER_VIOLATION;
                let check = BugCheck { code, parameters: [0x23F, 0, 0, 0] };
                return Err(self.stop_at(add_device, StopKind::BugCheck(check, Cause::PowerFlagMissing)).into());
            }
            below = above;
        }
        Ok(())
    }

    /// An exception at `instruction`: a breakpoint in discarded bytes that share a kept page is the poison (D11, K12).
    pub(crate) fn check_poison(&mut self, vector: u8, instruction: Va) {
        const BREAKPOINT: u8 = 3;
        let sections = self.memory.paging();
        let section = sections.section_at(instruction).and_then(|section| sections.section(section));
        if vector == BREAKPOINT && section.is_some_and(|section| section.discarded) {
            let kind = FindingKind::K12InitUseAfterDiscard { address: instruction, access: engine::Access::Execute };
            self.find_at(instruction, kind, instruction);
        }
    }

    /// 0xC4 with the object as second parameter (docs: debugger/bug-check-0xc4).
    pub(crate) fn pageable_with_verifier(&mut self, subcode: u64, object: Va, cause: Cause) -> Trap {
        let code = BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION;
        let check = BugCheck { code, parameters: [subcode, object.0, 0, 0] };
        let here = self.here();
        self.stop_at(here, StopKind::BugCheck(check, cause)).into()
    }

    /// True for paged pool and for the load map of an image.
    pub(crate) fn is_pageable_memory(&self, address: Va) -> bool {
        let in_load_map = self.memory.paging().page(address.page()).is_some_and(|page| page.in_load_map);
        let paged = |(_, block): (Va, &Block)| block.kind == PoolKind::Paged;
        let in_special_pool = is_special(address) && self.mm.pool.block_around(address).is_some_and(paged);
        in_load_map || in_special_pool || (Region::PagedPool.base()..Region::KernelStack.base()).contains(&address)
    }

    /// K08: a lock was given back while the driver still holds requests (R16).
    pub(crate) fn unlocked_with_requests(&mut self, section: SectionId, count: u32, caller: Va) {
        let Some(image) = self.memory.paging().image(section.image).map(|image| image.base) else { return };
        let majors = self.pending_requests_of(image);
        if !majors.is_empty() {
            let name = self.modules.section_name_of(image, usize::from(section.index)).unwrap_or_default();
            let kind = FindingKind::K08UnlockWithQueuedIrps { section: name, count, majors };
            self.find(kind, caller);
        }
    }

    /// Blocks of pool that a driver has allocated and not freed.
    fn pool_of(&self, base: Va, size: u64) -> Vec<(Va, Block)> {
        let own = self.mm.pool.blocks().filter(|(_, block)| block.site - base < size);
        own.map(|(address, block)| (address, block.clone())).collect()
    }

    /// 0xC4/0x62 with pool tracking: a driver is unloaded and has not freed all its pool. The parameters are its name and how
    /// many blocks it has left (docs: devtest/pool-tracking).
    pub(crate) fn check_pool_freed(&mut self, base: Va) -> Result<(), Trap> {
        let Some(driver) = self.modules.driver_at(base).filter(|_| self.options.verifier.pool_tracking) else {
            return Ok(());
        };
        let (name, size) = (driver.name.clone(), driver.size);
        let left = self.pool_of(base, size);
        let Some((address, block)) = left.first() else { return Ok(()) };
        let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let parameters = [0x62, self.verifier_note(&name).0, 0, left.len() as u64];
        let check = BugCheck { code: BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION, parameters };
        let cause = Cause::PoolLeft { address: *address, bytes: block.bytes, tag: block.tag };
        Err(self.stop_at(block.site, StopKind::BugCheck(check, cause)).into())
    }

    /// What `section_paging` says of an image that is to go; with the call that another thread is in (K20).
    pub(crate) fn found_at_unload(&mut self, base: Va, finding: Finding) {
        let kind = match finding {
            Finding::UnloadDuringCall { image, .. } => self.call_in_progress(image),
            _ => None,
        };
        self.find(kind.unwrap_or(FindingKind::Paging(finding)), base);
    }

    fn call_in_progress(&mut self, image: ImageId) -> Option<FindingKind> {
        let inside = |frame: &&Frame| matches!(&frame.then, Then::Mm(mm::Then::Paging(then)) if then.image() == image);
        let frame = self.threads.live().find_map(|thread| thread.frames.last().filter(inside))?;
        let Then::Mm(mm::Then::Paging(then)) = &frame.then else { return None };
        let (caller, section) = (then.caller(), then.section());
        let routine = self.kernel_images.routine_name(frame.service)?;
        Some(FindingKind::K20UnloadDuringCall { routine, caller, section })
    }

    /// What a driver leaves behind when its image goes: connected interrupts and pool.
    pub(crate) fn check_left_behind(&mut self, base: Va, size: u64) {
        let connected: Vec<(Va, u32)> = self
            .connected_interrupts()
            .iter()
            .filter(|other| other.owner == base)
            .map(|other| (other.routine, other.vector))
            .collect();
        for (isr, vector) in connected {
            self.find(FindingKind::InterruptLeak { isr, vector }, isr);
        }
        for (address, block) in self.pool_of(base, size) {
            let kind = FindingKind::PoolLeak { address, bytes: block.bytes, tag: block.tag, site: block.site };
            self.find(kind, address);
        }
    }
}

//! Pages that are described, mapped or unlocked though nobody keeps them in memory, and the bug check of each such mistake
//! (docs: debugger/bug-check-0x1a, 0x40, 0x4e, 0x76, 0xda, 0x12e).

use memory::pte_address;
use nt_types::layout::mdl;
use nt_types::{BugCheck, BugCheckCode, PAGE_SHIFT, Va};

use crate::call::Trap;
use crate::machine::Machine;
use crate::stop::{Cause, PageMisuse, StopKind};

/// First address that no processor reaches, in pages.
const NO_FRAME: u64 = 1 << (52 - PAGE_SHIFT);

impl Machine {
    /// True where the physical page of this number stays where it is: it belongs to a device, is locked, or nothing lets
    /// its content leave.
    pub(crate) fn is_kept(&self, frame: u64) -> bool {
        let exists = (1..NO_FRAME).contains(&frame);
        exists && (!self.memory.is_ram(frame << PAGE_SHIFT) || self.memory.stays(frame << PAGE_SHIFT))
    }

    /// The stop for a mistake about pages.
    pub(super) fn page_misuse(&mut self, caller: Va, misuse: PageMisuse) -> Trap {
        let check = self.check_of(misuse);
        self.stop_at(caller, StopKind::BugCheck(check, Cause::Pages(misuse))).into()
    }

    /// The documented parameters. Those of 0x1A/0x1235 are not: the MDL and where it was mapped.
    pub(super) fn check_of(&self, misuse: PageMisuse) -> BugCheck {
        use BugCheckCode as Code;
        let (code, parameters) = match misuse {
            PageMisuse::PhysicalUnlocked { frame } => (Code::MEMORY_MANAGEMENT, [0x1233, frame, 0, 0]),
            PageMisuse::NotMapped { list, address } => (Code::MEMORY_MANAGEMENT, [0x1235, list.0, address.0, 0]),
            PageMisuse::MdlUnlocked { list, index, frame } => {
                (Code::MEMORY_MANAGEMENT, [0x1236, list.0, (list + mdl::SIZEOF + 8 * index).0, frame])
            }
            PageMisuse::NotResident { list, page } => (Code::MEMORY_MANAGEMENT, [0x1240, list.0, pte_address(page), 0]),
            PageMisuse::DeviceNotLocked { base, pages } => (Code::MEMORY_MANAGEMENT, [0x6_1948, base, pages, base]),
            PageMisuse::UnlockedTooOften { frame } => (Code::PFN_LIST_CORRUPT, [7, frame, 0, 0]),
            PageMisuse::ProcessNotLocked { list } => {
                (Code::PROCESS_HAS_LOCKED_PAGES, [1, list.0, self.locked_in_process(), 0])
            }
            PageMisuse::LeftLocked { .. } => {
                (Code::PROCESS_HAS_LOCKED_PAGES, [0, self.current_process().0, self.locked_in_process(), 0])
            }
            PageMisuse::UnmappedTwice { list, address, pages } => {
                (Code::SYSTEM_PTE_MISUSE, [6, list.0, address.0, pages])
            }
            PageMisuse::PartOutside { source, target, address, bytes } => {
                (Code::INVALID_MDL_RANGE, [source.0, target.0, address.0, bytes])
            }
            PageMisuse::PartTooLarge { .. } => (Code::TARGET_MDL_TOO_SMALL, [0; 4]),
        };
        BugCheck { code, parameters }
    }
}

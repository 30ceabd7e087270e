//! Pages that nobody keeps in memory.

use kernel::PageMisuse;
use nt_types::PAGE_SHIFT;
use report::Diagnostic;
use report::cause::{self, Cause, Content, WrongPages};

use super::departure;
use super::scene::Scene;

/// First physical address that no processor reaches.
const PHYSICAL_LIMIT: u64 = 1 << 52;

/// Bug checks 0x1A, 0x40, 0x4E, 0x76, 0xCB, 0xDA and 0x12E.
pub(super) fn misuse(scene: &Scene<'_>, misuse: PageMisuse) -> Diagnostic {
    let physical = |frame: u64| frame.checked_mul(1 << PAGE_SHIFT).unwrap_or(PHYSICAL_LIMIT);
    let wrong = match misuse {
        PageMisuse::PhysicalUnlocked { frame } => {
            WrongPages::PhysicalUnlocked { physical: physical(frame), content: content(scene, physical(frame)) }
        }
        PageMisuse::MdlUnlocked { index, frame, .. } => {
            WrongPages::MdlUnlocked { index, frame, content: content(scene, physical(frame)) }
        }
        PageMisuse::NotMapped { address, .. } => WrongPages::NotMapped { address },
        PageMisuse::NotResident { page, .. } => WrongPages::NotResident { page, home: scene.known_home(page) },
        PageMisuse::UnlockedTooOften { .. } | PageMisuse::ProcessNotLocked { .. } => {
            WrongPages::Unlocked { device: false }
        }
        PageMisuse::LeftLocked { pages, .. } => WrongPages::LeftLocked { pages },
        PageMisuse::DeviceNotLocked { .. } => WrongPages::Unlocked { device: true },
        PageMisuse::UnmappedTwice { address, .. } => WrongPages::NotUnmappable { address },
        PageMisuse::PartOutside { address, bytes, .. } => WrongPages::PartOutside { address, bytes },
        PageMisuse::PartTooLarge { pages, .. } => WrongPages::PartTooLarge { pages },
    };
    let because = match misuse {
        PageMisuse::NotResident { page, .. } => departure::events(scene, page),
        _ => Vec::new(),
    };
    let at = match misuse {
        PageMisuse::LeftLocked { .. } => scene.call(scene.place.instruction),
        _ => None,
    };
    let routine = scene.place.service.unwrap_or_default().to_owned();
    Diagnostic { at, because, ..Diagnostic::from(Cause::Pages(cause::PageMisuse { routine, wrong })) }
}

fn content(scene: &Scene<'_>, physical: u64) -> Content {
    if !(1..PHYSICAL_LIMIT).contains(&physical) {
        return Content::NoPage;
    }
    match scene.machine.memory.virtual_of(physical) {
        Some(page) => Content::PageOf(page, scene.known_home(page)),
        None => Content::Nothing,
    }
}

//! How much of each section is in memory.

use kernel::Machine;
use memory::PageState;
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};
use report::table::{WatchedSection, WatchedStep};

use super::Session;
use crate::scenario::Player;

/// The sections of an image at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Residency {
    /// Step at which they were looked at.
    pub step: u64,
    /// In header order.
    pub sections: Vec<SectionResidency>,
}

/// One section at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SectionResidency {
    /// Its name.
    pub name: String,
    /// Pages it touches.
    pub pages: u32,
    /// Of these, in memory.
    pub resident: u32,
    /// Of these, discarded.
    pub discarded: u32,
    /// Its lock count.
    pub locks: u32,
    /// Pageable by name.
    pub pageable: bool,
}

impl From<&SectionResidency> for WatchedSection {
    fn from(section: &SectionResidency) -> WatchedSection {
        let SectionResidency { name, pages, resident, locks, .. } = section.clone();
        WatchedSection { name, pages, resident, locks }
    }
}

impl Residency {
    /// Looks at the sections of a loaded driver; empty where it is not loaded.
    pub fn of(machine: &Machine, base: Va) -> Residency {
        let step = machine.steps();
        let Some(driver) = machine.modules().driver_at(base) else {
            return Residency { step, sections: Vec::new() };
        };
        let count = driver.image.sections().len();
        Residency { step, sections: (0..count).map(|index| SectionResidency::of(machine, base, index)).collect() }
    }
}

impl SectionResidency {
    fn of(machine: &Machine, base: Va, index: usize) -> SectionResidency {
        let name = machine.modules().section_name_of(base, index).unwrap_or_default();
        let paging = machine.memory.paging();
        let state = paging
            .image_at(base)
            .and_then(|image| paging.section(section_paging::SectionId { image, index: index as u16 }));
        let Some(state) = state else {
            return SectionResidency { name, pages: 0, resident: 0, discarded: 0, locks: 0, pageable: false };
        };
        let mut section = SectionResidency {
            name,
            pages: state.pages.count as u32,
            resident: 0,
            discarded: 0,
            locks: state.count,
            pageable: state.pageable,
        };
        for page in state.pages.pages() {
            match machine.memory.page_state(Va(page << PAGE_SHIFT)) {
                PageState::Resident { .. } => section.resident += 1,
                PageState::Absent(_) => section.discarded += 1,
                _ => {}
            }
        }
        section
    }
}

impl Session {
    /// Looks at the sections of a loaded driver; empty where it is not loaded.
    pub fn residency(&self, base: Va) -> Residency {
        Residency::of(&self.machine, base)
    }

    /// Notes what the sections that a player watches are like after a step.
    pub(crate) fn watch(&mut self, player: &Player, step: &str) {
        if player.watch.is_empty() {
            return;
        }
        let now = self.residency(player.base).sections;
        let watched = player.watch.iter().filter_map(|name| now.iter().find(|section| section.name == *name));
        let sections = watched.map(WatchedSection::from).collect();
        self.chronicle.watched.push(WatchedStep { name: step.to_owned(), sections });
    }

    /// Bytes of a driver's image that are in memory.
    pub fn resident_bytes(&self, base: Va) -> u64 {
        let Some(driver) = self.machine.modules().driver_at(base) else { return 0 };
        let pages = (0..driver.size.div_ceil(PAGE_SIZE)).map(|page| base + page * PAGE_SIZE);
        let resident = pages.filter(|page| matches!(self.machine.memory.page_state(*page), PageState::Resident { .. }));
        resident.count() as u64 * PAGE_SIZE
    }
}

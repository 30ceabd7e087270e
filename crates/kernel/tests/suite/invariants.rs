//! The invariants of BEHAVIOUR.md section 12, checked against what a machine tells of its run: a plain model of counts
//! that knows nothing of how the memory manager keeps them.

use std::collections::BTreeMap;

use kernel::{Event, EventKind, Machine};
use memory::{Absence, PageState};
use nt_types::{PAGE_SHIFT, Va};
use section_paging::{ImageState, SectionId};

/// The model: what the events so far amount to.
#[derive(Default)]
pub(crate) struct Invariants {
    /// Events seen.
    seen: usize,
    /// Completed locks minus unlocks.
    counts: BTreeMap<SectionId, u32>,
}

impl Invariants {
    /// Checks everything that must hold between two instructions. To be called often: what is in memory is looked at now.
    pub(crate) fn check(&mut self, machine: &Machine) {
        assert_eq!(machine.events.dropped(), 0, "the run is short enough to be seen whole");
        let events = machine.events.iter().as_slice();
        for event in &events[self.seen..] {
            self.follow(machine, event);
        }
        self.seen = events.len();
        for image in machine.memory.paging().images() {
            self.check_image(machine, &image);
        }
    }

    /// Locks that were completed and not taken back.
    pub(crate) fn outstanding(&self) -> u32 {
        self.counts.values().sum()
    }

    fn follow(&mut self, machine: &Machine, event: &Event) {
        match &event.kind {
            EventKind::SectionLocked { section, count } => {
                let known = self.counts.entry(*section).or_default();
                *known += 1;
                assert_eq!(known, count, "n = completed locks - unlocks: {event:?}");
            }
            EventKind::SectionUnlocked { section, count } => {
                let known = self.counts.get_mut(section).unwrap_or_else(|| panic!("never locked: {event:?}"));
                *known = known.checked_sub(1).unwrap_or_else(|| panic!("not locked: {event:?}"));
                assert_eq!(known, count, "n = completed locks - unlocks: {event:?}");
            }
            EventKind::Trimmed { pages, .. } => pages.iter().for_each(|page| self.may_leave(machine, *page)),
            _ => {}
        }
    }

    /// No page that a locked section covers is ever evicted.
    fn may_leave(&self, machine: &Machine, page: Va) {
        let number = page.0 >> PAGE_SHIFT;
        for (section, count) in self.counts.iter().filter(|(_, count)| **count > 0) {
            let state = machine.memory.paging().section(*section);
            let covers = state.is_some_and(|state| state.pages.pages().contains(&number));
            assert!(!covers, "{page} left while a section that covers it has count {count}");
        }
    }

    fn check_image(&self, machine: &Machine, image: &ImageState<'_>) {
        let paging = machine.memory.paging();
        let sections = (0..u16::MAX).map(|index| SectionId { image: image.image, index });
        for (section, state) in sections.map_while(|section| Some((section, paging.section(section)?))) {
            assert_eq!(state.count, self.counts.get(&section).copied().unwrap_or_default(), "{section:?}");
            if state.count > 0 {
                state.pages.pages().for_each(|page| stays(machine, page));
            }
        }
        // Between the two calls nothing outside the load map may be out; while one is in progress it may.
        if !image.overridden && !image.busy {
            let outside = |page: &u64| paging.page(*page).is_some_and(|page| !page.in_load_map);
            image.pages.pages().filter(outside).for_each(|page| stays(machine, page));
        }
    }
}

/// The page is in memory, unless it was discarded for good.
fn stays(machine: &Machine, page: u64) {
    let state = machine.memory.page_state(Va(page << PAGE_SHIFT));
    let there = matches!(state, PageState::Resident { .. } | PageState::Absent(Absence::Discarded));
    assert!(there, "page {:#x} is {state:?}", page << PAGE_SHIFT);
}

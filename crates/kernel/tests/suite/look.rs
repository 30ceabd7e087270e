//! What a test sees of a driver: its sections and their pages, and what happened to them.

use kernel::{Action, Event, EventKind, RequestId, Stop};
use memory::{PageState, TrimReason};
use nt_types::{PAGE_SHIFT, Va};
use section_paging::{SectionId, SectionState};

use crate::sample::Lab;

impl Lab {
    /// The section with this name of the driver at `base`.
    pub(crate) fn section_id(&self, base: Va, name: &str) -> SectionId {
        let driver = self.machine.modules().driver_at(base).expect("the driver is loaded");
        let index = driver.image.sections().iter().position(|section| section.name() == name);
        SectionId { image: driver.id, index: index.unwrap_or_else(|| panic!("there is no section {name}")) as u16 }
    }

    pub(crate) fn section(&self, base: Va, name: &str) -> SectionState {
        self.machine.memory.paging().section(self.section_id(base, name)).expect("the driver is loaded")
    }

    /// Its lock count.
    pub(crate) fn count(&self, base: Va, name: &str) -> u32 {
        self.section(base, name).count
    }

    /// The pages it touches.
    pub(crate) fn pages(&self, base: Va, name: &str) -> Vec<Va> {
        self.section(base, name).pages.pages().map(|page| Va(page << PAGE_SHIFT)).collect()
    }

    pub(crate) fn is_resident(&self, page: Va) -> bool {
        matches!(self.machine.memory.page_state(page), PageState::Resident { .. })
    }

    /// How many of its pages are in memory, and how many there are.
    pub(crate) fn resident(&self, base: Va, name: &str) -> (usize, usize) {
        let pages = self.pages(base, name);
        (pages.iter().filter(|page| self.is_resident(**page)).count(), pages.len())
    }

    pub(crate) fn is_whole(&self, base: Va, name: &str) -> bool {
        let (resident, all) = self.resident(base, name);
        resident == all
    }

    /// Takes out of memory what may leave of a section.
    pub(crate) fn evict(&mut self, base: Va, name: &str) {
        let pages = self.pages(base, name);
        self.machine.evict(&pages, TrimReason::Command);
    }

    /// Takes out of memory everything that may leave.
    pub(crate) fn evict_all(&mut self) {
        let pages = self.machine.memory.eligible();
        self.machine.evict(&pages, TrimReason::Command);
    }

    /// Sends a control code with a number; the number that comes back.
    pub(crate) fn ask(&mut self, file: Va, code: u32, input: u32) -> Result<u32, Box<Stop>> {
        let action = Action::Ioctl { file, code, input: input.to_le_bytes().to_vec(), output_length: 4 };
        let answer = self.act(action)?.expect("the request ends");
        assert!(answer.status.is_success(), "ioctl {code:#x}: {}", answer.status);
        Ok(answer.output.try_into().map_or(0, u32::from_le_bytes))
    }

    /// Begins an action on a processor.
    pub(crate) fn start_on(&mut self, processor: usize, action: Action) -> RequestId {
        let name = format!("program {processor}");
        self.machine.act_as("test", &name, Some(processor), action).unwrap_or_else(|trap| panic!("{trap:?}"))
    }

    /// What `which` makes of the events so far.
    pub(crate) fn events<T>(&self, which: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        self.machine.events.iter().filter_map(which).collect()
    }

    /// Name of the section that holds this address of a loaded driver, else nothing.
    pub(crate) fn section_name(&self, address: Va) -> String {
        self.machine.modules().section_name(address).unwrap_or_default()
    }

    /// The services that locked a section, in order.
    pub(crate) fn locks(&self, section: SectionId) -> Vec<&'static str> {
        self.events(|event| match event.kind {
            EventKind::SectionLocked { section: locked, .. } if locked == section => event.service,
            _ => None,
        })
    }

    /// The counts that a section had, in order.
    pub(crate) fn counts(&self, section: SectionId) -> Vec<u32> {
        self.events(|event| match event.kind {
            EventKind::SectionLocked { section: of, count } | EventKind::SectionUnlocked { section: of, count }
                if of == section =>
            {
                Some(count)
            }
            _ => None,
        })
    }
}

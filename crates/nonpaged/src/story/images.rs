//! The images of a run, and where an address lies.

use std::collections::BTreeMap;

use driver_image::Image;
use kernel::Machine;
use nt_types::{Rva, Va};
use report::{Place, Span};

use crate::locate::{LocateError, Locator};

/// Names and code of the images of a run, by file name.
#[derive(Clone, Default)]
pub struct Images(BTreeMap<String, Locator>);

/// A place in a driver's image.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) locator: &'a Locator,
    pub(super) base: Va,
    pub(super) rva: Rva,
    /// The image is still loaded.
    pub(super) loaded: bool,
}

/// Bytes of a window: a handful of instructions.
const WINDOW_BYTES: usize = 32;

impl Images {
    /// Adds an image under its file name, with the bytes of its PDB.
    pub fn add(&mut self, name: &str, image: &Image, pdb: Option<&[u8]>) -> Result<(), LocateError> {
        self.0.insert(name.to_owned(), Locator::new(name, image, pdb)?);
        Ok(())
    }

    /// What is known of the image with this file name.
    pub(crate) fn locator(&self, name: &str) -> Option<&Locator> {
        self.0.get(name)
    }

    /// The place of an address in a driver.
    pub fn place(&self, machine: &Machine, address: Va) -> Option<Place> {
        self.spot(machine, address).map(|spot| spot.place())
    }

    /// Where an address of a loaded or unloaded driver lies.
    pub(super) fn spot(&self, machine: &Machine, address: Va) -> Option<Spot<'_>> {
        let modules = machine.modules();
        let loaded = modules.driver_at(address).map(|driver| (&driver.name, driver.base, true));
        let (name, base, loaded) =
            loaded.or_else(|| modules.unloaded_at(address).map(|driver| (&driver.name, driver.base, false)))?;
        let rva = Rva(u32::try_from(address - base).ok()?);
        Some(Spot { locator: self.0.get(name)?, base, rva, loaded })
    }
}

impl Spot<'_> {
    /// The place without code.
    pub(super) fn place(&self) -> Place {
        self.locator.place(self.rva)
    }

    /// The name of the section.
    pub(super) fn section(&self) -> Option<&driver_image::Section> {
        let image = self.locator.image();
        image.section_at(self.rva).and_then(|index| image.sections().get(index))
    }

    /// The place with the code from there on, at least up to `end`, as it was when it ran.
    pub(super) fn span(&self, machine: &Machine, end: Option<Rva>) -> Span {
        let sections = machine.memory.paging();
        let section = sections.section_at(self.base + self.rva).and_then(|section| sections.section(section));
        let discarded = section.is_none_or(|section| section.discarded);
        self.code(machine, end, !discarded)
    }

    /// The place with what is in memory now, or in the paging file.
    pub(super) fn span_now(&self, machine: &Machine) -> Span {
        self.code(machine, None, true)
    }

    fn code(&self, machine: &Machine, end: Option<Rva>, from_memory: bool) -> Span {
        let wanted = end.map_or(0, |end| end.0.saturating_sub(self.rva.0) as usize);
        let count = WINDOW_BYTES.max(wanted);
        let executable = self.section().is_some_and(|section| section.flags.has(driver_image::SectionFlags::EXECUTE));
        if !executable {
            return Span::from(self.place());
        }
        let memory = || self.memory(machine, count).filter(|_| from_memory);
        let bytes = memory().unwrap_or_else(|| self.locator.bytes(self.rva, count));
        self.locator.span(self.rva, bytes)
    }

    fn memory(&self, machine: &Machine, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        let there = self.loaded && machine.memory.peek(self.base + self.rva, &mut bytes).is_ok();
        there.then_some(bytes)
    }

    /// The call that returns here, or this place where there is none.
    pub(super) fn call(self) -> Self {
        Spot { rva: self.locator.call_before(self.rva).unwrap_or(self.rva), ..self }
    }
}

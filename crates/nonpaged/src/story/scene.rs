//! A moment of a run: where it was, and what had happened before.

use std::collections::BTreeMap;

use driver_image::SectionFlags;
use kernel::{Event, EventKind, Machine, Place, Routine};
use nt_types::{Irql, Va};
use report::cause::{Home, Tag};
use report::{Frame, Span};
use section_paging::SectionId;

use super::images::{Images, Spot};

/// A moment of a run.
pub(super) struct Scene<'a> {
    pub(super) machine: &'a Machine,
    pub(super) images: &'a Images,
    /// What happened before, oldest first.
    pub(super) events: &'a [Event],
    pub(super) place: &'a Place,
}

/// A block of pool that once was, or is.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) allocated: &'a Event,
    pub(super) freed: Option<&'a Event>,
    pub(super) bytes: u64,
    pub(super) tag: Tag,
    pub(super) paged: bool,
}

impl<'a> Scene<'a> {
    /// Where an address of a driver lies.
    pub(super) fn spot(&self, address: Va) -> Option<Spot<'a>> {
        self.images.spot(self.machine, address)
    }

    /// The code at an address.
    pub(super) fn span(&self, address: Va) -> Option<Span> {
        Some(self.spot(address)?.span(self.machine, None))
    }

    /// The call that returns to an address.
    pub(super) fn call(&self, address: Va) -> Option<Span> {
        Some(self.spot(address)?.call().span(self.machine, None))
    }

    /// Where the driver was: its instruction, or the call that it made.
    pub(super) fn here(&self) -> Option<Span> {
        let address = self.place.instruction;
        match self.place.service {
            None => Some(self.spot(address)?.span_now(self.machine)),
            Some(_) if self.spot(address).is_some() => self.call(address),
            Some(_) => self.place.stack.iter().skip(1).find_map(|caller| self.call(*caller)),
        }
    }

    /// The instruction that led to where no code is.
    pub(super) fn jump(&self) -> Option<report::Event> {
        let code = |spot: Spot<'_>| spot.section().is_some_and(|section| section.flags.has(SectionFlags::EXECUTE));
        let here = Some(self.place.instruction).filter(|_| self.place.service.is_none())?;
        let at = self.place.came_from.filter(|_| !self.spot(here).is_some_and(code))?;
        let at = Some(self.span(at)?);
        Some(report::Event { kind: report::EventKind::Jumped, step: self.place.step, at })
    }

    /// Where the driver was when an event happened; `None` where the system acted on its own.
    pub(super) fn where_of(&self, event: &Event) -> Option<Span> {
        match event.service {
            Some(_) => self.call(event.place),
            None => self.span(event.place),
        }
    }

    /// An earlier event with its place, for the report.
    pub(super) fn told(&self, event: &Event, kind: report::EventKind) -> report::Event {
        report::Event { kind, step: event.step, at: self.where_of(event) }
    }

    /// The last event that `pick` takes, and what it makes of it.
    pub(super) fn last<T>(&self, mut pick: impl FnMut(&'a Event) -> Option<T>) -> Option<T> {
        self.events.iter().rev().find_map(&mut pick)
    }

    /// Name of a section of a loaded or unloaded image, and the name of the image.
    pub(super) fn section_names(&self, id: SectionId) -> (String, String) {
        let modules = self.machine.modules();
        let loaded = modules.drivers().find(|driver| driver.id == id.image).map(|driver| (&driver.name, &driver.image));
        let unloaded = modules.unloaded().iter().find(|driver| driver.id == id.image);
        let found = loaded.or_else(|| unloaded.map(|driver| (&driver.name, &driver.image)));
        let name =
            found.and_then(|(_, image)| image.sections().get(usize::from(id.index))).map(|section| section.name());
        (name.unwrap_or_default(), found.map(|(name, _)| name.clone()).unwrap_or_default())
    }

    /// Where an object of a driver lies.
    pub(super) fn home(&self, address: Va) -> Home {
        if let Some((image, section)) = self.spot(address).and_then(|spot| {
            let place = spot.place();
            Some((place.image, place.section?))
        }) {
            return Home::Section { image, section };
        }
        match self.block(address) {
            Some(Block { paged: true, tag, .. }) => Home::PagedPool(tag),
            Some(Block { tag, .. }) => Home::NonpagedPool(tag),
            None => Home::Stack,
        }
    }

    /// The same, if it is known.
    pub(super) fn known_home(&self, address: Va) -> Option<Home> {
        let known = self.spot(address).is_some() || self.block(address).is_some();
        known.then(|| self.home(address))
    }

    /// The last block of pool that held an address.
    pub(super) fn block(&self, address: Va) -> Option<Block<'a>> {
        let mut freed = BTreeMap::new();
        self.last(|event| match event.kind {
            EventKind::Freed { address: block } => {
                freed.entry(block).or_insert(event);
                None
            }
            EventKind::Allocated { address: block, bytes, tag, paged } if address - block < bytes.max(1) => {
                Some(Block { allocated: event, freed: freed.get(&block).copied(), bytes, tag: Tag(tag), paged })
            }
            _ => None,
        })
    }

    /// The last block that began in a page, and where: special pool has one in each page.
    pub(super) fn block_in(&self, page: Va) -> Option<(Va, Block<'a>)> {
        let start = self.last(|event| match event.kind {
            EventKind::Allocated { address, .. } if address.page_down() == page => Some(address),
            _ => None,
        })?;
        Some((start, self.block(start)?))
    }

    /// The interrupt or DPC that ran on the processor, if one did.
    pub(super) fn interruption(&self) -> Option<Routine> {
        let mut running: Vec<Routine> = Vec::new();
        for event in self.events.iter().filter(|event| event.processor == self.place.processor) {
            match event.kind {
                EventKind::Entered { what, .. } if what.interrupts() => running.push(what),
                EventKind::Left { what, .. } if running.last() == Some(&what) => drop(running.pop()),
                _ => {}
            }
        }
        running.pop()
    }

    /// One entry of a call stack.
    pub(super) fn frame(&self, address: Va) -> Frame {
        let kernel = self.machine.kernel_images();
        if let Some(spot) = self.spot(address) {
            return Frame::Driver(spot.place());
        }
        match (kernel.image_at(address), kernel.routine_name(address)) {
            (Some(image), Some(export)) => {
                let module = image.module.name().split('.').next().unwrap_or_default();
                Frame::Modelled { module: module.to_owned(), export: export.to_owned() }
            }
            _ => Frame::Unknown(address),
        }
    }

    /// The IRQL of the moment.
    pub(super) fn irql(&self) -> Irql {
        self.place.irql
    }
}

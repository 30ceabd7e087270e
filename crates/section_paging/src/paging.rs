//! The machine, and what one can ask it.

use core::num::NonZeroU32;

use nt_types::Va;

use crate::call_sites::CallSites;
use crate::finding::LockedSection;
use crate::id::{Handle, ImageId, SectionId};
use crate::image::{Image, ImageKind};
use crate::pages::{PageRun, Runs};
use crate::step::Event;
use crate::table::{Table, UnloadedImage};

/// What is fixed when the machine starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// False with DisablePagingExecutive: nothing is ever pageable, all else is unchanged (R60, R61, D14).
    pub paging: bool,
    /// The largest count of a section (D25).
    pub count_limit: NonZeroU32,
    /// How many call sites of outstanding locks are told apart for each section (D24). They are evidence for reports and
    /// cost memory only for sections that were ever locked; 0 keeps none.
    pub call_sites: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { paging: true, count_limit: NonZeroU32::MAX, call_sites: 8 }
    }
}

/// What the machine knows of one page. Whether it is resident is known to the page tables alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageState {
    /// The image.
    pub image: ImageId,
    /// Pageable now: in the load map or under an override.
    pub pageable: bool,
    /// Pageable without an override (R43).
    pub in_load_map: bool,
    /// How many sections keep it in memory.
    pub pins: u16,
    /// Freed for good (D9).
    pub discarded: bool,
}

impl PageState {
    /// True if the page may be evicted.
    pub const fn is_eligible(&self) -> bool {
        self.pageable && self.pins == 0 && !self.discarded
    }
}

/// What the machine knows of one section.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SectionState {
    /// Completed locks minus unlocks.
    pub count: u32,
    /// A first lock is bringing in its pages.
    pub in_transition: bool,
    /// It was discarded (D9).
    pub discarded: bool,
    /// Pageable by name (R41).
    pub pageable: bool,
    /// The pages that a lock keeps in memory (D22).
    pub pages: PageRun,
    /// Where it was locked (D24).
    pub call_sites: CallSites,
}

/// What the machine knows of one image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ImageState<'a> {
    /// Its name in this machine.
    pub image: ImageId,
    /// Its name in reports.
    pub name: &'a str,
    /// Where it starts.
    pub base: Va,
    /// Its pages.
    pub pages: PageRun,
    /// Paged entirely by `MmPageEntireDriver` (D31).
    pub overridden: bool,
    /// `MmPageEntireDriver` or `MmResetDriverPaging` is in progress (D38).
    pub busy: bool,
    /// Calls inside the memory manager on this image.
    pub calls: u32,
    /// Unload has begun (D29).
    pub closing: bool,
}

/// All images with their sections, pages and counts.
///
/// ```
/// # use section_paging::{Config, Paging};
/// let paging = Paging::new(Config::default());
/// assert_eq!(paging.images().count(), 0);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Paging {
    pub(crate) config: Config,
    pub(crate) table: Table,
}

impl Default for Paging {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Paging {
    /// A machine without images.
    pub fn new(config: Config) -> Self {
        Paging { config, table: Table::default() }
    }

    /// What is fixed.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The loaded image that holds the address. O(log n).
    pub fn image_at(&self, address: Va) -> Option<ImageId> {
        self.table.at(address).map(|image| image.id)
    }

    /// The first section in header order that holds the address (D16), discarded or not.
    pub fn section_at(&self, address: Va) -> Option<SectionId> {
        let image = self.table.at(address)?;
        image.section_at(address).map(|index| image.section_id(index))
    }

    /// The section that a handle names, if it was issued and its image is loaded. O(1).
    pub fn section_of(&self, handle: Handle) -> Option<SectionId> {
        let section = handle.names()?;
        let issued = self.table.get(section.image)?.sections.get(usize::from(section.index))?.issued;
        issued.then_some(section)
    }

    /// The page with this number; `None` in no loaded image.
    pub fn page(&self, page: u64) -> Option<PageState> {
        let image = self.table.at_page(page)?;
        let state = image.page(page)?;
        Some(PageState {
            image: image.id,
            pageable: state.is_pageable(image.overridden),
            in_load_map: state.in_load_map,
            pins: state.pins,
            discarded: state.discarded,
        })
    }

    /// True for a page of a driver's image: pages of the kernel's own can never be evicted.
    pub fn is_in_driver(&self, page: u64) -> bool {
        self.table.at_page(page).is_some_and(|image| image.kind == ImageKind::Driver)
    }

    /// True if the page with this number may be evicted.
    pub fn is_eligible(&self, page: u64) -> bool {
        self.table
            .at_page(page)
            .is_some_and(|image| image.page(page).is_some_and(|state| state.is_eligible(image.overridden)))
    }

    /// All pages of an image that may be evicted. Empty for an image that is not loaded.
    pub fn eligible(&self, image: ImageId) -> Runs {
        self.table.get(image).map(|image| image.eligible(image.run())).unwrap_or_default()
    }

    /// The state of a loaded image.
    pub fn image(&self, image: ImageId) -> Option<ImageState<'_>> {
        self.table.get(image).map(ImageState::of)
    }

    /// All loaded images, ascending by address.
    pub fn images(&self) -> impl Iterator<Item = ImageState<'_>> {
        self.table.loaded().map(ImageState::of)
    }

    /// All images that were unloaded (D30), the oldest load first.
    pub fn unloaded(&self) -> impl DoubleEndedIterator<Item = &UnloadedImage> {
        self.table.unloaded()
    }

    /// The image that held this address before it was unloaded, the youngest if there were several.
    pub fn unloaded_at(&self, address: Va) -> Option<&UnloadedImage> {
        self.unloaded().rev().find(|image| image.contains(address))
    }

    /// The state of a section of a loaded image.
    pub fn section(&self, id: SectionId) -> Option<SectionState> {
        let image = self.table.get(id.image)?;
        let section = image.sections.get(usize::from(id.index))?;
        Some(SectionState {
            count: section.count,
            in_transition: section.transition,
            discarded: section.discarded,
            pageable: section.pageable,
            pages: image.section_run(id.index),
            call_sites: section.call_sites.as_deref().cloned().unwrap_or_default(),
        })
    }

    /// The locked sections of a loaded image, in header order.
    pub fn locked(&self, image: ImageId) -> alloc::vec::Vec<LockedSection> {
        self.table.get(image).map(|image| image.locked(|_| true)).unwrap_or_default()
    }

    /// True once nothing is left to wait for.
    pub fn is_over(&self, event: Event) -> bool {
        match event {
            Event::Transition(id) => self.in_transition(id) != Some(true),
            Event::WholeDriver(image) => self.table.get(image).is_none_or(|image| !image.exclusive),
            Event::Calls(image) => self.table.get(image).is_none_or(|image| image.calls == 0),
        }
    }

    fn in_transition(&self, id: SectionId) -> Option<bool> {
        Some(self.table.get(id.image)?.sections.get(usize::from(id.index))?.transition)
    }

    /// The image of a call in progress; unload waits for such calls, so it is there.
    pub(crate) fn inside(&mut self, id: ImageId) -> &mut Image {
        self.table.get_mut(id).expect("the ticket was issued by this machine and is given back once")
    }
}

impl<'a> ImageState<'a> {
    fn of(image: &'a Image) -> Self {
        ImageState {
            image: image.id,
            name: &image.name,
            base: image.base,
            pages: image.run(),
            overridden: image.overridden,
            busy: image.exclusive,
            calls: image.calls,
            closing: image.closing,
        }
    }
}

//! One loaded image: what the caller says about it, and what the machine remembers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::call_sites::CallSites;
use crate::finding::LockedSection;
use crate::id::{ImageId, SectionId};
use crate::pages::{PageRun, Runs};

/// Whose image it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImageKind {
    /// A driver.
    Driver,
    /// The kernel or the HAL: always resident; its sections cannot be locked (D7, D18, D37).
    Kernel,
}

/// An image to load, laid out by the caller.
#[derive(Clone, Copy, Debug)]
pub struct NewImage<'a> {
    /// Name, kept for reports also after unload (D30).
    pub name: &'a str,
    /// Whose image it is.
    pub kind: ImageKind,
    /// Where it is loaded: a page boundary.
    pub base: Va,
    /// SizeOfImage in bytes. With a section alignment below a page it need not be a multiple of a page.
    pub size_bytes: u32,
    /// All sections in header order.
    pub sections: &'a [NewSection],
    /// The load map (R43): the pages that are pageable without an override.
    pub load_map: &'a [PageRun],
}

/// A section of an image to load.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NewSection {
    /// Offset of the section from the base, in bytes.
    pub va: u32,
    /// The larger of raw and virtual size, in bytes (R44).
    pub span: u32,
    /// Whether it is pageable by name (R41).
    pub pageable: bool,
}

/// What the machine remembers of a section.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Section {
    pub(crate) va: u32,
    pub(crate) span: u32,
    /// Completed locks minus unlocks.
    pub(crate) count: u32,
    /// Pageable by name.
    pub(crate) pageable: bool,
    /// A handle was returned.
    pub(crate) issued: bool,
    /// A first lock is bringing in the pages.
    pub(crate) transition: bool,
    pub(crate) discarded: bool,
    /// Absent until the first lock.
    pub(crate) call_sites: Option<Box<CallSites>>,
}

/// What the machine remembers of a page.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Page {
    /// Sections that cover the page and are locked or in transition. No overflow: an image has fewer than 2^16 sections.
    pub(crate) pins: u16,
    pub(crate) in_load_map: bool,
    pub(crate) discarded: bool,
}

/// A loaded image.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Image {
    pub(crate) id: ImageId,
    pub(crate) name: Box<str>,
    pub(crate) kind: ImageKind,
    pub(crate) base: Va,
    pub(crate) size_bytes: u32,
    pub(crate) sections: Box<[Section]>,
    pub(crate) pages: Box<[Page]>,
    /// Set by MmPageEntireDriver, cleared by MmResetDriverPaging (D31).
    pub(crate) overridden: bool,
    /// One of these two is in progress (D38).
    pub(crate) exclusive: bool,
    /// Calls that wait or bring in pages.
    pub(crate) calls: u32,
    /// Unload has begun: only the calls inside go on.
    pub(crate) closing: bool,
}

impl NewImage<'_> {
    /// The pages of the image, a partial last one included.
    pub(crate) fn run(&self) -> PageRun {
        PageRun::at(self.base, u64::from(self.size_bytes).div_ceil(PAGE_SIZE))
    }
}

impl Section {
    fn new(new: &NewSection) -> Self {
        Section {
            va: new.va,
            span: new.span,
            count: 0,
            pageable: new.pageable,
            issued: false,
            transition: false,
            discarded: false,
            call_sites: None,
        }
    }

    fn contains(&self, rva: u64) -> bool {
        rva.checked_sub(u64::from(self.va)).is_some_and(|offset| offset < u64::from(self.span))
    }
}

impl Page {
    /// True in the load map, and everywhere under an override (D31).
    pub(crate) const fn is_pageable(self, overridden: bool) -> bool {
        overridden || self.in_load_map
    }

    /// True if the page may be evicted.
    pub(crate) const fn is_eligible(self, overridden: bool) -> bool {
        self.is_pageable(overridden) && self.pins == 0 && !self.discarded
    }
}

impl Image {
    pub(crate) fn new(id: ImageId, new: &NewImage<'_>) -> Self {
        let (sections, load_map) = match new.kind {
            ImageKind::Driver => (new.sections, new.load_map),
            ImageKind::Kernel => (&[][..], &[][..]),
        };
        let mut image = Image {
            id,
            name: new.name.into(),
            kind: new.kind,
            base: new.base,
            size_bytes: new.size_bytes,
            sections: sections.iter().map(Section::new).collect(),
            pages: alloc::vec![Page::default(); new.run().count as usize].into(),
            overridden: false,
            exclusive: false,
            calls: 0,
            closing: false,
        };
        for run in load_map {
            image.pages_mut(*run).iter_mut().for_each(|page| page.in_load_map = true);
        }
        image
    }

    /// True for an address in the image.
    pub(crate) fn contains(&self, address: Va) -> bool {
        address >= self.base && address - self.base < u64::from(self.size_bytes)
    }

    /// A section by an index that was validated when the call began.
    pub(crate) fn section_mut(&mut self, index: u16) -> &mut Section {
        &mut self.sections[usize::from(index)]
    }

    /// All pages.
    pub(crate) fn run(&self) -> PageRun {
        PageRun::at(self.base, self.pages.len() as u64)
    }

    /// First section in header order that holds the address (D16).
    pub(crate) fn section_at(&self, address: Va) -> Option<u16> {
        let rva = address - self.base;
        self.sections.iter().position(|section| section.contains(rva)).map(|index| index as u16)
    }

    pub(crate) fn section_id(&self, index: u16) -> SectionId {
        SectionId { image: self.id, index }
    }

    /// The pages of a section, the first one rounded down: "the whole contents" (D22).
    pub(crate) fn section_run(&self, index: u16) -> PageRun {
        let Some(section) = self.sections.get(usize::from(index)).filter(|section| section.span > 0) else {
            return PageRun::default();
        };
        let (start, end) = (u64::from(section.va), u64::from(section.va) + u64::from(section.span));
        let first = start >> PAGE_SHIFT;
        let run = PageRun::new(self.base.page() + first, ((end - 1) >> PAGE_SHIFT) - first + 1);
        run.intersection(self.run())
    }

    pub(crate) fn page(&self, page: u64) -> Option<&Page> {
        self.pages.get(usize::try_from(page.checked_sub(self.base.page())?).ok()?)
    }

    /// The pages of the image that belong to `run`.
    pub(crate) fn pages_mut(&mut self, run: PageRun) -> &mut [Page] {
        let range = self.positions(run);
        &mut self.pages[range]
    }

    /// The numbers of those pages in `run` for which `keep` holds.
    pub(crate) fn select(&self, run: PageRun, keep: impl Fn(&Page) -> bool) -> Runs {
        let range = self.positions(run);
        let first = self.base.page() + range.start as u64;
        self.pages[range].iter().zip(first..).filter(|(page, _)| keep(page)).map(|(_, number)| number).collect()
    }

    /// Changes the pages of `run`; returns the numbers of those for which `change` holds.
    fn change(&mut self, run: PageRun, change: impl Fn(&mut Page) -> bool) -> Runs {
        let range = self.positions(run);
        let first = self.base.page() + range.start as u64;
        let pages = self.pages[range].iter_mut().zip(first..);
        pages.filter_map(|(page, number)| change(page).then_some(number)).collect()
    }

    /// Where the pages of `run` that belong to the image are kept.
    fn positions(&self, run: PageRun) -> Range<usize> {
        let position = |page: u64| page.saturating_sub(self.base.page()).min(self.pages.len() as u64) as usize;
        let pages = run.pages();
        position(pages.start)..position(pages.end)
    }

    pub(crate) fn eligible(&self, run: PageRun) -> Runs {
        self.select(run, |page| page.is_eligible(self.overridden))
    }

    /// Adds one pin to each page; returns those that are not discarded.
    pub(crate) fn pin(&mut self, run: PageRun) -> Runs {
        self.change(run, |page| {
            page.pins += 1;
            !page.discarded
        })
    }

    /// Takes one pin from each page; returns those that became eligible.
    pub(crate) fn unpin(&mut self, run: PageRun) -> Runs {
        let overridden = self.overridden;
        self.change(run, |page| {
            page.pins -= 1;
            page.is_eligible(overridden)
        })
    }

    /// The locked sections that `which` admits, in header order.
    pub(crate) fn locked(&self, which: impl Fn(&Section) -> bool) -> Vec<LockedSection> {
        let locked = self.sections.iter().enumerate().filter(|(_, section)| section.count > 0 && which(section));
        locked.map(|(index, section)| self.locked_section(index as u16, section)).collect()
    }

    /// Sections for which a handle was issued, ascending.
    pub(crate) fn issued(&self) -> Box<[u16]> {
        let sections = self.sections.iter().enumerate();
        sections.filter(|(_, section)| section.issued).map(|(index, _)| index as u16).collect()
    }

    fn locked_section(&self, index: u16, section: &Section) -> LockedSection {
        let call_sites = section.call_sites.as_deref().cloned().unwrap_or_default();
        LockedSection { section: self.section_id(index), count: section.count, call_sites }
    }
}

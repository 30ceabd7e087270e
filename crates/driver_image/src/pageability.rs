//! Which pages of an image can leave memory, and when.
//!
//! All arithmetic is on page numbers within the image: a base lies on a page boundary, so it never matters.

use core::ops::Range;

use nt_types::{PAGE_SIZE, Rva};

use crate::{Headers, Section, SectionFlags};

mod page_map;
mod ranges;
#[cfg(test)]
mod tests;

pub use page_map::{PageClass, PageInfo, page_map};
pub use ranges::PageRanges;

const PAGE: i64 = PAGE_SIZE as i64;

/// Which sections are discarded after initialisation (D9).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum DiscardMode {
    /// Sections named `INIT` or flagged discardable, anywhere. This is also the arithmetic of boot-loaded drivers (R55).
    #[default]
    Documented,
    /// Only the discardable sections that end the image, by flag alone (R54).
    Tail,
}

/// What leaves memory for good when initialisation is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscardSet {
    /// Indices of the sections, ascending. All their bytes count as discarded, also where a page is kept (D11).
    pub sections: Vec<usize>,
    /// The pages that are freed.
    pub pages: PageRanges,
}

impl DiscardSet {
    /// Bytes of discarded sections that stay in memory because their page is kept (D11).
    pub fn kept_bytes(&self, sections: &[Section]) -> Vec<Range<Rva>> {
        let members = self.sections.iter().filter_map(|&index| sections.get(index));
        let pages = members.flat_map(|section| section_pages(section).map(move |page| (section, page)));
        let kept = pages.filter(|(_, page)| !self.pages.contains(*page));
        kept.map(|(section, page)| bytes_in_page(section, page)).collect()
    }
}

/// What the sections that touch a page allow (R53, D8).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct PageProtection {
    /// Can be read.
    pub read: bool,
    /// Can be written.
    pub write: bool,
    /// Can be executed.
    pub execute: bool,
}

/// Pages made pageable at load (R41, R43, D2).
pub fn load_map(headers: &Headers, sections: &[Section]) -> PageRanges {
    let align = i64::from(headers.section_alignment);
    let pageable = runs(sections.len(), |index| sections[index].is_pageable_by_name());
    PageRanges::from_ranges(pageable.map(|(first, last)| {
        let end = (sections[last].end() as i64 + align - 1 - PAGE).div_euclid(PAGE) + 1;
        (page_up(sections[first].rva), clamp(end, headers))
    }))
}

/// Sections and pages that are discarded after initialisation (D9).
pub fn discard_set(headers: &Headers, sections: &[Section], mode: DiscardMode) -> DiscardSet {
    let tail = sections.iter().rposition(|section| !is_discardable(section)).map_or(0, |last| last + 1);
    let member = |index: usize| match mode {
        DiscardMode::Documented => sections[index].is_init() || is_discardable(&sections[index]),
        DiscardMode::Tail => index >= tail,
    };
    let pages = PageRanges::from_ranges(runs(sections.len(), member).map(|(first, last)| {
        let end = match last + 1 == sections.len() {
            true => i64::from(headers.page_count()),
            false => align_up(sections[last].end(), headers.section_alignment).div_euclid(PAGE),
        };
        (page_up(sections[first].rva), clamp(end, headers))
    }));
    DiscardSet { sections: (0..sections.len()).filter(|&index| member(index)).collect(), pages }
}

/// Pages that hold bytes of a section (D22): its start rounded down, to its last byte. None for an empty section.
pub fn section_pages(section: &Section) -> Range<u32> {
    let start = section.rva.0 / PAGE_SIZE as u32;
    if section.span() == 0 { start..start } else { start..section.end().div_ceil(PAGE_SIZE) as u32 }
}

/// The union of the protections of the sections that touch a page, discarded ones included. A page of headers alone
/// can only be read (D8); a page that nothing touches cannot be accessed.
pub fn page_protection(headers: &Headers, sections: &[Section], page: u32) -> PageProtection {
    let header_pages = headers.size_of_headers.div_ceil(PAGE_SIZE as u32);
    let start = PageProtection { read: page < header_pages, write: false, execute: false };
    sections_touching(sections, page).fold(start, |union, index| PageProtection {
        read: union.read | sections[index].flags.has(SectionFlags::READ),
        write: union.write | sections[index].flags.has(SectionFlags::WRITE),
        execute: union.execute | sections[index].flags.has(SectionFlags::EXECUTE),
    })
}

/// Indices of the sections that have bytes in a page.
pub fn sections_touching(sections: &[Section], page: u32) -> impl Iterator<Item = usize> {
    (0..sections.len()).filter(move |&index| section_pages(&sections[index]).contains(&page))
}

/// The bytes of a section that lie in a page.
fn bytes_in_page(section: &Section, page: u32) -> Range<Rva> {
    let page_start = u64::from(page) * PAGE_SIZE;
    let start = page_start.max(u64::from(section.rva.0));
    let end = (page_start + PAGE_SIZE).min(section.end()).max(start);
    Rva(start as u32)..Rva(end as u32)
}

/// Maximal runs of consecutive members of `0..count`, as first and last.
fn runs(count: usize, member: impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = (next..count).find(|&index| member(index))?;
        let end = (first..count).find(|&index| !member(index)).unwrap_or(count);
        next = end;
        Some((first, end - 1))
    })
}

fn is_discardable(section: &Section) -> bool {
    section.flags.has(SectionFlags::DISCARDABLE)
}

fn page_up(rva: Rva) -> i64 {
    i64::from(rva.0.div_ceil(PAGE_SIZE as u32))
}

fn align_up(offset: u64, alignment: u32) -> i64 {
    offset.next_multiple_of(u64::from(alignment)) as i64
}

fn clamp(end: i64, headers: &Headers) -> i64 {
    end.clamp(0, i64::from(headers.page_count()))
}

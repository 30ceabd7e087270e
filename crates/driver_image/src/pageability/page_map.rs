//! The image page by page.

use super::{DiscardMode, PageProtection, bytes_in_page, discard_set, load_map, page_protection, sections_touching};
use crate::{Headers, Section};

/// What can become of a page once the driver is initialised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PageClass {
    /// Stays in memory, and nothing in it asked to leave.
    Nonpaged,
    /// Stays in memory although a pageable or discarded section has bytes in it: something else shares the page, or the
    /// section does not reach the page's end.
    Edge {
        /// Bytes of such sections in the page.
        stuck_bytes: u32,
    },
    /// Can go to the paging file and come back.
    Pageable,
    /// Is freed after initialisation.
    Discarded,
}

/// One page of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageInfo {
    /// Number of the page within the image.
    pub page: u32,
    /// What can become of it.
    pub class: PageClass,
    /// What its sections allow.
    pub protection: PageProtection,
    /// Indices of the sections that have bytes in it, ascending.
    pub sections: Vec<usize>,
}

/// Classifies every page of an image. A page that is both pageable and discarded counts as discarded.
pub fn page_map(headers: &Headers, sections: &[Section], mode: DiscardMode) -> Vec<PageInfo> {
    let pageable = load_map(headers, sections);
    let discarded = discard_set(headers, sections, mode);
    let leaves = |index: usize| sections[index].is_pageable_by_name() || discarded.sections.contains(&index);
    let classify = |page: u32, touching: &[usize]| {
        let leaving = touching.iter().filter(|&&index| leaves(index));
        let bytes = leaving.map(|&index| bytes_in_page(&sections[index], page));
        let stuck_bytes = bytes.map(|bytes| bytes.end.0 - bytes.start.0).sum();
        match (discarded.pages.contains(page), pageable.contains(page)) {
            (true, _) => PageClass::Discarded,
            (_, true) => PageClass::Pageable,
            _ if stuck_bytes > 0 => PageClass::Edge { stuck_bytes },
            _ => PageClass::Nonpaged,
        }
    };
    let info = |page| {
        let touching: Vec<usize> = sections_touching(sections, page).collect();
        let class = classify(page, &touching);
        PageInfo { page, class, protection: page_protection(headers, sections, page), sections: touching }
    };
    (0..headers.page_count()).map(info).collect()
}

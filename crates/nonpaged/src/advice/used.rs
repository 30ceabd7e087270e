//! What ran, in sums: of the driver, and of its pageable sections.

use audit::Placed;
use driver_image::{Image, Section, SectionFlags};
use nt_types::{Irql, PAGE_SHIFT, PAGE_SIZE};
use report::table::{SectionUses, Used, Uses};

use super::pageable_section;
use super::profile::Profile;

/// The sums over all functions.
pub(super) fn used(image: &Image, profile: &Profile, functions: &[Placed], uses: &[Option<Uses>]) -> Used {
    let mut sum = Used { logs: profile.logs, requests: profile.requests, ..Used::default() };
    for (placed, uses) in functions.iter().zip(uses) {
        let Some(uses) = uses else { continue };
        sum.functions += 1;
        sum.ran += u64::from(uses.times > 0);
        if uses.highest_irql >= Irql::DISPATCH && pageable_section(image, placed).is_none() {
            sum.raised += 1;
            sum.bytes_raised += u64::from(placed.bytes());
        }
    }
    let sections = pageable_sections(image);
    sum.sections = sections.map(|(index, section)| section_uses(image, index, section, functions, uses)).collect();
    sum
}

/// Sections of code that are pageable by name, with their indices.
pub(super) fn pageable_sections(image: &Image) -> impl Iterator<Item = (usize, &Section)> {
    let pageable = |section: &Section| section.is_pageable_by_name() && section.flags.has(SectionFlags::EXECUTE);
    image.sections().iter().enumerate().filter(move |(_, section)| pageable(section))
}

/// What ran of a pageable section: its pages that have to come in, and those that would if what ran lay together.
fn section_uses(
    image: &Image,
    index: usize,
    section: &Section,
    functions: &[Placed],
    uses: &[Option<Uses>],
) -> SectionUses {
    let inside = functions.iter().zip(uses).filter(|(function, _)| image.section_at(function.function) == Some(index));
    let mut sum = SectionUses { name: section.name(), ..SectionUses::default() };
    let mut pages = Vec::new();
    for (function, uses) in inside {
        let ran = uses.is_some_and(|uses| uses.times > 0);
        let bytes = u64::from(function.bytes());
        sum.functions += 1;
        sum.bytes += bytes;
        if ran {
            sum.ran += 1;
            sum.bytes_ran += bytes;
            let parts = function.parts.iter().filter(|part| !part.is_empty());
            pages.extend(parts.flat_map(|part| part.start >> PAGE_SHIFT..=(part.end - 1) >> PAGE_SHIFT));
        }
    }
    pages.sort_unstable();
    pages.dedup();
    let span = u64::from(section.span());
    // What is no function, such as padding and tables, is taken to stay with what ran.
    let together = span.saturating_sub(sum.bytes - sum.bytes_ran).div_ceil(PAGE_SIZE);
    (sum.pages, sum.pages_ran) = (span.div_ceil(PAGE_SIZE), pages.len() as u64);
    sum.pages_together = together.min(sum.pages_ran);
    sum
}

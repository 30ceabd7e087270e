//! Where the code of a driver could lie instead: what the audit knows, and what the logs of runs have seen.

mod profile;

use std::collections::BTreeMap;

use audit::{Destination, Placed};
use driver_image::{Image, ImageError, Section, SectionFlags};
use nt_types::{Irql, PAGE_SHIFT, PAGE_SIZE};
use report::Diagnostic;
use report::table::{Advice, Move, Moved, SectionUses, Split, Used, Uses};

use crate::check::{incomplete, locator};
use crate::driver::Driver;

pub use profile::{Profile, ProfileError};

/// Where code of a driver could go instead, and what was not looked at, if there is anything.
///
/// # Errors
/// If the image cannot be laid out in memory, or its exports cannot be read.
pub fn advise(driver: &Driver, profile: Option<&Profile>) -> Result<(Advice, Option<Diagnostic>), ImageError> {
    let (locator, _) = locator(driver)?;
    let (advice, not_seen) = audit::advise(&driver.image, &locator.code_starts())?;
    let uses: Vec<Option<Uses>> =
        advice.functions.iter().map(|function| profile.map(|profile| profile.uses(function))).collect();
    let rare_times = profile.map_or(0, Profile::rare_times);
    let (mut moves, mut stay, mut splits) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (placed, uses) in advice.functions.iter().zip(&uses) {
        let Some(destination) = placed.to else { continue };
        let (function, bytes, uses) = (locator.place(placed.function), placed.bytes(), *uses);
        match to(destination, uses, rare_times) {
            Some(to) => match locked_section(&driver.image, placed) {
                Some(section) => splits.entry(section).or_insert_with(Vec::new).push((function, bytes)),
                None => moves.push(Move { function, bytes, to, uses }),
            },
            None => stay.push(function),
        }
    }
    let splits = splits.into_iter().map(|(index, functions)| Split {
        section: driver.image.sections()[index].name(),
        bytes: functions.iter().map(|(_, bytes)| u64::from(*bytes)).sum(),
        functions,
    });
    // What is purely pageable is kept apart from what is locked, except below 4 KB.
    let splits = splits.filter(|split| split.bytes >= PAGE_SIZE).collect();
    let pageable = pageable_sections(&driver.image).map(|(_, section)| u64::from(section.virtual_size)).sum();
    let used = profile.map(|profile| Used {
        logs: profile.logs,
        requests: profile.requests,
        functions: uses.len() as u64,
        ran: uses.iter().flatten().filter(|uses| uses.times > 0).count() as u64,
        stay,
        sections: pageable_sections(&driver.image)
            .map(|(index, section)| section_uses(&driver.image, index, section, &advice.functions, &uses))
            .collect(),
    });
    let merges = advice.merges.into_iter().map(|merge| (merge.sections, merge.bytes)).collect();
    Ok((Advice { moves, splits, merges, pageable_code: pageable, used }, incomplete(not_seen)))
}

/// Where a function could go that the audit lets go; `None` where a run has seen what the audit did not.
fn to(destination: Destination, uses: Option<Uses>, rare_times: u64) -> Option<Moved> {
    let Some(uses) = uses else {
        return Some(if destination == Destination::Init { Moved::Init } else { Moved::Page });
    };
    if uses.highest_irql >= Irql::DISPATCH {
        return None;
    }
    let rare = !uses.after_initialisation || uses.times <= rare_times;
    Some(match (destination, uses.after_initialisation) {
        (Destination::Init, false) => Moved::Init,
        _ if rare => Moved::Page,
        _ => Moved::Apart,
    })
}

/// The pageable section that a function could leave: one that the driver locks.
fn locked_section(image: &Image, placed: &Placed) -> Option<usize> {
    let index = image.section_at(placed.function)?;
    image.sections()[index].is_pageable_by_name().then_some(index)
}

/// Sections of code that are pageable by name, with their indices.
fn pageable_sections(image: &Image) -> impl Iterator<Item = (usize, &Section)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(times: u64, highest_irql: Irql, after_initialisation: bool) -> Option<Uses> {
        Some(Uses { times, highest_irql, after_initialisation })
    }

    /// R5: what was seen at DISPATCH_LEVEL stays, whatever the audit says.
    #[test]
    fn r5_what_ran_at_dispatch_level_stays() {
        for destination in [Destination::Page, Destination::Init] {
            assert_eq!(to(destination, uses(1, Irql::DISPATCH, false), 9), None);
            assert_eq!(to(destination, uses(1, Irql::new(5), true), 9), None);
        }
    }

    #[test]
    fn what_ran_after_initialisation_is_not_discarded() {
        assert_eq!(to(Destination::Init, None, 0), Some(Moved::Init));
        assert_eq!(to(Destination::Init, uses(1, Irql::PASSIVE, false), 1), Some(Moved::Init));
        assert_eq!(to(Destination::Init, uses(1, Irql::PASSIVE, true), 1), Some(Moved::Page));
        assert_eq!(to(Destination::Page, uses(7, Irql::PASSIVE, false), 1), Some(Moved::Page));
    }

    #[test]
    fn what_is_used_often_lies_apart() {
        assert_eq!(to(Destination::Page, uses(3, Irql::APC, true), 3), Some(Moved::Page));
        assert_eq!(to(Destination::Page, uses(4, Irql::APC, true), 3), Some(Moved::Apart));
        assert_eq!(to(Destination::Page, uses(0, Irql::PASSIVE, false), 0), Some(Moved::Page));
    }
}

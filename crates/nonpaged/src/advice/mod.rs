//! Where the code of a driver could lie instead: what the audit knows, and what the logs of runs have seen.

mod profile;
mod used;

use std::collections::BTreeMap;

use audit::{Destination, Placed};
use driver_image::{Image, ImageError, Section};
use nt_types::{Irql, PAGE_SIZE};
use report::table::{Advice, Doubt, Doubtful, Move, Moved, Split, Used, Uses};
use report::{Diagnostic, Place};

use crate::check::{incomplete, locator};
use crate::driver::Driver;
use crate::locate::Locator;

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
    let doubtful = advice.functions.iter().filter_map(|placed| doubtful(&locator, placed)).collect();
    for (placed, uses) in advice.functions.iter().zip(&uses) {
        let Some(destination) = placed.to else { continue };
        let (function, bytes, uses) = (locator.place(placed.function), placed.bytes(), *uses);
        match to(destination, uses, rare_times) {
            // What lies in a pageable section could leave it because the driver locks it.
            Some(to) => match pageable_section(&driver.image, placed) {
                Some(section) => splits.entry(section).or_insert_with(Vec::new).push((function, bytes)),
                None => moves.push(Move { function, bytes, to, uses }),
            },
            None => stay.push(function),
        }
    }
    let splits = splits.into_iter().map(|(index, functions)| split(&driver.image.sections()[index], functions));
    // What is purely pageable is kept apart from what is locked, except below 4 KB.
    let splits = splits.filter(|split| split.bytes >= PAGE_SIZE).collect();
    let pageable_code =
        used::pageable_sections(&driver.image).map(|(_, section)| u64::from(section.virtual_size)).sum();
    let used = profile.map(|profile| Used { stay, ..used::used(&driver.image, profile, &advice.functions, &uses) });
    let merges = advice.merges.into_iter().map(|merge| (merge.sections, merge.bytes)).collect();
    Ok((Advice { moves, doubtful, splits, merges, pageable_code, used }, incomplete(not_seen)))
}

fn doubtful(locator: &Locator, placed: &Placed) -> Option<Doubtful> {
    let why = match placed.stays? {
        audit::Doubt::Unseen => Doubt::Unseen,
        audit::Doubt::Pointer => Doubt::Pointer,
    };
    Some(Doubtful { function: locator.place(placed.function), bytes: placed.bytes(), why })
}

fn split(section: &Section, functions: Vec<(Place, u32)>) -> Split {
    let bytes = functions.iter().map(|(_, bytes)| u64::from(*bytes)).sum();
    Split { section: section.name(), functions, bytes }
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

/// The section that a function lies in, if it is pageable.
fn pageable_section(image: &Image, placed: &Placed) -> Option<usize> {
    let index = image.section_at(placed.function)?;
    image.sections()[index].is_pageable_by_name().then_some(index)
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

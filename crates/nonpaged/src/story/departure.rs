//! Why a page of a driver was not in memory.

use kernel::{Event, EventKind, FindingKind};
use memory::{TrimPolicy, TrimReason};
use nt_types::Va;
use report::cause::{RequestKind, Requests};
use report::{Departure, DepartureReason};
use section_paging::SectionId;

use super::scene::Scene;
use super::stacks;

/// What made a page pageable and what took it out of memory, in the order to be told.
pub(super) fn events(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let Some(section) = scene.machine.memory.paging().section_at(address) else {
        return stacks::events(scene, address);
    };
    let pageable = became_pageable(scene, section, address);
    pageable.into_iter().chain(trimmed(scene, section, address)).collect()
}

fn became_pageable(scene: &Scene<'_>, section: SectionId, address: Va) -> Option<report::Event> {
    let (name, image) = scene.section_names(section);
    let by_name = scene.spot(address).and_then(|spot| Some(spot.section()?.is_pageable_by_name())).unwrap_or(false);
    if !by_name {
        return whole_driver(scene, address);
    }
    let unlocked = scene.events.iter().rposition(|event| unlocks(event, section));
    if let Some(index) = unlocked {
        return Some(told_unlock(scene, index, name));
    }
    let loaded = scene.last(|event| match &event.kind {
        EventKind::Loaded { image: loaded, .. } if *loaded == image => Some(event),
        _ => None,
    })?;
    Some(report::Event { kind: report::EventKind::PageableSinceLoad { section: name }, step: loaded.step, at: None })
}

fn unlocks(event: &Event, section: SectionId) -> bool {
    matches!(event.kind, EventKind::SectionUnlocked { section: unlocked, count: 0 } if unlocked == section)
}

fn told_unlock(scene: &Scene<'_>, index: usize, section: String) -> report::Event {
    let event = &scene.events[index];
    let outstanding = outstanding_at(&scene.events[index..]);
    let kind = report::EventKind::SectionUnlocked { section, from: 1, to: 0, outstanding };
    scene.told(event, kind)
}

/// What was pending at the unlock that these events begin with: the finding about it, if there is one, follows at once.
fn outstanding_at(events: &[Event]) -> Requests {
    let step = events.first().map(|event| event.step);
    let at_once = events.iter().take_while(|event| Some(event.step) == step);
    let majors = at_once.filter_map(|event| match &event.kind {
        EventKind::Found(finding) => match &finding.kind {
            FindingKind::K08UnlockWithQueuedIrps { majors, .. } => Some(majors),
            _ => None,
        },
        _ => None,
    });
    majors.map(|majors| requests(majors)).next().unwrap_or_default()
}

/// A number of requests, by their major functions.
pub(super) fn requests(majors: &[u8]) -> Requests {
    let alike = majors.iter().all(|major| Some(major) == majors.first());
    let kind = majors.first().filter(|_| alike).and_then(|major| RequestKind::from_major(*major));
    Requests { count: majors.len() as u32, kind }
}

/// The call that paged the whole driver (D31).
pub(super) fn whole_driver(scene: &Scene<'_>, address: Va) -> Option<report::Event> {
    let base = scene.spot(address)?.base;
    scene.last(|event| match event.kind {
        EventKind::DriverPaged { base: paged } if paged == base => {
            Some(scene.told(event, report::EventKind::DriverPaged))
        }
        _ => None,
    })
}

/// The pass that took the page of an address out of memory.
pub(super) fn last_trim<'a>(scene: &Scene<'a>, address: Va) -> Option<(&'a Event, &'a [Va], TrimReason)> {
    let page = address.page_down();
    scene.last(|event| match &event.kind {
        EventKind::Trimmed { pages, reason } if pages.contains(&page) => Some((event, pages.as_slice(), *reason)),
        _ => None,
    })
}

fn trimmed(scene: &Scene<'_>, section: SectionId, address: Va) -> Option<report::Event> {
    let (event, pages, _) = last_trim(scene, address)?;
    let paging = scene.machine.memory.paging();
    let of = paging.section(section)?.pages;
    let left = pages.iter().filter(|page| of.pages().any(|other| other == page.page())).count();
    let may_leave = of.pages().filter(|page| paging.page(*page).is_some_and(|page| page.pageable)).count();
    let (name, _) = scene.section_names(section);
    let kind = report::EventKind::SectionTrimmed { section: name, pages: left as u32, of: may_leave as u32 };
    Some(report::Event { kind, step: event.step, at: None })
}

/// Why the page of an address was out.
pub(super) fn departure(scene: &Scene<'_>, address: Va) -> Departure {
    let config = scene.machine.memory.config();
    let reason = match last_trim(scene, address).map(|(_, _, reason)| reason) {
        None | Some(TrimReason::Load) => DepartureReason::NeverIn,
        Some(TrimReason::Raise) if scene.machine.options.verifier.force_irql => DepartureReason::Verifier,
        Some(TrimReason::Raise | TrimReason::Eligible) if config.trim == TrimPolicy::EachStep => {
            DepartureReason::TrimEachStep
        }
        Some(TrimReason::Raise) if config.trim == TrimPolicy::AtOnce => DepartureReason::TrimAtOnce,
        Some(TrimReason::Raise) => DepartureReason::TrimOnRaise,
        Some(TrimReason::Eligible) => DepartureReason::TrimAtOnce,
        Some(TrimReason::Pressure) => DepartureReason::Pressure { frames: u64::from(config.frames) },
        Some(TrimReason::Command) => DepartureReason::Scenario,
        Some(TrimReason::Choice) => DepartureReason::Schedule,
    };
    Departure { reason, passes_untrimmed: false }
}

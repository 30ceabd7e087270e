//! Handles of sections that lie in memory: K05 for one that nobody takes to unlock, 0x1A for a place that holds none.

use super::locks::{call_site, kept};
use super::{Collector, FindingKind, LeftBy};
use crate::ddi::{Does, Role};
use crate::flow::{Event, EventKind, Facts, Value};
use crate::reach::Place;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    // Who unlocks by the handle of another field forgets the right one: that is told once.
    if !never_set(collector) {
        never_unlocked(collector);
        thrown_away(collector);
    }
}

/// K05: a routine leaves a section locked and stores the handle, and no call that unlocks takes one from there. Where it is
/// not known of each call what it is given, nothing is said; nor of a driver that is never unloaded.
fn never_unlocked(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let unloads: Vec<usize> =
        reach.roots.iter().filter(|root| root.role == Role::Unload).map(|root| root.function).collect();
    if unloads.is_empty() {
        return;
    }
    // Where `Unload` unlocks nothing at all, that is told of what DriverEntry locked.
    let unload_unlocks = unloads.iter().any(|&unload| call_site(model, reach, unload, Does::Unlock).is_some());
    for (function, event) in model.all_events() {
        let Some((place, section)) = stored(collector, function, event) else { continue };
        let left = |root: u32| {
            let root = &reach.roots[root as usize];
            let stays = model.summaries[root.function].held.perhaps.has(Facts::section(section));
            stays && (unload_unlocks || !root.role.is_initialisation())
        };
        let leaves = reach.of(function).any(|(_, context)| left(context.root));
        let locks = |event: &Event| matches!(event.kind, EventKind::Locks { once, .. } if once.has_section(section));
        if leaves && model.events.of(function).iter().any(locks) && reach.kept.is_never_unlocked(place) {
            kept(collector, section, LeftBy::Handle, event.at, |locker, _| locker == function);
        }
    }
}

/// K05: a request leaves a section locked and forgets the handle on each of its ways, and no call that unlocks can be given a
/// handle of it.
fn thrown_away(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    if !reach.roots.iter().any(|root| root.role == Role::Unload) {
        return;
    }
    let keeps = |event: &Event| matches!(event.kind, EventKind::KeepsHandle { sections, .. } if !sections.is_empty());
    for (function, event, _, arguments) in
        model.import_calls().filter(|(_, _, id, _)| model.does(*id, Does::LockAddress))
    {
        let Some(Value::Image(rva)) = arguments.first() else { continue };
        let Some(section) = model.program.section_at(*rva) else { continue };
        let summary = &model.summaries[function];
        let left = summary.held.gained.has(Facts::section(section)) && !matches!(summary.result, Value::Handle(_));
        let request = |root: u32| {
            let root = &reach.roots[root as usize];
            let stays = model.summaries[root.function].held.perhaps.has(Facts::section(section));
            stays && matches!(root.role, Role::Dispatch(_) | Role::PagablePower | Role::AddDevice)
        };
        let is_request = reach.of(function).any(|(_, context)| request(context.root));
        let pageable = model.program.image.sections()[section].is_pageable_by_name();
        if left
            && is_request
            && pageable
            && !reach.kept.is_unlockable(section)
            && !model.events.of(function).iter().any(keeps)
        {
            kept(collector, section, LeftBy::Nobody, event.at, |locker, _| locker == function);
        }
    }
}

/// The place where an event stores the handle of a section, and the section.
fn stored(collector: &Collector<'_, '_>, function: usize, event: &Event) -> Option<(Place, usize)> {
    let EventKind::KeepsHandle { place, .. } = event.kind else { return None };
    let place = collector.reach.objects.place(function as u32, place.pointee())?;
    let section = collector.reach.kept.section(place)?;
    collector.model.program.image.sections()[section].is_pageable_by_name().then_some((place, section))
}

/// 0x1A: a handle is taken from a place where none is ever put. It is NULL, as the system clears device extensions. True if there
/// is such a place.
fn never_set(collector: &mut Collector<'_, '_>) -> bool {
    let (model, reach) = (collector.model, collector.reach);
    let mut found = false;
    if !every_lock_is_followed(collector) {
        return found;
    }
    for (function, event, id, arguments) in model.import_calls().filter(|(_, _, id, _)| model.program.takes_handle(*id))
    {
        let handle = arguments.first().copied().unwrap_or_default();
        let Some(place) = reach.objects.place(function as u32, handle) else { continue };
        let cleared = match place {
            Place::Image(rva) => model.program.u64(rva) == Some(0),
            Place::Extension(_) => true,
            Place::Block(..) => false,
        };
        let tests = |event: &Event| match event.kind {
            EventKind::Tested { place: value } => reach.objects.place(function as u32, value) == Some(place),
            _ => false,
        };
        if cleared && reach.kept.is_never_set(place) && !model.events.of(function).iter().any(tests) {
            let routine = model.program.import(id).name.clone();
            collector.add_on_any_way(FindingKind::NullHandle { routine }, function, event);
            found = true;
        }
    }
    found
}

/// Does each function that locks by address store a handle where that is followed?
fn every_lock_is_followed(collector: &Collector<'_, '_>) -> bool {
    let model = collector.model;
    let follows = |function: usize| {
        let stores = |event: &Event| match event.kind {
            EventKind::KeepsHandle { place, sections } => {
                !sections.is_empty() && collector.reach.objects.place(function as u32, place.pointee()).is_some()
            }
            EventKind::Call { target, arguments } => {
                let unlocks = matches!(target, crate::flow::Target::Import(id) if model.does(id, Does::Unlock));
                unlocks && matches!(model.events.arguments(arguments).first(), Some(Value::Handle(_)))
            }
            _ => false,
        };
        model.events.of(function).iter().any(stores)
    };
    let mut locks = model.import_calls().filter(|(_, _, id, _)| model.does(*id, Does::LockAddress)).peekable();
    locks.peek().is_some() && locks.all(|(function, ..)| follows(function))
}

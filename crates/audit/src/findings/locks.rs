//! Locks of sections: K01, K05, K07, K12, K18, K25, K28, A01, NULL for a handle, and the header of the image.

use std::collections::{BTreeMap, BTreeSet};

use super::{Collector, FindingKind, LeftBy, Use};
use crate::code::{Class, ImportId};
use crate::ddi::{Does, Role};
use crate::flow::{Event, EventKind, Facts, Value};
use crate::model::Model;
use crate::reach::{Meaning, Object, Place, Reach, Step, StepKind, Way, path};
use nt_types::Rva;
use nt_types::constants::{IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_PNP, IRP_MJ_POWER, IRP_MJ_SHUTDOWN};

/// Requests that end what others began.
const ENDING: [u32; 5] = [IRP_MJ_CLOSE, IRP_MJ_SHUTDOWN, IRP_MJ_CLEANUP, IRP_MJ_POWER, IRP_MJ_PNP];

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    let mut by_address: BTreeMap<usize, Vec<(usize, &Event)>> = BTreeMap::new();
    for (function, event, id, arguments) in model.import_calls() {
        let first = arguments.first().copied().unwrap_or_default();
        if model.does(id, Does::LockAddress) {
            for (rva, section) in first.addresses().filter_map(|rva| Some((rva, model.program.section_at(rva)?))) {
                locks(collector, function, event, section, rva);
                if first == Value::Image(rva) {
                    by_address.entry(section).or_default().push((function, event));
                }
            }
        }
        for value in first.alternatives() {
            no_module(collector, (function, event), id, value);
        }
        let by_handle = model.does(id, Does::LockHandle) || model.does(id, Does::Unlock);
        if by_handle && first.number() == Some(0) {
            let routine = model.program.import(id).name.clone();
            collector.add_on_any_way(FindingKind::NullHandle { routine }, function, event);
        }
    }
    for (section, places) in by_address.into_iter().filter(|(_, places)| places.len() > 1) {
        let (section, count) = (model.program.section_name(section), places.len() as u32);
        let (function, event) = places[1];
        collector.add_on_any_way(FindingKind::RepeatLock { section, places: count }, function, event);
    }
    for (function, event) in model.all_events().filter(|(_, event)| event.kind == EventKind::Dereference) {
        collector.add_on_any_way(FindingKind::HandleDereferenced, function, event);
    }
    initialisation(collector);
    error_paths(collector);
    unbalanced_requests(collector);
}

/// K28, or 0x1A: an address that is certainly in no driver, or in no section of it.
fn no_module(collector: &mut Collector<'_, '_>, (function, event): (usize, &Event), id: ImportId, address: Value) {
    let model = collector.model;
    let locks = model.does(id, Does::LockAddress);
    let takes_address = locks || model.does(id, Does::PageDriver) || model.does(id, Does::ResetDriver);
    if !takes_address {
        return;
    }
    let meaning = collector.reach.objects.meaning(function as u32, address);
    let pool = match (address, meaning) {
        (Value::Pool { .. }, _)
        | (_, Some(Meaning::Object(Object::Driver | Object::Device | Object::Extension, _))) => Some(true),
        (Value::Number(_), _) => Some(false),
        _ => None,
    };
    let routine = model.program.import(id).name.clone();
    if let Some(pool) = pool {
        collector.add_on_any_way(FindingKind::NoModule { routine, pool, locks }, function, event);
    } else if locks && meaning == Some(Meaning::DriverStart) {
        collector.add_on_any_way(FindingKind::NoSection { routine }, function, event);
    }
}

/// A lock by address.
fn locks(collector: &mut Collector<'_, '_>, function: usize, event: &Event, section: usize, rva: u32) {
    let (model, reach) = (collector.model, collector.reach);
    let name = model.program.section_name(section);
    match model.program.class(rva) {
        Class::Resident if !model.anywhere(Does::PageDriver) => {
            let thunk_to = jump_target(collector, rva).and_then(|target| match model.program.class(target) {
                Class::Pageable { section, .. } => Some(model.program.section_name(section)),
                _ => None,
            });
            collector.add_on_any_way(FindingKind::LockNonpageable { section: name, thunk_to }, function, event);
        }
        Class::Discarded { .. } => {
            for Way { context, initialised, irql, .. } in reach.at(function, event) {
                let kind = match initialised {
                    true => FindingKind::Discarded { target: collector.target(section, rva), how: Use::Locked },
                    false => FindingKind::LockOfInit { section: name.clone() },
                };
                collector.add(kind, event.at, Some((context, irql)));
            }
        }
        _ => {}
    }
}

/// Where a jump that stands alone leads.
fn jump_target(collector: &Collector<'_, '_>, rva: u32) -> Option<u32> {
    let code = collector.model.program.bytes.get(rva as usize..)?;
    match code {
        [0xe9, offset @ ..] => {
            let offset = offset.first_chunk().copied().map(i32::from_le_bytes)?;
            Some(rva.wrapping_add(5).wrapping_add_signed(offset))
        }
        [0xeb, offset, ..] => Some(rva.wrapping_add(2).wrapping_add_signed(i32::from(*offset as i8))),
        _ => None,
    }
}

/// K05: DriverEntry fails with a lock, or Unload does not undo what DriverEntry locked.
fn initialisation(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let Some(entry) = reach.roots.iter().find(|root| root.role == Role::DriverEntry) else { return };
    let mut told = Facts::NONE;
    for event in model.events.of(entry.function).iter().filter(|event| event.kind == EventKind::Fails) {
        told = told.or(event.held.gained);
        for section in sections(collector, event.held.gained) {
            kept(collector, section, LeftBy::Entry, event.at, |_, role| role.is_initialisation());
        }
    }
    // A routine that several drivers share may have been named first and replaced later.
    let unloads: Vec<usize> =
        reach.roots.iter().filter(|root| root.role == Role::Unload).map(|root| root.function).collect();
    let Some(last) = unloads.last() else { return };
    let (perhaps, at) = (model.summaries[entry.function].held.perhaps, model.functions.all[*last].entry);
    if !perhaps.has(Facts::ALL_SECTIONS)
        && unloads.iter().all(|&unload| call_site(model, reach, unload, Does::Unlock).is_none())
    {
        for section in sections(collector, perhaps.without(told)) {
            kept(collector, section, LeftBy::Unload, at, |_, role| role.is_initialisation());
        }
    }
}

/// K05: a way through a routine that fails forgets the handle of a section that it locked, or deletes the device whose
/// extension has it. A driver that is never unloaded
/// may do so.
fn error_paths(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let is =
        |role: Role, function: usize| reach.roots.iter().any(|root| root.role == role && root.function == function);
    if !reach.roots.iter().any(|root| root.role == Role::Unload) {
        return;
    }
    let is_end = |(function, _): &(usize, &Event)| !is(Role::DriverEntry, *function) && reach.is_reached(*function);
    for (function, event) in model.all_events().filter(is_end) {
        let left_by = match event.kind {
            EventKind::Loses | EventKind::Forgets { fails: true } => LeftBy::ErrorPath,
            EventKind::Forgets { fails: false } => LeftBy::OnePath,
            EventKind::LosesDevice => LeftBy::Device,
            _ => continue,
        };
        // Where the way does not fail, somebody else may be meant to unlock.
        let meant = |section: &usize| left_by == LeftBy::OnePath && collector.reach.kept.is_unlockable(*section);
        let mut left = sections(collector, event.held.gained);
        left.retain(|section| !meant(section));
        for section in left {
            kept(collector, section, left_by, event.at, |locker, _| locker == function);
        }
    }
}

/// A lock that stays when a routine is through. The way is that to the lock: `is_it` is asked for the function that locks,
/// and for the role of what the way begins with.
pub(super) fn kept(
    collector: &mut Collector<'_, '_>,
    section: usize,
    left_by: LeftBy,
    at: u32,
    is_it: impl Fn(usize, Role) -> bool,
) {
    let (model, reach) = (collector.model, collector.reach);
    let locks = |(_, _, id, arguments): &(usize, &Event, ImportId, &[Value])| {
        let mut addresses = arguments.first().into_iter().flat_map(|value| value.addresses());
        model.does(*id, Does::LockAddress) && addresses.any(|rva| model.program.section_at(rva) == Some(section))
    };
    let mut ways = model
        .import_calls()
        .filter(locks)
        .flat_map(|(function, event, ..)| reach.at(function, event).map(move |way| (function, event.at, way)));
    let first = ways.find(|(function, _, way)| is_it(*function, reach.role(way.context)));
    let way = first.map_or_else(Vec::new, |(_, at, way)| {
        let mut way = path(model, reach, way.context, at, way.irql);
        way.push(Step { at: Rva(at), kind: StepKind::Locked });
        way
    });
    let section = model.program.section_name(section);
    collector.add_with(FindingKind::UnloadWithLocks { section, left_by }, at, way, None);
}

/// The pageable sections in a set.
pub(super) fn sections(collector: &Collector<'_, '_>, facts: Facts) -> Vec<usize> {
    let all = collector.model.program.image.sections();
    let locked = |index: usize| facts.has(Facts::section(index)) && Facts::section(index) != Facts::NONE;
    (0..all.len()).filter(|&index| locked(index) && all[index].is_pageable_by_name()).collect()
}

/// Where a function, or what it calls, calls a routine that does this.
pub(super) fn call_site<'m>(
    model: &'m Model<'_>,
    reach: &Reach,
    function: usize,
    does: Does,
) -> Option<(usize, &'m Event)> {
    let reached = reach.reached_from(model, [function]);
    let mut calls = model.import_calls().filter(|(_, _, id, _)| model.does(*id, does));
    calls.find(|(caller, ..)| reached.contains(caller)).map(|(caller, event, ..)| (caller, event))
}

/// A01: a request unlocks without having locked, and the request that ends its kind unlocks, too.
fn unbalanced_requests(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    if !model.anywhere(Does::Unlock) {
        return;
    }
    let requests = reach.roots.iter().filter(|root| matches!(root.role, Role::Dispatch(Some(_))));
    let (ending, others): (Vec<_>, Vec<_>) = requests.partition(|root| root.role.is_dispatch_of(&ENDING));
    let calls = |function: usize, does: Does| call_site(model, reach, function, does).is_some();
    let undone = ending.iter().any(|root| calls(root.function, Does::Unlock));
    let ends = |function: usize| ending.iter().any(|root| root.function == function);
    for root in others.into_iter().filter(|root| undone && !ends(root.function)) {
        let locks = [Does::LockAddress, Does::LockHandle].into_iter().any(|does| calls(root.function, does));
        let site = call_site(model, reach, root.function, Does::Unlock);
        if let Some((function, event)) = site.filter(|_| !locks && !knows_of_lock(model, reach, root.function)) {
            collector.add_on_any_way(FindingKind::UnlockWithoutLock, function, event);
        }
    }
}

/// Does a routine, or what it calls, test what routines that lock set: the handle, or a flag or a count beside it?
fn knows_of_lock(model: &Model<'_>, reach: &Reach, routine: usize) -> bool {
    let place = |function: usize, value| reach.objects.place(function as u32, value);
    let locks = |id| model.does(id, Does::LockAddress) || model.does(id, Does::LockHandle);
    let lockers = model.import_calls().filter(|(_, _, id, _)| locks(*id)).map(|(function, ..)| function);
    let set: BTreeSet<Place> = lockers
        .flat_map(|function| {
            model.events.of(function).iter().filter_map(move |event| match event.kind {
                EventKind::Sets { place: at } | EventKind::KeepsHandle { place: at, .. } => {
                    place(function, at.pointee())
                }
                _ => None,
            })
        })
        .collect();
    reach.reached_from(model, [routine]).into_iter().any(|function| {
        let tests = |event: &Event| match event.kind {
            EventKind::Tested { place: value } => place(function, value).is_some_and(|place| set.contains(&place)),
            _ => false,
        };
        model.events.of(function).iter().any(tests)
    })
}

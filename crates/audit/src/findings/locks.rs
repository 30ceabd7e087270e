//! Locks of sections: K01, K05, K07, K12, K18, K25, K28, A01, and NULL for a handle.

use std::collections::BTreeMap;

use super::{Collector, FindingKind, Use};
use crate::code::{Class, ImportId};
use crate::ddi::{Does, Role};
use crate::flow::{Event, EventKind, Facts, Value};
use crate::reach::Way;

/// Requests that end what others began: CLOSE, SHUTDOWN, CLEANUP, POWER, PNP.
const ENDING: [u8; 5] = [0x02, 0x10, 0x12, 0x16, 0x1b];

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    let mut by_address: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (function, event, id, arguments) in model.import_calls() {
        let first = arguments.first().copied().unwrap_or_default();
        if model.does(id, Does::LockAddress) {
            for (rva, section) in first.addresses().filter_map(|rva| Some((rva, model.program.section_at(rva)?))) {
                locks(collector, function, event, section, rva);
                if first == Value::Image(rva) {
                    by_address.entry(section).or_default().push(event.at);
                }
            }
        }
        no_module(collector, event, id, first);
        let by_handle = model.does(id, Does::LockHandle) || model.does(id, Does::Unlock);
        if by_handle && first.number() == Some(0) {
            let routine = model.program.import(id).name.clone();
            collector.add(FindingKind::NullHandle { routine }, event.at, None);
        }
    }
    for (section, places) in by_address.into_iter().filter(|(_, places)| places.len() > 1) {
        let (section, count) = (model.program.section_name(section), places.len() as u32);
        collector.add(FindingKind::RepeatLock { section, places: count }, places[1], None);
    }
    for (_, event) in model.all_events().filter(|(_, event)| event.kind == EventKind::Dereference) {
        collector.add(FindingKind::HandleDereferenced, event.at, None);
    }
    initialisation(collector);
    unbalanced_requests(collector);
}

/// K28, or 0x1A: an address that is certainly in no driver.
fn no_module(collector: &mut Collector<'_, '_>, event: &Event, id: ImportId, address: Value) {
    let model = collector.model;
    let locks = model.does(id, Does::LockAddress);
    let takes_address = locks || model.does(id, Does::PageDriver) || model.does(id, Does::ResetDriver);
    let pool = match address {
        Value::Pool { .. } => true,
        Value::Number(_) => false,
        _ => return,
    };
    if takes_address {
        let routine = model.program.import(id).name.clone();
        collector.add(FindingKind::NoModule { routine, pool, locks }, event.at, None);
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
            collector.add(FindingKind::LockNonpageable { section: name, thunk_to }, event.at, None);
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
    for event in model.events.of(entry.function).iter().filter(|event| event.kind == EventKind::Fails) {
        for section in sections(collector, event.held.gained) {
            collector.add(FindingKind::UnloadWithLocks { section, entry_fails: true }, event.at, None);
        }
    }
    // A routine that several drivers share may have been named first and replaced later.
    let unloads: Vec<usize> =
        reach.roots.iter().filter(|root| root.role == Role::Unload).map(|root| root.function).collect();
    let Some(last) = unloads.last() else { return };
    let (perhaps, at) = (model.summaries[entry.function].held.perhaps, model.functions.all[*last].entry);
    if !perhaps.has(Facts::ALL_SECTIONS) && !unloads.iter().any(|&unload| calls(collector, unload, Does::Unlock)) {
        for section in sections(collector, perhaps) {
            collector.add(FindingKind::UnloadWithLocks { section, entry_fails: false }, at, None);
        }
    }
}

/// Names of the pageable sections in a set.
fn sections(collector: &Collector<'_, '_>, facts: Facts) -> Vec<String> {
    let program = &collector.model.program;
    let indices = 0..program.image.sections().len();
    let locked = indices.filter(|&index| facts.has(Facts::section(index)) && Facts::section(index) != Facts::NONE);
    locked
        .filter(|&index| program.image.sections()[index].is_pageable_by_name())
        .map(|index| program.section_name(index))
        .collect()
}

/// Does a function, or what it calls, call a routine that does this?
fn calls(collector: &Collector<'_, '_>, function: usize, does: Does) -> bool {
    call_site(collector, function, does).is_some()
}

fn call_site(collector: &Collector<'_, '_>, function: usize, does: Does) -> Option<u32> {
    let reached = collector.reach.reached_from(collector.model, function);
    let found = collector
        .model
        .import_calls()
        .find(|(caller, _, id, _)| collector.model.does(*id, does) && reached.contains(caller));
    found.map(|(_, event, ..)| event.at)
}

/// A01: a request unlocks without having locked, and the request that ends its kind unlocks, too.
fn unbalanced_requests(collector: &mut Collector<'_, '_>) {
    let reach = collector.reach;
    if !collector.model.anywhere(Does::Unlock) {
        return;
    }
    let is_ending = |role: Role| matches!(role, Role::Dispatch(Some(major)) if ENDING.contains(&major));
    let requests = reach.roots.iter().filter(|root| matches!(root.role, Role::Dispatch(Some(_))));
    let (ending, others): (Vec<_>, Vec<_>) = requests.partition(|root| is_ending(root.role));
    let undone = ending.iter().any(|root| calls(collector, root.function, Does::Unlock));
    let ends = |function: usize| ending.iter().any(|root| root.function == function);
    for root in others.into_iter().filter(|root| undone && !ends(root.function)) {
        let locks = [Does::LockAddress, Does::LockHandle].into_iter().any(|does| calls(collector, root.function, does));
        if let Some(at) = call_site(collector, root.function, Does::Unlock)
            && !locks
        {
            collector.add(FindingKind::UnlockWithoutLock, at, None);
        }
    }
}

//! Objects and routines in memory that may be out: K09, K10, K11, K21, K22.

use super::{Assumption, Collector, FindingKind};
use crate::code::{Class, ImportId};
use crate::ddi::{Does, Kind, Role};
use crate::flow::{Event, Facts, Value};
use crate::reach::{Root, Step, StepKind};
use nt_types::Rva;
use nt_types::constants::IRP_MJ_POWER;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    routines(collector);
    let model = collector.model;
    let initialises = |id: ImportId| model.program.import(id).name.contains("Initialize");
    // An object is told once: where it is initialised, if that is seen, else where it is first used.
    let (first, later): (Vec<_>, Vec<_>) = model.import_calls().partition(|(_, _, id, _)| initialises(*id));
    for (function, event, id, arguments) in first.into_iter().chain(later) {
        let import = model.program.import(id);
        for does in import.routine.map_or(&[][..], |routine| routine.does) {
            if let Does::Object(n, object) = *does
                && let Some(value) = arguments.get(usize::from(n) - 1)
            {
                lies_in(collector, (function, event), object, *value, &import.name);
            }
        }
    }
}

/// Routines whose kind alone forbids a pageable section.
fn routines(collector: &mut Collector<'_, '_>) {
    let locked = collector.locked;
    let reach = collector.reach;
    let for_life = std::cell::OnceCell::new();
    for root in &reach.roots {
        let (Some(at), Some(function)) = (root.named_at, collector.model.functions.all.get(root.function)) else {
            continue;
        };
        let Class::Pageable { section: index, leaves } = collector.model.program.class(function.entry) else {
            continue;
        };
        let section = collector.model.program.section_name(index);
        let locked = locked.has_section(index);
        let not_locked = locked.then(|| Assumption::NotLocked { section: section.clone() });
        let (kind, assumes) = match root.role {
            // "An ISR must never be pageable", locked or not (R22).
            Role::Isr => (FindingKind::Isr { section }, None),
            Role::Dpc | Role::IoTimer if leaves && !locked => {
                (FindingKind::Dpc { role: root.role.name(), section }, None)
            }
            Role::Completion if locked && for_life.get_or_init(|| locked_for_life(collector)).has_section(index) => {
                continue;
            }
            Role::Completion if locked && locked_for_power(collector, at).has_section(index) => continue,
            Role::Completion => (FindingKind::Completion { section }, not_locked),
            _ => continue,
        };
        let named = Step { at: Rva(at), kind: StepKind::Named };
        collector.add_with(kind, function.entry, vec![named], assumes);
    }
}

/// Sections that DriverEntry may lock, where nothing but it and Unload unlocks any.
fn locked_for_life(collector: &Collector<'_, '_>) -> Facts {
    let (model, reach) = (collector.model, collector.reach);
    let first = |role: Role| matches!(role, Role::DriverEntry | Role::Unload);
    let (ends, others): (Vec<_>, Vec<_>) = reach.roots.iter().partition(|root| first(root.role));
    let reached = reach.reached_from(model, others.iter().map(|root| root.function));
    let mut unlocks = model.import_calls().filter(|(_, _, id, _)| model.does(*id, Does::Unlock));
    if unlocks.any(|(function, ..)| reached.contains(&function)) {
        return Facts::NONE;
    }
    let entries = ends.into_iter().filter(|root| root.role == Role::DriverEntry);
    entries.fold(Facts::NONE, |all, root| all.or(model.summaries[root.function].held.perhaps))
}

/// Sections that a routine for a callback object locks, where the code at `at` runs for power requests alone: the system calls
/// the routine for `\Callback\PowerState` before it sends them, so that drivers lock what they need ("ExRegisterCallback").
fn locked_for_power(collector: &Collector<'_, '_>, at: u32) -> Facts {
    let (model, reach) = (collector.model, collector.reach);
    let function = model.functions.around(at);
    if function.is_none_or(|function| reached_otherwise(collector).contains(&function)) {
        return Facts::NONE;
    }
    let callbacks = reach.roots.iter().filter(|root| root.role == Role::SystemCallback).map(|root| root.function);
    let reached = reach.reached_from(model, callbacks);
    reached.into_iter().fold(Facts::NONE, |all, function| all.or(model.summaries[function].locks))
}

/// Functions that run for something else than a power request, or its completion.
fn reached_otherwise(collector: &Collector<'_, '_>) -> Vec<usize> {
    let (model, reach) = (collector.model, collector.reach);
    let others = |root: &&Root| !root.role.is_dispatch_of(&[IRP_MJ_POWER]) && root.role != Role::Completion;
    let mut reached = reach.reached_from(model, reach.roots.iter().filter(others).map(|root| root.function));
    loop {
        let named = |root: &&Root| root.named_at.and_then(|at| model.functions.around(at));
        let from = |root: &&Root| named(root).is_none_or(|function| reached.contains(&function));
        let completions = reach.roots.iter().filter(|root| root.role == Role::Completion);
        let new = completions.filter(from).map(|root| root.function).filter(|function| !reached.contains(function));
        let new = reach.reached_from(model, new);
        if new.is_empty() {
            return reached;
        }
        reached.extend(new);
    }
}

/// An object is given to a routine of the system.
fn lies_in(
    collector: &mut Collector<'_, '_>,
    (function, event): (usize, &Event),
    object: Kind,
    value: Value,
    routine: &str,
) {
    let target = match value {
        Value::Image(rva) => match collector.model.program.class(rva) {
            Class::Pageable { section, leaves: true } => Some(collector.target(section, rva)),
            _ => return,
        },
        Value::Pool { paged: true, .. } => None,
        _ => return,
    };
    if target.is_some() && !collector.objects.insert((object, target.clone())) {
        return;
    }
    let kind = match object {
        Kind::WorkItem => FindingKind::WorkItem { target },
        object => FindingKind::Object { object, target, routine: routine.to_owned() },
    };
    collector.add_on_any_way(kind, function, event);
}

//! Locks and unlocks, counted over the whole driver: A01, K05.

use nt_types::Rva;
use nt_types::constants::{IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE};

use super::locks::{call_site, kept, sections};
use super::{Collector, FindingKind, LeftBy};
use crate::ddi::{Does, Role};
use crate::flow::{Event, EventKind, Facts, Value};
use crate::reach::{Step, StepKind, path};

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    // What is not known of one function is not known of the sum.
    if collector.model.unfollowed.is_empty() {
        too_many_unlocks(collector);
        too_few_unlocks(collector);
        opened_twice(collector);
    }
}

/// Sections that something is done with once, and twice or more often.
#[derive(Clone, Copy, Default)]
struct Times {
    once: Facts,
    twice: Facts,
}

impl Times {
    fn plus(self, other: Times) -> Times {
        Times { once: self.once.or(other.once), twice: self.twice.or(other.twice).or(self.once.and(other.once)) }
    }

    fn or(self, other: Times) -> Times {
        Times { once: self.once.or(other.once), twice: self.twice.or(other.twice) }
    }

    /// More often than `other`, which is not often enough.
    fn beyond(self, other: Times) -> Facts {
        self.once.without(other.once).or(self.twice.without(other.twice))
    }
}

/// Functions that the system calls, and those of which it is not known who calls them, with what they are called as.
fn entered(collector: &Collector<'_, '_>) -> impl Iterator<Item = (usize, Role)> {
    let reach = collector.reach;
    let unknown = (0..collector.model.functions.all.len()).filter(|&function| !reach.is_reached(function));
    let mut roots: Vec<(usize, Role)> = reach.roots.iter().map(|root| (root.function, root.role)).collect();
    roots.sort_unstable();
    roots.dedup_by_key(|(function, _)| *function);
    roots.into_iter().chain(unknown.map(|function| (function, Role::Unknown)))
}

/// A01: a routine that the system calls unlocks a section more often than it and all others lock it.
fn too_many_unlocks(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let locked = entered(collector).fold(Times::default(), |all, (function, _)| {
        let balance = model.summaries[function].balance;
        all.plus(Times { once: balance.at_most(1), twice: balance.at_most(2) })
    });
    // A termination handler unlocks what its function locked.
    for root in reach.roots.iter().filter(|root| root.role != Role::Unknown) {
        for event in model.events.of(root.function) {
            let EventKind::Unlocks { once, twice } = event.kind else { continue };
            for section in sections(collector, Times { once, twice }.beyond(locked)) {
                let way = way_to_unlock(collector, root.function, event, section);
                let section = model.program.section_name(section);
                collector.add_with(FindingKind::TooManyUnlocks { section }, event.at, way, None);
            }
        }
    }
}

/// The way to an unlock, and what else its function locks and unlocks of the same section.
fn way_to_unlock(collector: &Collector<'_, '_>, function: usize, event: &Event, section: usize) -> Vec<Step> {
    let (model, reach) = (collector.model, collector.reach);
    let Some(way) = reach.at(function, event).next() else { return Vec::new() };
    let mut steps = path(model, reach, way.context, event.at, way.irql);
    for (caller, call, id, arguments) in model.import_calls() {
        let is = |does: Does| model.does(id, does);
        let kind = match () {
            () if is(Does::LockAddress) || is(Does::LockHandle) => StepKind::Locked,
            () if is(Does::Unlock) => StepKind::Unlocked,
            () => continue,
        };
        let of = arguments.first().and_then(|argument| section_of(collector, function, *argument));
        if caller == function && call.at != event.at && of == Some(section) {
            steps.push(Step { at: Rva(call.at), kind });
        }
    }
    steps
}

/// The section that an address or a handle stands for.
fn section_of(collector: &Collector<'_, '_>, function: usize, value: Value) -> Option<usize> {
    match value {
        Value::Image(rva) => collector.model.program.section_at(rva),
        Value::Handle(section) => section.map(usize::from),
        _ => collector.reach.kept.section(collector.reach.objects.place(function as u32, value)?),
    }
}

/// K05: what `DriverEntry` locks is unlocked less often by all others, at most, or by `Unload` alone, and not on each of its ways.
fn too_few_unlocks(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let Some(entry) = reach.roots.iter().find(|root| root.role == Role::DriverEntry) else { return };
    // A routine that several drivers share may have been named first and replaced later.
    let unloads: Vec<usize> =
        reach.roots.iter().filter(|root| root.role == Role::Unload).map(|root| root.function).collect();
    let Some(last) = unloads.last() else { return };
    let unlocked = |function: usize| {
        let balance = model.summaries[function].balance;
        Times { once: balance.perhaps_below(1), twice: balance.perhaps_below(2) }
    };
    // Whoever else unlocks may do so again and again.
    let others = entered(collector).filter(|(function, _)| *function != entry.function && !unloads.contains(function));
    let by_others = others.fold(Facts::NONE, |all, (function, _)| all.or(unlocked(function).once));
    let by_unload = unloads.iter().map(|&unload| unlocked(unload)).fold(Times::default(), Times::or);
    let always = unloads.iter().fold(Facts::NONE, |all, &unload| all.or(model.summaries[unload].balance.below(1)));
    let initialises = |_: usize, role: Role| role.is_initialisation();
    for event in model.events.of(entry.function) {
        let EventKind::Locks { once, twice } = event.kind else { continue };
        for section in sections(collector, twice.without(by_others).without(by_unload.twice)) {
            kept(collector, section, LeftBy::Count, event.at, initialises);
        }
        for section in sections(collector, once.without(by_others).without(by_unload.once)) {
            // Who keeps the handle is told that nobody takes it.
            if !reach.kept.holds(section) {
                kept(collector, section, LeftBy::Unload, model.functions.all[*last].entry, initialises);
            }
        }
        let on_a_way = by_unload.once.without(by_unload.twice).without(always);
        for section in sections(collector, once.without(by_others).and(on_a_way)) {
            for (unload, skips) in
                unloads.iter().flat_map(|&unload| model.events.of(unload).iter().map(move |event| (unload, event)))
            {
                if is_unrelated(collector, unload, skips) {
                    kept(collector, section, LeftBy::UnloadPath, skips.at, initialises);
                }
            }
        }
    }
}

/// K05: an open locks a section twice, and what comes when a file is closed unlocks it once at most, and nobody else does.
fn opened_twice(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    let is_only = |function: usize, majors: &[u32]| {
        let mut roles = reach.roots.iter().filter(|root| root.function == function).map(|root| root.role).peekable();
        roles.peek().is_some() && roles.all(|role| role.is_dispatch_of(majors))
    };
    let open = reach.roots.iter().map(|root| root.function).find(|&function| is_only(function, &[IRP_MJ_CREATE]));
    let Some(open) = open.filter(|_| reach.roots.iter().any(|root| root.role == Role::Unload)) else { return };
    let mut unlocked = Times::default();
    for (function, _) in entered(collector).filter(|(function, role)| *function != open && !role.is_initialisation()) {
        let balance = model.summaries[function].balance;
        let times = Times { once: balance.perhaps_below(1), twice: balance.perhaps_below(2) };
        let closes = is_only(function, &[IRP_MJ_CLOSE, IRP_MJ_CLEANUP]);
        // Whoever else unlocks may do so again and again.
        unlocked = unlocked.plus(if closes { times } else { Times { twice: times.once, ..times } });
    }
    for event in model.events.of(open) {
        let EventKind::Locks { twice, .. } = event.kind else { continue };
        for section in sections(collector, twice.and(unlocked.once).without(unlocked.twice)) {
            let opens = |_: usize, role: Role| role.is_dispatch_of(&[IRP_MJ_CREATE]);
            kept(collector, section, LeftBy::Count, event.at, opens);
        }
    }
}

/// Does a jump leave out an unlock because of a variable that has nothing to do with locks: one that is set, but by nothing that
/// runs when a section is locked or unlocked?
fn is_unrelated(collector: &Collector<'_, '_>, function: usize, event: &Event) -> bool {
    let (model, reach) = (collector.model, collector.reach);
    let EventKind::Skips { place: Value::Global(variable) } = event.kind else { return false };
    let sets = |event: &Event| match event.kind {
        EventKind::Sets { place } | EventKind::KeepsHandle { place, .. } => place == Value::Image(variable),
        EventKind::StoreGlobal { rva, .. } => rva == variable,
        _ => false,
    };
    let is_given = |event: &Event| match event.kind {
        EventKind::Call { arguments, .. } => model.events.arguments(arguments).contains(&Value::Image(variable)),
        _ => false,
    };
    let mut setters = model.all_events().filter(|(_, event)| sets(event)).map(|(function, _)| function).peekable();
    if setters.peek().is_none() || model.all_events().any(|(_, event)| is_given(event)) {
        return false;
    }
    let locks = |function| {
        let routines = [Does::LockAddress, Does::LockHandle, Does::Unlock];
        routines.into_iter().any(|does| call_site(model, reach, function, does).is_some())
    };
    let lockers = reach.roots.iter().map(|root| root.function).filter(|&function| locks(function));
    let with_locks = reach.reached_from(model, lockers.chain([function]));
    setters.all(|function| !with_locks.contains(&function))
}

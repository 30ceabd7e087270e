//! Code and data that may be out, or gone, when they are needed: K12, K13.

use super::{Assumption, Collector, FindingKind, Use};
use crate::code::Class;
use crate::ddi::{Does, Role};
use crate::flow::{Access, Event, EventKind, Facts, Range, Target, Value};
use crate::reach::{Context, Way};
use nt_types::Irql;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    named_routines(collector);
    for (function, event) in model.all_events() {
        match event.kind {
            EventKind::Call { target, arguments } => {
                // Which entry of a table is called, and how large they are, the image does not show.
                if !matches!(target, Target::Place { table: true, .. }) {
                    for callee in collector.reach.targets(model, function, target) {
                        enters(collector, function, event, callee);
                    }
                }
                if let Target::Import(id) = target {
                    let routine = model.program.import(id);
                    for does in routine.routine.map_or(&[][..], |routine| routine.does) {
                        let (n, access) = match does {
                            Does::Reads(n) => (n, Access::Read),
                            Does::Writes(n) => (n, Access::Write),
                            _ => continue,
                        };
                        if let Some(Value::Image(rva)) = model.events.arguments(arguments).get(usize::from(*n) - 1) {
                            touches(collector, function, event, *rva, access, Some(&routine.name));
                        }
                    }
                }
            }
            EventKind::Touch { rva, access } => touches(collector, function, event, rva, access, None),
            _ => {}
        }
    }
}

/// Routines that the system calls at DISPATCH_LEVEL or above, or after they are gone. The kinds that have a finding of
/// their own are left to it.
fn named_routines(collector: &mut Collector<'_, '_>) {
    let reach = collector.reach;
    for (index, root) in reach.roots.iter().enumerate() {
        let Some(named_at) = root.named_at else { continue };
        let entry = collector.model.functions.all[root.function].entry;
        let context = reach.of(root.function).find(|(_, c)| c.root as usize == index && c.from.is_none());
        match collector.model.program.class(entry) {
            Class::Discarded { section } if !root.role.is_initialisation() && root.role != Role::Passive => {
                let target = collector.target(section, entry);
                let function = collector.model.functions.around(named_at);
                let way =
                    function.and_then(|function| reach.of(function).next()).map(|(id, context)| (id, context.irql));
                collector.add(FindingKind::Discarded { target, how: Use::Named }, named_at, way);
            }
            Class::Pageable { section, leaves: true }
                if root.role.irql().never_faults() && !has_own_finding(root.role) =>
            {
                let Some((id, context)) = context else { continue };
                let irql = root.role.irql();
                if !context.held.has_section(section) {
                    let kind = FindingKind::PageableCode { target: collector.target(section, entry), irql: irql.low };
                    collector.add(kind, entry, Some((id, irql)));
                }
            }
            _ => {}
        }
    }
}

fn has_own_finding(role: Role) -> bool {
    matches!(role, Role::Isr | Role::Dpc | Role::ThreadedDpc | Role::IoTimer | Role::Completion)
}

/// A call of a function that may be out or gone, from code that is not.
fn enters(collector: &mut Collector<'_, '_>, function: usize, event: &Event, callee: usize) {
    let program = &collector.model.program;
    let (from, entry) = (program.class(event.at), collector.model.functions.all[callee].entry);
    let to = program.class(entry);
    if to.section().is_none() || from.section() == to.section() {
        return;
    }
    let Some(section) = to.section() else { return };
    let reach = collector.reach;
    let found = reach.at(function, event).filter_map(|way| {
        let kind = match to {
            Class::Discarded { .. } if way.initialised && !matches!(from, Class::Discarded { .. }) => {
                FindingKind::Discarded { target: collector.target(section, entry), how: Use::Called }
            }
            Class::Pageable { leaves: true, .. } if is_out(collector, way, section, Some(callee)) => {
                FindingKind::PageableCode { target: collector.target(section, entry), irql: fatal(way.irql) }
            }
            _ => return None,
        };
        Some((kind, way))
    });
    add_first(collector, event.at, found.collect());
}

/// A use of data that may be out or gone.
fn touches(
    collector: &mut Collector<'_, '_>,
    function: usize,
    event: &Event,
    rva: u32,
    access: Access,
    routine: Option<&str>,
) {
    let program = &collector.model.program;
    let (from, to) = (program.class(event.at), program.class(rva));
    let Some(section) = to.section() else { return };
    let reach = collector.reach;
    let found = reach.at(function, event).filter_map(|way| {
        let target = collector.target(section, rva);
        let kind = match to {
            Class::Discarded { .. } if way.initialised && !matches!(from, Class::Discarded { .. }) => {
                let how = if access == Access::Write { Use::Written } else { Use::Read };
                FindingKind::Discarded { target, how }
            }
            Class::Pageable { leaves: true, .. }
                if is_out(collector, way, section, None) && from.section() != to.section() =>
            {
                let (write, routine) = (access == Access::Write, routine.map(str::to_owned));
                FindingKind::PageableData { target, write, routine, irql: fatal(way.irql) }
            }
            _ => return None,
        };
        Some((kind, way))
    });
    add_first(collector, event.at, found.collect());
}

/// Adds the first of what is found on several ways that takes nothing for granted, else the first.
fn add_first(collector: &mut Collector<'_, '_>, at: u32, mut found: Vec<(FindingKind, Way)>) {
    let reach = collector.reach;
    let assumes = |kind: &FindingKind, way: Way| match kind {
        FindingKind::Discarded { .. } => (reach.role(way.context) == Role::Unknown).then_some(Assumption::CalledLater),
        _ => (!way.irql.never_faults()).then_some(Assumption::AtDispatch),
    };
    found.sort_by_key(|(kind, way)| assumes(kind, *way).is_some());
    if let Some((kind, way)) = found.into_iter().next() {
        let assumes = assumes(&kind, way);
        collector.add_assuming(kind, at, Some((way.context, way.irql)), assumes);
    }
}

/// May a page of the section be out where a fault is fatal? Where IRQL is what the system calls a routine at, and may be
/// DISPATCH_LEVEL, that it is so has to be assumed. A driver does not expect it of a routine that is pageable itself, or is
/// reached through pageable code: the fault would come there first; nor where it has waited. The level of a request depends on who sends it: the driver
/// does not expect it of those that come at PASSIVE_LEVEL, nor where what is `called` may wait, nor where a routine on the way
/// has done before, or does in any case, what is allowed below DISPATCH_LEVEL only.
fn is_out(collector: &Collector<'_, '_>, way: Way, section: usize, called: Option<usize>) -> bool {
    let role = collector.reach.role(way.context);
    let may_be = way.irql.high == Irql::DISPATCH.level() && way.irql == role.irql();
    let shown = || {
        let waits = |callee: usize| collector.model.summaries[callee].held.perhaps.has(Facts::WAITS);
        let passive = way.held.has(Facts::PASSIVE_REQUEST) || way.held.has(Facts::BELOW_DISPATCH);
        let request = matches!(role, Role::Dispatch(_));
        let on_way = || any_on_way(collector, way, |context| ends_below(collector, context));
        way.held.has(Facts::WAITS) || request && (passive || called.is_some_and(waits) || on_way())
    };
    let possible = || may_be && !shown() && !any_on_way(collector, way, |context| is_pageable(collector, context));
    !way.held.has_section(section) && (way.irql.never_faults() || possible())
}

/// Does every way through the routine show that IRQL is below DISPATCH_LEVEL?
fn ends_below(collector: &Collector<'_, '_>, context: &Context) -> bool {
    collector.model.summaries[context.function as usize].held.gained.has(Facts::BELOW_DISPATCH)
}

/// Is the routine pageable, and its section not locked?
fn is_pageable(collector: &Collector<'_, '_>, context: &Context) -> bool {
    let class = collector.model.program.class(collector.model.functions.all[context.function as usize].entry);
    matches!(class, Class::Pageable { section, leaves: true } if !context.held.has_section(section))
}

/// Is a routine on the way such a one, from that which the system calls on?
fn any_on_way(collector: &Collector<'_, '_>, way: Way, is_one: impl Fn(&Context) -> bool) -> bool {
    let first = Some(way.context);
    let mut contexts = std::iter::successors(first, |id| collector.reach.context(*id).from.map(|(caller, _)| caller));
    contexts.any(|id| is_one(collector.reach.context(id)))
}

/// The lowest level at which the fault is fatal.
fn fatal(irql: Range) -> u8 {
    irql.low.max(Irql::DISPATCH.level())
}

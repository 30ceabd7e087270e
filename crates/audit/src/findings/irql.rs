//! IRQL raised in the wrong code, or code called at the wrong IRQL: K02, K14, K26.

use super::{Collector, FindingKind};
use crate::code::{Class, ImportId};
use crate::ddi::Does;
use crate::flow::{Event, EventKind, Range, Target, Value};
use crate::model::Model;
use crate::reach::Way;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    for (function, event) in collector.model.all_events() {
        match event.kind {
            EventKind::Raise { by, to } => {
                if let Some(to) = to.only_absolute().filter(|to| to.never_faults()) {
                    raises(collector, function, event, by, to);
                }
            }
            EventKind::Call { target: Target::Function(callee), .. } => {
                goes_on(collector, function, event, callee as usize);
            }
            EventKind::Call { target: Target::Import(id), arguments } => {
                let import = collector.model.program.import(id);
                if import.apc_or_below {
                    above_apc(collector, function, event, &import.name);
                }
                for does in import.routine.map_or(&[][..], |routine| routine.does) {
                    match does {
                        Does::AcquireRaised => raises(collector, function, event, Some(id), Range::new(2, 15)),
                        Does::WaitsNext(n) => {
                            let wait = collector.model.events.arguments(arguments).get(usize::from(*n) - 1);
                            waits_next(collector, function, event, &import.name, wait);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// K26. The instruction after the raise is fetched where a page fault is fatal; what was raised before is not told again.
fn raises(collector: &mut Collector<'_, '_>, function: usize, event: &Event, by: Option<ImportId>, to: Range) {
    let Class::Pageable { section, leaves: true } = collector.model.program.class(event.at + u32::from(event.length))
    else {
        return;
    };
    let reach = collector.reach;
    let found = reach.at(function, event).find(|way| !way.irql.never_faults() && !way.held.has_section(section));
    let unreached = !reach.is_reached(function) && !collector.locked.has_section(section);
    if found.is_some() || unreached {
        let routine = by.map(|id| collector.model.program.import(id).name.clone());
        let section = collector.model.program.section_name(section);
        let way = found.map(|way| (way.context, way.irql));
        collector.add(FindingKind::RaiseInPageable { section, routine, to: to.low }, event.at, way);
    }
}

/// K13: pageable code goes on after a call that returns where a page fault is fatal. What raises in the same section is told
/// there.
fn goes_on(collector: &mut Collector<'_, '_>, function: usize, event: &Event, callee: usize) {
    let (model, reach) = (collector.model, collector.reach);
    let summary = &model.summaries[callee];
    let Some(to) = summary.irql.only_absolute().filter(|to| to.never_faults()) else { return };
    let next = event.at + u32::from(event.length);
    let Class::Pageable { section, leaves: true } = model.program.class(next) else { return };
    let same = model.program.class(model.functions.all[callee].entry).section() == Some(section);
    if same || summary.never_returns || !is_call(model, event) {
        return;
    }
    let locked = |way: &Way| way.held.or(summary.held.perhaps).has_section(section);
    if let Some(way) = reach.at(function, event).find(|way| !way.irql.never_faults() && !locked(way)) {
        let kind = FindingKind::PageableCode { target: collector.target(section, next), irql: to.low };
        collector.add(kind, next, Some((way.context, to)));
    }
}

/// Is it a call, and no jump to another function?
fn is_call(model: &Model<'_>, event: &Event) -> bool {
    let code = model.program.bytes.get(event.at as usize..).unwrap_or_default();
    matches!(code, [0xe8, ..] | [0xff | 0x41, 0x10..=0x17 | 0x50..=0x57 | 0xd0..=0xd7 | 0xff, ..])
}

/// K02: the rule IrqlMmApcLte.
fn above_apc(collector: &mut Collector<'_, '_>, function: usize, event: &Event, routine: &str) {
    let reach = collector.reach;
    if let Some(Way { context, irql, .. }) = reach.at(function, event).find(|way| way.irql.never_faults()) {
        let kind = FindingKind::AboveApc { routine: routine.to_owned(), irql: irql.low };
        collector.add(kind, event.at, Some((context, irql)));
    }
}

/// K14: the call returns at DISPATCH_LEVEL to a page that may be out.
fn waits_next(collector: &mut Collector<'_, '_>, function: usize, event: &Event, routine: &str, wait: Option<&Value>) {
    let waits = wait.and_then(|value| value.number()).is_some_and(|wait| wait & 0xff != 0);
    let Class::Pageable { section, leaves: true } = collector.model.program.class(event.at + u32::from(event.length))
    else {
        return;
    };
    let reach = collector.reach;
    let found = reach.at(function, event).find(|way| !way.held.has_section(section));
    if waits && let Some(Way { context, irql, .. }) = found {
        let section = collector.model.program.section_name(section);
        let kind = FindingKind::WaitTrue { routine: routine.to_owned(), section };
        collector.add(kind, event.at, Some((context, irql)));
    }
}

//! IRQL raised in the wrong code, or code called at the wrong IRQL: K02, K14, K26.

use super::{Collector, FindingKind};
use crate::code::{Class, ImportId};
use crate::ddi::{self, Does};
use crate::flow::{Event, EventKind, Range, Target, Value};

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    for (function, event) in collector.model.all_events() {
        match &event.kind {
            EventKind::Raise { by, to } => {
                if let Some(to) = to.only_absolute().filter(|to| to.never_faults()) {
                    raises(collector, function, event, *by, to);
                }
            }
            EventKind::Call { target: Target::Import(id), arguments } => {
                let import = collector.model.program.import(*id);
                if ddi::is_apc_or_below(&import.name) {
                    above_apc(collector, function, event, &import.name);
                }
                for does in import.routine.map_or(&[][..], |routine| routine.does) {
                    match does {
                        Does::AcquireRaised => raises(collector, function, event, Some(*id), Range::new(2, 15)),
                        Does::WaitsNext(n) => {
                            wait(collector, function, event, &import.name, arguments.get(usize::from(*n) - 1));
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
    let found = reach.at(function, event).find(|(_, _, irql, held)| !irql.never_faults() && !held.has_section(section));
    let unreached = reach.contexts[function].is_empty() && !collector.locked.has_section(section);
    if found.is_some() || unreached {
        let routine = by.map(|id| collector.model.program.import(id).name.clone());
        let section = collector.model.program.section_name(section);
        let way = found.map(|(context, _, irql, _)| (function, context, irql));
        collector.add(FindingKind::RaiseInPageable { section, routine, to: to.low }, event.at, way);
    }
}

/// K02: the rule IrqlMmApcLte.
fn above_apc(collector: &mut Collector<'_, '_>, function: usize, event: &Event, routine: &str) {
    let reach = collector.reach;
    if let Some((context, _, irql, _)) = reach.at(function, event).find(|(_, _, irql, _)| irql.never_faults()) {
        let kind = FindingKind::AboveApc { routine: routine.to_owned(), irql: irql.low };
        collector.add(kind, event.at, Some((function, context, irql)));
    }
}

/// K14: the call returns at DISPATCH_LEVEL to a page that may be out.
fn wait(collector: &mut Collector<'_, '_>, function: usize, event: &Event, routine: &str, wait: Option<&Value>) {
    let waits = wait.and_then(|value| value.number()).is_some_and(|wait| wait & 0xff != 0);
    let Class::Pageable { section, leaves: true } = collector.model.program.class(event.at + u32::from(event.length))
    else {
        return;
    };
    let reach = collector.reach;
    let found = reach.at(function, event).find(|(_, _, _, held)| !held.has_section(section));
    if waits && let Some((context, _, irql, _)) = found {
        let section = collector.model.program.section_name(section);
        let kind = FindingKind::WaitTrue { routine: routine.to_owned(), section };
        collector.add(kind, event.at, Some((function, context, irql)));
    }
}

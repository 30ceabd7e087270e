//! PAGED_CODE in checked builds, where it leaves a trace (R30, R32): A02, A03, A04.

use super::{Collector, FindingKind};
use crate::code::Class;
use crate::flow::{EventKind, Target};
use crate::model::Model;

/// How far into a routine PAGED_CODE stands, in bytes: it comes before the first condition (R150).
const PROLOG: u32 = 64;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    let asserting: Vec<bool> = (0..model.functions.all.len()).map(|function| asserts(model, function)).collect();
    if !asserting.contains(&true) {
        return;
    }
    let reach = collector.reach;
    let mut missing = Vec::new();
    for (function, asserts) in asserting.iter().enumerate() {
        let entry = model.functions.all[function].entry;
        let above = reach.of(function).find(|(_, context)| context.irql.never_faults());
        match (model.program.class(entry), asserts) {
            (class, true) => {
                if let Some((id, context)) = above {
                    let irql = context.irql;
                    let kind = FindingKind::PagedCodeFails { routine: nt_types::Rva(entry), irql: irql.low };
                    collector.add(kind, entry, Some((id, irql)));
                }
                if class == Class::Resident {
                    collector.add(FindingKind::PagedCodeInNonpaged, entry, None);
                }
            }
            // PAGED_CODE_LOCKED leaves no trace: routines of sections that are locked may have it.
            (Class::Pageable { section, .. }, false) if !collector.locked.has_section(section) => missing.push(entry),
            _ => {}
        }
    }
    let with = asserting.iter().filter(|asserts| **asserts).count();
    if with >= missing.len() {
        missing.into_iter().for_each(|entry| collector.add(FindingKind::PagedCodeMissing, entry, None));
    }
}

/// Does a routine begin with PAGED_CODE? It compares the level with APC_LEVEL and asserts.
fn asserts(model: &Model<'_>, function: usize) -> bool {
    let entry = model.functions.all[function].entry;
    let events = model.events.of(function);
    let compares = |at: u32| at.checked_sub(entry).is_some_and(|offset| offset < PROLOG);
    let fails = |kind: &EventKind| match kind {
        EventKind::AssertionFails => true,
        EventKind::Call { target: Target::Import(id), .. } => model.program.import(*id).name == "RtlAssert",
        _ => false,
    };
    events.iter().any(|event| event.kind == EventKind::ComparesWithApc && compares(event.at))
        && events.iter().any(|event| fails(&event.kind))
}

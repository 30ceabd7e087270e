//! PAGED_CODE in checked builds, where it leaves a trace (R30, R32): A02, A03, A04.

use super::{Collector, FindingKind};
use crate::code::Class;
use crate::flow::{EventKind, Target};
use crate::model::Model;

/// How far into a routine PAGED_CODE stands, in bytes: it comes before the first condition (R150). One further down may be
/// that of a routine that was inlined, or stand behind assertions of other kinds.
const PROLOG: u32 = 64;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    let asserted: Vec<Option<Asserted>> = (0..model.functions.all.len()).map(|index| asserted(model, index)).collect();
    let with = asserted.iter().flatten().count();
    if with == 0 {
        return;
    }
    let reach = collector.reach;
    let mut missing = Vec::new();
    for (function, asserted) in asserted.into_iter().enumerate() {
        let entry = model.functions.all[function].entry;
        let above = reach.of(function).find(|(_, context)| context.irql.never_faults());
        match (model.program.class(entry), asserted) {
            (class, Some(Asserted { offset, fails })) if offset < PROLOG => {
                if let Some((id, context)) = above {
                    let irql = context.irql;
                    let kind = FindingKind::PagedCodeFails { routine: nt_types::Rva(entry), irql: irql.low };
                    collector.add(kind, fails, Some((id, irql)));
                }
                if class == Class::Resident {
                    collector.add(FindingKind::PagedCodeInNonpaged, fails, None);
                }
            }
            // PAGED_CODE_LOCKED leaves no trace: routines of sections that are locked may have it. What nothing leads to may be
            // padding that a PDB has a name for.
            (Class::Pageable { section, .. }, None)
                if !collector.locked.has_section(section) && reach.is_reached(function) =>
            {
                missing.push(entry);
            }
            _ => {}
        }
    }
    if with >= missing.len() {
        missing.into_iter().for_each(|entry| collector.add(FindingKind::PagedCodeMissing, entry, None));
    }
}

/// PAGED_CODE in a routine.
struct Asserted {
    /// How far into the routine it stands, in bytes.
    offset: u32,
    /// Where the assertion fails.
    fails: u32,
}

/// PAGED_CODE, if it is there: it compares the level with APC_LEVEL and asserts.
fn asserted(model: &Model<'_>, function: usize) -> Option<Asserted> {
    let events = model.events.of(function);
    let fails = |kind: &EventKind| match kind {
        EventKind::AssertionFails => true,
        EventKind::Call { target: Target::Import(id), .. } => model.program.import(*id).name == "RtlAssert",
        _ => false,
    };
    let compares = events.iter().find(|event| event.kind == EventKind::ComparesWithApc)?;
    // The compiler may move what fails to the end of the routine.
    let after = events.iter().find(|event| event.at > compares.at && fails(&event.kind))?;
    let entry = model.functions.all[function].entry;
    Some(Asserted { offset: compares.at.abs_diff(entry), fails: after.at })
}

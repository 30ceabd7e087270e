//! What may be reached in ways that the audit does not see.

use std::collections::BTreeSet;

use nt_types::Irql;

use super::Doubt;
use crate::flow::{Event, EventKind, Target, Value};
use crate::model::Model;
use crate::reach::Reach;

/// The functions in doubt.
pub(super) struct Doubts {
    /// Everything is: code was not looked at, and nothing is known of it.
    all: bool,
    /// By function.
    of: Vec<Option<Doubt>>,
}

impl Doubts {
    pub(super) fn new(model: &Model<'_>, reach: &Reach, all: bool) -> Doubts {
        let mut doubts = Doubts { all, of: vec![None; model.functions.all.len()] };
        if has_open_call(model, reach) {
            doubts.add(model, reach, escaped(model, reach), Doubt::Pointer);
        }
        doubts.add(model, reach, unseen(model, reach), Doubt::Unseen);
        doubts
    }

    fn add(&mut self, model: &Model<'_>, reach: &Reach, functions: BTreeSet<usize>, doubt: Doubt) {
        for function in reach.reached_from(model, functions) {
            self.of[function] = Some(doubt);
        }
    }

    pub(super) fn of(&self, function: usize) -> Option<Doubt> {
        if self.all { Some(Doubt::Unseen) } else { self.of[function] }
    }
}

/// Functions that may be entered in ways that were not followed.
fn unseen(model: &Model<'_>, reach: &Reach) -> BTreeSet<usize> {
    let functions = &model.functions;
    let mut found: BTreeSet<usize> = functions.unseen.iter().filter_map(|rva| functions.at(*rva)).collect();
    found.extend(reach.crowded.iter().copied());
    for &unfollowed in &model.unfollowed {
        found.insert(unfollowed);
        found.extend(functions.callees(unfollowed).iter().map(|callee| *callee as usize));
    }
    // What such functions do to the level of their callers is not known.
    let unknown: BTreeSet<u32> = model.gave_up.iter().chain(&model.unfollowed).map(|index| *index as u32).collect();
    if !unknown.is_empty() {
        let calls_one = |index: &usize| functions.callees(*index).iter().any(|callee| unknown.contains(callee));
        found.extend((0..functions.all.len()).filter(calls_one));
    }
    found
}

/// Is there a call at DISPATCH_LEVEL of which it is not known where it leads?
fn has_open_call(model: &Model<'_>, reach: &Reach) -> bool {
    model.all_events().any(|(function, event)| match event.kind {
        EventKind::Call { target, .. } if model.is_open(target) => {
            let kept = matches!(target, Target::Loaded(_)) && reach.targets(model, function, target).next().is_some();
            !kept && reach.at(function, event).any(|way| way.irql.high >= Irql::DISPATCH.level())
        }
        _ => false,
    })
}

/// Functions whose address the driver keeps, or hands to what is not the system.
fn escaped(model: &Model<'_>, reach: &Reach) -> BTreeSet<usize> {
    let functions = &model.functions;
    let named = |(_, event): (usize, &Event)| match event.kind {
        EventKind::Register { code, .. } => Some((event.at, functions.at(code)?)),
        _ => None,
    };
    let mut named: BTreeSet<(u32, usize)> = model.all_events().filter_map(named).collect();
    named.extend(reach.roots.iter().filter_map(|root| Some((root.named_at?, root.function))));
    let mut found: BTreeSet<usize> = functions.pointed.iter().filter_map(|rva| functions.at(*rva)).collect();
    for (_, event) in model.all_events() {
        let code = match event.kind {
            EventKind::Escapes { code }
            | EventKind::StoreGlobal { value: Value::Image(code), .. }
            | EventKind::StoreParameter { code, .. }
            | EventKind::StoreField { code, .. } => code,
            _ => continue,
        };
        found.extend(functions.at(code).filter(|function| !named.contains(&(event.at, *function))));
    }
    found
}

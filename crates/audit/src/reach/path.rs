//! The way from the system to an instruction: from here, through here, to here.

use nt_types::Rva;

use super::contexts::{ContextId, Reach};
use crate::flow::{EventKind, Range};
use crate::model::Model;

/// One step on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The instruction, or the start of the routine.
    pub at: Rva,
    /// What happens there.
    pub kind: StepKind,
}

/// What happens at a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// The system calls the routine, at a level between these.
    Entered {
        /// The documented name of this kind of routine.
        role: &'static str,
        /// Lowest and highest IRQL.
        irql: (u8, u8),
    },
    /// The routine was made known to the system.
    Named,
    /// IRQL is raised.
    Raised {
        /// Lowest level before.
        from: u8,
        /// Lowest level after.
        to: u8,
    },
    /// A call.
    Called,
    /// The section is locked.
    Locked,
    /// The section is unlocked.
    Unlocked,
}

/// Longest way that is told.
const MAX_STEPS: usize = 64;

/// The way to `at` in a context of a function, where the level is `irql`.
pub(crate) fn path(model: &Model<'_>, reach: &Reach, context: ContextId, at: u32, irql: Range) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut here = (context, at, irql);
    while steps.len() < MAX_STEPS {
        let (context, at, irql) = here;
        let context = reach.context(context);
        let function = context.function as usize;
        if irql.never_faults() && !context.irql.never_faults() {
            steps.extend(raise_before(model, function, at, context.irql, irql));
        }
        let Some((caller, call)) = context.from else {
            let root = &reach.roots[context.root as usize];
            let entry = Rva(model.functions.all[function].entry);
            let levels = (context.irql.low, context.irql.high);
            steps.push(Step { at: entry, kind: StepKind::Entered { role: root.role.name(), irql: levels } });
            steps.extend(root.named_at.map(|at| Step { at: Rva(at), kind: StepKind::Named }));
            break;
        };
        steps.push(Step { at: Rva(call), kind: StepKind::Called });
        here = (caller, call, context.irql);
    }
    steps.reverse();
    steps
}

/// The last raise before `at` in a function.
fn raise_before(model: &Model<'_>, function: usize, at: u32, from: Range, to: Range) -> Option<Step> {
    let raises = |kind: &EventKind| match kind {
        EventKind::Raise { .. } => true,
        EventKind::Call { target, .. } => model
            .targets(*target)
            .any(|callee| model.summaries[callee].irql.only_absolute().is_some_and(Range::never_faults)),
        _ => false,
    };
    // Nearly in the order of addresses: a long function with many findings is not gone through for each of them.
    let events = model.events.of(function);
    let before = &events[..events.partition_point(|event| event.at < at)];
    let found = before.iter().rfind(|event| event.at < at && raises(&event.kind))?;
    Some(Step { at: Rva(found.at), kind: StepKind::Raised { from: from.low, to: to.low } })
}

//! Waits in user mode for what lies on the stack (R190): K11.

use super::{Collector, FindingKind};
use crate::flow::Value;

/// A parameter that must not lie on the stack where the caller waits in user mode.
struct OnStack {
    routine: &'static str,
    /// Index of `WaitMode`.
    mode: usize,
    /// Index of the parameter.
    parameter: usize,
    /// It is the array of wait blocks, not an object.
    blocks: bool,
}

const PARAMETERS: [OnStack; 2] = [
    OnStack { routine: "KeWaitForSingleObject", mode: 2, parameter: 0, blocks: false },
    OnStack { routine: "KeWaitForMultipleObjects", mode: 4, parameter: 7, blocks: true },
];

/// `UserMode` of `KPROCESSOR_MODE`.
const USER_MODE: u64 = 1;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let model = collector.model;
    let called = |name: &str| model.import_calls().any(|(_, _, id, _)| model.program.import(id).name == name);
    // A driver that keeps its stacks in memory by itself may do so here.
    if called("KeSetKernelStackSwapEnable") {
        return;
    }
    for (function, event, id, arguments) in model.import_calls() {
        let Some(at) = PARAMETERS.iter().find(|at| at.routine == model.program.import(id).name) else { continue };
        let in_user_mode = matches!(arguments.get(at.mode), Some(Value::Number(mode)) if mode & 0xFF == USER_MODE);
        if in_user_mode && matches!(arguments.get(at.parameter), Some(Value::Stack(_))) {
            collector.add_on_any_way(FindingKind::WaitOnStack { blocks: at.blocks }, function, event);
        }
    }
}

//! Runs one instruction in the interpreter.

use engine::flat::FlatMmu;
use engine::{Access, Engine, Exit, Run};
use interpreter::Interpreter;

use super::case::{Case, Outcome, Stop};

/// More than any case commits; the breakpoints around the instruction end the run long before.
const BUDGET: u64 = 10_000;

/// The interpreter.
#[derive(Default)]
pub(crate) struct Guest {
    engine: Interpreter<FlatMmu>,
}

impl Guest {
    /// Runs the instruction at `case.cpu.rip`.
    pub(crate) fn run(&mut self, case: &Case) -> Outcome {
        let (mut cpu, mut arena) = (case.cpu.clone(), case.arena.clone());
        let run = self.engine.run(&mut cpu, &mut arena, BUDGET);
        Outcome { stop: stop(run), cpu, arena }
    }
}

fn stop(run: Run) -> Stop {
    match run.exit {
        Exit::Exception(exception) => Stop::Exception { vector: exception.vector, error: exception.error },
        Exit::PageFault(fault) => Stop::PageFault {
            address: fault.address,
            write: fault.access == Access::Write,
            execute: fault.access == Access::Execute,
            present: fault.protection,
        },
        Exit::Unsupported(_) => Stop::Unsupported,
        _ => Stop::Unexpected,
    }
}

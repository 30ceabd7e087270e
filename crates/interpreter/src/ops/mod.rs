//! What each instruction does, one file a family.
//!
//! To add a family: a module with `pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>>`, which
//! returns the handler of each instruction of the family and `None` for all others, and a line in [`select`] here.
//! A handler gets its operands from the [`Op`]: `op.registers[n]` is the number of the n-th operand where it is a
//! register (of any file), `context.address(op)` the linear address of the memory operand, `op.immediate` the immediate.
//!
//! The rule for every handler: all that can fail comes first (`?`), then memory is written, then registers and flags.
//! A store returns the [`Flow`](crate::op::Flow) with which the handler must end.

mod alu;
mod control;
mod mov;
mod sse;
mod stack;
mod x87;

use crate::context::Context;
use crate::op::{Handler, Op, Outcome};
use engine::Mmu;
use iced_x86::Instruction;

/// The handler of an instruction, where there is one.
pub(crate) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    alu::select(instruction)
        .or_else(|| mov::select(instruction))
        .or_else(|| control::select(instruction))
        .or_else(|| stack::select(instruction))
        .or_else(|| sse::select(instruction))
        .or_else(|| x87::select(instruction))
}

/// Refuses an instruction that has no handler.
pub(crate) fn unsupported<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    Err(context.unsupported(op))
}

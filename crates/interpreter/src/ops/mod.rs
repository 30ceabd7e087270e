//! What each instruction does, one file a family.
//!
//! To add a family: a module with `pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>>`, which
//! returns the handler of each instruction of the family and `None` for all others, and a line in `select_handler` here.
//! Where speed matters it returns `Option<Chain<M>>`, by `chained!(handler)`, and has its line in `select_chain`.
//! A handler gets its operands from the [`Op`]: `op.registers[n]` is the number of the n-th operand where it is a
//! register (of any file), `context.address(op)` the linear address of the memory operand, `op.immediate` the immediate.
//!
//! The rule for every handler: all that can fail comes first (`?`), then memory is written, then registers and flags.
//! A store returns the [`Flow`](crate::op::Flow) with which the handler must end.

mod alu;
mod bit;
mod bmi;
mod conditional;
mod control;
mod convert;
mod cpuid;
mod eflags;
mod exceptions;
mod exchange;
mod interrupt;
mod mov;
mod muldiv;
mod port;
#[cfg(test)]
mod samples;
mod segment;
mod shift;
mod sse;
mod stack;
mod string;
mod system;
mod x87;

use crate::context::Context;
use crate::op::{Chain, Handler, Op, Outcome, chained};
use engine::Mmu;
use iced_x86::Instruction;

/// How an instruction is executed: its chain, and what that calls where its family is not chained.
pub(crate) fn select<M: Mmu>(instruction: &Instruction) -> (Chain<M>, Handler<M>) {
    match select_chain(instruction) {
        Some(run) => (run, unsupported),
        None => {
            let handler = select_handler(instruction).unwrap_or(unsupported);
            (chained!(|context, op| (op.handler)(context, op)), handler)
        }
    }
}

fn select_chain<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    mov::select(instruction)
        .or_else(|| alu::select(instruction))
        .or_else(|| control::select(instruction))
        .or_else(|| stack::select(instruction))
        .or_else(|| conditional::select(instruction))
        .or_else(|| shift::select(instruction))
        .or_else(|| convert::select(instruction))
        .or_else(|| muldiv::select(instruction))
        .or_else(|| bit::select(instruction))
        .or_else(|| exchange::select(instruction))
        .or_else(|| string::select(instruction))
        .or_else(|| eflags::select(instruction))
        .or_else(|| port::select(instruction))
        .or_else(|| system::select(instruction))
        .or_else(|| segment::select(instruction))
        .or_else(|| interrupt::select(instruction))
        .or_else(|| bmi::select(instruction))
}

fn select_handler<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    sse::select(instruction).or_else(|| x87::select(instruction))
}

/// Refuses an instruction that has no handler.
pub(crate) fn unsupported<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    Err(context.unsupported(op))
}

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
mod segment;
mod shift;
mod sse;
mod stack;
mod string;
mod system;
mod x87;

use crate::context::Context;
use crate::op::{Handler, Op, Outcome};
use engine::Mmu;
use iced_x86::Instruction;

/// The handler of an instruction, where there is one.
pub(crate) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    const {
        [
            mov::select::<M>,
            alu::select::<M>,
            control::select,
            stack::select,
            conditional::select,
            shift::select,
            convert::select,
            muldiv::select,
            bit::select,
            exchange::select,
            string::select,
            sse::select,
            eflags::select,
            port::select,
            system::select,
            segment::select,
            interrupt::select,
            bmi::select,
            x87::select,
        ]
    }
    .iter()
    .find_map(|family| family(instruction))
}

/// Refuses an instruction that has no handler.
pub(crate) fn unsupported<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    Err(context.unsupported(op))
}

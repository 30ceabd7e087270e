//! The x87 floating-point unit.
//!
//! Left out, and so refused by name: transcendental functions, whose last bits differ from processor to processor, with
//! the constants, scaling and remainders that serve them; the packed decimal format; and the FNSAVE family, which
//! FXSAVE replaced. No compiler for 64-bit Windows emits any of them.
//!
//! The address of the last instruction is kept; the opcode and the operand address beside it, which processors of today
//! write at exceptions only, are not.

mod arithmetic;
mod comparison;
mod control;
mod image;
mod moves;
mod operand;
mod unit;

use crate::op::Handler;
use engine::Mmu;
use iced_x86::Instruction;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    arithmetic::select(instruction)
        .or_else(|| moves::select(instruction))
        .or_else(|| comparison::select(instruction))
        .or_else(|| control::select(instruction))
        .or_else(|| image::select(instruction))
}

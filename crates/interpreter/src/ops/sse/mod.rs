//! SSE and its successors: the XMM and YMM registers.

mod access;
mod arithmetic;
mod avx;
mod comparison;
mod control;
mod conversion;
mod integer;
mod lanes;
mod moves;
mod sha;
mod shuffle;
mod unit;

use crate::op::Handler;
use engine::Mmu;
use iced_x86::Instruction;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    moves::select(instruction)
        .or_else(|| integer::select(instruction))
        .or_else(|| shuffle::select(instruction))
        .or_else(|| arithmetic::select(instruction))
        .or_else(|| comparison::select(instruction))
        .or_else(|| conversion::select(instruction))
        .or_else(|| control::select(instruction))
        .or_else(|| sha::select(instruction))
        .or_else(|| avx::select(instruction))
}

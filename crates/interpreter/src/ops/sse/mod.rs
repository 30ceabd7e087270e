//! SSE and its successors.

use crate::op::Handler;
use engine::Mmu;
use iced_x86::Instruction;

pub(super) fn select<M: Mmu>(_: &Instruction) -> Option<Handler<M>> {
    None
}

//! MXCSR to and from memory.

use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::ops::exceptions::MXCSR_SETTABLE;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Ldmxcsr => load,
        Mnemonic::Stmxcsr => store,
        _ => return None,
    })
}

fn load<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    let value = context.load::<u32>(op, address)? as u32;
    if value & !MXCSR_SETTABLE != 0 {
        return Err(context.general_protection());
    }
    context.cpu.mxcsr = value;
    Ok(Flow::Next)
}

fn store<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    let value = context.cpu.mxcsr;
    context.store::<u32>(op, address, value.into())
}

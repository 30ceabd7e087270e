//! CMOVcc and SETcc.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome, chained};
use crate::operand::{InMemory, InRegister, Kind, Place, Source, bits, by_width, kind};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{ConditionCode, FlowControl, Instruction};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    if instruction.condition_code() == ConditionCode::None || instruction.flow_control() != FlowControl::Next {
        return None;
    }
    Some(match (instruction.op_count(), kind(instruction, 0), kind(instruction, 1)) {
        (1, Kind::Memory, _) => chained!(set_if::<M, InMemory>),
        (1, _, _) => chained!(set_if::<M, InRegister<0>>),
        (2, _, Kind::Memory) => by_width!(bits(instruction, 0), move_if::<M, _, InMemory>),
        (2, _, _) => by_width!(bits(instruction, 0), move_if::<M, _, InRegister<1>>),
        _ => return None,
    })
}

/// The source is read, and a 32-bit destination cut, whether or not the condition holds.
fn move_if<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let kept = W::register(&context.registers, op.registers[0]);
    let holds = context.flags.condition(op.immediate as u8);
    W::set_register(&mut context.registers, op.registers[0], if holds { value } else { kept });
    Ok(Flow::Next)
}

fn set_if<M: Mmu, P: Place>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let holds = context.flags.condition(op.immediate as u8);
    let place = P::locate(context, op);
    P::write::<M, u8>(context, op, place, holds.into())
}

//! Jumps, calls and returns.

use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{InMemory, InRegister, Kind, Source, kind};
use engine::Mmu;
use iced_x86::{ConditionCode, Instruction, Mnemonic, OpKind};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    if instruction.is_jcc_short_or_near() {
        return Some(conditional(instruction.condition_code()));
    }
    let direct = instruction.op_count() == 1 && instruction.op0_kind() == OpKind::NearBranch64;
    Some(match instruction.mnemonic() {
        Mnemonic::Jmp if direct => jump,
        Mnemonic::Call if direct => call,
        Mnemonic::Jmp if instruction.is_jmp_near_indirect() && kind(instruction, 0) == Kind::Memory => {
            jump_indirect::<M, InMemory>
        }
        Mnemonic::Jmp if instruction.is_jmp_near_indirect() => jump_indirect::<M, InRegister<0>>,
        Mnemonic::Call if instruction.is_call_near_indirect() && kind(instruction, 0) == Kind::Memory => {
            call_indirect::<M, InMemory>
        }
        Mnemonic::Call if instruction.is_call_near_indirect() => call_indirect::<M, InRegister<0>>,
        Mnemonic::Ret => ret,
        _ => return None,
    })
}

fn conditional<M: Mmu>(condition: ConditionCode) -> Handler<M> {
    match condition {
        ConditionCode::None | ConditionCode::o => jump_if::<M, 0>,
        ConditionCode::no => jump_if::<M, 1>,
        ConditionCode::b => jump_if::<M, 2>,
        ConditionCode::ae => jump_if::<M, 3>,
        ConditionCode::e => jump_if::<M, 4>,
        ConditionCode::ne => jump_if::<M, 5>,
        ConditionCode::be => jump_if::<M, 6>,
        ConditionCode::a => jump_if::<M, 7>,
        ConditionCode::s => jump_if::<M, 8>,
        ConditionCode::ns => jump_if::<M, 9>,
        ConditionCode::p => jump_if::<M, 10>,
        ConditionCode::np => jump_if::<M, 11>,
        ConditionCode::l => jump_if::<M, 12>,
        ConditionCode::ge => jump_if::<M, 13>,
        ConditionCode::le => jump_if::<M, 14>,
        ConditionCode::g => jump_if::<M, 15>,
    }
}

fn jump_if<M: Mmu, const CONDITION: u8>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if context.flags.condition::<CONDITION>() { context.jump(op.immediate) } else { Ok(Flow::Next) }
}

fn jump<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.jump(op.immediate)
}

fn jump_indirect<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = S::read::<M, u64>(context, op)?;
    context.jump(target)
}

fn call<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.call(op, op.immediate)
}

fn call_indirect<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = S::read::<M, u64>(context, op)?;
    context.call(op, target)
}

fn ret<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = context.peek::<u64>(op, 0)?;
    let flow = context.jump(target)?;
    context.drop_stack(8 + op.immediate);
    Ok(flow)
}

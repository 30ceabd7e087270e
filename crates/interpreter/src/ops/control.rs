//! Jumps, calls and returns.

use crate::context::Context;
use crate::decode::condition_number;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{InMemory, InRegister, Kind, Source, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Code, ConditionCode, Instruction, Mnemonic, OpKind};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    if instruction.is_jcc_short_or_near() {
        return conditional(instruction.condition_code());
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
        Mnemonic::Ret if instruction.stack_pointer_increment() >= 8 => ret,
        Mnemonic::Jrcxz => jump_if_counter_zero::<M, u64>,
        Mnemonic::Jecxz => jump_if_counter_zero::<M, u32>,
        _ => return select_loop(instruction.code()),
    })
}

fn select_loop<M: Mmu>(code: Code) -> Option<Handler<M>> {
    Some(match code {
        Code::Loop_rel8_64_RCX | Code::Loope_rel8_64_RCX | Code::Loopne_rel8_64_RCX => loop_while::<M, u64>,
        Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX | Code::Loopne_rel8_64_ECX => loop_while::<M, u32>,
        _ => return None,
    })
}

fn conditional<M: Mmu>(condition: ConditionCode) -> Option<Handler<M>> {
    let handlers: [Handler<M>; 16] = [
        jump_if::<M, 0>,
        jump_if::<M, 1>,
        jump_if::<M, 2>,
        jump_if::<M, 3>,
        jump_if::<M, 4>,
        jump_if::<M, 5>,
        jump_if::<M, 6>,
        jump_if::<M, 7>,
        jump_if::<M, 8>,
        jump_if::<M, 9>,
        jump_if::<M, 10>,
        jump_if::<M, 11>,
        jump_if::<M, 12>,
        jump_if::<M, 13>,
        jump_if::<M, 14>,
        jump_if::<M, 15>,
    ];
    handlers.get(usize::from(condition_number(condition))).copied()
}

fn jump_if<M: Mmu, const CONDITION: u8>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if context.flags.condition(CONDITION) { context.jump(op.immediate) } else { Ok(Flow::Next) }
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

fn jump_if_counter_zero<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let counter = W::register(&context.registers, Gpr::Rcx as u8);
    if counter == 0 { context.jump(op.immediate) } else { Ok(Flow::Next) }
}

fn loop_while<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let counter = W::register(&context.registers, Gpr::Rcx as u8).wrapping_sub(1) & W::MASK;
    let holds = match op.code.condition_code() {
        ConditionCode::e => context.flags.zero(),
        ConditionCode::ne => !context.flags.zero(),
        _ => true,
    };
    let flow = if counter != 0 && holds { context.jump(op.immediate)? } else { Flow::Next };
    W::set_register(&mut context.registers, Gpr::Rcx as u8, counter);
    Ok(flow)
}

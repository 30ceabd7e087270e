//! Jumps, calls and returns.

use crate::context::{Context, is_canonical};
use crate::decode::condition_number;
use crate::op::{Chain, Flow, Op, Outcome, chained};
use crate::operand::{InMemory, InRegister, Kind, Source, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Code, ConditionCode, Instruction, Mnemonic, OpKind};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    if instruction.is_jcc_short_or_near() {
        let reaches = is_canonical(instruction.near_branch_target());
        return if reaches { conditional(instruction.condition_code()) } else { Some(chained!(refuse_if)) };
    }
    let direct = instruction.op_count() == 1 && instruction.op0_kind() == OpKind::NearBranch64;
    Some(match instruction.mnemonic() {
        Mnemonic::Jmp if direct => chained!(jump),
        Mnemonic::Call if direct => chained!(call),
        Mnemonic::Jmp if instruction.is_jmp_near_indirect() && kind(instruction, 0) == Kind::Memory => {
            chained!(jump_indirect::<M, InMemory>)
        }
        Mnemonic::Jmp if instruction.is_jmp_near_indirect() => chained!(jump_indirect::<M, InRegister<0>>),
        Mnemonic::Call if instruction.is_call_near_indirect() && kind(instruction, 0) == Kind::Memory => {
            chained!(call_indirect::<M, InMemory>)
        }
        Mnemonic::Call if instruction.is_call_near_indirect() => chained!(call_indirect::<M, InRegister<0>>),
        Mnemonic::Ret if instruction.stack_pointer_increment() >= 8 => chained!(ret),
        Mnemonic::Jrcxz => chained!(jump_if_counter_zero::<M, u64>),
        Mnemonic::Jecxz => chained!(jump_if_counter_zero::<M, u32>),
        _ => return select_loop(instruction.code()),
    })
}

fn select_loop<M: Mmu>(code: Code) -> Option<Chain<M>> {
    Some(match code {
        Code::Loop_rel8_64_RCX | Code::Loope_rel8_64_RCX | Code::Loopne_rel8_64_RCX => chained!(loop_while::<M, u64>),
        Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX | Code::Loopne_rel8_64_ECX => chained!(loop_while::<M, u32>),
        _ => return None,
    })
}

fn conditional<M: Mmu>(condition: ConditionCode) -> Option<Chain<M>> {
    let handlers: [Chain<M>; 16] = [
        chained!(jump_if::<M, 0>),
        chained!(jump_if::<M, 1>),
        chained!(jump_if::<M, 2>),
        chained!(jump_if::<M, 3>),
        chained!(jump_if::<M, 4>),
        chained!(jump_if::<M, 5>),
        chained!(jump_if::<M, 6>),
        chained!(jump_if::<M, 7>),
        chained!(jump_if::<M, 8>),
        chained!(jump_if::<M, 9>),
        chained!(jump_if::<M, 10>),
        chained!(jump_if::<M, 11>),
        chained!(jump_if::<M, 12>),
        chained!(jump_if::<M, 13>),
        chained!(jump_if::<M, 14>),
        chained!(jump_if::<M, 15>),
    ];
    handlers.get(usize::from(condition_number(condition))).copied()
}

fn jump_if<M: Mmu, const CONDITION: u8>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if !context.flags.condition(CONDITION) {
        return Ok(Flow::Next);
    }
    context.rip = op.immediate;
    Ok(Flow::Jump)
}

/// A conditional jump to an address that is not canonical.
fn refuse_if<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let taken = context.flags.condition(condition_number(op.code.condition_code()));
    if taken { Err(context.general_protection()) } else { Ok(Flow::Next) }
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

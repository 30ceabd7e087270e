//! Pushes, pops and stack frames.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome, Stop, chained};
use crate::operand::{Immediate, InMemory, InRegister, Kind, Place, Source, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic};

const RSP: u8 = Gpr::Rsp as u8;
const RBP: u8 = Gpr::Rbp as u8;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    let narrow = instruction.stack_pointer_increment().unsigned_abs() == 2;
    macro_rules! by_size {
        ($handler:ident $(, $argument:ty)*) => {
            if narrow { chained!($handler::<M, u16 $(, $argument)*>) } else { chained!($handler::<M, u64 $(, $argument)*>) }
        };
    }
    Some(match (instruction.mnemonic(), kind(instruction, 0)) {
        (Mnemonic::Push, _) if is_segment(instruction) => by_size!(push_segment),
        (Mnemonic::Push, Kind::Register) => by_size!(push, InRegister<0>),
        (Mnemonic::Push, Kind::Memory) => by_size!(push, InMemory),
        (Mnemonic::Push, Kind::Immediate) => by_size!(push, Immediate),
        (Mnemonic::Pop, Kind::Register) if !is_segment(instruction) => by_size!(pop, InRegister<0>),
        (Mnemonic::Pop, Kind::Memory) => by_size!(pop, InMemory),
        (Mnemonic::Enter, _) if !narrow => chained!(enter),
        (Mnemonic::Leave, _) => chained!(leave),
        _ => return None,
    })
}

fn is_segment(instruction: &Instruction) -> bool {
    instruction.op0_register().is_segment_register()
}

fn push<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    context.push::<W>(op, value)
}

fn push_segment<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let selector = context.selector(op.registers[0]);
    context.push::<W>(op, selector.into())
}

/// The address of a memory operand relative to RSP is computed after the pop; `pop rsp` keeps the value popped.
fn pop<M: Mmu, W: Width, P: Place + Popped>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.peek::<W>(op, 0)?;
    P::store_popped::<M, W>(context, op, value)
}

/// A destination of POP.
trait Popped {
    fn store_popped<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, value: u64) -> Outcome;
}

impl Popped for InRegister<0> {
    #[inline(always)]
    fn store_popped<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, value: u64) -> Outcome {
        context.drop_stack(W::BYTES);
        Self::write::<M, W>(context, op, (), value)
    }
}

impl Popped for InMemory {
    fn store_popped<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, value: u64) -> Outcome {
        let moved = if op.memory.base == RSP { W::BYTES } else { 0 };
        let flow = context.store::<W>(op, context.address_at(op, moved), value)?;
        context.drop_stack(W::BYTES);
        Ok(flow)
    }
}

fn leave<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let frame = context.registers.get(RBP);
    let caller = context.load::<u64>(op, frame)?;
    context.registers.set(RSP, frame.wrapping_add(8));
    context.registers.set(RBP, caller);
    Ok(Flow::Next)
}

/// The display is copied value by value, as it may overlap the new frame; so everything is tried first.
fn enter<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let (size, level) = (op.immediate & 0xffff, (op.immediate >> 16) % 32);
    let old = context.registers.get(RBP);
    let frame = context.registers.get(RSP).wrapping_sub(8);
    let top = frame.wrapping_sub(8 * level);
    try_enter(context, op, old, [frame, top, top.wrapping_sub(size)], level)?;
    let _ = context.store::<u64>(op, frame, old)?;
    for slot in 1..level {
        let value = context.load::<u64>(op, old.wrapping_sub(8 * slot))?;
        let _ = context.store::<u64>(op, frame.wrapping_sub(8 * slot), value)?;
    }
    let last = if level > 0 { frame } else { old };
    let flow = context.store::<u64>(op, top, last)?;
    context.registers.set(RBP, frame);
    context.registers.set(RSP, top.wrapping_sub(size));
    Ok(flow)
}

/// Would each access of ENTER succeed? The processor also tries a write at the final top of the stack.
fn try_enter<M: Mmu>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    old: u64,
    [frame, top, end]: [u64; 3],
    level: u64,
) -> Result<(), Stop> {
    for slot in 1..level {
        context.load::<u64>(op, old.wrapping_sub(8 * slot))?;
    }
    context.probe_store(op, top, (frame.wrapping_sub(top) + 8) as usize)?;
    context.probe_store(op, end, 8)
}

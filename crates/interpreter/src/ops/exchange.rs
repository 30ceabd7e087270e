//! Exchanges, and the compare-and-exchange family. All of these count as writes of their destination.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome, chained};
use crate::operand::{InMemory, InRegister, Kind, Place, Source, bits, by_place, by_width, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic};

const RAX: u8 = Gpr::Rax as u8;
const RBX: u8 = Gpr::Rbx as u8;
const RCX: u8 = Gpr::Rcx as u8;
const RDX: u8 = Gpr::Rdx as u8;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Xchg => by_place!(instruction, exchange::<M, _, _>),
        Mnemonic::Xadd if kind(instruction, 0) == Kind::Memory => {
            by_width!(bits(instruction, 0), add_to_memory::<M, _>)
        }
        Mnemonic::Xadd => by_width!(bits(instruction, 0), add_registers::<M, _>),
        Mnemonic::Cmpxchg => by_place!(instruction, compare_and_exchange::<M, _, _>),
        Mnemonic::Cmpxchg8b => chained!(compare_and_exchange_8_bytes),
        Mnemonic::Cmpxchg16b => chained!(compare_and_exchange_16_bytes),
        Mnemonic::Bswap => by_width!(bits(instruction, 0), swap_bytes::<M, _>),
        Mnemonic::Movbe if kind(instruction, 0) == Kind::Memory => {
            by_width!(bits(instruction, 0), store_swapped::<M, _>)
        }
        Mnemonic::Movbe => by_width!(bits(instruction, 0), load_swapped::<M, _>),
        _ => return None,
    })
}

fn exchange<M: Mmu, W: Width, P: Place>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let place = P::locate(context, op);
    let old = P::read_to_modify::<M, W>(context, op, place)?;
    let new = W::register(&context.registers, op.registers[1]);
    let flow = P::write::<M, W>(context, op, place, new)?;
    W::set_register(&mut context.registers, op.registers[1], old);
    Ok(flow)
}

fn add_to_memory<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    let old = context.load_to_modify::<W>(op, address)?;
    let (sum, flags) = Flags::add::<W>(old, W::register(&context.registers, op.registers[1]));
    let flow = context.store::<W>(op, address, sum)?;
    W::set_register(&mut context.registers, op.registers[1], old);
    context.flags = flags;
    Ok(flow)
}

/// Where both operands are one register, it gets the sum.
fn add_registers<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let [first, second, _] = op.registers;
    let old = W::register(&context.registers, first);
    let (sum, flags) = Flags::add::<W>(old, W::register(&context.registers, second));
    W::set_register(&mut context.registers, second, old);
    W::set_register(&mut context.registers, first, sum);
    context.flags = flags;
    Ok(Flow::Next)
}

/// Memory is written in either case, a register only where they are equal; else the accumulator is.
fn compare_and_exchange<M: Mmu, W: Width, P: Place>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let place = P::locate(context, op);
    let old = P::read_to_modify::<M, W>(context, op, place)?;
    let expected = W::register(&context.registers, RAX);
    let flags = Flags::subtract::<W>(expected, old).1;
    let new = InRegister::<1>::read::<M, W>(context, op)?;
    let written = if flags.zero() { new } else { old };
    let mut flow = Flow::Next;
    if flags.zero() || P::IN_MEMORY {
        flow = P::write::<M, W>(context, op, place, written)?;
    }
    if !flags.zero() {
        W::set_register(&mut context.registers, RAX, old);
    }
    context.flags = flags;
    Ok(flow)
}

/// A pair of 32-bit registers as one value.
fn compare_and_exchange_8_bytes<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let half = |context: &Context<'_, M>, number| u64::from(context.registers.get(number) as u32);
    let pair = |context: &Context<'_, M>, high, low| half(context, high) << 32 | half(context, low);
    let address = context.address(op);
    let old = context.load_to_modify::<u64>(op, address)?;
    let equal = old == pair(context, RDX, RAX);
    let new = if equal { pair(context, RCX, RBX) } else { old };
    let flow = context.store::<u64>(op, address, new)?;
    if !equal {
        context.registers.set(RAX, old & 0xffff_ffff);
        context.registers.set(RDX, old >> 32);
    }
    context.flags = context.flags.with_zero(equal);
    Ok(flow)
}

fn compare_and_exchange_16_bytes<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let pair = |context: &Context<'_, M>, high, low| {
        u128::from(context.registers.get(high)) << 64 | u128::from(context.registers.get(low))
    };
    let address = context.address(op);
    if !address.is_multiple_of(16) {
        return Err(context.general_protection());
    }
    context.probe_store(op, address, 16)?;
    let old = u128::from_le_bytes(context.load_bytes(op, address)?);
    let equal = old == pair(context, RDX, RAX);
    let new = if equal { pair(context, RCX, RBX) } else { old };
    let flow = context.store_bytes(op, address, new.to_le_bytes())?;
    if !equal {
        context.registers.set(RAX, old as u64);
        context.registers.set(RDX, (old >> 64) as u64);
    }
    context.flags = context.flags.with_zero(equal);
    Ok(flow)
}

fn reversed<W: Width>(value: u64) -> u64 {
    value.swap_bytes() >> (64 - W::BITS)
}

/// A 16-bit BSWAP, which is undefined, gives zero as processors do.
fn swap_bytes<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = W::register(&context.registers, op.registers[0]);
    let swapped = if W::BITS == 16 { 0 } else { reversed::<W>(value) };
    W::set_register(&mut context.registers, op.registers[0], swapped);
    Ok(Flow::Next)
}

fn load_swapped<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = InMemory::read::<M, W>(context, op)?;
    W::set_register(&mut context.registers, op.registers[0], reversed::<W>(value));
    Ok(Flow::Next)
}

fn store_swapped<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = W::register(&context.registers, op.registers[1]);
    context.store::<W>(op, context.address(op), reversed::<W>(value))
}

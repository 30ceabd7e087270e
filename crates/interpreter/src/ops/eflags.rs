//! Instructions that set or store the flags register.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome, chained};
use crate::width::Width;
use engine::{Mmu, Rflags};
use iced_x86::{Code, Instruction};

/// Register number of AH.
const AH: u8 = 16;

/// Flags that LAHF and SAHF move.
const LOW: u64 = Rflags::CF | Rflags::PF | Rflags::AF | Rflags::ZF | Rflags::SF;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.code() {
        Code::Clc => chained!(clear_carry),
        Code::Stc => chained!(set_carry),
        Code::Cmc => chained!(complement_carry),
        Code::Cld => chained!(clear_direction),
        Code::Std => chained!(set_direction),
        Code::Cli => chained!(disable_interrupts),
        Code::Sti => chained!(enable_interrupts),
        // CPUID offers no supervisor-mode access prevention.
        Code::Clac | Code::Stac => chained!(super::interrupt::invalid),
        Code::Lahf => chained!(load_ah),
        Code::Sahf => chained!(store_ah),
        Code::Pushfq => chained!(push_flags::<M, u64>),
        Code::Pushfw => chained!(push_flags::<M, u16>),
        Code::Popfq => chained!(pop_flags::<M, u64>),
        Code::Popfw => chained!(pop_flags::<M, u16>),
        _ => return None,
    })
}

fn clear_carry<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.flags = context.flags.with_carry(false);
    Ok(Flow::Next)
}

fn set_carry<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.flags = context.flags.with_carry(true);
    Ok(Flow::Next)
}

fn complement_carry<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.flags = context.flags.with_carry(!context.flags.carry());
    Ok(Flow::Next)
}

fn clear_direction<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.cpu.rflags &= !Rflags::DF;
    Ok(Flow::Next)
}

fn set_direction<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.cpu.rflags |= Rflags::DF;
    Ok(Flow::Next)
}

fn disable_interrupts<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.cpu.rflags &= !Rflags::IF;
    Ok(Flow::Next)
}

/// Interrupts are taken after the next instruction at the earliest.
fn enable_interrupts<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if context.cpu.rflags & Rflags::IF != 0 {
        return Ok(Flow::Next);
    }
    context.cpu.rflags |= Rflags::IF;
    context.cpu.interrupt_shadow = true;
    context.review_stepping();
    context.jump(op.next())
}

fn load_ah<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let value = context.flags.bits() & LOW | Rflags::FIXED;
    u8::set_register(&mut context.registers, AH, value);
    Ok(Flow::Next)
}

fn store_ah<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let value = u8::register(&context.registers, AH) & LOW;
    context.flags = Flags::from_bits(context.flags.bits() & !LOW | value);
    Ok(Flow::Next)
}

fn push_flags<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.rflags() & !(Rflags::RF | Rflags::VM);
    context.push::<W>(op, value)
}

fn pop_flags<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = context.peek::<W>(op, 0)?;
    context.drop_stack(W::BYTES);
    context.return_with_flags(op.next(), value, W::MASK)
}

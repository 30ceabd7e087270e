//! Control and status words, the stack pointer and the tags.

use super::unit::{C1, Unit};
use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{Kind, kind};
use engine::{Mmu, X87};
use iced_x86::{Instruction, Mnemonic};

/// Bits of the control word that cannot be cleared or set.
const CONTROL_FIXED: u16 = 1 << 6;
const CONTROL_SETTABLE: u16 = 0x1f3f;
/// Exception flags, stack fault, error summary and busy.
const EXCEPTION_STATUS: u16 = 0x80ff;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    let in_memory = kind(instruction, 0) == Kind::Memory;
    Some(match instruction.mnemonic() {
        N::Wait => |context, _| Unit::wait(context).map(|_| Flow::Next),
        N::Fnop => |context, op| Unit::begin(context, op)?.finish(context, Flow::Next),
        N::Fninit => initialise,
        N::Fnclex => clear_exceptions,
        N::Fnstcw => |context, op| store_word(context, op, |x87| x87.control),
        N::Fnstsw if in_memory => |context, op| store_word(context, op, |x87| x87.status),
        N::Fnstsw => status_to_ax,
        N::Fldcw => load_control,
        N::Fincstp => |context, op| rotate(context, op, 1),
        N::Fdecstp => |context, op| rotate(context, op, 7),
        N::Ffree => free,
        N::Emms => empty_all,
        _ => return None,
    })
}

fn initialise<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let registers = context.cpu.x87.registers;
    context.cpu.x87 = X87 { registers, ..X87::default() };
    Ok(Flow::Next)
}

fn clear_exceptions<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    context.cpu.x87.status &= !EXCEPTION_STATUS;
    Ok(Flow::Next)
}

fn store_word<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, word: fn(&X87) -> u16) -> Outcome {
    let value = word(&context.cpu.x87);
    let address = context.address(op);
    context.store::<u16>(op, address, value.into())
}

fn status_to_ax<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let number = op.registers[0];
    let rest = context.registers.get(number) & !0xffff;
    context.registers.set(number, rest | u64::from(context.cpu.x87.status));
    Ok(Flow::Next)
}

fn load_control<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::wait(context)?;
    let address = context.address(op);
    let word = context.load::<u16>(op, address)? as u16;
    unit.set_control(settable(word));
    unit.finish(context, Flow::Next)
}

/// A control word as the processor keeps it.
pub(super) fn settable(word: u16) -> u16 {
    (word & CONTROL_SETTABLE) | CONTROL_FIXED
}

fn rotate<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, by: u16) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    unit.set_condition(C1, false);
    unit.rotate(by);
    unit.finish(context, Flow::Next)
}

fn free<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    unit.set_condition(C1, false);
    unit.free(op.registers[0]);
    unit.finish(context, Flow::Next)
}

/// EMMS.
fn empty_all<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let mut unit = Unit::wait(context)?;
    unit.empty();
    unit.finish(context, Flow::Next)
}

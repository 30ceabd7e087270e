//! Loads, stores, exchanges, conditional moves, constants.

use super::operand::{Double, Integer, Operand, Single, Source};
use super::unit::{C1, Computed, Unit};
use crate::context::Context;
use crate::float::{Answer, DOUBLE, Encoding, Float, Mode, SINGLE, from_integer, pack_extended, to_integer};
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{Kind, kind};
use crate::ops::exceptions::{INVALID, PRECISION};
use engine::Mmu;
use iced_x86::{Instruction, MemorySize, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use MemorySize as S;
    use Mnemonic as N;
    let in_memory = kind(instruction, 0) == Kind::Memory;
    Some(match (instruction.mnemonic(), instruction.memory_size()) {
        (N::Fld, _) if !in_memory => load_register,
        (N::Fld, S::Float32) => load::<M, Single>,
        (N::Fld, S::Float64) => load::<M, Double>,
        (N::Fld, S::Float80) => load_extended,
        (N::Fild, S::Int16) => load::<M, Integer<2>>,
        (N::Fild, S::Int32) => load::<M, Integer<4>>,
        (N::Fild, S::Int64) => load::<M, Integer<8>>,
        (N::Fldz, _) => |context, op| constant(context, op, 0),
        (N::Fld1, _) => |context, op| constant(context, op, 1),
        (N::Fst, S::Float32) => |context, op| store::<M, 4>(context, op, |unit| real(unit, SINGLE), false),
        (N::Fst, S::Float64) => |context, op| store::<M, 8>(context, op, |unit| real(unit, DOUBLE), false),
        (N::Fstp, S::Float32) => |context, op| store::<M, 4>(context, op, |unit| real(unit, SINGLE), true),
        (N::Fstp, S::Float64) => |context, op| store::<M, 8>(context, op, |unit| real(unit, DOUBLE), true),
        (N::Fstp, S::Float80) => |context, op| store::<M, 10>(context, op, extended, true),
        (N::Fst, _) if !in_memory => |context, op| store_register(context, op, false),
        (N::Fstp, _) if !in_memory => |context, op| store_register(context, op, true),
        (N::Fist, S::Int16) => |context, op| store::<M, 2>(context, op, |unit| integer(unit, 16, unit.mode()), false),
        (N::Fist, S::Int32) => |context, op| store::<M, 4>(context, op, |unit| integer(unit, 32, unit.mode()), false),
        (N::Fistp, S::Int16) => |context, op| store::<M, 2>(context, op, |unit| integer(unit, 16, unit.mode()), true),
        (N::Fistp, S::Int32) => |context, op| store::<M, 4>(context, op, |unit| integer(unit, 32, unit.mode()), true),
        (N::Fistp, S::Int64) => |context, op| store::<M, 8>(context, op, |unit| integer(unit, 64, unit.mode()), true),
        (N::Fisttp, S::Int16) => |context, op| store::<M, 2>(context, op, |unit| integer(unit, 16, Mode::Zero), true),
        (N::Fisttp, S::Int32) => |context, op| store::<M, 4>(context, op, |unit| integer(unit, 32, Mode::Zero), true),
        (N::Fisttp, S::Int64) => |context, op| store::<M, 8>(context, op, |unit| integer(unit, 64, Mode::Zero), true),
        (N::Fxch, _) => exchange,
        (N::Fcmovb, _) => |context, op| conditional(context, op, 2),
        (N::Fcmovnb, _) => |context, op| conditional(context, op, 3),
        (N::Fcmove, _) => |context, op| conditional(context, op, 4),
        (N::Fcmovne, _) => |context, op| conditional(context, op, 5),
        (N::Fcmovbe, _) => |context, op| conditional(context, op, 6),
        (N::Fcmovnbe, _) => |context, op| conditional(context, op, 7),
        (N::Fcmovu, _) => |context, op| conditional(context, op, 10),
        (N::Fcmovnu, _) => |context, op| conditional(context, op, 11),
        _ => return None,
    })
}

/// Ends an instruction that pushes. Where there is nothing to push, an exception is pending and the stack stays.
fn push<M: Mmu>(context: &mut Context<'_, M>, mut unit: Unit, value: Computed<u128>) -> Outcome {
    if let Ok(bits) = value {
        unit.push(bits);
    }
    unit.finish(context, Flow::Next)
}

/// A number from memory.
fn load<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let operand = S::read(context, op, &unit)?;
    let value = unit.if_room(|unit| {
        let value = unit.values([operand])?.map_or_else(|result| result, |[value]| value);
        // A denormal number is loaded even where that is not masked.
        let _ = unit.note_denormal(&[operand]);
        Ok(pack_extended(value))
    });
    push(context, unit, value)
}

fn load_extended<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let address = context.address(op);
    let mut bytes = [0; 16];
    bytes[..10].copy_from_slice(&context.load_bytes::<10>(op, address)?);
    let value = unit.if_room(|_| Ok(u128::from_le_bytes(bytes)));
    push(context, unit, value)
}

fn load_register<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let bits = unit.bits(op.registers[0]);
    let empty = unit.is_empty(op.registers[0]);
    let value = if empty { unit.stack_fault(false).map(pack_extended) } else { unit.if_room(|_| Ok(bits)) };
    push(context, unit, value)
}

fn constant<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, value: i64) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let value = unit.if_room(|_| Ok(pack_extended(from_integer(value))));
    push(context, unit, value)
}

/// Stores what `value` makes of ST(0); nothing where an exception is not masked.
fn store<M: Mmu, const BYTES: usize>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    value: fn(&mut Unit) -> Computed<u128>,
    pops: bool,
) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let address = context.address(op);
    let mut flow = Flow::Next;
    unit.set_condition(C1, false);
    if let Ok(bits) = value(&mut unit) {
        let bytes = bits.to_le_bytes();
        flow = context.store_bytes::<BYTES>(op, address, std::array::from_fn(|place| bytes[place]))?;
        if pops {
            unit.pop();
        }
    }
    unit.finish(context, flow)
}

/// ST(0) in a shorter format.
fn real(unit: &mut Unit, encoding: Encoding) -> Computed<u128> {
    let operand = unit.register(0);
    let result = match unit.values([operand])? {
        Err(result) => result,
        Ok([value]) => match Answer::of(value) {
            Answer::Finite(exact) => unit.round_for_memory(exact, encoding.format)?,
            _ => value,
        },
    };
    Ok(encoding.pack(result).into())
}

/// ST(0) as it is.
fn extended(unit: &mut Unit) -> Computed<u128> {
    if unit.is_empty(0) { unit.stack_fault(false).map(pack_extended) } else { Ok(unit.bits(0)) }
}

/// ST(0) as an integer; the most negative one stands for all that does not fit.
fn integer(unit: &mut Unit, bits: u32, mode: Mode) -> Computed<u128> {
    let indefinite = 1 << (bits - 1);
    let converted = match unit.register(0) {
        Operand::Empty => return unit.stack_fault(false).map(|_| indefinite),
        Operand::Unsupported => None,
        Operand::Number { value, .. } => to_integer(value, bits, mode),
    };
    let Some(integer) = converted else {
        return unit.raise(INVALID).map(|()| indefinite);
    };
    unit.set_condition(C1, integer.up);
    if integer.inexact {
        // A result that is not exact is stored even where that is not masked.
        let _ = unit.raise(PRECISION);
    }
    Ok(integer.value as u128)
}

fn store_register<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, pops: bool) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    unit.set_condition(C1, false);
    if let Ok(bits) = extended(&mut unit) {
        unit.set_bits(op.registers[0], bits);
        if pops {
            unit.pop();
        }
    }
    unit.finish(context, Flow::Next)
}

/// The bits of a register; the default NaN for an empty one.
fn filled(unit: &Unit, index: u8) -> u128 {
    if unit.is_empty(index) { pack_extended(Float::INDEFINITE) } else { unit.bits(index) }
}

fn exchange<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    unit.set_condition(C1, false);
    let (first, second) = (op.registers[0], op.registers[1]);
    let (a, b) = (filled(&unit, first), filled(&unit, second));
    let faults = unit.is_empty(first) || unit.is_empty(second);
    if !faults || unit.stack_fault(false).is_ok() {
        unit.set_bits(first, b);
        unit.set_bits(second, a);
    }
    unit.finish(context, Flow::Next)
}

/// FCMOVcc, by the number of the condition.
fn conditional<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, condition: u8) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let (first, second) = (op.registers[0], op.registers[1]);
    if unit.is_empty(first) || unit.is_empty(second) {
        if let Ok(nan) = unit.stack_fault(false) {
            unit.set(first, nan);
        }
    } else if context.flags.condition(condition) {
        unit.set_bits(first, unit.bits(second));
    }
    unit.finish(context, Flow::Next)
}

//! Conversions between floating-point formats and integers.

use super::access::{Aligned, Memory, Source, by_source, destination, write};
use super::arithmetic::Real;
use super::lanes::{Lane, replace};
use super::unit::Unit;
use crate::context::Context;
use crate::float::{Answer, Mode, from_integer, to_integer};
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{self, InMemory, InRegister, Kind, kind};
use crate::ops::exceptions::{INVALID, PRECISION};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    between_formats(instruction).or_else(|| packed_integers(instruction)).or_else(|| general_register(instruction))
}

fn between_formats<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Cvtss2sd => by_source!(instruction, Memory<4>, scalar::<u32, u64>(reformat::<u32, u64>)),
        N::Cvtsd2ss => by_source!(instruction, Memory<8>, scalar::<u64, u32>(reformat::<u64, u32>)),
        N::Cvtps2pd => by_source!(instruction, Memory<8>, packed::<u32, u64>(reformat::<u32, u64>)),
        N::Cvtpd2ps => by_source!(instruction, Aligned, packed::<u64, u32>(reformat::<u64, u32>)),
        _ => return None,
    })
}

fn packed_integers<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Cvtdq2ps => by_source!(instruction, Aligned, packed::<u32, u32>(from_doubleword::<u32>)),
        N::Cvtdq2pd => by_source!(instruction, Memory<8>, packed::<u32, u64>(from_doubleword::<u64>)),
        N::Cvtps2dq => by_source!(instruction, Aligned, packed::<u32, u32>(rounded::<u32, u32>)),
        N::Cvttps2dq => by_source!(instruction, Aligned, packed::<u32, u32>(truncated::<u32, u32>)),
        N::Cvtpd2dq => by_source!(instruction, Aligned, packed::<u64, u32>(rounded::<u64, u32>)),
        N::Cvttpd2dq => by_source!(instruction, Aligned, packed::<u64, u32>(truncated::<u64, u32>)),
        _ => return None,
    })
}

fn general_register<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    let wide_result = instruction.op0_register().is_gpr64();
    Some(match (instruction.mnemonic(), wide_result) {
        (N::Cvtsi2ss, _) => from_general::<M, u32>(instruction),
        (N::Cvtsi2sd, _) => from_general::<M, u64>(instruction),
        (N::Cvtss2si, false) => by_source!(instruction, Memory<4>, to_general::<u32>(rounded::<u32, u32>)),
        (N::Cvtss2si, true) => by_source!(instruction, Memory<4>, to_general::<u32>(rounded::<u32, u64>)),
        (N::Cvttss2si, false) => by_source!(instruction, Memory<4>, to_general::<u32>(truncated::<u32, u32>)),
        (N::Cvttss2si, true) => by_source!(instruction, Memory<4>, to_general::<u32>(truncated::<u32, u64>)),
        (N::Cvtsd2si, false) => by_source!(instruction, Memory<8>, to_general::<u64>(rounded::<u64, u32>)),
        (N::Cvtsd2si, true) => by_source!(instruction, Memory<8>, to_general::<u64>(rounded::<u64, u64>)),
        (N::Cvttsd2si, false) => by_source!(instruction, Memory<8>, to_general::<u64>(truncated::<u64, u32>)),
        (N::Cvttsd2si, true) => by_source!(instruction, Memory<8>, to_general::<u64>(truncated::<u64, u64>)),
        _ => return None,
    })
}

/// The lanes of the source, as many as both vectors hold, each converted; the rest becomes zero.
fn packed<M: Mmu, S: Source, F: Lane, T: Lane>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    convert: impl Fn(&mut Unit, u64) -> u64,
) -> Outcome {
    let source = S::read(context, op)?;
    let mut unit = Unit::new(context.cpu.mxcsr);
    let count = 128 / F::BITS.max(T::BITS);
    let result = (0..count).fold(0, |result, index| {
        let value = convert(&mut unit, F::of(source, index).bits() as u64);
        replace(result, index, T::truncate(value.into()))
    });
    unit.finish(context)?;
    write(context, op, result)
}

/// The first lane of the source, converted; the rest of the destination stays.
fn scalar<M: Mmu, S: Source, F: Lane, T: Lane>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    convert: impl Fn(&mut Unit, u64) -> u64,
) -> Outcome {
    let source = S::read(context, op)?;
    set_first::<M, T>(context, op, |unit| convert(unit, F::of(source, 0).bits() as u64))
}

/// Sets the first lane of the first operand.
fn set_first<M: Mmu, T: Lane>(context: &mut Context<'_, M>, op: &Op<M>, compute: impl Fn(&mut Unit) -> u64) -> Outcome {
    let mut unit = Unit::new(context.cpu.mxcsr);
    let value = compute(&mut unit);
    unit.finish(context)?;
    let vector = replace(*destination(context, op), 0, T::truncate(value.into()));
    write(context, op, vector)
}

/// A number in another format.
fn reformat<F: Real, T: Real>(unit: &mut Unit, bits: u64) -> u64 {
    let operand = unit.operand(F::ENCODING, bits);
    let result = match unit.nan(&[operand]) {
        Some(nan) => nan,
        None => {
            unit.note_denormal(F::ENCODING, &[operand]);
            unit.deliver(T::ENCODING, Answer::of(operand))
        }
    };
    T::ENCODING.pack(result)
}

/// A signed doubleword as a number.
fn from_doubleword<T: Real>(unit: &mut Unit, bits: u64) -> u64 {
    T::ENCODING.pack(unit.deliver(T::ENCODING, Answer::of(from_integer((bits as i32).into()))))
}

/// A number as a signed integer of the size of `T`, rounded as MXCSR says.
fn rounded<F: Real, T: Lane>(unit: &mut Unit, bits: u64) -> u64 {
    let mode = unit.mode();
    integer::<F, T>(unit, bits, mode)
}

/// A number as a signed integer of the size of `T`, cut.
fn truncated<F: Real, T: Lane>(unit: &mut Unit, bits: u64) -> u64 {
    integer::<F, T>(unit, bits, Mode::Zero)
}

/// The most negative integer stands for everything that does not fit.
fn integer<F: Real, T: Lane>(unit: &mut Unit, bits: u64, mode: Mode) -> u64 {
    let operand = unit.operand(F::ENCODING, bits);
    let Some(integer) = to_integer(operand, T::BITS, mode) else {
        unit.raise(INVALID);
        return 1 << (T::BITS - 1);
    };
    if integer.inexact {
        unit.raise(PRECISION);
    }
    T::truncate(integer.value as u128).bits() as u64
}

fn to_general<M: Mmu, S: Source, F: Lane>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    convert: impl Fn(&mut Unit, u64) -> u64,
) -> Outcome {
    let source = S::read(context, op)?;
    let mut unit = Unit::new(context.cpu.mxcsr);
    let value = convert(&mut unit, F::of(source, 0).bits() as u64);
    unit.finish(context)?;
    context.registers.set(op.registers[0], value);
    Ok(Flow::Next)
}

/// The handler of CVTSI2SS and CVTSI2SD.
fn from_general<M: Mmu, T: Real>(instruction: &Instruction) -> Handler<M> {
    match (kind(instruction, 1), operand::bits(instruction, 1)) {
        (Kind::Memory, 32) => from_integer_operand::<M, T, u32, InMemory>,
        (Kind::Memory, _) => from_integer_operand::<M, T, u64, InMemory>,
        (_, 32) => from_integer_operand::<M, T, u32, InRegister<1>>,
        _ => from_integer_operand::<M, T, u64, InRegister<1>>,
    }
}

fn from_integer_operand<M: Mmu, T: Real, W: Width, S: operand::Source>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
) -> Outcome {
    let value = W::sign(S::read::<M, W>(context, op)?) as i64;
    set_first::<M, T>(context, op, |unit| T::ENCODING.pack(unit.deliver(T::ENCODING, Answer::of(from_integer(value)))))
}

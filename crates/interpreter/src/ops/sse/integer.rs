//! Packed integer arithmetic, comparison, logic and shifts, and the bitwise logic of floating-point vectors.

use super::access::{Aligned, Source, by_source, number, write};
use super::lanes::{self, build, horizontal, map, signs, test, zip};
use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{Kind, kind};
use engine::{Mmu, Rflags};
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    if !is_xmm(instruction) {
        return None;
    }
    logic(instruction)
        .or_else(|| addition(instruction))
        .or_else(|| multiplication(instruction))
        .or_else(|| order(instruction))
        .or_else(|| sign_and_absolute(instruction))
        .or_else(|| shift(instruction))
}

/// The same mnemonics exist for MMX registers.
pub(super) fn is_xmm(instruction: &Instruction) -> bool {
    (0..instruction.op_count())
        .any(|operand| kind(instruction, operand) == Kind::Register && instruction.op_register(operand).is_xmm())
}

/// A handler that replaces the first operand by a function of both.
macro_rules! both {
    ($instruction:expr, $function:expr) => {
        by_source!($instruction, Aligned, binary($function))
    };
}

pub(super) use both;

/// The first operand becomes `f(first, second)`.
pub(super) fn binary<M: Mmu, S: Source>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    f: impl Fn(u128, u128) -> u128,
) -> Outcome {
    let second = S::read(context, op)?;
    let first = context.cpu.xmm[number(op, 0)];
    write(context, op, f(first, second))
}

fn logic<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pand | N::Andps | N::Andpd => both!(instruction, |a, b| a & b),
        N::Pandn | N::Andnps | N::Andnpd => both!(instruction, |a, b| !a & b),
        N::Por | N::Orps | N::Orpd => both!(instruction, |a, b| a | b),
        N::Pxor | N::Xorps | N::Xorpd => both!(instruction, |a, b| a ^ b),
        N::Ptest => by_source!(instruction, Aligned, ptest()),
        _ => return None,
    })
}

fn ptest<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let second = S::read(context, op)?;
    let first = context.cpu.xmm[number(op, 0)];
    let zero = if first & second == 0 { Rflags::ZF } else { 0 };
    let carry = if !first & second == 0 { Rflags::CF } else { 0 };
    context.flags = Flags::from_bits(zero | carry);
    Ok(Flow::Next)
}

fn addition<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Paddb => both!(instruction, |a, b| zip(a, b, u8::wrapping_add)),
        N::Paddw => both!(instruction, |a, b| zip(a, b, u16::wrapping_add)),
        N::Paddd => both!(instruction, |a, b| zip(a, b, u32::wrapping_add)),
        N::Paddq => both!(instruction, |a, b| zip(a, b, u64::wrapping_add)),
        N::Paddsb => both!(instruction, |a, b| zip(a, b, i8::saturating_add)),
        N::Paddsw => both!(instruction, |a, b| zip(a, b, i16::saturating_add)),
        N::Paddusb => both!(instruction, |a, b| zip(a, b, u8::saturating_add)),
        N::Paddusw => both!(instruction, |a, b| zip(a, b, u16::saturating_add)),
        N::Psubb => both!(instruction, |a, b| zip(a, b, u8::wrapping_sub)),
        N::Psubw => both!(instruction, |a, b| zip(a, b, u16::wrapping_sub)),
        N::Psubd => both!(instruction, |a, b| zip(a, b, u32::wrapping_sub)),
        N::Psubq => both!(instruction, |a, b| zip(a, b, u64::wrapping_sub)),
        N::Psubsb => both!(instruction, |a, b| zip(a, b, i8::saturating_sub)),
        N::Psubsw => both!(instruction, |a, b| zip(a, b, i16::saturating_sub)),
        N::Psubusb => both!(instruction, |a, b| zip(a, b, u8::saturating_sub)),
        N::Psubusw => both!(instruction, |a, b| zip(a, b, u16::saturating_sub)),
        N::Phaddw => both!(instruction, |a, b| horizontal(a, b, u16::wrapping_add)),
        N::Phaddd => both!(instruction, |a, b| horizontal(a, b, u32::wrapping_add)),
        N::Phaddsw => both!(instruction, |a, b| horizontal(a, b, i16::saturating_add)),
        N::Phsubw => both!(instruction, |a, b| horizontal(a, b, u16::wrapping_sub)),
        N::Phsubd => both!(instruction, |a, b| horizontal(a, b, u32::wrapping_sub)),
        N::Phsubsw => both!(instruction, |a, b| horizontal(a, b, i16::saturating_sub)),
        N::Pavgb => both!(instruction, |a, b| zip(a, b, |a: u8, b| (u16::from(a) + u16::from(b)).div_ceil(2) as u8)),
        N::Pavgw => both!(instruction, |a, b| zip(a, b, |a: u16, b| (u32::from(a) + u32::from(b)).div_ceil(2) as u16)),
        N::Psadbw => both!(instruction, sum_of_differences),
        _ => return None,
    })
}

/// In each half, the sum of the absolute differences of its eight bytes.
fn sum_of_differences(a: u128, b: u128) -> u128 {
    let differences = zip(a, b, u8::abs_diff).to_le_bytes();
    build(|half| differences[8 * half as usize..][..8].iter().map(|&byte| u64::from(byte)).sum::<u64>())
}

fn multiplication<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pmullw => both!(instruction, |a, b| zip(a, b, u16::wrapping_mul)),
        N::Pmulld => both!(instruction, |a, b| zip(a, b, u32::wrapping_mul)),
        N::Pmulhw => both!(instruction, |a, b| zip(a, b, |a: i16, b| ((i32::from(a) * i32::from(b)) >> 16) as i16)),
        N::Pmulhuw => both!(instruction, |a, b| zip(a, b, |a: u16, b| ((u32::from(a) * u32::from(b)) >> 16) as u16)),
        N::Pmulhrsw => both!(instruction, |a, b| zip(a, b, high_rounded)),
        N::Pmuludq => both!(instruction, |a, b| zip(a, b, |a: u64, b| u64::from(a as u32) * u64::from(b as u32))),
        N::Pmuldq => both!(instruction, |a, b| zip(a, b, |a: i64, b| i64::from(a as i32) * i64::from(b as i32))),
        N::Pmaddwd => both!(instruction, |a, b| zip(a, b, |a: u32, b| multiply_add_words(a, b))),
        N::Pmaddubsw => both!(instruction, |a, b| zip(a, b, |a: u16, b| multiply_add_bytes(a, b))),
        _ => return None,
    })
}

/// The product of two fractions in 1.15 format, rounded.
fn high_rounded(a: i16, b: i16) -> i16 {
    (((i32::from(a) * i32::from(b)) >> 14).wrapping_add(1) >> 1) as i16
}

/// The sum of the products of the signed words.
fn multiply_add_words(a: u32, b: u32) -> u32 {
    let product = |shift: u32| i32::from((a >> shift) as i16).wrapping_mul(i32::from((b >> shift) as i16));
    product(0).wrapping_add(product(16)) as u32
}

/// The sum of the products of the unsigned bytes of `a` and the signed bytes of `b`, saturated.
fn multiply_add_bytes(a: u16, b: u16) -> u16 {
    let product = |shift: u32| i32::from((a >> shift) as u8) * i32::from((b >> shift) as i8);
    (product(0) + product(8)).clamp(i16::MIN.into(), i16::MAX.into()) as u16
}

fn order<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pcmpeqb => both!(instruction, |a, b| test(a, b, |a: u8, b| a == b)),
        N::Pcmpeqw => both!(instruction, |a, b| test(a, b, |a: u16, b| a == b)),
        N::Pcmpeqd => both!(instruction, |a, b| test(a, b, |a: u32, b| a == b)),
        N::Pcmpeqq => both!(instruction, |a, b| test(a, b, |a: u64, b| a == b)),
        N::Pcmpgtb => both!(instruction, |a, b| test(a, b, |a: i8, b| a > b)),
        N::Pcmpgtw => both!(instruction, |a, b| test(a, b, |a: i16, b| a > b)),
        N::Pcmpgtd => both!(instruction, |a, b| test(a, b, |a: i32, b| a > b)),
        N::Pcmpgtq => both!(instruction, |a, b| test(a, b, |a: i64, b| a > b)),
        N::Pminub => both!(instruction, |a, b| zip(a, b, u8::min)),
        N::Pminuw => both!(instruction, |a, b| zip(a, b, u16::min)),
        N::Pminud => both!(instruction, |a, b| zip(a, b, u32::min)),
        N::Pminsb => both!(instruction, |a, b| zip(a, b, i8::min)),
        N::Pminsw => both!(instruction, |a, b| zip(a, b, i16::min)),
        N::Pminsd => both!(instruction, |a, b| zip(a, b, i32::min)),
        N::Pmaxub => both!(instruction, |a, b| zip(a, b, u8::max)),
        N::Pmaxuw => both!(instruction, |a, b| zip(a, b, u16::max)),
        N::Pmaxud => both!(instruction, |a, b| zip(a, b, u32::max)),
        N::Pmaxsb => both!(instruction, |a, b| zip(a, b, i8::max)),
        N::Pmaxsw => both!(instruction, |a, b| zip(a, b, i16::max)),
        N::Pmaxsd => both!(instruction, |a, b| zip(a, b, i32::max)),
        N::Pmovmskb => move_mask::<M, u8>,
        N::Movmskps => move_mask::<M, u32>,
        N::Movmskpd => move_mask::<M, u64>,
        _ => return None,
    })
}

/// The signs of the lanes to a general register.
fn move_mask<M: Mmu, L: lanes::Lane>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mask = signs::<L>(context.cpu.xmm[number(op, 1)]);
    context.registers.set(op.registers[0], mask);
    Ok(Flow::Next)
}

fn sign_and_absolute<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Pabsb => both!(instruction, |_, b| map(b, i8::wrapping_abs)),
        N::Pabsw => both!(instruction, |_, b| map(b, i16::wrapping_abs)),
        N::Pabsd => both!(instruction, |_, b| map(b, i32::wrapping_abs)),
        N::Psignb => both!(instruction, |a, b| zip(a, b, |a: i8, b| a.wrapping_mul(b.signum()))),
        N::Psignw => both!(instruction, |a, b| zip(a, b, |a: i16, b| a.wrapping_mul(b.signum()))),
        N::Psignd => both!(instruction, |a, b| zip(a, b, |a: i32, b| a.wrapping_mul(b.signum()))),
        _ => return None,
    })
}

/// A handler that shifts the first operand by a count: the immediate, or the low half of the second operand.
macro_rules! by_count {
    ($instruction:expr, $function:expr) => {
        match kind($instruction, 1) {
            Kind::Immediate => |context, op| {
                let first = context.cpu.xmm[number(op, 0)];
                write(context, op, $function(first, op.immediate & 0xff))
            },
            _ => both!($instruction, |a, b| $function(a, b as u64)),
        }
    };
}

fn shift<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Psllw => by_count!(instruction, |a, n| map(a, |lane: u16| shifted(n, 16, |n| lane << n))),
        N::Pslld => by_count!(instruction, |a, n| map(a, |lane: u32| shifted(n, 32, |n| lane << n))),
        N::Psllq => by_count!(instruction, |a, n| map(a, |lane: u64| shifted(n, 64, |n| lane << n))),
        N::Psrlw => by_count!(instruction, |a, n| map(a, |lane: u16| shifted(n, 16, |n| lane >> n))),
        N::Psrld => by_count!(instruction, |a, n| map(a, |lane: u32| shifted(n, 32, |n| lane >> n))),
        N::Psrlq => by_count!(instruction, |a, n| map(a, |lane: u64| shifted(n, 64, |n| lane >> n))),
        N::Psraw => by_count!(instruction, |a, n: u64| map(a, |lane: i16| lane >> n.min(15))),
        N::Psrad => by_count!(instruction, |a, n: u64| map(a, |lane: i32| lane >> n.min(31))),
        N::Pslldq => by_count!(instruction, |a: u128, n| shifted(n, 16, |n| a << (8 * n))),
        N::Psrldq => by_count!(instruction, |a: u128, n| shifted(n, 16, |n| a >> (8 * n))),
        _ => return None,
    })
}

/// The shifted value, or zero where everything is shifted out.
pub(super) fn shifted<T: Default>(count: u64, limit: u64, shift: impl Fn(u64) -> T) -> T {
    if count < limit { shift(count) } else { T::default() }
}

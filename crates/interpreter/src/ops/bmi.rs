//! The bit manipulation extensions: BMI1, BMI2, ADX and CRC32.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome, Stop};
use crate::operand::{InMemory, InRegister, Kind, Source, bits, by_width, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    /// Chains by the operand that may lie in memory.
    macro_rules! with_memory {
        ($operand:literal, $handler:ident $(, $argument:ty)*) => {
            match kind(instruction, $operand) {
                Kind::Memory => by_width!(bits(instruction, 0), $handler::<M, _, InMemory $(, $argument)*>),
                _ => by_width!(bits(instruction, 0), $handler::<M, _, InRegister<$operand> $(, $argument)*>),
            }
        };
    }
    Some(match instruction.mnemonic() {
        Mnemonic::Andn => with_memory!(2, and_not),
        Mnemonic::Bextr => with_memory!(1, extract),
        Mnemonic::Bzhi => with_memory!(1, zero_high),
        Mnemonic::Blsi => with_memory!(1, lowest, Isolate),
        Mnemonic::Blsr => with_memory!(1, lowest, Reset),
        Mnemonic::Blsmsk => with_memory!(1, lowest, Mask),
        Mnemonic::Mulx => with_memory!(2, multiply),
        Mnemonic::Pdep => with_memory!(2, deposit),
        Mnemonic::Pext => with_memory!(2, gather),
        Mnemonic::Rorx => with_memory!(1, rotate),
        Mnemonic::Sarx => with_memory!(1, shift, ArithmeticRight),
        Mnemonic::Shlx => with_memory!(1, shift, LogicalLeft),
        Mnemonic::Shrx => with_memory!(1, shift, LogicalRight),
        Mnemonic::Adcx => with_memory!(1, add_with_carry),
        Mnemonic::Adox => with_memory!(1, add_with_overflow),
        Mnemonic::Crc32 if kind(instruction, 1) == Kind::Memory => {
            by_width!(bits(instruction, 1), checksum::<M, _, InMemory>)
        }
        Mnemonic::Crc32 => by_width!(bits(instruction, 1), checksum::<M, _, InRegister<1>>),
        _ => return None,
    })
}

fn set<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, value: u64) {
    W::set_register(&mut context.registers, op.registers[0], value);
}

fn and_not<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let result = S::read::<M, W>(context, op)? & !W::register(&context.registers, op.registers[1]);
    set::<M, W>(context, op, result);
    context.flags = Flags::logic::<W>(result);
    Ok(Flow::Next)
}

/// SF and PF, which are undefined, follow the result.
fn extract<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let control = context.registers.get(op.registers[2]);
    let shifted = value.checked_shr(control as u8 as u32).unwrap_or(0);
    let result = low_bits(shifted, (control >> 8) as u8);
    set::<M, W>(context, op, result);
    context.flags = Flags::logic::<W>(result);
    Ok(Flow::Next)
}

fn zero_high<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let count = context.registers.get(op.registers[2]) as u8;
    let result = low_bits(value, count);
    set::<M, W>(context, op, result);
    context.flags = Flags::result::<W>(result, u32::from(count) >= W::BITS, false);
    Ok(Flow::Next)
}

fn low_bits(value: u64, count: u8) -> u64 {
    value & !u64::MAX.checked_shl(count.into()).unwrap_or(0)
}

/// An operation on the lowest bit that is set: the result and CF.
trait Lowest {
    fn apply(value: u64) -> (u64, bool);
}

struct Isolate;
struct Reset;
struct Mask;

impl Lowest for Isolate {
    fn apply(value: u64) -> (u64, bool) {
        (value & value.wrapping_neg(), value != 0)
    }
}

impl Lowest for Reset {
    fn apply(value: u64) -> (u64, bool) {
        (value & value.wrapping_sub(1), value == 0)
    }
}

impl Lowest for Mask {
    fn apply(value: u64) -> (u64, bool) {
        (value ^ value.wrapping_sub(1), value == 0)
    }
}

fn lowest<M: Mmu, W: Width, S: Source, L: Lowest>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let (result, carry) = L::apply(S::read::<M, W>(context, op)?);
    set::<M, W>(context, op, result);
    context.flags = Flags::result::<W>(result, carry, false);
    Ok(Flow::Next)
}

/// Where both destinations are one register, it gets the high half.
fn multiply<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let factor = W::register(&context.registers, Gpr::Rdx as u8);
    let product = u128::from(factor) * u128::from(S::read::<M, W>(context, op)?);
    W::set_register(&mut context.registers, op.registers[1], product as u64);
    set::<M, W>(context, op, (product >> W::BITS) as u64);
    Ok(Flow::Next)
}

/// The positions of the bits that are set, from the lowest.
fn positions(mask: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |position| mask >> position & 1 != 0)
}

fn deposit<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mask = S::read::<M, W>(context, op)?;
    let value = W::register(&context.registers, op.registers[1]);
    let bits = positions(mask).enumerate().map(|(from, to)| (value >> from & 1) << to);
    set::<M, W>(context, op, bits.sum());
    Ok(Flow::Next)
}

fn gather<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mask = S::read::<M, W>(context, op)?;
    let value = W::register(&context.registers, op.registers[1]);
    let bits = positions(mask).enumerate().map(|(to, from)| (value >> from & 1) << to);
    set::<M, W>(context, op, bits.sum());
    Ok(Flow::Next)
}

fn rotate<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let count = op.immediate as u32 % W::BITS;
    set::<M, W>(context, op, value >> count | (value << 1) << (W::BITS - 1 - count));
    Ok(Flow::Next)
}

/// A shift that leaves the flags alone, by less than the operand size.
trait Shift {
    fn apply<W: Width>(value: u64, count: u32) -> u64;
}

struct ArithmeticRight;
struct LogicalLeft;
struct LogicalRight;

impl Shift for ArithmeticRight {
    fn apply<W: Width>(value: u64, count: u32) -> u64 {
        (W::sign(value) as i64 >> count) as u64
    }
}

impl Shift for LogicalLeft {
    fn apply<W: Width>(value: u64, count: u32) -> u64 {
        value << count
    }
}

impl Shift for LogicalRight {
    fn apply<W: Width>(value: u64, count: u32) -> u64 {
        value >> count
    }
}

fn shift<M: Mmu, W: Width, S: Source, H: Shift>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let count = context.registers.get(op.registers[2]) as u32 % W::BITS;
    set::<M, W>(context, op, H::apply::<W>(value, count));
    Ok(Flow::Next)
}

fn add_with_carry<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let (sum, carry) = add::<M, W, S>(context, op, context.flags.carry())?;
    set::<M, W>(context, op, sum);
    context.flags = context.flags.with_carry(carry);
    Ok(Flow::Next)
}

/// OF is the carry here.
fn add_with_overflow<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let (sum, carry) = add::<M, W, S>(context, op, context.flags.overflow())?;
    set::<M, W>(context, op, sum);
    context.flags = context.flags.with_carry_overflow(context.flags.carry(), carry);
    Ok(Flow::Next)
}

fn add<M: Mmu, W: Width, S: Source>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    carry: bool,
) -> Result<(u64, bool), Stop> {
    let source = S::read::<M, W>(context, op)?;
    let (sum, flags) = Flags::add_with_carry::<W>(W::register(&context.registers, op.registers[0]), source, carry);
    Ok((sum, flags.carry()))
}

/// CRC-32C, bit-reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

fn checksum<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let source = S::read::<M, W>(context, op)?;
    let bytes = source.to_le_bytes();
    let start = context.registers.get(op.registers[0]) as u32;
    let sum = bytes[..W::BYTES as usize].iter().fold(start, |sum, byte| add_byte(sum ^ u32::from(*byte)));
    context.registers.set(op.registers[0], sum.into());
    Ok(Flow::Next)
}

fn add_byte(sum: u32) -> u32 {
    (0..8).fold(sum, |sum, _| sum >> 1 ^ if sum & 1 != 0 { POLYNOMIAL } else { 0 })
}

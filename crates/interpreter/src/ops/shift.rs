//! Shifts and rotates.
//!
//! OF is undefined for counts other than 1; here it is what the last of that many shifts by one gives.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Op, Outcome};
use crate::operand::{Immediate, InRegister, Kind, Place, Source, by_operands, by_place, by_width, kind};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    type Cl = InRegister<2>;
    Some(match (instruction.mnemonic(), kind(instruction, 2)) {
        (Mnemonic::Shl | Mnemonic::Sal, _) => by_operands!(instruction, shift::<M, _, _, _, Shl>),
        (Mnemonic::Shr, _) => by_operands!(instruction, shift::<M, _, _, _, Shr>),
        (Mnemonic::Sar, _) => by_operands!(instruction, shift::<M, _, _, _, Sar>),
        (Mnemonic::Rol, _) => by_operands!(instruction, shift::<M, _, _, _, Rol>),
        (Mnemonic::Ror, _) => by_operands!(instruction, shift::<M, _, _, _, Ror>),
        (Mnemonic::Rcl, _) => by_operands!(instruction, shift::<M, _, _, _, Rcl>),
        (Mnemonic::Rcr, _) => by_operands!(instruction, shift::<M, _, _, _, Rcr>),
        (Mnemonic::Shld, Kind::Register) => by_place!(instruction, double::<M, _, _, Cl, Left>),
        (Mnemonic::Shld, _) => by_place!(instruction, double::<M, _, _, Immediate, Left>),
        (Mnemonic::Shrd, Kind::Register) => by_place!(instruction, double::<M, _, _, Cl, Right>),
        (Mnemonic::Shrd, _) => by_place!(instruction, double::<M, _, _, Immediate, Right>),
        _ => return None,
    })
}

/// The part of a shift count that the processor uses.
fn masked<W: Width>(count: u64) -> u32 {
    count as u32 & if W::BITS == 64 { 63 } else { 31 }
}

fn shift<M: Mmu, W: Width, P: Place, S: Source, O: Shift>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let count = masked::<W>(S::read::<M, W>(context, op)?);
    let place = P::locate(context, op);
    let value = P::read_to_modify::<M, W>(context, op, place)?;
    if count == 0 {
        return P::write::<M, W>(context, op, place, value);
    }
    let (result, flags) = O::apply::<W>(value, count, context.flags);
    let flow = P::write::<M, W>(context, op, place, result)?;
    context.flags = flags;
    Ok(flow)
}

fn double<M: Mmu, W: Width, P: Place, S: Source, O: Double>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let count = masked::<W>(S::read::<M, u8>(context, op)?);
    let place = P::locate(context, op);
    let value = P::read_to_modify::<M, W>(context, op, place)?;
    let fill = W::register(&context.registers, op.registers[1]);
    let (result, flags) = match count {
        0 => (value, context.flags),
        // Undefined: shifts the other operand in and then the first again.
        more if more > W::BITS => double_result::<W, O>(fill, value, more - W::BITS),
        count => double_result::<W, O>(value, fill, count),
    };
    let flow = P::write::<M, W>(context, op, place, result)?;
    context.flags = flags;
    Ok(flow)
}

fn double_result<W: Width, O: Double>(value: u64, fill: u64, count: u32) -> (u64, Flags) {
    let (result, carry) = O::apply::<W>(value.into(), fill.into(), count);
    let overflow = (result ^ value) & W::SIGN != 0;
    (result, Flags::result::<W>(result, carry, overflow))
}

/// A shift by 1 to 63 bits (31 where the operand is not 64 bits wide).
trait Shift {
    fn apply<W: Width>(value: u64, count: u32, flags: Flags) -> (u64, Flags);
}

struct Shl;
struct Shr;
struct Sar;
struct Rol;
struct Ror;
struct Rcl;
struct Rcr;

impl Shift for Shl {
    #[inline(always)]
    fn apply<W: Width>(value: u64, count: u32, _: Flags) -> (u64, Flags) {
        Flags::shift_left::<W>(value, count)
    }
}

impl Shift for Shr {
    #[inline(always)]
    fn apply<W: Width>(value: u64, count: u32, _: Flags) -> (u64, Flags) {
        Flags::shift_right::<W>(value, count)
    }
}

impl Shift for Sar {
    #[inline(always)]
    fn apply<W: Width>(value: u64, count: u32, _: Flags) -> (u64, Flags) {
        Flags::shift_right_signed::<W>(value, count)
    }
}

impl Shift for Rol {
    #[inline(always)]
    fn apply<W: Width>(value: u64, count: u32, flags: Flags) -> (u64, Flags) {
        let result = rotate_left::<W>(value, count);
        let carry = result & 1 != 0;
        (result, flags.with_carry_overflow(carry, (result & W::SIGN != 0) != carry))
    }
}

impl Shift for Ror {
    #[inline(always)]
    fn apply<W: Width>(value: u64, count: u32, flags: Flags) -> (u64, Flags) {
        let result = rotate_left::<W>(value, W::BITS - count % W::BITS);
        (result, flags.with_carry_overflow(result & W::SIGN != 0, top_bits_differ::<W>(result)))
    }
}

impl Shift for Rcl {
    fn apply<W: Width>(value: u64, count: u32, flags: Flags) -> (u64, Flags) {
        let count = count % (W::BITS + 1);
        if count == 0 {
            return (value, flags);
        }
        let (result, carry) = rotate_with_carry::<W>(value, count, flags.carry());
        (result, flags.with_carry_overflow(carry, (result & W::SIGN != 0) != carry))
    }
}

impl Shift for Rcr {
    fn apply<W: Width>(value: u64, count: u32, flags: Flags) -> (u64, Flags) {
        let count = count % (W::BITS + 1);
        if count == 0 {
            return (value, flags);
        }
        let (result, carry) = rotate_with_carry::<W>(value, W::BITS + 1 - count, flags.carry());
        (result, flags.with_carry_overflow(carry, top_bits_differ::<W>(result)))
    }
}

#[inline(always)]
fn rotate_left<W: Width>(value: u64, count: u32) -> u64 {
    let count = count % W::BITS;
    let wrapped = (value >> 1) >> (W::BITS - 1 - count);
    (value << count | wrapped) & W::MASK
}

/// Rotates the number that has the carry above its top bit, by 1 to `W::BITS` bits to the left.
fn rotate_with_carry<W: Width>(value: u64, count: u32, carry: bool) -> (u64, bool) {
    let wide = u128::from(carry) << W::BITS | u128::from(value);
    let rotated = wide << count | wide >> (W::BITS + 1 - count);
    (rotated as u64 & W::MASK, rotated >> W::BITS & 1 != 0)
}

fn top_bits_differ<W: Width>(value: u64) -> bool {
    (value ^ value << 1) & W::SIGN != 0
}

/// A shift by 1 to `W::BITS` bits that takes the bits coming in from `fill`: the result and the last bit shifted out.
trait Double {
    fn apply<W: Width>(value: u128, fill: u128, count: u32) -> (u64, bool);
}

struct Left;
struct Right;

impl Double for Left {
    fn apply<W: Width>(value: u128, fill: u128, count: u32) -> (u64, bool) {
        let rest = (value << W::BITS | fill) >> (W::BITS - count);
        (rest as u64 & W::MASK, value >> (W::BITS - count) & 1 != 0)
    }
}

impl Double for Right {
    fn apply<W: Width>(value: u128, fill: u128, count: u32) -> (u64, bool) {
        let rest = (fill << W::BITS | value) >> (count - 1);
        ((rest >> 1) as u64 & W::MASK, rest & 1 != 0)
    }
}

//! Addition, subtraction, logic and comparison.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome};
use crate::operand::{Place, Source, by_operands, by_place, by_width};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Add => by_operands!(instruction, binary::<M, _, _, _, Add>),
        Mnemonic::Adc => by_operands!(instruction, binary::<M, _, _, _, Adc>),
        Mnemonic::Sub => by_operands!(instruction, binary::<M, _, _, _, Sub>),
        Mnemonic::Sbb => by_operands!(instruction, binary::<M, _, _, _, Sbb>),
        Mnemonic::And => by_operands!(instruction, binary::<M, _, _, _, And>),
        Mnemonic::Or => by_operands!(instruction, binary::<M, _, _, _, Or>),
        Mnemonic::Xor => by_operands!(instruction, binary::<M, _, _, _, Xor>),
        Mnemonic::Cmp => by_operands!(instruction, compare::<M, _, _, _, Sub>),
        Mnemonic::Test => by_operands!(instruction, compare::<M, _, _, _, And>),
        Mnemonic::Inc => by_place!(instruction, unary::<M, _, _, Inc>),
        Mnemonic::Dec => by_place!(instruction, unary::<M, _, _, Dec>),
        Mnemonic::Neg => by_place!(instruction, unary::<M, _, _, Neg>),
        Mnemonic::Not => by_place!(instruction, unary::<M, _, _, Not>),
        _ => return None,
    })
}

/// An operation on two values; the second is ignored by unary ones. Results may have any bits above the operand size.
trait Operation {
    fn apply<W: Width>(a: u64, b: u64, flags: Flags) -> (u64, Flags);
}

struct Add;
struct Adc;
struct Sub;
struct Sbb;
struct And;
struct Or;
struct Xor;
struct Inc;
struct Dec;
struct Neg;
struct Not;

impl Operation for Add {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, _: Flags) -> (u64, Flags) {
        Flags::add::<W>(a, b)
    }
}

impl Operation for Adc {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, flags: Flags) -> (u64, Flags) {
        Flags::add_with_carry::<W>(a, b, flags.carry())
    }
}

impl Operation for Sub {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, _: Flags) -> (u64, Flags) {
        Flags::subtract::<W>(a, b)
    }
}

impl Operation for Sbb {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, flags: Flags) -> (u64, Flags) {
        Flags::subtract_with_borrow::<W>(a, b, flags.carry())
    }
}

impl Operation for And {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, _: Flags) -> (u64, Flags) {
        (a & b, Flags::logic::<W>(a & b))
    }
}

impl Operation for Or {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, _: Flags) -> (u64, Flags) {
        (a | b, Flags::logic::<W>(a | b))
    }
}

impl Operation for Xor {
    #[inline(always)]
    fn apply<W: Width>(a: u64, b: u64, _: Flags) -> (u64, Flags) {
        (a ^ b, Flags::logic::<W>(a ^ b))
    }
}

impl Operation for Inc {
    #[inline(always)]
    fn apply<W: Width>(a: u64, _: u64, before: Flags) -> (u64, Flags) {
        let result = a.wrapping_add(1);
        let overflow = result & W::MASK == W::SIGN;
        (result, Flags::result::<W>(result, before.carry(), overflow).with_adjust(a ^ result))
    }
}

impl Operation for Dec {
    #[inline(always)]
    fn apply<W: Width>(a: u64, _: u64, before: Flags) -> (u64, Flags) {
        let result = a.wrapping_sub(1);
        let overflow = a == W::SIGN;
        (result, Flags::result::<W>(result, before.carry(), overflow).with_adjust(a ^ result))
    }
}

impl Operation for Neg {
    #[inline(always)]
    fn apply<W: Width>(a: u64, _: u64, _: Flags) -> (u64, Flags) {
        Flags::subtract::<W>(0, a)
    }
}

impl Operation for Not {
    #[inline(always)]
    fn apply<W: Width>(a: u64, _: u64, flags: Flags) -> (u64, Flags) {
        (!a, flags)
    }
}

fn binary<M: Mmu, W: Width, P: Place, S: Source, O: Operation>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let b = S::read::<M, W>(context, op)?;
    let place = P::locate(context, op);
    let a = P::read_to_modify::<M, W>(context, op, place)?;
    let (result, flags) = O::apply::<W>(a, b, context.flags);
    let flow = P::write::<M, W>(context, op, place, result)?;
    context.flags = flags;
    Ok(flow)
}

fn compare<M: Mmu, W: Width, P: Place, S: Source, O: Operation>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let a = P::read::<M, W>(context, op)?;
    let b = S::read::<M, W>(context, op)?;
    context.flags = O::apply::<W>(a, b, context.flags).1;
    Ok(Flow::Next)
}

fn unary<M: Mmu, W: Width, P: Place, O: Operation>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let place = P::locate(context, op);
    let a = P::read_to_modify::<M, W>(context, op, place)?;
    let (result, flags) = O::apply::<W>(a, 0, context.flags);
    let flow = P::write::<M, W>(context, op, place, result)?;
    context.flags = flags;
    Ok(flow)
}

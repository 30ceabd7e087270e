//! Floating-point comparison.

use super::access::{Aligned, Memory, Source, by_source, number};
use super::arithmetic::{Real, each_lane};
use super::unit::Unit;
use crate::context::Context;
use crate::flags::Flags;
use crate::float::{Float, compare};
use crate::op::{Flow, Handler, Op, Outcome};
use crate::ops::exceptions::{INVALID, flags_of};
use engine::Mmu;
use iced_x86::{Code, Instruction, Mnemonic};
use std::cmp::Ordering;

/// A handler that compares lanes by the predicate in the immediate.
macro_rules! with_predicate {
    ($instruction:expr, all $lane:ty) => {
        by_source!($instruction, Aligned, masks::<$lane>(128 / <$lane>::BITS))
    };
    ($instruction:expr, one $lane:ty) => {
        by_source!($instruction, Memory<{ <$lane>::BITS as usize / 8 }>, masks::<$lane>(1))
    };
}

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Cmpps => with_predicate!(instruction, all u32),
        N::Cmppd => with_predicate!(instruction, all u64),
        N::Cmpss => with_predicate!(instruction, one u32),
        N::Cmpsd if instruction.code() == Code::Cmpsd_xmm_xmmm64_imm8 => with_predicate!(instruction, one u64),
        N::Comiss => by_source!(instruction, Memory<4>, to_flags::<u32>(true)),
        N::Comisd => by_source!(instruction, Memory<8>, to_flags::<u64>(true)),
        N::Ucomiss => by_source!(instruction, Memory<4>, to_flags::<u32>(false)),
        N::Ucomisd => by_source!(instruction, Memory<8>, to_flags::<u64>(false)),
        _ => return None,
    })
}

/// The order of two numbers. A quiet NaN is an invalid operation only where `signals`, a signalling one always.
fn order<L: Real>(unit: &mut Unit, a: u64, b: u64, signals: bool) -> Option<Ordering> {
    let operands = [unit.operand(L::ENCODING, a), unit.operand(L::ENCODING, b)];
    let order = compare(operands[0], operands[1]);
    if order.is_some() {
        unit.note_denormal(L::ENCODING, &operands);
    } else if signals || operands.into_iter().any(Float::is_signalling) {
        unit.raise(INVALID);
    }
    order
}

fn masks<M: Mmu, S: Source, L: Real>(context: &mut Context<'_, M>, op: &Op<M>, count: u32) -> Outcome {
    each_lane::<M, S, L>(context, op, count, |unit, a, b| predicate::<L>(unit, a, b, op.immediate))
}

/// All ones where the predicate with this number holds, else zero.
fn predicate<L: Real>(unit: &mut Unit, a: u64, b: u64, number: u64) -> u64 {
    let order = order::<L>(unit, a, b, matches!(number & 3, 1 | 2));
    let holds = match number & 3 {
        0 => order == Some(Ordering::Equal),
        1 => order == Some(Ordering::Less),
        2 => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        _ => order.is_none(),
    };
    // Predicates 4 to 7 are the negations of 0 to 3.
    if holds != (number & 4 != 0) { u64::MAX } else { 0 }
}

/// COMISS and the like: the order goes to ZF, PF and CF.
fn to_flags<M: Mmu, S: Source, L: Real>(context: &mut Context<'_, M>, op: &Op<M>, signals: bool) -> Outcome {
    let second = S::read(context, op)?;
    let first = context.cpu.xmm[number(op, 0)];
    let mut unit = Unit::new(context.cpu.mxcsr);
    let lane = |vector| L::of(vector, 0).bits() as u64;
    let order = order::<L>(&mut unit, lane(first), lane(second), signals);
    unit.finish(context)?;
    context.flags = Flags::from_bits(flags_of(order));
    Ok(Flow::Next)
}

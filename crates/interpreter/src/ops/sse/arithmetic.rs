//! Floating-point arithmetic, lane by lane.

use super::access::{Aligned, Memory, Source, by_source, number, write};
use super::lanes::{Lane, replace};
use super::unit::Unit;
use crate::context::Context;
use crate::float::{DOUBLE, Encoding, Float, SINGLE, add, compare, divide, multiply, square_root};
use crate::op::{Handler, Op, Outcome};
use crate::ops::exceptions::INVALID;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic};
use std::cmp::Ordering;

/// A lane that holds a floating-point number.
pub(super) trait Real: Lane {
    const ENCODING: Encoding;
}

impl Real for u32 {
    const ENCODING: Encoding = SINGLE;
}

impl Real for u64 {
    const ENCODING: Encoding = DOUBLE;
}

/// A handler that sets all lanes of the first operand (`all`), or only the first of them (`one`), to
/// `function(unit, first, second)`. A memory operand is as wide as that.
macro_rules! by_lane {
    ($instruction:expr, all $lane:ty, $function:expr) => {
        by_source!($instruction, Aligned, each_lane::<$lane>(128 / <$lane>::BITS, $function))
    };
    ($instruction:expr, one $lane:ty, $function:expr) => {
        by_source!($instruction, Memory<{ <$lane>::BITS as usize / 8 }>, each_lane::<$lane>(1, $function))
    };
}

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Addps => by_lane!(instruction, all u32, sum::<u32>),
        N::Addpd => by_lane!(instruction, all u64, sum::<u64>),
        N::Addss => by_lane!(instruction, one u32, sum::<u32>),
        N::Addsd => by_lane!(instruction, one u64, sum::<u64>),
        N::Subps => by_lane!(instruction, all u32, difference::<u32>),
        N::Subpd => by_lane!(instruction, all u64, difference::<u64>),
        N::Subss => by_lane!(instruction, one u32, difference::<u32>),
        N::Subsd => by_lane!(instruction, one u64, difference::<u64>),
        N::Mulps => by_lane!(instruction, all u32, product::<u32>),
        N::Mulpd => by_lane!(instruction, all u64, product::<u64>),
        N::Mulss => by_lane!(instruction, one u32, product::<u32>),
        N::Mulsd => by_lane!(instruction, one u64, product::<u64>),
        N::Divps => by_lane!(instruction, all u32, quotient::<u32>),
        N::Divpd => by_lane!(instruction, all u64, quotient::<u64>),
        N::Divss => by_lane!(instruction, one u32, quotient::<u32>),
        N::Divsd => by_lane!(instruction, one u64, quotient::<u64>),
        N::Sqrtps => by_lane!(instruction, all u32, root::<u32>),
        N::Sqrtpd => by_lane!(instruction, all u64, root::<u64>),
        N::Sqrtss => by_lane!(instruction, one u32, root::<u32>),
        N::Sqrtsd => by_lane!(instruction, one u64, root::<u64>),
        N::Minps => by_lane!(instruction, all u32, minimum::<u32>),
        N::Minpd => by_lane!(instruction, all u64, minimum::<u64>),
        N::Minss => by_lane!(instruction, one u32, minimum::<u32>),
        N::Minsd => by_lane!(instruction, one u64, minimum::<u64>),
        N::Maxps => by_lane!(instruction, all u32, maximum::<u32>),
        N::Maxpd => by_lane!(instruction, all u64, maximum::<u64>),
        N::Maxss => by_lane!(instruction, one u32, maximum::<u32>),
        N::Maxsd => by_lane!(instruction, one u64, maximum::<u64>),
        N::Haddps => by_source!(instruction, Aligned, each_pair::<u32>(sum::<u32>)),
        N::Haddpd => by_source!(instruction, Aligned, each_pair::<u64>(sum::<u64>)),
        N::Hsubps => by_source!(instruction, Aligned, each_pair::<u32>(difference::<u32>)),
        N::Hsubpd => by_source!(instruction, Aligned, each_pair::<u64>(difference::<u64>)),
        N::Addsubps => by_source!(instruction, Aligned, by_turns::<u32>()),
        N::Addsubpd => by_source!(instruction, Aligned, by_turns::<u64>()),
        _ => return None,
    })
}

/// The first `count` lanes of the first operand become `f(unit, first, second)`; the others stay.
pub(super) fn each_lane<M: Mmu, S: Source, L: Real>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    count: u32,
    f: impl Fn(&mut Unit, u64, u64) -> u64,
) -> Outcome {
    compute::<M, S, L>(context, op, count, |unit, first, second, index| {
        f(unit, lane::<L>(first, index), lane::<L>(second, index))
    })
}

/// The lanes become `f` of neighbours: those of the first operand, then those of the second.
fn each_pair<M: Mmu, S: Source, L: Real>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    f: impl Fn(&mut Unit, u64, u64) -> u64,
) -> Outcome {
    let half = 64 / L::BITS;
    compute::<M, S, L>(context, op, 2 * half, |unit, first, second, index| {
        let (source, pair) = if index < half { (first, index) } else { (second, index - half) };
        f(unit, lane::<L>(source, 2 * pair), lane::<L>(source, 2 * pair + 1))
    })
}

/// Differences and sums by turns.
fn by_turns<M: Mmu, S: Source, L: Real>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    compute::<M, S, L>(context, op, 128 / L::BITS, |unit, first, second, index| {
        let operation = if index % 2 == 0 { difference::<L> } else { sum::<L> };
        operation(unit, lane::<L>(first, index), lane::<L>(second, index))
    })
}

fn lane<L: Real>(vector: u128, index: u32) -> u64 {
    L::of(vector, index).bits() as u64
}

/// The first `count` lanes of the first operand become `f(unit, first, second, index)`, unless there is an exception.
fn compute<M: Mmu, S: Source, L: Real>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    count: u32,
    f: impl Fn(&mut Unit, u128, u128, u32) -> u64,
) -> Outcome {
    let second = S::read(context, op)?;
    let first = context.cpu.xmm[number(op, 0)];
    let mut unit = Unit::new(context.cpu.mxcsr);
    let result = (0..count).fold(first, |result, index| {
        let value = f(&mut unit, first, second, index);
        replace(result, index, L::truncate(value.into()))
    });
    unit.finish(context)?;
    write(context, op, result)
}

fn sum<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    unit.compute(L::ENCODING, [a, b], |[a, b], mode| add(a, b, mode))
}

fn difference<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    unit.compute(L::ENCODING, [a, b], |[a, b], mode| add(a, b.negated_if(true), mode))
}

fn product<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    unit.compute(L::ENCODING, [a, b], |[a, b], _| multiply(a, b))
}

fn quotient<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    unit.compute(L::ENCODING, [a, b], |[a, b], _| divide(a, b))
}

fn root<L: Real>(unit: &mut Unit, _: u64, b: u64) -> u64 {
    unit.compute(L::ENCODING, [b], |[b], _| square_root(b))
}

fn minimum<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    choose::<L>(unit, a, b, Ordering::Less)
}

fn maximum<L: Real>(unit: &mut Unit, a: u64, b: u64) -> u64 {
    choose::<L>(unit, a, b, Ordering::Greater)
}

/// The first operand where it stands in the wanted order to the second; in all other cases the second, as it is.
fn choose<L: Real>(unit: &mut Unit, a: u64, b: u64, wanted: Ordering) -> u64 {
    let (first, second) = (unit.operand(L::ENCODING, a), unit.operand(L::ENCODING, b));
    let order = compare(first, second);
    match order {
        Some(_) => unit.note_denormal(L::ENCODING, &[first, second]),
        None => unit.raise(INVALID),
    }
    let chosen: Float = if order == Some(wanted) { first } else { second };
    L::ENCODING.pack(chosen)
}

//! Comparison and classification.

use super::operand::{Double, Integer, Operand, Single, Source, St};
use super::unit::{C0, C1, C2, C3, Computed, Unit};
use crate::context::Context;
use crate::flags::Flags;
use crate::float::{Float, Kind as FloatKind, compare};
use crate::op::{Flow, Handler, Op, Outcome, Stop};
use crate::operand::{Kind, kind};
use crate::ops::exceptions::{INVALID, flags_of};
use engine::Mmu;
use iced_x86::{Instruction, MemorySize, Mnemonic};
use std::cmp::Ordering;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Fcom | N::Ficom => signalling::<M, 0>(instruction),
        N::Fcomp | N::Ficomp => signalling::<M, 1>(instruction),
        N::Fcompp => to_conditions::<M, Second, true, 2>,
        N::Fucom => to_conditions::<M, St<1>, false, 0>,
        N::Fucomp => to_conditions::<M, St<1>, false, 1>,
        N::Fucompp => to_conditions::<M, Second, false, 2>,
        N::Ftst => to_conditions::<M, Zero, true, 0>,
        N::Fcomi => to_flags::<M, true, 0>,
        N::Fcomip => to_flags::<M, true, 1>,
        N::Fucomi => to_flags::<M, false, 0>,
        N::Fucomip => to_flags::<M, false, 1>,
        N::Fxam => examine,
        _ => return None,
    })
}

/// The constant zero.
struct Zero;

impl Source for Zero {
    fn read<M: Mmu>(_: &mut Context<'_, M>, _: &Op<M>, _: &Unit) -> Result<Operand, Stop> {
        Ok(Operand::Number { value: Float::zero(false), denormal: false })
    }
}

/// ST(1), where it is no operand.
struct Second;

impl Source for Second {
    fn read<M: Mmu>(_: &mut Context<'_, M>, _: &Op<M>, unit: &Unit) -> Result<Operand, Stop> {
        Ok(unit.register(1))
    }
}

/// The handler of FCOM and the like for each kind of second operand.
fn signalling<M: Mmu, const POPS: u8>(instruction: &Instruction) -> Handler<M> {
    match (kind(instruction, 0), instruction.memory_size()) {
        (Kind::Register, _) => to_conditions::<M, St<1>, true, POPS>,
        (_, MemorySize::Float32) => to_conditions::<M, Single, true, POPS>,
        (_, MemorySize::Float64) => to_conditions::<M, Double, true, POPS>,
        (_, MemorySize::Int16) => to_conditions::<M, Integer<2>, true, POPS>,
        _ => to_conditions::<M, Integer<4>, true, POPS>,
    }
}

/// The order of two operands, and whether an exception that is not masked was raised on the way: it keeps the operands on
/// the stack. A quiet NaN is an invalid operation only where `signals`.
fn order(unit: &mut Unit, operands: [Operand; 2], signals: bool) -> (Option<Ordering>, Computed<()>) {
    if operands.iter().any(|operand| matches!(operand, Operand::Empty)) {
        return (None, unit.stack_fault(false).map(drop));
    }
    if operands.iter().any(|operand| matches!(operand, Operand::Unsupported)) {
        return (None, unit.raise(INVALID));
    }
    let [a, b] = operands.map(Operand::value);
    let order = compare(a, b);
    let completed = match order {
        Some(_) => unit.note_denormal(&operands),
        None if signals || a.is_signalling() || b.is_signalling() => unit.raise(INVALID),
        None => Ok(()),
    };
    (order, completed)
}

/// ST(0) against the second operand, to C3, C2 and C0.
fn to_conditions<M: Mmu, S: Source, const SIGNALS: bool, const POPS: u8>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let operands = [unit.register(0), S::read(context, op, &unit)?];
    unit.set_condition(C1, false);
    let (order, completed) = order(&mut unit, operands, SIGNALS);
    unit.set_condition(C3, matches!(order, Some(Ordering::Equal) | None));
    unit.set_condition(C2, order.is_none());
    unit.set_condition(C0, matches!(order, Some(Ordering::Less) | None));
    if completed.is_ok() {
        (0..POPS).for_each(|_| unit.pop());
    }
    unit.finish(context, Flow::Next)
}

/// ST(0) against another register, to ZF, PF and CF.
fn to_flags<M: Mmu, const SIGNALS: bool, const POPS: u8>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let operands = [unit.register(0), unit.register(op.registers[1])];
    let (order, completed) = order(&mut unit, operands, SIGNALS);
    context.flags = Flags::from_bits(flags_of(order));
    if completed.is_ok() {
        (0..POPS).for_each(|_| unit.pop());
    }
    unit.finish(context, Flow::Next)
}

/// FXAM: what ST(0) is, and its sign.
fn examine<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let class = match unit.register(0) {
        Operand::Empty => C3 | C0,
        Operand::Unsupported => 0,
        Operand::Number { denormal: true, .. } => C3 | C2,
        Operand::Number { value, .. } => match value.kind {
            FloatKind::Zero => C3,
            FloatKind::Finite { .. } => C2,
            FloatKind::Infinity => C2 | C0,
            FloatKind::Nan(_) => C0,
        },
    };
    let negative = unit.bits(0) >> 79 & 1 == 1;
    for bit in [C0, C2, C3] {
        unit.set_condition(bit, class & bit != 0);
    }
    unit.set_condition(C1, negative);
    unit.finish(context, Flow::Next)
}

//! Addition, subtraction, multiplication, division, square root, rounding to an integer, sign.

use super::operand::{Double, Integer, Operand, Single, Source, St};
use super::unit::{C1, Computed, Unit};
use crate::context::Context;
use crate::float::{Answer, Float, Mode, add, divide, multiply, pack_extended, square_root, to_integral};
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{Kind, kind};
use crate::ops::exceptions::PRECISION;
use engine::Mmu;
use iced_x86::{Instruction, MemorySize, Mnemonic};

/// An operation on two numbers.
type Binary = fn([Float; 2], Mode) -> Answer;

/// A handler of `first = operation(first, second)`, for each kind of second operand. The first is in a register: ST(0)
/// where the second is in memory.
macro_rules! binary {
    ($instruction:expr, $operation:expr) => {{
        let handler: Handler<M> = match (kind($instruction, 0), $instruction.memory_size()) {
            (Kind::Register, _) => |context, op| binary::<M, St<1>>(context, op, $operation, false),
            (_, MemorySize::Float32) => |context, op| binary::<M, Single>(context, op, $operation, false),
            (_, MemorySize::Float64) => |context, op| binary::<M, Double>(context, op, $operation, false),
            (_, MemorySize::Int16) => |context, op| binary::<M, Integer<2>>(context, op, $operation, false),
            _ => |context, op| binary::<M, Integer<4>>(context, op, $operation, false),
        };
        handler
    }};
}

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Fadd | N::Fiadd => binary!(instruction, sum),
        N::Fsub | N::Fisub => binary!(instruction, difference),
        N::Fsubr | N::Fisubr => binary!(instruction, reverse_difference),
        N::Fmul | N::Fimul => binary!(instruction, product),
        N::Fdiv | N::Fidiv => binary!(instruction, quotient),
        N::Fdivr | N::Fidivr => binary!(instruction, reverse_quotient),
        N::Faddp => |context, op| binary::<M, St<1>>(context, op, sum, true),
        N::Fsubp => |context, op| binary::<M, St<1>>(context, op, difference, true),
        N::Fsubrp => |context, op| binary::<M, St<1>>(context, op, reverse_difference, true),
        N::Fmulp => |context, op| binary::<M, St<1>>(context, op, product, true),
        N::Fdivp => |context, op| binary::<M, St<1>>(context, op, quotient, true),
        N::Fdivrp => |context, op| binary::<M, St<1>>(context, op, reverse_quotient, true),
        N::Fsqrt => |context, op| on_top(context, op, root),
        N::Frndint => |context, op| on_top(context, op, round_to_integer),
        N::Fabs => |context, op| set_sign(context, op, |bits| bits & !SIGN),
        N::Fchs => |context, op| set_sign(context, op, |bits| bits ^ SIGN),
        _ => return None,
    })
}

fn sum([a, b]: [Float; 2], mode: Mode) -> Answer {
    add(a, b, mode)
}

fn difference([a, b]: [Float; 2], mode: Mode) -> Answer {
    add(a, b.negated_if(true), mode)
}

fn reverse_difference([a, b]: [Float; 2], mode: Mode) -> Answer {
    difference([b, a], mode)
}

fn product([a, b]: [Float; 2], _: Mode) -> Answer {
    multiply(a, b)
}

fn quotient([a, b]: [Float; 2], _: Mode) -> Answer {
    divide(a, b)
}

fn reverse_quotient([a, b]: [Float; 2], _: Mode) -> Answer {
    divide(b, a)
}

fn binary<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>, operation: Binary, pops: bool) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let destination = op.registers[0];
    let operands = [unit.register(destination), S::read(context, op, &unit)?];
    if let Ok(result) = unit.compute(operands, operation) {
        unit.set(destination, result);
        if pops {
            unit.pop();
        }
    }
    unit.finish(context, Flow::Next)
}

/// ST(0) becomes a function of itself.
fn on_top<M: Mmu>(
    context: &mut Context<'_, M>,
    op: &Op<M>,
    function: fn(&mut Unit, Operand) -> Computed<Float>,
) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    let operand = unit.register(0);
    if let Ok(result) = function(&mut unit, operand) {
        unit.set(0, result);
    }
    unit.finish(context, Flow::Next)
}

fn root(unit: &mut Unit, operand: Operand) -> Computed<Float> {
    unit.compute([operand], |[a], _| square_root(a))
}

fn round_to_integer(unit: &mut Unit, operand: Operand) -> Computed<Float> {
    let value = match unit.values([operand])? {
        Ok([value]) => value,
        Err(result) => return Ok(result),
    };
    unit.note_denormal(&[operand])?;
    let (result, inexact, up) = to_integral(value, unit.mode());
    unit.set_condition(C1, up);
    if inexact {
        // A result that is not exact is delivered even where that is not masked.
        let _ = unit.raise(PRECISION);
    }
    Ok(result)
}

const SIGN: u128 = 1 << 79;

/// Changes the sign of ST(0), whatever it is.
fn set_sign<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, change: fn(u128) -> u128) -> Outcome {
    let mut unit = Unit::begin(context, op)?;
    unit.set_condition(C1, false);
    let result = if unit.is_empty(0) { unit.stack_fault(false).map(pack_extended) } else { Ok(change(unit.bits(0))) };
    if let Ok(bits) = result {
        unit.set_bits(0, bits);
    }
    unit.finish(context, Flow::Next)
}

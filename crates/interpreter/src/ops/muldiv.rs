//! Multiplication and division.
//!
//! Multiplication leaves SF, ZF, AF and PF undefined; here they follow the low half of the product, AF is clear. Division
//! leaves all flags undefined; here it leaves them as they were.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome};
use crate::operand::{Immediate, InMemory, InRegister, Kind, Source, bits, by_width, kind};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic};

const RAX: u8 = Gpr::Rax as u8;
const RDX: u8 = Gpr::Rdx as u8;

/// Register number of AH.
const AH: u8 = 16;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    macro_rules! by_source {
        ($operand:literal, $handler:ident $(, $argument:ty)*) => {
            match kind(instruction, $operand) {
                Kind::Memory => by_width!(bits(instruction, 0), $handler::<M, _, InMemory $(, $argument)*>),
                _ => by_width!(bits(instruction, 0), $handler::<M, _, InRegister<$operand> $(, $argument)*>),
            }
        };
    }
    Some(match (instruction.mnemonic(), instruction.op_count()) {
        (Mnemonic::Mul, _) => by_source!(0, multiply, Unsigned),
        (Mnemonic::Imul, 1) => by_source!(0, multiply, Signed),
        (Mnemonic::Imul, 2) => by_source!(1, multiply_into, InRegister<0>),
        (Mnemonic::Imul, _) => by_source!(1, multiply_into, Immediate),
        (Mnemonic::Div, _) => by_source!(0, divide, Unsigned),
        (Mnemonic::Idiv, _) => by_source!(0, divide, Signed),
        _ => return None,
    })
}

/// Signed or unsigned arithmetic at twice the operand size.
trait Arithmetic {
    /// The double-width product.
    fn product<W: Width>(a: u64, b: u64) -> u128;
    /// True where the low half alone stands for the product.
    fn fits<W: Width>(product: u128) -> bool;
    /// Quotient and remainder; `None` where the divisor is zero or the quotient does not fit.
    fn quotient<W: Width>(high: u64, low: u64, divisor: u64) -> Option<(u64, u64)>;
}

struct Unsigned;
struct Signed;

impl Arithmetic for Unsigned {
    #[inline(always)]
    fn product<W: Width>(a: u64, b: u64) -> u128 {
        u128::from(a) * u128::from(b)
    }

    #[inline(always)]
    fn fits<W: Width>(product: u128) -> bool {
        product <= W::MASK.into()
    }

    #[inline(always)]
    fn quotient<W: Width>(high: u64, low: u64, divisor: u64) -> Option<(u64, u64)> {
        if high == 0 {
            return Some((low.checked_div(divisor)?, low % divisor));
        }
        let (dividend, divisor) = (u128::from(high) << W::BITS | u128::from(low), u128::from(divisor));
        let quotient = dividend.checked_div(divisor)?;
        Self::fits::<W>(quotient).then_some((quotient as u64, (dividend % divisor) as u64))
    }
}

impl Arithmetic for Signed {
    #[inline(always)]
    fn product<W: Width>(a: u64, b: u64) -> u128 {
        (i128::from(W::sign(a) as i64) * i128::from(W::sign(b) as i64)) as u128
    }

    #[inline(always)]
    fn fits<W: Width>(product: u128) -> bool {
        i128::from(W::sign(product as u64) as i64) == product as i128
    }

    #[inline(always)]
    fn quotient<W: Width>(high: u64, low: u64, divisor: u64) -> Option<(u64, u64)> {
        let dividend = i128::from(W::sign(high) as i64) << W::BITS | i128::from(low);
        let divisor = i128::from(W::sign(divisor) as i64);
        let quotient = dividend.checked_div(divisor)?;
        Self::fits::<W>(quotient as u128).then_some((quotient as u64, (dividend % divisor) as u64))
    }
}

/// Writes the double-width accumulator: AX for bytes, else RDX:RAX.
fn set_accumulator<M: Mmu, W: Width>(context: &mut Context<'_, M>, low: u64, high: u64) {
    W::set_register(&mut context.registers, RAX, low);
    W::set_register(&mut context.registers, if W::BITS == 8 { AH } else { RDX }, high);
}

fn multiply<M: Mmu, W: Width, S: Source, A: Arithmetic>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let factor = S::read::<M, W>(context, op)?;
    let product = A::product::<W>(W::register(&context.registers, RAX), factor);
    set_accumulator::<M, W>(context, product as u64, (product >> W::BITS) as u64);
    context.flags = product_flags::<W, A>(product);
    Ok(Flow::Next)
}

fn multiply_into<M: Mmu, W: Width, A: Source, B: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let (a, b) = (A::read::<M, W>(context, op)?, B::read::<M, W>(context, op)?);
    let product = Signed::product::<W>(a, b);
    W::set_register(&mut context.registers, op.registers[0], product as u64);
    context.flags = product_flags::<W, Signed>(product);
    Ok(Flow::Next)
}

fn product_flags<W: Width, A: Arithmetic>(product: u128) -> Flags {
    let cut = !A::fits::<W>(product);
    Flags::result::<W>(product as u64, cut, cut)
}

fn divide<M: Mmu, W: Width, S: Source, A: Arithmetic>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let divisor = S::read::<M, W>(context, op)?;
    let low = W::register(&context.registers, RAX);
    let high = W::register(&context.registers, if W::BITS == 8 { AH } else { RDX });
    let Some((quotient, remainder)) = A::quotient::<W>(high, low, divisor) else {
        return Err(context.exception(0));
    };
    set_accumulator::<M, W>(context, quotient, remainder);
    Ok(Flow::Next)
}

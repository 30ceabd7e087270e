//! Single bits, and counting bits.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, Op, Outcome};
use crate::operand::{Immediate, InMemory, InRegister, Kind, Place, Source, bits, by_width, kind};
use crate::width::Width;
use engine::{Mmu, Rflags};
use iced_x86::{Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Bt => test::<M, Keep>(instruction),
        Mnemonic::Bts => test::<M, Set>(instruction),
        Mnemonic::Btr => test::<M, Reset>(instruction),
        Mnemonic::Btc => test::<M, Complement>(instruction),
        Mnemonic::Bsf => scan::<M, Forward>(instruction),
        Mnemonic::Bsr => scan::<M, Reverse>(instruction),
        Mnemonic::Tzcnt => count::<M, TrailingZeros>(instruction),
        Mnemonic::Lzcnt => count::<M, LeadingZeros>(instruction),
        Mnemonic::Popcnt => count::<M, Ones>(instruction),
        _ => return None,
    })
}

/// What becomes of the bit that is tested.
trait Change {
    const WRITES: bool = true;
    fn apply(value: u64, bit: u64) -> u64;
}

struct Keep;
struct Set;
struct Reset;
struct Complement;

impl Change for Keep {
    const WRITES: bool = false;

    fn apply(value: u64, _: u64) -> u64 {
        value
    }
}

impl Change for Set {
    fn apply(value: u64, bit: u64) -> u64 {
        value | bit
    }
}

impl Change for Reset {
    fn apply(value: u64, bit: u64) -> u64 {
        value & !bit
    }
}

impl Change for Complement {
    fn apply(value: u64, bit: u64) -> u64 {
        value ^ bit
    }
}

fn test<M: Mmu, C: Change>(instruction: &Instruction) -> Chain<M> {
    let size = bits(instruction, 0);
    match (kind(instruction, 0), kind(instruction, 1)) {
        (Kind::Memory, Kind::Register) => by_width!(size, test_string::<M, _, C>),
        (Kind::Memory, _) => by_width!(size, test_bit::<M, _, InMemory, Immediate, C>),
        (_, Kind::Register) => by_width!(size, test_bit::<M, _, InRegister<0>, InRegister<1>, C>),
        _ => by_width!(size, test_bit::<M, _, InRegister<0>, Immediate, C>),
    }
}

/// The bit number counts modulo the operand size.
fn test_bit<M: Mmu, W: Width, P: Place, S: Source, C: Change>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let bit = 1 << (S::read::<M, W>(context, op)? % u64::from(W::BITS));
    let mut flow = Flow::Next;
    let value = if C::WRITES {
        let place = P::locate(context, op);
        let value = P::read_to_modify::<M, W>(context, op, place)?;
        flow = P::write::<M, W>(context, op, place, C::apply(value, bit))?;
        value
    } else {
        P::read::<M, W>(context, op)?
    };
    context.flags = context.flags.with_carry(value & bit != 0);
    Ok(flow)
}

/// The register counts bits from the memory operand on, in both directions.
fn test_string<M: Mmu, W: Width, C: Change>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let number = W::sign(W::register(&context.registers, op.registers[1])) as i64;
    let element = number.div_euclid(W::BITS.into());
    let bit = 1 << number.rem_euclid(W::BITS.into());
    let address = context.address_at(op, (element as u64).wrapping_mul(W::BYTES));
    let mut flow = Flow::Next;
    let value = if C::WRITES {
        let value = context.load_to_modify::<W>(op, address)?;
        flow = context.store::<W>(op, address, C::apply(value, bit))?;
        value
    } else {
        context.load::<W>(op, address)?
    };
    context.flags = context.flags.with_carry(value & bit != 0);
    Ok(flow)
}

/// Which set bit is looked for.
trait Direction {
    fn find(value: u64) -> u32;
}

struct Forward;
struct Reverse;

impl Direction for Forward {
    fn find(value: u64) -> u32 {
        value.trailing_zeros()
    }
}

impl Direction for Reverse {
    fn find(value: u64) -> u32 {
        value.ilog2()
    }
}

fn scan<M: Mmu, D: Direction>(instruction: &Instruction) -> Chain<M> {
    match kind(instruction, 1) {
        Kind::Memory => by_width!(bits(instruction, 0), scan_bits::<M, _, InMemory, D>),
        _ => by_width!(bits(instruction, 0), scan_bits::<M, _, InRegister<1>, D>),
    }
}

/// Where no bit is set the destination stays as it is. The flags besides ZF are undefined; here they follow the source.
fn scan_bits<M: Mmu, W: Width, S: Source, D: Direction>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    if value != 0 {
        W::set_register(&mut context.registers, op.registers[0], D::find(value).into());
    }
    context.flags = Flags::logic::<W>(value);
    Ok(Flow::Next)
}

/// A count, and whether it sets CF where the source is zero.
trait Count {
    const CARRY: bool;
    fn count<W: Width>(value: u64) -> u32;
}

struct TrailingZeros;
struct LeadingZeros;
struct Ones;

impl Count for TrailingZeros {
    const CARRY: bool = true;

    fn count<W: Width>(value: u64) -> u32 {
        value.trailing_zeros().min(W::BITS)
    }
}

impl Count for LeadingZeros {
    const CARRY: bool = true;

    fn count<W: Width>(value: u64) -> u32 {
        value.leading_zeros() - (64 - W::BITS)
    }
}

impl Count for Ones {
    const CARRY: bool = false;

    fn count<W: Width>(value: u64) -> u32 {
        value.count_ones()
    }
}

fn count<M: Mmu, C: Count>(instruction: &Instruction) -> Chain<M> {
    match kind(instruction, 1) {
        Kind::Memory => by_width!(bits(instruction, 0), count_bits::<M, _, InMemory, C>),
        _ => by_width!(bits(instruction, 0), count_bits::<M, _, InRegister<1>, C>),
    }
}

/// All flags but ZF and CF are clear.
fn count_bits<M: Mmu, W: Width, S: Source, C: Count>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let count = C::count::<W>(value);
    W::set_register(&mut context.registers, op.registers[0], count.into());
    let (zero, carry) = (count == 0, C::CARRY && value == 0);
    context.flags = Flags::from_bits(if zero { Rflags::ZF } else { 0 } | if carry { Rflags::CF } else { 0 });
    Ok(Flow::Next)
}

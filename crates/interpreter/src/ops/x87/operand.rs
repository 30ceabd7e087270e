//! What x87 instructions read: registers of the stack, numbers and integers in memory.

use super::unit::Unit;
use crate::context::Context;
use crate::float::{DOUBLE, Encoding, Float, SINGLE, from_integer};
use crate::op::{Op, Stop};
use engine::Mmu;

/// An operand as the unit sees it.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    /// A register that holds nothing.
    Empty,
    /// An encoding that processors refuse.
    Unsupported,
    Number {
        value: Float,
        /// It was denormal in its own format.
        denormal: bool,
    },
}

impl Operand {
    /// The number; the default NaN where there is none.
    pub(super) fn value(self) -> Float {
        match self {
            Operand::Number { value, .. } => value,
            Operand::Empty | Operand::Unsupported => Float::INDEFINITE,
        }
    }
}

/// Something that can be read as a number.
pub(super) trait Source {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, unit: &Unit) -> Result<Operand, Stop>;
}

/// The stack register that is the operand with this index.
pub(super) struct St<const OPERAND: usize>;
/// A 32-bit number in memory.
pub(super) struct Single;
/// A 64-bit number in memory.
pub(super) struct Double;
/// An integer of `BYTES` bytes in memory.
pub(super) struct Integer<const BYTES: usize>;

impl<const OPERAND: usize> Source for St<OPERAND> {
    fn read<M: Mmu>(_: &mut Context<'_, M>, op: &Op<M>, unit: &Unit) -> Result<Operand, Stop> {
        Ok(unit.register(op.registers[OPERAND]))
    }
}

fn load<M: Mmu, const BYTES: usize>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<[u8; BYTES], Stop> {
    let address = context.address(op);
    context.load_bytes(op, address)
}

fn unpack(encoding: Encoding, bits: u64) -> Operand {
    let value = encoding.unpack(bits);
    Operand::Number { value, denormal: encoding.format.is_denormal(value) }
}

impl Source for Single {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, _: &Unit) -> Result<Operand, Stop> {
        Ok(unpack(SINGLE, u32::from_le_bytes(load(context, op)?).into()))
    }
}

impl Source for Double {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, _: &Unit) -> Result<Operand, Stop> {
        Ok(unpack(DOUBLE, u64::from_le_bytes(load(context, op)?)))
    }
}

impl<const BYTES: usize> Source for Integer<BYTES> {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, _: &Unit) -> Result<Operand, Stop> {
        let bytes: [u8; BYTES] = load(context, op)?;
        let negative = bytes[BYTES - 1] & 0x80 != 0;
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..BYTES].copy_from_slice(&bytes);
        Ok(Operand::Number { value: from_integer(i64::from_le_bytes(wide)), denormal: false })
    }
}

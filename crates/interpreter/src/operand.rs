//! Operand forms, as types: a handler is compiled for each combination that occurs.

use crate::context::Context;
use crate::op::{Flow, Op, Outcome, Stop};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, OpKind};

/// Something that can be read.
pub(crate) trait Source {
    /// The value, zero-extended.
    fn read<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop>;
}

/// Something that can be written.
pub(crate) trait Place: Source {
    /// True for a memory operand.
    const IN_MEMORY: bool;

    /// Where it is.
    type Location: Copy;

    /// The place, to be written only.
    fn locate<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> Self::Location;

    /// Reads what is going to be written.
    fn read_to_modify<M: Mmu, W: Width>(
        context: &mut Context<'_, M>,
        op: &Op<M>,
        location: Self::Location,
    ) -> Result<u64, Stop>;

    /// Writes the low bits of `value`.
    fn write<M: Mmu, W: Width>(
        context: &mut Context<'_, M>,
        op: &Op<M>,
        location: Self::Location,
        value: u64,
    ) -> Outcome;
}

/// The general register that is the operand with this index.
pub(crate) struct InRegister<const OPERAND: usize>;

/// The memory operand.
pub(crate) struct InMemory;

/// The immediate operand.
pub(crate) struct Immediate;

impl<const OPERAND: usize> Source for InRegister<OPERAND> {
    #[inline(always)]
    fn read<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
        Ok(W::register(&context.registers, op.registers[OPERAND]))
    }
}

impl<const OPERAND: usize> Place for InRegister<OPERAND> {
    const IN_MEMORY: bool = false;

    type Location = ();

    #[inline(always)]
    fn locate<M: Mmu>(_: &Context<'_, M>, _: &Op<M>) {}

    #[inline(always)]
    fn read_to_modify<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, (): ()) -> Result<u64, Stop> {
        Self::read::<M, W>(context, op)
    }

    #[inline(always)]
    fn write<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, (): (), value: u64) -> Outcome {
        W::set_register(&mut context.registers, op.registers[OPERAND], value);
        Ok(Flow::Next)
    }
}

impl Source for InMemory {
    #[inline(always)]
    fn read<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
        let address = context.address(op);
        context.load::<W>(op, address)
    }
}

impl Place for InMemory {
    const IN_MEMORY: bool = true;

    type Location = u64;

    #[inline(always)]
    fn locate<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> u64 {
        context.address(op)
    }

    #[inline(always)]
    fn read_to_modify<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, address: u64) -> Result<u64, Stop> {
        context.load_to_modify::<W>(op, address)
    }

    #[inline(always)]
    fn write<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, address: u64, value: u64) -> Outcome {
        context.store::<W>(op, address, value)
    }
}

impl Source for Immediate {
    #[inline(always)]
    fn read<M: Mmu, W: Width>(_: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
        Ok(op.immediate & W::MASK)
    }
}

/// What an operand is, for the choice of a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Register,
    Memory,
    Immediate,
}

/// The kind of the operand with this index; a missing operand counts as an immediate.
pub(crate) fn kind(instruction: &Instruction, operand: u32) -> Kind {
    match instruction.try_op_kind(operand) {
        Ok(OpKind::Register) => Kind::Register,
        Ok(OpKind::Memory) => Kind::Memory,
        _ => Kind::Immediate,
    }
}

/// Size of a register or memory operand, in bits.
pub(crate) fn bits(instruction: &Instruction, operand: u32) -> usize {
    match instruction.try_op_kind(operand) {
        Ok(OpKind::Register) => instruction.op_register(operand).size() * 8,
        _ => instruction.memory_size().size() * 8,
    }
}

/// The instance of a generic handler for an operand size in bits: `by_width!(bits, handler::<M, _, Place>)`.
macro_rules! by_width {
    ($bits:expr, $handler:ident::<$model:ty, _ $(, $argument:ty)*>) => {
        match $bits {
            8 => crate::op::chained!($handler::<$model, u8 $(, $argument)*>),
            16 => crate::op::chained!($handler::<$model, u16 $(, $argument)*>),
            32 => crate::op::chained!($handler::<$model, u32 $(, $argument)*>),
            _ => crate::op::chained!($handler::<$model, u64 $(, $argument)*>),
        }
    };
}

/// The instance of a generic handler for a destination (first operand) in a register or in memory.
macro_rules! by_place {
    ($instruction:expr, $handler:ident::<$model:ty, _, _ $(, $argument:ty)*>) => {{
        use crate::operand::{InMemory, InRegister, Kind, bits, kind};
        match kind($instruction, 0) {
            Kind::Memory => by_width!(bits($instruction, 0), $handler::<$model, _, InMemory $(, $argument)*>),
            _ => by_width!(bits($instruction, 0), $handler::<$model, _, InRegister<0> $(, $argument)*>),
        }
    }};
}

/// The instance of a generic handler for a destination and a source of the same size.
macro_rules! by_operands {
    ($instruction:expr, $handler:ident::<$model:ty, _, _, _ $(, $argument:ty)*>) => {{
        use crate::operand::{Immediate, InMemory, InRegister, Kind, bits, kind};
        type First = InRegister<0>;
        type Second = InRegister<1>;
        let size = bits($instruction, 0);
        match (kind($instruction, 0), kind($instruction, 1)) {
            (Kind::Memory, Kind::Register) => by_width!(size, $handler::<$model, _, InMemory, Second $(, $argument)*>),
            (Kind::Memory, _) => by_width!(size, $handler::<$model, _, InMemory, Immediate $(, $argument)*>),
            (_, Kind::Register) => by_width!(size, $handler::<$model, _, First, Second $(, $argument)*>),
            (_, Kind::Memory) => by_width!(size, $handler::<$model, _, First, InMemory $(, $argument)*>),
            (_, Kind::Immediate) => by_width!(size, $handler::<$model, _, First, Immediate $(, $argument)*>),
        }
    }};
}

pub(crate) use {by_operands, by_place, by_width};

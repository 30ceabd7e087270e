//! Operands in XMM registers and in memory.

use crate::context::Context;
use crate::op::{Flow, Op, Outcome, Stop};
use engine::Mmu;

/// A vector that can be read. What is narrower than 128 bits is zero-extended, except that a register is always whole.
pub(super) trait Source {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u128, Stop>;
}

/// The XMM register that is the operand with this index.
pub(super) struct Xmm<const OPERAND: usize>;

/// `BYTES` bytes of memory at any address.
pub(super) struct Memory<const BYTES: usize>;

/// 16 bytes of memory at a multiple of 16.
pub(super) struct Aligned;

impl<const OPERAND: usize> Source for Xmm<OPERAND> {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u128, Stop> {
        Ok(context.cpu.xmm[number(op, OPERAND)])
    }
}

impl<const BYTES: usize> Source for Memory<BYTES> {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u128, Stop> {
        let address = context.address(op);
        let bytes = context.load_bytes::<BYTES>(op, address)?;
        let mut vector = [0; 16];
        vector[..BYTES].copy_from_slice(&bytes);
        Ok(u128::from_le_bytes(vector))
    }
}

impl Source for Aligned {
    fn read<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u128, Stop> {
        let address = aligned_address(context, op)?;
        Ok(u128::from_le_bytes(context.load_bytes(op, address)?))
    }
}

/// The number of the XMM register that is the operand with this index.
pub(super) fn number<M>(op: &Op<M>, operand: usize) -> usize {
    usize::from(op.registers[operand] & 15)
}

/// The XMM register that is the first operand.
pub(super) fn destination<'a, M>(context: &'a mut Context<'_, M>, op: &Op<M>) -> &'a mut u128 {
    &mut context.cpu.xmm[number(op, 0)]
}

/// Sets the first operand; the end of most handlers.
pub(super) fn write<M>(context: &mut Context<'_, M>, op: &Op<M>, value: u128) -> Outcome {
    *destination(context, op) = value;
    Ok(Flow::Next)
}

/// The address of a memory operand that must be a multiple of 16: #GP where it is not.
pub(super) fn aligned_address<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
    let address = context.address(op);
    if address.is_multiple_of(16) { Ok(address) } else { Err(context.general_protection()) }
}

/// A handler made of `$body::<M, Source, $type>(context, op, $argument)`, where the source is the second operand: a
/// register, or memory as `$memory` reads it.
macro_rules! by_source {
    ($instruction:expr, $memory:ty, $body:ident $(::<$($type:ty),+>)? ($($argument:expr),*)) => {{
        use crate::operand::{Kind, kind};
        use crate::ops::sse::access::Xmm;
        let handler: crate::op::Handler<M> = match kind($instruction, 1) {
            Kind::Memory => |context, op| $body::<M, $memory $($(, $type)+)?>(context, op $(, $argument)*),
            _ => |context, op| $body::<M, Xmm<1> $($(, $type)+)?>(context, op $(, $argument)*),
        };
        handler
    }};
}

pub(super) use by_source;

//! Moves between XMM registers, memory and general registers.

use super::access::{Aligned, Memory, Source, Xmm, aligned_address, by_source, destination, number, write};
use super::integer::is_xmm;
use super::lanes::{interleave, replace};
use crate::context::Context;
use crate::op::{Flow, Handler, Op, Outcome};
use crate::operand::{Kind, kind};
use engine::Mmu;
use iced_x86::{Code, Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    if !is_xmm(instruction) {
        return None;
    }
    if kind(instruction, 0) == Kind::Memory { store(instruction) } else { load(instruction) }
}

fn load<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Movaps | N::Movapd | N::Movdqa | N::Movntdqa => by_source!(instruction, Aligned, copy()),
        N::Movups | N::Movupd | N::Movdqu | N::Lddqu => by_source!(instruction, Memory<16>, copy()),
        N::Movss => scalar::<M, 4>(instruction),
        N::Movsd => scalar::<M, 8>(instruction),
        N::Movd | N::Movq => between_files(instruction)?,
        N::Movlps | N::Movlpd => low::<M, Memory<8>>,
        N::Movhps | N::Movhpd => high::<M, Memory<8>>,
        N::Movlhps => high::<M, Xmm<1>>,
        N::Movhlps => high_to_low,
        _ => return None,
    })
}

fn store<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    use Mnemonic as N;
    Some(match instruction.mnemonic() {
        N::Movaps | N::Movapd | N::Movdqa | N::Movntps | N::Movntpd | N::Movntdq => store_aligned,
        N::Movups | N::Movupd | N::Movdqu => store_low::<M, 16>,
        N::Movss | N::Movd => store_low::<M, 4>,
        N::Movsd | N::Movq | N::Movlps | N::Movlpd => store_low::<M, 8>,
        N::Movhps | N::Movhpd => store_high,
        _ => return None,
    })
}

fn copy<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read(context, op)?;
    write(context, op, value)
}

/// MOVSS and MOVSD: from memory the rest becomes zero, from a register it stays.
fn scalar<M: Mmu, const BYTES: usize>(instruction: &Instruction) -> Handler<M> {
    match (kind(instruction, 1), BYTES) {
        (Kind::Memory, _) => copy::<M, Memory<BYTES>>,
        (_, 4) => |context, op| {
            let lane = context.cpu.xmm[number(op, 1)] as u32;
            let vector = replace(*destination(context, op), 0, lane);
            write(context, op, vector)
        },
        _ => low::<M, Xmm<1>>,
    }
}

/// MOVD and MOVQ.
fn between_files<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    Some(match instruction.code() {
        Code::Movd_xmm_rm32 | Code::Movq_xmm_rm64 => match (kind(instruction, 1), instruction.code()) {
            (Kind::Memory, Code::Movd_xmm_rm32) => copy::<M, Memory<4>>,
            (Kind::Memory, _) => copy::<M, Memory<8>>,
            (_, Code::Movd_xmm_rm32) => |context, op| from_general(context, op, u32::MAX.into()),
            _ => |context, op| from_general(context, op, u64::MAX),
        },
        Code::Movd_rm32_xmm => |context, op| to_general(context, op, u32::MAX.into()),
        Code::Movq_rm64_xmm => |context, op| to_general(context, op, u64::MAX),
        Code::Movq_xmm_xmmm64 | Code::Movq_xmmm64_xmm => by_source!(instruction, Memory<8>, copy_low()),
        _ => return None,
    })
}

fn from_general<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, mask: u64) -> Outcome {
    let value = context.registers.get(op.registers[1]) & mask;
    write(context, op, value.into())
}

fn to_general<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, mask: u64) -> Outcome {
    let value = context.cpu.xmm[number(op, 1)] as u64 & mask;
    context.registers.set(op.registers[0], value);
    Ok(Flow::Next)
}

/// The low half; the high half becomes zero.
fn copy_low<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read(context, op)?;
    write(context, op, (value as u64).into())
}

/// The low half of the source to the low half; the high half stays.
fn low<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read(context, op)? as u64;
    let vector = replace(*destination(context, op), 0, value);
    write(context, op, vector)
}

/// The low half of the source to the high half; the low half stays.
fn high<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read(context, op)?;
    let vector = interleave::<u64>(*destination(context, op), value, 0);
    write(context, op, vector)
}

fn high_to_low<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = (context.cpu.xmm[number(op, 1)] >> 64) as u64;
    let vector = replace(*destination(context, op), 0, value);
    write(context, op, vector)
}

fn store_aligned<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = aligned_address(context, op)?;
    let value = context.cpu.xmm[number(op, 1)];
    context.store_bytes(op, address, value.to_le_bytes())
}

fn store_low<M: Mmu, const BYTES: usize>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    let bytes = context.cpu.xmm[number(op, 1)].to_le_bytes();
    context.store_bytes::<BYTES>(op, address, std::array::from_fn(|place| bytes[place]))
}

fn store_high<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let address = context.address(op);
    let value = (context.cpu.xmm[number(op, 1)] >> 64) as u64;
    context.store_bytes(op, address, value.to_le_bytes())
}

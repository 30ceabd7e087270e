//! Moves, extensions, conditional moves, exchanges of registers and addresses.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome};
use crate::operand::{InMemory, InRegister, Kind, Place, Source, bits, by_operands, by_width, kind};
use crate::width::Width;
use engine::Mmu;
use iced_x86::{Instruction, Mnemonic, OpKind};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movnti if is_general(instruction) => by_operands!(instruction, mov::<M, _, _, _>),
        Mnemonic::Lea => by_width!(bits(instruction, 0), lea::<M, _>),
        Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd => extension(instruction),
        _ => return None,
    })
}

/// False for moves from and to segment, control and debug registers.
fn is_general(instruction: &Instruction) -> bool {
    (0..2).all(|operand| instruction.op_kind(operand) != OpKind::Register || instruction.op_register(operand).is_gpr())
}

fn mov<M: Mmu, W: Width, P: Place, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, W>(context, op)?;
    let place = P::locate(context, op);
    P::write::<M, W>(context, op, place, value)
}

fn lea<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let offset = context.offset(op);
    W::set_register(&mut context.registers, op.registers[0], offset);
    Ok(Flow::Next)
}

/// The handler of MOVZX, MOVSX and MOVSXD, by the sizes of source and destination.
fn extension<M: Mmu>(instruction: &Instruction) -> Chain<M> {
    macro_rules! by_source {
        ($handler:ident) => {
            match (bits(instruction, 1), kind(instruction, 1)) {
                (8, Kind::Memory) => by_width!(bits(instruction, 0), $handler::<M, _, u8, InMemory>),
                (8, _) => by_width!(bits(instruction, 0), $handler::<M, _, u8, InRegister<1>>),
                (16, Kind::Memory) => by_width!(bits(instruction, 0), $handler::<M, _, u16, InMemory>),
                (16, _) => by_width!(bits(instruction, 0), $handler::<M, _, u16, InRegister<1>>),
                (_, Kind::Memory) => by_width!(bits(instruction, 0), $handler::<M, _, u32, InMemory>),
                (..) => by_width!(bits(instruction, 0), $handler::<M, _, u32, InRegister<1>>),
            }
        };
    }
    if instruction.mnemonic() == Mnemonic::Movzx { by_source!(zero_extend) } else { by_source!(sign_extend) }
}

fn zero_extend<M: Mmu, W: Width, N: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::read::<M, N>(context, op)?;
    W::set_register(&mut context.registers, op.registers[0], value);
    Ok(Flow::Next)
}

fn sign_extend<M: Mmu, W: Width, N: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = N::sign(S::read::<M, N>(context, op)?);
    W::set_register(&mut context.registers, op.registers[0], value);
    Ok(Flow::Next)
}

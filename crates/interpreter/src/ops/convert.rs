//! Sign extensions within the accumulator, XLAT, and instructions that do nothing here.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome, chained};
use crate::width::Width;
use engine::{Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic};

const RAX: u8 = Gpr::Rax as u8;
const RDX: u8 = Gpr::Rdx as u8;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Cbw => chained!(widen::<M, u8, u16>),
        Mnemonic::Cwde => chained!(widen::<M, u16, u32>),
        Mnemonic::Cdqe => chained!(widen::<M, u32, u64>),
        Mnemonic::Cwd => chained!(spread::<M, u16>),
        Mnemonic::Cdq => chained!(spread::<M, u32>),
        Mnemonic::Cqo => chained!(spread::<M, u64>),
        Mnemonic::Xlatb => chained!(translate),
        _ if does_nothing(instruction.mnemonic()) => chained!(nothing),
        Mnemonic::Clflush | Mnemonic::Clflushopt | Mnemonic::Clwb => chained!(flush_line),
        _ => return None,
    })
}

/// Hints; and fences, because instructions are done in order and each sees what those before it wrote.
fn does_nothing(mnemonic: Mnemonic) -> bool {
    matches!(mnemonic, Mnemonic::Nop | Mnemonic::Reservednop | Mnemonic::Pause | Mnemonic::Endbr64 | Mnemonic::Endbr32)
        || matches!(mnemonic, Mnemonic::Lfence | Mnemonic::Mfence | Mnemonic::Sfence)
        || matches!(mnemonic, Mnemonic::Prefetchnta | Mnemonic::Prefetch | Mnemonic::Prefetchw | Mnemonic::Prefetchwt1)
        || matches!(mnemonic, Mnemonic::Prefetcht0 | Mnemonic::Prefetcht1 | Mnemonic::Prefetcht2)
}

fn widen<M: Mmu, N: Width, W: Width>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let value = N::sign(context.registers.get(RAX));
    W::set_register(&mut context.registers, RAX, value);
    Ok(Flow::Next)
}

fn spread<M: Mmu, W: Width>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    let signs = (W::sign(context.registers.get(RAX)) as i64 >> 63) as u64;
    W::set_register(&mut context.registers, RDX, signs);
    Ok(Flow::Next)
}

fn translate<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let index = u8::register(&context.registers, RAX);
    let value = context.load::<u8>(op, context.address_at(op, index))?;
    u8::set_register(&mut context.registers, RAX, value);
    Ok(Flow::Next)
}

fn nothing<M: Mmu>(_: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    Ok(Flow::Next)
}

/// There is no cache, but the address must be readable. A flush is no access to a device.
fn flush_line<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.probe_load(op, context.address(op))?;
    Ok(Flow::Next)
}

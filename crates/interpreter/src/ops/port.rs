//! IN and OUT.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome};
use crate::operand::by_width;
use crate::width::Width;
use engine::{Device, Gpr, Mmu};
use iced_x86::{Instruction, Mnemonic, OpKind};

const RAX: u8 = Gpr::Rax as u8;
const RDX: u8 = Gpr::Rdx as u8;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    let bits = |operand| instruction.op_register(operand).size() * 8;
    Some(match (instruction.mnemonic(), instruction.op_kinds().any(|kind| kind == OpKind::Immediate8)) {
        (Mnemonic::In, true) => by_width!(bits(0), input::<M, _, Named>),
        (Mnemonic::In, false) => by_width!(bits(0), input::<M, _, InDx>),
        (Mnemonic::Out, true) => by_width!(bits(1), output::<M, _, Named>),
        (Mnemonic::Out, false) => by_width!(bits(1), output::<M, _, InDx>),
        _ => return None,
    })
}

/// Where the port number is.
trait Port {
    fn number<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> u16;
}

struct Named;
struct InDx;

impl Port for Named {
    fn number<M: Mmu>(_: &Context<'_, M>, op: &Op<M>) -> u16 {
        op.immediate as u16
    }
}

impl Port for InDx {
    fn number<M: Mmu>(context: &Context<'_, M>, _: &Op<M>) -> u16 {
        context.registers.get(RDX) as u16
    }
}

fn input<M: Mmu, W: Width, P: Port>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let device = Device::Port(P::number(context, op));
    let value = context.read_from(op, device, W::BYTES as u8)?;
    W::set_register(&mut context.registers, RAX, value);
    Ok(Flow::Next)
}

fn output<M: Mmu, W: Width, P: Port>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let device = Device::Port(P::number(context, op));
    let value = W::register(&context.registers, RAX);
    context.write_to(op, device, W::BYTES as u8, value)?;
    Ok(Flow::Next)
}

//! Software interrupts, invalid opcodes, HLT, VMCALL, and returns through a far pointer.

use crate::context::{Context, is_canonical};
use crate::op::{Chain, Op, Outcome, chained};
use crate::width::Width;
use engine::{Exception, Exit, Gpr, Mmu};
use iced_x86::{Code, Instruction, Mnemonic};

/// Longest instruction, in bytes; a longer one raises #GP.
const LONGEST: u8 = 15;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    Some(match instruction.code() {
        _ if matches!(instruction.mnemonic(), Mnemonic::INVALID | Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2) => {
            chained!(invalid)
        }
        Code::Int_imm8 => chained!(interrupt),
        Code::Int3 => chained!(breakpoint),
        Code::Int1 => chained!(debug_trap),
        Code::Hlt => chained!(halt),
        Code::Vmcall => chained!(hypercall),
        Code::Retfq | Code::Retfq_imm16 => chained!(far_return::<M, u64>),
        Code::Retfd | Code::Retfd_imm16 => chained!(far_return::<M, u32>),
        Code::Iretq => chained!(interrupt_return::<M, u64>),
        Code::Iretd => chained!(interrupt_return::<M, u32>),
        _ => return None,
    })
}

pub(super) fn invalid<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    Err(if op.length == LONGEST { context.general_protection() } else { context.invalid_opcode() })
}

fn trap<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, vector: u8) -> Outcome {
    context.rip = op.next();
    Err(context.exit_after(Exit::Exception(Exception { vector, error: None, software: true })))
}

fn interrupt<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    trap(context, op, op.immediate as u8)
}

fn breakpoint<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    trap(context, op, 3)
}

fn debug_trap<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    trap(context, op, 1)
}

fn halt<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    context.rip = op.next();
    Err(context.exit_after(Exit::Halt))
}

fn hypercall<M: Mmu>(context: &mut Context<'_, M>, _: &Op<M>) -> Outcome {
    Err(context.exit_before(Exit::Hypercall))
}

/// A return within the code segment; one to another would have to read descriptors.
fn far_return<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = context.peek::<W>(op, 0)?;
    let selector = context.peek::<W>(op, W::BYTES)?;
    if selector as u16 != context.cpu.segments.cs {
        return Err(context.unsupported(op));
    }
    let flow = context.jump(target)?;
    context.drop_stack(2 * W::BYTES + op.immediate);
    Ok(flow)
}

/// A return to the same code and stack segments.
fn interrupt_return<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let mut frame = [0; 5];
    for (slot, value) in (0..).zip(&mut frame) {
        *value = context.peek::<W>(op, slot * W::BYTES)?;
    }
    let [rip, cs, rflags, rsp, ss] = frame;
    let segments = &context.cpu.segments;
    if (cs as u16, ss as u16) != (segments.cs, segments.ss) {
        return Err(context.unsupported(op));
    }
    if !is_canonical(rip) {
        return Err(context.general_protection());
    }
    context.registers.set(Gpr::Rsp as u8, rsp);
    context.return_with_flags(rip, rflags, W::MASK)
}

//! String instructions, with and without a repeat prefix.
//!
//! Each iteration is committed by itself and counts as an instruction. Where memory allows, MOVS and STOS do many at a
//! time: up to the end of a page, after one iteration in the same page has shown that no decoded code lies there.

use crate::context::Context;
use crate::flags::Flags;
use crate::op::{Chain, Flow, MemoryKind, Op, Outcome, Repeat, Stop};
use crate::operand::by_width;
use crate::width::Width;
use engine::{Device, Gpr, Mmu, Rflags};
use iced_x86::{Instruction, Mnemonic};

const RAX: u8 = Gpr::Rax as u8;
const RCX: u8 = Gpr::Rcx as u8;
const RDX: u8 = Gpr::Rdx as u8;
const RSI: u8 = Gpr::Rsi as u8;
const RDI: u8 = Gpr::Rdi as u8;

const PAGE: u64 = 0x1000;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    if !instruction.is_string_instruction() {
        return None;
    }
    let bits = instruction.memory_size().size() * 8;
    Some(match instruction.mnemonic() {
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsd | Mnemonic::Movsq => by_width!(bits, string::<M, _, Move>),
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => by_width!(bits, string::<M, _, Store>),
        Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => by_width!(bits, string::<M, _, Load>),
        Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq => by_width!(bits, string::<M, _, Scan>),
        Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq => {
            by_width!(bits, string::<M, _, Compare>)
        }
        Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd => by_width!(bits, string::<M, _, Input>),
        Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => by_width!(bits, string::<M, _, Output>),
        _ => return None,
    })
}

/// What one iteration does.
trait Element {
    /// True where the repeat prefix also looks at ZF.
    const COMPARES: bool = false;

    /// Commits one iteration, the counter apart.
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome;

    /// Commits as many of `most` iterations as can be done at once without any doubt about their effect, the counter apart.
    fn many<M: Mmu, W: Width>(_: &mut Context<'_, M>, _: &Op<M>, _most: u64) -> u64 {
        0
    }
}

fn string<M: Mmu, W: Width, E: Element>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if op.repeat == Repeat::None { E::once::<M, W>(context, op) } else { repeat::<M, W, E>(context, op) }
}

/// All iterations that can be done now. The flags follow only when the instruction ends: where it is suspended they are
/// those before it, as the processor manuals say for faults, and so nobody can see where a budget was cut.
fn repeat<M: Mmu, W: Width, E: Element>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    if counter(context, op) == 0 {
        return Ok(Flow::Next);
    }
    let before = context.flags;
    match iterate::<M, W, E>(context, op) {
        Ok(Some(flow)) => Ok(flow),
        suspended => {
            context.flags = before;
            suspended?;
            context.jump(op.address)
        }
    }
}

/// Iterates until the counter or the comparison ends the instruction, or (`None`) the budget is used up or code has changed.
///
/// The dispatcher counts one instruction for a handler that returns; the others are counted here.
fn iterate<M: Mmu, W: Width, E: Element>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<Option<Flow>, Stop> {
    loop {
        let flow = E::once::<M, W>(context, op)?;
        count_down(context, op, 1);
        if counter(context, op) == 0 || (E::COMPARES && ends(context, op)) {
            return Ok(Some(flow));
        }
        if flow == Flow::Jump || context.room() == 1 {
            return Ok(None);
        }
        context.retired += 1;
        let most = counter(context, op).min(context.room());
        let done = E::many::<M, W>(context, op, most);
        if done == 0 {
            continue;
        }
        count_down(context, op, done);
        context.retired += done - 1;
        if counter(context, op) == 0 {
            return Ok(Some(Flow::Next));
        }
        if context.room() == 1 {
            return Ok(None);
        }
        context.retired += 1;
    }
}

/// Register contents cut to the address size of the instruction.
fn get<M: Mmu>(context: &Context<'_, M>, op: &Op<M>, number: u8) -> u64 {
    op.memory.kind.cut(context.registers.get(number))
}

fn counter<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> u64 {
    get(context, op, RCX)
}

fn count_down<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, iterations: u64) {
    let left = op.memory.kind.cut(context.registers.get(RCX).wrapping_sub(iterations));
    context.registers.set(RCX, left);
}

fn ends<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> bool {
    context.flags.zero() != (op.repeat == Repeat::WhileEqual)
}

/// Moves an index register over elements, in the direction that DF gives.
fn advance<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, number: u8, elements: u64) {
    let distance = W::BYTES.wrapping_mul(elements);
    let step = if backwards(context) { distance.wrapping_neg() } else { distance };
    let moved = op.memory.kind.cut(context.registers.get(number).wrapping_add(step));
    context.registers.set(number, moved);
}

fn backwards<M: Mmu>(context: &Context<'_, M>) -> bool {
    context.cpu.rflags & Rflags::DF != 0
}

fn load_source<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
    context.load::<W>(op, context.address(op))
}

struct Move;
struct Store;
struct Load;
struct Scan;
struct Compare;
struct Input;
struct Output;

impl Element for Move {
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let value = load_source::<M, W>(context, op)?;
        let flow = context.store::<W>(op, get(context, op, RDI), value)?;
        advance::<M, W>(context, op, RSI, 1);
        advance::<M, W>(context, op, RDI, 1);
        Ok(flow)
    }

    /// Memory copies byte by byte; elements that overlap themselves would differ.
    fn many<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, most: u64) -> u64 {
        let (source, target) = (context.address(op), context.registers.get(RDI));
        let overlaps = (1..W::BYTES).contains(&target.wrapping_sub(source));
        if overlaps || !may_do_many::<M, W>(context, op) {
            return 0;
        }
        let count = most.min(elements_in_page::<W>(source)).min(elements_in_page::<W>(target));
        if count == 0 || context.mmu.copy(target, source, (count * W::BYTES) as usize).is_err() {
            return 0;
        }
        advance::<M, W>(context, op, RSI, count);
        advance::<M, W>(context, op, RDI, count);
        count
    }
}

impl Element for Store {
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let flow = context.store::<W>(op, get(context, op, RDI), context.registers.get(RAX))?;
        advance::<M, W>(context, op, RDI, 1);
        Ok(flow)
    }

    fn many<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>, most: u64) -> u64 {
        let target = context.registers.get(RDI);
        let pattern = &context.registers.get(RAX).to_le_bytes()[..W::BYTES as usize];
        let count = most.min(elements_in_page::<W>(target));
        if count == 0
            || !may_do_many::<M, W>(context, op)
            || context.mmu.fill(target, pattern, (count * W::BYTES) as usize).is_err()
        {
            return 0;
        }
        advance::<M, W>(context, op, RDI, count);
        count
    }
}

/// True where the element before the target is in the same page and was just written, without harm to decoded code.
fn may_do_many<M: Mmu, W: Width>(context: &Context<'_, M>, op: &Op<M>) -> bool {
    let target = context.registers.get(RDI);
    let before = target.wrapping_sub(W::BYTES);
    (target ^ before) < PAGE && !backwards(context) && !op.memory.kind.has(MemoryKind::NARROW)
}

/// Elements between an address and the end of its page.
fn elements_in_page<W: Width>(address: u64) -> u64 {
    (PAGE - address % PAGE) / W::BYTES
}

impl Element for Load {
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let value = load_source::<M, W>(context, op)?;
        W::set_register(&mut context.registers, RAX, value);
        advance::<M, W>(context, op, RSI, 1);
        Ok(Flow::Next)
    }
}

impl Element for Scan {
    const COMPARES: bool = true;

    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let value = context.load::<W>(op, get(context, op, RDI))?;
        context.flags = Flags::subtract::<W>(context.registers.get(RAX), value).1;
        advance::<M, W>(context, op, RDI, 1);
        Ok(Flow::Next)
    }
}

impl Element for Compare {
    const COMPARES: bool = true;

    /// Processors read the second operand first.
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let target = context.load::<W>(op, get(context, op, RDI))?;
        let source = load_source::<M, W>(context, op)?;
        context.flags = Flags::subtract::<W>(source, target).1;
        advance::<M, W>(context, op, RSI, 1);
        advance::<M, W>(context, op, RDI, 1);
        Ok(Flow::Next)
    }
}

impl Element for Input {
    /// The destination is tried before the port is read.
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let target = get(context, op, RDI);
        context.probe_store(op, target, W::BYTES as usize)?;
        let port = context.registers.get(RDX) as u16;
        let value = context.read_from(op, Device::Port(port), W::BYTES as u8)?;
        let flow = context.store::<W>(op, target, value)?;
        advance::<M, W>(context, op, RDI, 1);
        Ok(flow)
    }
}

impl Element for Output {
    fn once<M: Mmu, W: Width>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
        let value = load_source::<M, W>(context, op)?;
        let port = context.registers.get(RDX) as u16;
        context.write_to(op, Device::Port(port), W::BYTES as u8, value)?;
        advance::<M, W>(context, op, RSI, 1);
        Ok(Flow::Next)
    }
}

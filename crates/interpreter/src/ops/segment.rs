//! Segment registers, descriptor tables and far jumps.

use crate::context::Context;
use crate::op::{Chain, Flow, Op, Outcome, Stop, chained};
use crate::operand::{InMemory, InRegister, Kind, Place, Source, bits, by_place, by_width, kind};
use crate::width::Width;
use engine::{DescriptorTable, Exit, Mmu, Privileged};
use iced_x86::{Code, Instruction, Mnemonic};

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Chain<M>> {
    let in_memory = kind(instruction, 1) == Kind::Memory;
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if instruction.op1_register().is_segment_register() => {
            by_place!(instruction, store::<M, _, _, SegmentRegister>)
        }
        Mnemonic::Mov if !instruction.op0_register().is_segment_register() => return None,
        Mnemonic::Mov if in_memory => chained!(load_segment::<M, InMemory>),
        Mnemonic::Mov => chained!(load_segment::<M, InRegister<1>>),
        Mnemonic::Sldt => by_place!(instruction, store::<M, _, _, LocalTable>),
        Mnemonic::Str => by_place!(instruction, store::<M, _, _, Task>),
        Mnemonic::Smsw => by_place!(instruction, store::<M, _, _, MachineStatus>),
        Mnemonic::Sgdt => chained!(store_table::<M, Global>),
        Mnemonic::Sidt => chained!(store_table::<M, Interrupts>),
        Mnemonic::Lgdt => chained!(load_table::<M, Global>),
        Mnemonic::Lidt => chained!(load_table::<M, Interrupts>),
        Mnemonic::Lar if in_memory => by_width!(bits(instruction, 0), access_rights::<M, _, InMemory>),
        Mnemonic::Lar => by_width!(bits(instruction, 0), access_rights::<M, _, InRegister<1>>),
        Mnemonic::Jmp if instruction.code() == Code::Jmp_m1632 => chained!(far_jump),
        Mnemonic::Call if instruction.code() == Code::Call_m1632 => chained!(far_call),
        _ => return None,
    })
}

/// A small system register that can be stored in a register or in memory.
trait Stored {
    fn value<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> u64;
}

struct SegmentRegister;
struct LocalTable;
struct Task;
struct MachineStatus;

impl Stored for SegmentRegister {
    fn value<M: Mmu>(context: &Context<'_, M>, op: &Op<M>) -> u64 {
        context.selector(op.registers[1]).into()
    }
}

impl Stored for LocalTable {
    fn value<M: Mmu>(context: &Context<'_, M>, _: &Op<M>) -> u64 {
        context.cpu.segments.ldtr.into()
    }
}

impl Stored for Task {
    fn value<M: Mmu>(context: &Context<'_, M>, _: &Op<M>) -> u64 {
        context.cpu.segments.tr.into()
    }
}

impl Stored for MachineStatus {
    fn value<M: Mmu>(context: &Context<'_, M>, _: &Op<M>) -> u64 {
        context.cpu.cr0
    }
}

/// In memory these are 16 bits, in a register they fill the operand.
fn store<M: Mmu, W: Width, P: Place, S: Stored>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let value = S::value(context, op);
    let place = P::locate(context, op);
    P::write::<M, W>(context, op, place, value)
}

/// Number of the code segment register.
const CS: u8 = 1;

/// Numbers of the stack and the data segment registers whose base means nothing in 64-bit mode.
const WITHOUT_BASE: [u8; 3] = [0, 2, 3];

/// Reloading the selector that is there already. Another one would need its descriptor, and so do FS and GS.
fn load_segment<M: Mmu, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let register = op.registers[0];
    if register == CS {
        return Err(context.invalid_opcode());
    }
    let selector = S::read::<M, u16>(context, op)?;
    if WITHOUT_BASE.contains(&register) && selector == u64::from(context.selector(register)) {
        Ok(Flow::Next)
    } else {
        Err(context.unsupported(op))
    }
}

/// A descriptor table register.
trait Table {
    const INTERRUPTS: bool;
    fn of<'a, M: Mmu>(context: &'a mut Context<'_, M>) -> &'a mut DescriptorTable;
}

struct Global;
struct Interrupts;

impl Table for Global {
    const INTERRUPTS: bool = false;

    fn of<'a, M: Mmu>(context: &'a mut Context<'_, M>) -> &'a mut DescriptorTable {
        &mut context.cpu.gdtr
    }
}

impl Table for Interrupts {
    const INTERRUPTS: bool = true;

    fn of<'a, M: Mmu>(context: &'a mut Context<'_, M>) -> &'a mut DescriptorTable {
        &mut context.cpu.idtr
    }
}

fn store_table<M: Mmu, T: Table>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let table = *T::of(context);
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&table.limit.to_le_bytes());
    bytes[2..].copy_from_slice(&table.base.to_le_bytes());
    context.store_bytes(op, context.address(op), bytes)
}

fn load_table<M: Mmu, T: Table>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let [l0, l1, base @ ..] = context.load_bytes::<10>(op, context.address(op))?;
    let table = DescriptorTable { base: u64::from_le_bytes(base), limit: u16::from_le_bytes([l0, l1]) };
    context.ask(op, Exit::Privileged(Privileged::LoadTable { interrupts: T::INTERRUPTS, table }))?;
    *T::of(context) = table;
    Ok(Flow::Next)
}

/// Descriptor types that LAR accepts in 64-bit mode, besides code and data segments: LDT, TSS, busy TSS, call gate.
const SYSTEM_TYPES: [u64; 4] = [0x2, 0x9, 0xb, 0xc];

fn access_rights<M: Mmu, W: Width, S: Source>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let selector = S::read::<M, u16>(context, op)?;
    let descriptor = descriptor(context, op, selector)?.filter(|descriptor| {
        let (kind, is_segment) = (descriptor >> 40 & 0xf, descriptor >> 44 & 1 != 0);
        is_segment || SYSTEM_TYPES.contains(&kind)
    });
    if let Some(descriptor) = descriptor {
        W::set_register(&mut context.registers, op.registers[0], descriptor >> 32 & 0x00ff_ff00);
    }
    context.flags = context.flags.with_zero(descriptor.is_some());
    Ok(Flow::Next)
}

/// The first eight bytes of a descriptor in the global table, where the selector names one. There is no local table.
fn descriptor<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, selector: u64) -> Result<Option<u64>, Stop> {
    let (offset, local) = (selector & !7, selector & 4 != 0);
    let table = context.cpu.gdtr;
    if offset == 0 || local || offset + 7 > table.limit.into() {
        return Ok(None);
    }
    context.load::<u64>(op, table.base.wrapping_add(offset)).map(Some)
}

/// The offset and selector in memory; only a jump within the code segment is possible without reading descriptors.
fn far_target<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
    let address = context.address(op);
    let offset = context.load::<u32>(op, address)?;
    let selector = context.load::<u16>(op, address.wrapping_add(4))?;
    if selector == u64::from(context.cpu.segments.cs) { Ok(offset) } else { Err(context.unsupported(op)) }
}

fn far_jump<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = far_target(context, op)?;
    context.jump(target)
}

/// Pushes the code selector and the low half of the return address, four bytes each.
fn far_call<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Outcome {
    let target = far_target(context, op)?;
    let frame = u64::from(context.cpu.segments.cs) << 32 | op.next() & 0xffff_ffff;
    let _ = context.push::<u64>(op, frame)?;
    context.jump(target)
}

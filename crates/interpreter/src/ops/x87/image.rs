//! FXSAVE and FXRSTOR: the state of x87, MMX and SSE as an image in memory.

use super::unit::Unit;
use crate::context::{Context, is_canonical};
use crate::op::{Flow, Handler, Op, Outcome, Stop};
use crate::ops::exceptions::MXCSR_SETTABLE;
use engine::{Cpu, Fault, Mmu, X87};
use iced_x86::{Code, Instruction};

/// Bytes of the image, and of the part that is written and read.
const LENGTH: u64 = 512;
const USED: usize = 416;
/// Bytes moved at once.
const PIECE: usize = 16;

/// Offsets in the image.
const CONTROL: usize = 0;
const STATUS: usize = 2;
const TAG: usize = 4;
const OPCODE: usize = 6;
const INSTRUCTION: usize = 8;
const DATA: usize = 16;
const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
const REGISTERS: usize = 32;
const XMM: usize = 160;

/// The 80 bits of a register.
const EXTENDED_BITS: u128 = (1 << 80) - 1;

pub(super) fn select<M: Mmu>(instruction: &Instruction) -> Option<Handler<M>> {
    Some(match instruction.code() {
        Code::Fxsave_m512byte => |context, op| save(context, op, false),
        Code::Fxsave64_m512byte => |context, op| save(context, op, true),
        Code::Fxrstor_m512byte => |context, op| restore(context, op, false),
        Code::Fxrstor64_m512byte => |context, op| restore(context, op, true),
        _ => return None,
    })
}

/// Without REX.W the pointers have 32 bits.
fn pointer(value: u64, wide: bool) -> u64 {
    if wide { value } else { value & 0xffff_ffff }
}

fn save<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, wide: bool) -> Outcome {
    let address = image_address(context, op)?;
    context.probe_store(op, last_byte(address), 1)?;
    context.probe_store(op, address, LENGTH as usize)?;
    let image = image(context.cpu, wide);
    let mut flow = Flow::Next;
    for (piece, address) in image.as_chunks::<PIECE>().0.iter().zip((address..).step_by(PIECE)) {
        flow = context.store_bytes(op, address, *piece)?;
    }
    Ok(flow)
}

fn restore<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>, wide: bool) -> Outcome {
    let address = image_address(context, op)?;
    context.load_bytes::<1>(op, last_byte(address))?;
    let mut image = [0; USED];
    for (piece, address) in image.as_chunks_mut::<PIECE>().0.iter_mut().zip((address..).step_by(PIECE)) {
        *piece = context.load_bytes(op, address)?;
    }
    let mxcsr = u32::from_le_bytes(field(&image, MXCSR));
    if mxcsr & !MXCSR_SETTABLE != 0 {
        return Err(context.general_protection());
    }
    context.cpu.mxcsr = mxcsr;
    for (index, register) in context.cpu.xmm.iter_mut().enumerate() {
        *register = u128::from_le_bytes(field(&image, XMM + 16 * index));
    }
    Unit::with(state(&image, wide)).finish(context, Flow::Next)
}

fn image_address<M: Mmu>(context: &mut Context<'_, M>, op: &Op<M>) -> Result<u64, Stop> {
    let address = context.address(op);
    if address.is_multiple_of(16) {
        Ok(address)
    } else if is_canonical(address) {
        Err(context.general_protection())
    } else {
        Err(context.operand_fault(op, Fault::NonCanonical(address)))
    }
}

/// The byte of an image that processors touch first.
fn last_byte(address: u64) -> u64 {
    address.wrapping_add(LENGTH - 1)
}

fn image(cpu: &Cpu, wide: bool) -> [u8; USED] {
    let mut image = [0; USED];
    let mut put = |offset: usize, bytes: &[u8]| image[offset..][..bytes.len()].copy_from_slice(bytes);
    put(CONTROL, &cpu.x87.control.to_le_bytes());
    put(STATUS, &cpu.x87.status.to_le_bytes());
    put(TAG, &[cpu.x87.tag]);
    put(OPCODE, &cpu.x87.opcode.to_le_bytes());
    put(INSTRUCTION, &pointer(cpu.x87.instruction, wide).to_le_bytes());
    put(DATA, &pointer(cpu.x87.data, wide).to_le_bytes());
    put(MXCSR, &cpu.mxcsr.to_le_bytes());
    put(MXCSR_MASK, &MXCSR_SETTABLE.to_le_bytes());
    for (index, register) in cpu.xmm.iter().enumerate() {
        put(XMM + 16 * index, &register.to_le_bytes());
    }
    for index in 0..8 {
        put(REGISTERS + 16 * index, &cpu.x87.registers[physical(cpu.x87.status, index)].to_le_bytes());
    }
    image
}

fn state(image: &[u8; USED], wide: bool) -> X87 {
    let status = u16::from_le_bytes(field(image, STATUS));
    let mut registers = [0; 8];
    for index in 0..8 {
        let bits = u128::from_le_bytes(field(image, REGISTERS + 16 * index));
        registers[physical(status, index)] = bits & EXTENDED_BITS;
    }
    X87 {
        registers,
        control: super::control::settable(u16::from_le_bytes(field(image, CONTROL))),
        status,
        tag: image[TAG],
        opcode: u16::from_le_bytes(field(image, OPCODE)) & 0x7ff,
        instruction: pointer(u64::from_le_bytes(field(image, INSTRUCTION)), wide),
        data: pointer(u64::from_le_bytes(field(image, DATA)), wide),
    }
}

/// The image holds ST(0) first.
fn physical(status: u16, index: usize) -> usize {
    (usize::from(status >> 11) + index) % 8
}

fn field<const N: usize>(image: &[u8; USED], offset: usize) -> [u8; N] {
    std::array::from_fn(|place| image[offset + place])
}

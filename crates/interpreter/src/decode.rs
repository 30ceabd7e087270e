//! From bytes to operations.

use crate::block::{Block, Key};
use crate::op::{Chain, Memory, MemoryKind, Op, Repeat, end_of_block};
use crate::ops;
use crate::registers::ZERO;
use engine::{Fault, Mmu};
use iced_x86::{
    Code, ConditionCode, Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, OpKind, Register,
};

/// Longest instruction, in bytes.
const LONGEST: usize = 15;

/// Most operations in a block.
const MOST_OPS: usize = 32;

const PAGE: u64 = 0x1000;

/// Decodes the block at `address`: at least one operation, at most up to the end of the page.
///
/// Only the first instruction may straddle two pages, and it is then alone. So the second page is fetched exactly when
/// the processor would need it.
pub(crate) fn block<M: Mmu>(mmu: &mut M, address: u64) -> Result<Block<M>, Fault> {
    let span = mmu.fetch(address)?;
    if let Some(block) = decode_all(span.bytes, Key { address, stamps: [span.stamp, 0] }, MOST_OPS) {
        return Ok(block);
    }
    let (stamp, mut bytes) = (span.stamp, span.bytes.to_vec());
    let second = mmu.fetch((address | (PAGE - 1)).wrapping_add(1))?;
    bytes.extend(second.bytes.iter().take(LONGEST));
    let key = Key { address, stamps: [stamp, second.stamp] };
    Ok(decode_all(&bytes, key, 1).unwrap_or(Block { key, chain: end_of_block, ops: Box::default() }))
}

/// Decodes up to `most` operations until the block must end. `None` where the first instruction does not end within
/// `bytes`.
fn decode_all<M: Mmu>(bytes: &[u8], key: Key, most: usize) -> Option<Block<M>> {
    let bytes = &bytes[..bytes.len().min(MOST_OPS * LONGEST)];
    let mut decoder = Decoder::with_ip(64, bytes, key.address, DecoderOptions::NONE);
    let mut ops: Vec<Op<M>> = Vec::with_capacity(MOST_OPS);
    let mut first = None;
    let mut instruction = Instruction::default();
    while ops.len() < most && decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if decoder.last_error() == DecoderError::NoMoreBytes || (stands_alone(&instruction) && !ops.is_empty()) {
            break;
        }
        let (chain, op) = operation(&instruction, ops.len() as u8);
        match ops.last_mut() {
            Some(before) => before.next_chain = chain,
            None => first = Some(chain),
        }
        ops.push(op);
        if ends_block(&instruction) {
            break;
        }
    }
    first.map(|chain| Block { key, chain, ops: ops.into_boxed_slice() })
}

fn ends_block(instruction: &Instruction) -> bool {
    let goes_on = matches!(instruction.flow_control(), FlowControl::Next | FlowControl::ConditionalBranch);
    !goes_on || stands_alone(instruction)
}

/// True for an instruction that must know how many were retired before it.
fn stands_alone(instruction: &Instruction) -> bool {
    let counts = matches!(instruction.code(), Code::Rdtsc | Code::Rdtscp | Code::Rdmsr | Code::Wrmsr);
    counts || repeat(instruction) != Repeat::None
}

fn repeat(instruction: &Instruction) -> Repeat {
    if !instruction.is_string_instruction() {
        Repeat::None
    } else if instruction.has_repne_prefix() {
        Repeat::WhileNotEqual
    } else if instruction.has_rep_prefix() {
        Repeat::WhileEqual
    } else {
        Repeat::None
    }
}

/// What executes an instruction, and its operation.
fn operation<M: Mmu>(instruction: &Instruction, position: u8) -> (Chain<M>, Op<M>) {
    let (chain, handler) = ops::select(instruction);
    let op = Op {
        next_chain: end_of_block,
        handler,
        address: instruction.ip(),
        immediate: immediate(instruction),
        memory: memory(instruction),
        registers: [0, 1, 2].map(|operand| register_number(operand_register(instruction, operand))),
        length: instruction.len() as u8,
        position,
        repeat: repeat(instruction),
        code: instruction.code(),
    };
    (chain, op)
}

/// The register that an operand is; for a memory operand the vector of offsets, where it has one.
fn operand_register(instruction: &Instruction, operand: u32) -> Register {
    match instruction.try_op_kind(operand) {
        Ok(OpKind::Register) => instruction.op_register(operand),
        Ok(OpKind::Memory) if instruction.memory_index().is_vector_register() => instruction.memory_index(),
        _ => Register::None,
    }
}

/// The number by which handlers know a register; 0 where there is none.
fn register_number(register: Register) -> u8 {
    match register {
        Register::AH => 16,
        Register::CH => 17,
        Register::DH => 18,
        Register::BH => 19,
        Register::None => 0,
        register => register.full_register().number() as u8,
    }
}

/// The immediate operand, or the target of a near branch, or the condition of SETcc and CMOVcc. The second immediate of
/// ENTER is in bits 16 to 23.
fn immediate(instruction: &Instruction) -> u64 {
    let value = |operand| match instruction.op_kind(operand) {
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => Some(instruction.near_branch_target()),
        OpKind::Immediate8_2nd => None,
        _ => instruction.try_immediate(operand).ok(),
    };
    match (0..instruction.op_count()).find_map(value) {
        Some(first) if instruction.code() == Code::Enterq_imm16_imm8 => {
            first | u64::from(instruction.immediate8_2nd()) << 16
        }
        Some(first) => first,
        None => condition_number(instruction.condition_code()).into(),
    }
}

/// The number of a condition in the encoding; 0 where there is none.
pub(crate) fn condition_number(condition: ConditionCode) -> u8 {
    (condition as u8).saturating_sub(1)
}

fn memory(instruction: &Instruction) -> Memory {
    let (base, index) = base_and_index(instruction);
    // iced gives the address itself as the displacement of a RIP-relative operand. XLAT adds its index itself.
    let is_part = |register: Register| register.is_gpr64() || register.is_gpr32();
    let number = |register: Register| if is_part(register) { register.number() as u8 } else { ZERO };
    Memory {
        displacement: instruction.memory_displacement64(),
        base: number(base),
        index: number(index),
        shift: instruction.memory_index_scale().trailing_zeros() as u8,
        kind: memory_kind(instruction, base, index),
    }
}

/// The source of a string instruction counts as a memory operand; so does the stack, for an instruction that uses it and
/// has no other.
fn base_and_index(instruction: &Instruction) -> (Register, Register) {
    for kind in instruction.op_kinds() {
        match kind {
            OpKind::Memory => return (instruction.memory_base(), instruction.memory_index()),
            OpKind::MemorySegRSI => return (Register::RSI, Register::None),
            OpKind::MemorySegESI => return (Register::ESI, Register::None),
            OpKind::MemoryESEDI => return (Register::EDI, Register::None),
            _ => {}
        }
    }
    (if uses_stack(instruction) { Register::RSP } else { Register::None }, Register::None)
}

/// True for an instruction that touches the stack by its nature.
fn uses_stack(instruction: &Instruction) -> bool {
    instruction.is_stack_instruction() || matches!(instruction.code(), Code::Enterq_imm16_imm8 | Code::Leaveq)
}

fn memory_kind(instruction: &Instruction, base: Register, index: Register) -> MemoryKind {
    let narrow = [base, index].iter().any(|register| register.size() == 4)
        || (base == Register::None && index == Register::None && instruction.memory_displ_size() == 4);
    let size = if narrow { MemoryKind::NARROW } else { MemoryKind::PLAIN };
    match instruction.memory_segment() {
        Register::FS => size.with(MemoryKind::FS),
        Register::GS => size.with(MemoryKind::GS),
        _ => size,
    }
}

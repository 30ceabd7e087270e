//! What operands of instructions stand for.

use iced_x86::{Instruction, OpKind, Register};

use super::state::State;
use super::value::Value;
use crate::code::{ImportId, Program};

/// Where a memory operand lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// So many bytes from an address; `indexed` where an unknown index is added.
    At { base: Value, indexed: bool },
    /// Relative to GS or FS: the processor's own data.
    Processor,
}

/// The place of the memory operand.
pub(super) fn place(state: &State, instruction: &Instruction) -> Place {
    if matches!(instruction.segment_prefix(), Register::GS | Register::FS) {
        return Place::Processor;
    }
    if instruction.is_ip_rel_memory_operand() {
        let rva = instruction.ip_rel_memory_address() as u32;
        return Place::At { base: Value::Image(rva), indexed: false };
    }
    let base = match instruction.memory_base() {
        Register::None => Value::Number(0),
        register => state.get(register),
    };
    let base = base.plus(instruction.memory_displacement64() as i64);
    match instruction.memory_index() {
        Register::None => Place::At { base, indexed: false },
        index => match state.get(index) {
            Value::Number(number) => {
                let offset = (number as i64).wrapping_mul(i64::from(instruction.memory_index_scale()));
                Place::At { base: base.plus(offset), indexed: false }
            }
            // `[index + base*1]`: the address may stand in either register.
            value @ Value::Image(_) if instruction.memory_index_scale() == 1 && base.number().is_some() => {
                let offset = base.number().unwrap_or_default() as i64;
                Place::At { base: value.plus(offset), indexed: false }
            }
            _ => Place::At { base, indexed: true },
        },
    }
}

/// The bytes that the first operand has.
pub(super) fn bytes(instruction: &Instruction) -> usize {
    match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        _ => instruction.memory_size().size(),
    }
}

/// What lies at a place.
pub(super) fn load(program: &Program<'_>, state: &State, place: Place, bytes: usize) -> Value {
    let Place::At { base, indexed } = place else { return Value::Unknown };
    match (base, indexed) {
        (Value::Stack(at), false) => state.slot(at),
        (Value::Parameter(n, at), false) if state.sync == Some((n, at)) => Value::InterruptSync,
        (Value::InterruptSync, false) => Value::SyncMethods(0),
        (Value::SyncMethods(at), false) => program.interrupt_sync(at).map_or(Value::Unknown, Value::Import),
        (Value::Image(rva), false) => loaded_global(program, rva, bytes),
        (Value::Image(rva), true) => Value::Entry(rva),
        // Irp->Tail.Overlay.CurrentStackLocation.
        (Value::Parameter(_, 0xb8), false) => Value::StackLocation(0),
        (Value::StackLocation(0), false) if bytes == 1 => Value::Major(0),
        (base, false) => base.pointee(),
        (_, true) => Value::Unknown,
    }
}

fn loaded_global(program: &Program<'_>, rva: u32, bytes: usize) -> Value {
    if let Some(import) = program.import_at(rva) {
        return Value::Import(import);
    }
    if program.is_writable(rva) {
        return Value::Global(rva);
    }
    match (program.pointer_at(rva), bytes) {
        (Some(target), 8) => Value::Image(target),
        (None, 4) => program.u32(rva).map_or(Value::Unknown, |number| Value::Number(number.into())),
        _ => Value::Unknown,
    }
}

/// `[register+offset]`, where the register holds the address of a framework's table.
fn framework_entry(program: &Program<'_>, state: &State, instruction: &Instruction) -> Option<ImportId> {
    match (state.get(instruction.memory_base()), instruction.memory_index()) {
        (Value::Global(pointer), Register::None) => {
            program.framework_entry(pointer, instruction.memory_displacement64())
        }
        _ => None,
    }
}

/// What the operand with this index is.
pub(super) fn operand(program: &Program<'_>, state: &State, instruction: &Instruction, index: u32) -> Value {
    match instruction.op_kind(index) {
        OpKind::Register => state.get(instruction.op_register(index)),
        OpKind::Memory => {
            let bytes = instruction.memory_size().size();
            if let Some(id) = framework_entry(program, state, instruction) {
                return Value::Import(id);
            }
            match place(state, instruction) {
                // Any load of eight bytes 0xb8 from an unknown address may be the stack location of a request.
                Place::At { base: Value::Unknown | Value::Pool { .. } | Value::Global(_), indexed: false }
                    if bytes == 8 && instruction.memory_displacement64() == 0xb8 =>
                {
                    Value::StackLocation(0)
                }
                place => load(program, state, place, bytes),
            }
        }
        _ => match instruction.try_immediate(index) {
            Ok(number) => program
                .rva_of(number)
                .filter(|_| number > u64::from(u32::MAX))
                .map_or(Value::Number(number), Value::Image),
            Err(_) => Value::Unknown,
        },
    }
}

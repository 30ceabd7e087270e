//! Calls of what the table of a DMA adapter holds: `adapter->DmaOperations->Routine(adapter, ..)`.
//!
//! Drivers keep the adapter anywhere. What shows such a call is its form: the first parameter is the object whose table is used,
//! and the address of the table lies eight bytes from its start ("DMA_ADAPTER structure").

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use crate::code::{ImportId, Program};

/// `DMA_ADAPTER.DmaOperations`, in bytes from its start.
const OPERATIONS: u64 = 8;

/// The routine that an indirect call leads to, if it goes through the table of an adapter. `before` is what is executed before
/// it, as far as nothing else can come between.
pub(super) fn routine(program: &Program<'_>, before: &[Instruction], call: &Instruction) -> Option<ImportId> {
    if !program.has_dma_adapters() || call.op0_kind() != OpKind::Memory {
        return None;
    }
    let calls = |instruction: &Instruction| instruction.flow_control() != FlowControl::Next;
    let before = &before[before.iter().rposition(calls).map_or(0, |last| last + 1)..];
    let guarded = call.is_ip_rel_memory_operand();
    if guarded && !program.is_guard_dispatch(call.ip_rel_memory_address() as u32) {
        return None;
    }
    let (entry, before) = match guarded {
        true => load_of(before, Register::RAX)?,
        false => (call, before),
    };
    let (table, before_table) = load_of(before, entry.memory_base())?;
    let takes_adapter = table.memory_displacement64() == OPERATIONS
        && entry.memory_index() == Register::None
        && table.memory_index() == Register::None
        && is_first_parameter(before, before_table, table.memory_base());
    takes_adapter.then(|| program.dma_operation(entry.memory_displacement64())).flatten()
}

/// The instruction that last wrote a register, which loads it from memory, and what was executed before.
fn load_of(code: &[Instruction], register: Register) -> Option<(&Instruction, &[Instruction])> {
    let at = last_write(code, register)?;
    let load = &code[at];
    (load.mnemonic() == Mnemonic::Mov && load.op1_kind() == OpKind::Memory).then(|| (load, &code[..at]))
}

/// Is what a register held after `early` the first parameter after `code`: the same register, a copy of it, or loaded from the
/// same place?
fn is_first_parameter(code: &[Instruction], early: &[Instruction], adapter: Register) -> bool {
    if adapter == Register::RCX {
        return last_write(&code[early.len()..], Register::RCX).is_none();
    }
    let Some(at) = last_write(code, Register::RCX) else { return false };
    let first = &code[at];
    if first.mnemonic() != Mnemonic::Mov {
        return false;
    }
    if first.op1_kind() == OpKind::Register {
        let between = if at < early.len() { &code[at + 1..early.len()] } else { &code[early.len()..at] };
        return first.op1_register() == adapter && last_write(between, adapter).is_none();
    }
    let place = |load: &Instruction| (load.memory_base(), load.memory_index(), load.memory_displacement64());
    load_of(early, adapter).is_some_and(|(load, _)| place(load) == place(first))
}

/// The last instruction of `code` that writes a register.
fn last_write(code: &[Instruction], register: Register) -> Option<usize> {
    let writes = |instruction: &Instruction| {
        instruction.op_count() > 0
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register().full_register() == register
            && !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push)
    };
    code.iter().rposition(writes)
}

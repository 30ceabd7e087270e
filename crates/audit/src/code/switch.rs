//! Jumps through tables, as compilers write them for `switch`.
//!
//! Microsoft's compiler keeps offsets from the image base and loads them with the table's offset as displacement; clang
//! keeps offsets from the table itself. Both tables end where an entry leads out of the function.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::program::Program;

/// Most entries of one table.
const MAX_ENTRIES: u32 = 1024;
/// How many instructions before the jump the table is looked for.
const WINDOW: usize = 40;

/// A jump through a table.
#[derive(Debug)]
pub(super) struct Switch {
    /// Where the jump stands.
    pub(super) jump: u32,
    /// Where the table begins, as an offset in the image.
    pub(super) table: u32,
    /// What its entries are relative to, and how many there are.
    origin: u32,
    entries: u32,
    /// Where it leads; none where the table is not understood.
    pub(super) targets: Vec<u32>,
}

/// The last instruction of `code`, an indirect jump, if it goes through a table. Other indirect jumps are calls in disguise.
/// Targets lie `inside` the function.
pub(super) fn find(program: &Program<'_>, code: &[Instruction], inside: impl Fn(u32) -> bool) -> Option<Switch> {
    let (jump, before) = code.split_last()?;
    if jump.op0_kind() != OpKind::Register {
        return None;
    }
    let before = &before[before.len().saturating_sub(WINDOW)..];
    let at = before.iter().rposition(loads_entry)?;
    let (table, origin) = match before[at].memory_displacement64() as u32 {
        0 => address_of(&before[..at], before[at].memory_base()).map(|table| (table, table)),
        displacement => Some((displacement, 0)),
    }
    .unwrap_or_default();
    let entries = (0..MAX_ENTRIES).map_while(|index| program.u32(table.checked_add(index * 4)?));
    let mut targets: Vec<u32> =
        entries.map(|entry| origin.wrapping_add(entry)).take_while(|&target| inside(target)).collect();
    let entries = targets.len() as u32;
    targets.sort_unstable();
    targets.dedup();
    Some(Switch { jump: jump.ip() as u32, table, origin, entries, targets })
}

impl Switch {
    /// Where the entry with this number leads.
    pub(super) fn target(&self, program: &Program<'_>, index: u64) -> Option<u32> {
        let index = u32::try_from(index).ok().filter(|index| *index < self.entries)?;
        Some(self.origin.wrapping_add(program.u32(self.table + index * 4)?))
    }
}

/// `mov r32, [base+index*4+table]` or `movsxd r64, [base+index*4]`.
fn loads_entry(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Movsxd)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_index_scale() == 4
        && instruction.memory_index() != Register::None
}

/// What the last `lea register, [rip+x]` puts into the register.
fn address_of(code: &[Instruction], register: Register) -> Option<u32> {
    let lea = code.iter().rfind(|i| i.mnemonic() == Mnemonic::Lea && i.op0_register() == register)?;
    lea.is_ip_rel_memory_operand().then(|| lea.ip_rel_memory_address() as u32)
}

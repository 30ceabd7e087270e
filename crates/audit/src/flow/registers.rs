//! Which registers a function leaves alone that it need not: compilers that see the whole program count on it.

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register};

use super::summary::Summary;
use crate::code::{Function, Functions, Graph};

/// Longest function that is looked at, in instructions: longer ones use every register.
const LONGEST: usize = 64;

/// Registers, by number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Registers(u16);

impl Registers {
    /// Those that a call need not keep ("x64 calling convention").
    pub(crate) const VOLATILE: [Register; 7] =
        [Register::RAX, Register::RCX, Register::RDX, Register::R8, Register::R9, Register::R10, Register::R11];

    pub(crate) fn has(self, register: Register) -> bool {
        self.0 >> register.number() & 1 != 0
    }

    fn volatile() -> Registers {
        Registers(Registers::VOLATILE.iter().fold(0, |all, register| all | 1 << register.number()))
    }

    fn and(self, other: Registers) -> Registers {
        Registers(self.0 & other.0)
    }

    fn without(self, register: Register) -> Registers {
        Registers(self.0 & !(1 << register.number()))
    }
}

/// The volatile registers that a function certainly keeps.
pub(super) fn kept(
    graph: &Graph,
    (function, functions): (&Function, &Functions),
    summaries: &[Summary],
    info: &mut InstructionInfoFactory,
) -> Registers {
    let code = &graph.code.instructions;
    if code.len() > LONGEST || graph.code.cut {
        return Registers::default();
    }
    let leaves = |jump: &Instruction| !graph.leads_on(jump) || jump.near_branch_target() == u64::from(function.entry);
    let mut keeps = Registers::volatile();
    for instruction in code {
        let target = match instruction.flow_control() {
            FlowControl::IndirectCall | FlowControl::IndirectBranch => return Registers::default(),
            FlowControl::Call => instruction.near_branch_target(),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch if leaves(instruction) => {
                instruction.near_branch_target()
            }
            _ => continue,
        };
        keeps = keeps.and(functions.at(target as u32).map_or(Registers::default(), |callee| summaries[callee].keeps));
    }
    for instruction in code {
        if keeps == Registers::default() {
            break;
        }
        for used in info.info(instruction).used_registers() {
            let reads = matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
            if !reads && used.register().full_register().is_gpr64() {
                keeps = keeps.without(used.register().full_register());
            }
        }
    }
    keeps
}

//! One instruction with everything it may read, and everything it may have written.

use engine::flat::FlatMmu;
use engine::{Cpu, Rflags};
use iced_x86::{Instruction, OpKind};

/// What an instruction starts from. It lies at `cpu.rip` in `arena`.
pub(crate) struct Case {
    pub(crate) instruction: Instruction,
    pub(crate) cpu: Cpu,
    pub(crate) arena: FlatMmu,
}

impl Case {
    /// The address of the memory operand, where there is one.
    pub(crate) fn memory_operand(&self) -> Option<u64> {
        let operand = (0..self.instruction.op_count())
            .find(|&index| matches!(self.instruction.op_kind(index), OpKind::Memory | OpKind::MemorySegRSI))?;
        self.instruction.virtual_address(operand, 0, |register, _, _| {
            if register.is_segment_register() {
                return Some(0);
            }
            let number = register.full_register().number();
            let value = self.cpu.gpr.get(number)?;
            Some(match register.size() {
                1 => value & 0xff,
                4 => value & 0xffff_ffff,
                _ => *value,
            })
        })
    }
}

/// What it led to.
pub(crate) struct Outcome {
    pub(crate) stop: Stop,
    pub(crate) cpu: Cpu,
    pub(crate) arena: FlatMmu,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// A processor exception; 3 is the breakpoint that lies wherever control may go.
    Exception { vector: u8, error: Option<u32> },
    /// A page fault.
    PageFault { address: u64, write: bool, execute: bool, present: bool },
    /// Only the interpreter: it does not implement this.
    Unsupported,
    /// Only the interpreter: an end that no unprivileged instruction has.
    Unexpected,
}

/// The flags that a program can set freely.
pub(crate) const FLAGS: u64 = Rflags::ARITHMETIC | Rflags::DF;

/// The ordinary end: all code around the instruction is breakpoints.
pub(crate) const BREAKPOINT: Stop = Stop::Exception { vector: 3, error: None };

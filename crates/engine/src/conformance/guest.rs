//! A processor with a program, and the memory map that all cases share.

use super::MakeEngine;
use crate::flat::{FlatMmu, PAGE_SIZE, Protection};
use crate::{Cpu, Device, DeviceAccess, Engine, Exception, Exit, Gpr, PageFault, Run};
use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

/// Two pages of code; the program begins in the first.
pub(super) const CODE: u64 = 0xffff_f800_1234_0000;
pub(super) const SECOND_CODE: u64 = CODE + PAGE_SIZE;
/// Two pages of data.
pub(super) const DATA: u64 = CODE + 2 * PAGE_SIZE;
pub(super) const SECOND_DATA: u64 = CODE + 3 * PAGE_SIZE;
/// An absent page, right behind the data.
pub(super) const ABSENT: u64 = CODE + 4 * PAGE_SIZE;
/// A read-only page, right behind the absent one, then one that can be written.
pub(super) const READ_ONLY: u64 = CODE + 5 * PAGE_SIZE;
pub(super) const BEHIND: u64 = CODE + 6 * PAGE_SIZE;
/// A page of device memory, and its physical address.
pub(super) const DEVICE: u64 = CODE + 7 * PAGE_SIZE;
pub(super) const PHYSICAL: u64 = 0xfeb0_0000;
/// The stack grows down from here; there is one page of it, below which lies device memory.
pub(super) const STACK: u64 = CODE + 9 * PAGE_SIZE;
/// An address that is not canonical.
pub(super) const NON_CANONICAL: u64 = 0x1234_0000_0000_0000;

/// More instructions than any program here has.
const ENOUGH: u64 = 100_000;

/// What a program's author may do wrong.
pub(super) type Assembled = Result<(), IcedError>;

/// An engine, a processor and its memory.
pub(super) struct Guest {
    engine: Box<dyn Engine<FlatMmu>>,
    pub(super) memory: FlatMmu,
    pub(super) cpu: Cpu,
}

impl Guest {
    /// A processor at the start of a program.
    pub(super) fn new(make: MakeEngine<'_>, program: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Guest {
        Guest::with_code(make, &assemble(CODE, program))
    }

    /// A processor at the start of code bytes.
    pub(super) fn with_code(make: MakeEngine<'_>, code: &[u8]) -> Guest {
        let mut memory = FlatMmu::new(CODE, 10, Protection::ReadWrite);
        memory.protect(CODE, Protection::ReadWriteExecute);
        memory.protect(SECOND_CODE, Protection::ReadWriteExecute);
        memory.protect(ABSENT, Protection::Absent);
        memory.protect(READ_ONLY, Protection::ReadOnly);
        memory.protect(DEVICE, Protection::Device(PHYSICAL));
        memory.poke(CODE, code);
        let mut cpu = Cpu { rip: CODE, ..Cpu::default() };
        cpu.set(Gpr::Rsp, STACK);
        Guest { engine: make(), memory, cpu }
    }

    /// Sets a register.
    pub(super) fn with(mut self, register: Gpr, value: u64) -> Guest {
        self.cpu.set(register, value);
        self
    }

    pub(super) fn get(&self, register: Gpr) -> u64 {
        self.cpu.get(register)
    }

    /// Eight bytes of memory.
    pub(super) fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(*self.memory.peek(address, 8).first_chunk().expect("eight bytes"))
    }

    /// Runs until something other than the budget ends it.
    pub(super) fn run(&mut self) -> Run {
        self.run_for(ENOUGH)
    }

    pub(super) fn run_for(&mut self, budget: u64) -> Run {
        let run = self.engine.run(&mut self.cpu, &mut self.memory, budget);
        assert!(run.retired <= budget, "{} of {budget} instructions", run.retired);
        run
    }

    /// Runs, and checks why and after how many instructions it ends.
    #[track_caller]
    pub(super) fn expect(&mut self, exit: Exit, retired: u64) -> Run {
        let run = self.run();
        assert_eq!((run.exit, run.retired), (exit, retired));
        run
    }

    /// Runs to an exit before an instruction, which leaves the processor as it was before it and does so again.
    #[track_caller]
    pub(super) fn expect_before(&mut self, exit: Exit, retired: u64) {
        let run = self.expect(exit, retired);
        assert_eq!(run.instruction, self.cpu.rip, "rip is on the instruction");
        let (cpu, memory) = (self.cpu.clone(), self.memory.clone());
        let again = self.run();
        assert_eq!(again, Run { exit, retired: 0, instruction: run.instruction }, "the second time");
        assert_eq!(self.cpu, cpu, "nothing is committed");
        assert_eq!(self.memory.peek(CODE, 0x9000), memory.peek(CODE, 0x9000));
    }

    /// Answers the question of an exit and runs on.
    #[track_caller]
    pub(super) fn answer(&mut self, value: u64, exit: Exit, retired: u64) -> Run {
        self.cpu.answers.push(value);
        self.expect(exit, retired)
    }
}

/// Machine code of a program.
pub(super) fn assemble(address: u64, program: impl FnOnce(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(64).expect("64 bits");
    program(&mut assembler).expect("valid operands");
    assembler.assemble(address).expect("can be encoded")
}

pub(super) fn page_fault(address: u64, access: crate::Access, protection: bool) -> Exit {
    Exit::PageFault(PageFault { address, access, protection })
}

pub(super) fn read(device: Device, width: u8) -> Exit {
    Exit::Device(DeviceAccess { device, width, write: None })
}

pub(super) fn write(device: Device, width: u8, value: u64) -> Exit {
    Exit::Device(DeviceAccess { device, width, write: Some(value) })
}

/// A processor exception that is no trap.
pub(super) fn exception(vector: u8, error: Option<u32>) -> Exit {
    Exit::Exception(Exception { vector, error, software: false })
}

/// A trap of an instruction that asks for one.
pub(super) fn software(vector: u8) -> Exit {
    Exit::Exception(Exception { vector, error: None, software: true })
}

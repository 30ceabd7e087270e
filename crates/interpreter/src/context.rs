//! What a handler works on: one processor and its memory while a run lasts.

use crate::flags::Flags;
use crate::registers::Registers;
use engine::{Cpu, Exit, Mmu, Rflags, Run};

mod device;
mod execution;
mod exits;
mod memory;
mod rflags;
mod stack;

/// The processor and memory of a run, with the hot part of the state in a form that is quick to use.
///
/// The general registers, RIP and the arithmetic flags live here; `cpu` holds the rest, and gets these back in
/// [`Context::leave`].
pub(crate) struct Context<'a, M> {
    pub(crate) registers: Registers,
    pub(crate) flags: Flags,
    /// Where execution goes on. While a handler runs it may be stale: an operation knows its own address.
    pub(crate) rip: u64,
    pub(crate) cpu: &'a mut Cpu,
    pub(crate) mmu: &'a mut M,
    /// Instructions committed; exact between blocks, and for an operation that has a block of its own.
    pub(crate) retired: u64,
    /// The value of `retired` at which execution must pause.
    limit: u64,
    budget: u64,
    /// Value of [`Mmu::code_epoch`] when the block began. While it stays, the block is what memory holds.
    epoch: u64,
    stepping: bool,
    /// Position of the operation that ended the block, where one did.
    pub(crate) ended: u8,
    stop: Reason,
}

/// Why a run ends.
struct Reason {
    exit: Exit,
    /// True where the instruction that caused it is committed.
    committed: bool,
    instruction: u64,
}

impl<'a, M: Mmu> Context<'a, M> {
    /// Takes over the state of the processor. Inlined, so that registers are copied once: a run may be a few instructions.
    #[inline(always)]
    pub(crate) fn enter(cpu: &'a mut Cpu, mmu: &'a mut M, budget: u64) -> Context<'a, M> {
        cpu.answers.rewind();
        let mut context = Context {
            registers: Registers::new(&cpu.gpr),
            flags: Flags::from_bits(cpu.rflags),
            rip: cpu.rip,
            epoch: mmu.code_epoch(),
            cpu,
            mmu,
            retired: 0,
            limit: budget,
            budget,
            stepping: false,
            ended: 0,
            stop: Reason { exit: Exit::Budget, committed: false, instruction: 0 },
        };
        context.review_stepping();
        context
    }

    /// Gives the state back. The reason was set where [`Stop`] was made.
    pub(crate) fn leave(self) -> Run {
        self.registers.copy_to(&mut self.cpu.gpr);
        self.cpu.rip = self.rip;
        self.cpu.rflags = self.rflags();
        self.cpu.tsc = self.cpu.tsc.wrapping_add(self.retired);
        Run { exit: self.stop.exit, retired: self.retired, instruction: self.stop.instruction }
    }

    /// The budget is used up.
    pub(crate) fn leave_out_of_budget(mut self) -> Run {
        self.stop = Reason { exit: Exit::Budget, committed: true, instruction: self.rip };
        self.leave()
    }

    /// The epoch in which the next block runs.
    pub(crate) fn begin_block(&mut self) -> u64 {
        self.epoch = self.mmu.code_epoch();
        self.epoch
    }

    /// True where the next instruction needs care, see [`Context::step`].
    pub(crate) fn must_step(&self) -> bool {
        self.stepping
    }

    /// To be called after TF or the interrupt shadow were set.
    pub(crate) fn review_stepping(&mut self) {
        self.stepping = self.cpu.interrupt_shadow || self.cpu.rflags & Rflags::TF != 0 || !self.cpu.answers.is_empty();
    }

    /// The selector in a segment register, by its number in the encoding.
    pub(crate) fn selector(&self, number: u8) -> u16 {
        let segments = &self.cpu.segments;
        let all = [segments.es, segments.cs, segments.ss, segments.ds, segments.fs, segments.gs];
        all.get(usize::from(number)).copied().unwrap_or(0)
    }
}

/// True for an address whose top 17 bits are equal: 4-level paging.
pub(crate) fn is_canonical(address: u64) -> bool {
    ((address << 16) as i64 >> 16) as u64 == address
}

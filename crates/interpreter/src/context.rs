//! What a handler works on: one processor and its memory while a run lasts.

use crate::flags::Flags;
use crate::op::{Flow, MemoryKind, Op, Outcome, Stop};
use crate::registers::Registers;
use engine::{Cpu, Exception, Exit, Mmu, Rflags, Run};

mod device;
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
    /// Value of [`Mmu::code_epoch`] for which the decoded code is known to be valid.
    epoch: u64,
    stepping: bool,
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
    /// Takes over the state of the processor.
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

    /// True once in each change of [`Mmu::code_epoch`]: what is known about decoded code no longer holds.
    pub(crate) fn code_changed(&mut self) -> bool {
        let epoch = self.mmu.code_epoch();
        std::mem::replace(&mut self.epoch, epoch) != epoch
    }

    /// True where the next instruction needs care, see [`Context::step`].
    pub(crate) fn must_step(&self) -> bool {
        self.stepping
    }

    /// To be called after TF or the interrupt shadow were set.
    pub(crate) fn review_stepping(&mut self) {
        self.stepping = self.cpu.interrupt_shadow || self.cpu.rflags & Rflags::TF != 0 || !self.cpu.answers.is_empty();
    }

    /// Executes operations until one jumps, one stops, the budget is used up or they are all done.
    pub(crate) fn execute(&mut self, ops: &[Op<M>]) -> Result<(), Stop> {
        self.execute_until(ops, self.budget)
    }

    fn execute_until(&mut self, ops: &[Op<M>], limit: u64) -> Result<(), Stop> {
        self.limit = limit;
        let room = usize::try_from(limit - self.retired).unwrap_or(usize::MAX);
        let ops = &ops[..room.min(ops.len())];
        for (done, op) in ops.iter().enumerate() {
            match (op.run)(self, op) {
                Ok(Flow::Next) => {}
                Ok(Flow::Jump) => {
                    self.retired += done as u64 + 1;
                    return Ok(());
                }
                Err(stop) => return Err(self.stopped(stop, op, done as u64)),
            }
        }
        self.retired += ops.len() as u64;
        self.rip = ops.last().map_or(self.rip, Op::next);
        Ok(())
    }

    #[cold]
    fn stopped(&mut self, stop: Stop, op: &Op<M>, done: u64) -> Stop {
        self.stop.instruction = op.address;
        self.retired += done + u64::from(self.stop.committed);
        if !self.stop.committed {
            self.rip = op.address;
        }
        stop
    }

    /// Executes the first operation alone: for the one that has answers, that lies in the shadow of STI or that TF traps.
    pub(crate) fn step(&mut self, ops: &[Op<M>]) -> Result<(), Stop> {
        let trap = self.cpu.rflags & Rflags::TF != 0;
        let shadow = self.cpu.interrupt_shadow;
        let (start, address) = (self.retired, self.rip);
        let result = self.execute_until(&ops[..1], start + 1);
        if self.retired == start {
            return result;
        }
        self.cpu.answers.clear();
        self.cpu.interrupt_shadow &= !shadow;
        self.review_stepping();
        result?;
        self.stop.instruction = address;
        if trap {
            return Err(self.exit_after(Exit::Exception(Exception { vector: 1, error: None, software: false })));
        }
        if shadow && self.cpu.rflags & Rflags::IF != 0 {
            return Err(self.exit_after(Exit::InterruptsEnabled));
        }
        Ok(())
    }

    /// Ends the run with nothing of the current instruction committed.
    #[cold]
    pub(crate) fn exit_before(&mut self, exit: Exit) -> Stop {
        self.stop.exit = exit;
        self.stop.committed = false;
        Stop
    }

    /// Ends the run with the current instruction committed; the caller has set `rip`.
    #[cold]
    pub(crate) fn exit_after(&mut self, exit: Exit) -> Stop {
        self.stop.exit = exit;
        self.stop.committed = true;
        Stop
    }

    /// Ends the run before an instruction that could not be fetched.
    #[cold]
    pub(crate) fn exit_at_fetch(&mut self, exit: Exit) -> Stop {
        self.stop.instruction = self.rip;
        self.exit_before(exit)
    }

    /// Ends the run before the instruction with a processor exception that has no error code.
    #[cold]
    pub(crate) fn exception(&mut self, vector: u8) -> Stop {
        self.exit_before(Exit::Exception(Exception { vector, error: None, software: false }))
    }

    /// #UD.
    #[cold]
    pub(crate) fn invalid_opcode(&mut self) -> Stop {
        self.exception(6)
    }

    /// #GP(0).
    #[cold]
    pub(crate) fn general_protection(&mut self) -> Stop {
        self.exception_with_zero(13)
    }

    /// A processor exception with the error code 0.
    #[cold]
    fn exception_with_zero(&mut self, vector: u8) -> Stop {
        self.exit_before(Exit::Exception(Exception { vector, error: Some(0), software: false }))
    }

    /// Instructions that may still be committed before execution must pause, the current one included. Only exact for an
    /// operation that has a block of its own.
    pub(crate) fn room(&self) -> u64 {
        self.limit - self.retired
    }

    /// Goes on at `target`; #GP where it is not canonical.
    #[inline(always)]
    pub(crate) fn jump(&mut self, target: u64) -> Outcome {
        if !is_canonical(target) {
            return Err(self.general_protection());
        }
        self.rip = target;
        Ok(Flow::Jump)
    }

    /// Pushes the address of the following instruction and goes on at `target`.
    #[inline(always)]
    pub(crate) fn call(&mut self, op: &Op<M>, target: u64) -> Outcome {
        if !is_canonical(target) {
            return Err(self.general_protection());
        }
        let _ = self.push::<u64>(op, op.next())?;
        self.rip = target;
        Ok(Flow::Jump)
    }

    /// Linear address of the memory operand.
    #[inline(always)]
    pub(crate) fn address(&self, op: &Op<M>) -> u64 {
        self.address_at(op, 0)
    }

    /// Linear address of a place `distance` bytes behind the memory operand.
    #[inline(always)]
    pub(crate) fn address_at(&self, op: &Op<M>, distance: u64) -> u64 {
        let kind = op.memory.kind;
        let offset = self.plain_offset(op).wrapping_add(distance);
        if kind == MemoryKind::PLAIN { offset } else { self.segment_base(kind).wrapping_add(kind.cut(offset)) }
    }

    /// The memory operand's offset in its segment.
    #[inline(always)]
    pub(crate) fn offset(&self, op: &Op<M>) -> u64 {
        op.memory.kind.cut(self.plain_offset(op))
    }

    #[inline(always)]
    fn plain_offset(&self, op: &Op<M>) -> u64 {
        let memory = &op.memory;
        let index = self.registers.get(memory.index) << (memory.shift & 3);
        self.registers.get(memory.base).wrapping_add(index).wrapping_add(memory.displacement)
    }

    /// The selector in a segment register, by its number in the encoding.
    pub(crate) fn selector(&self, number: u8) -> u16 {
        let segments = &self.cpu.segments;
        let all = [segments.es, segments.cs, segments.ss, segments.ds, segments.fs, segments.gs];
        all.get(usize::from(number)).copied().unwrap_or(0)
    }

    fn segment_base(&self, kind: MemoryKind) -> u64 {
        if kind.has(MemoryKind::FS) {
            self.cpu.fs_base
        } else if kind.has(MemoryKind::GS) {
            self.cpu.gs_base
        } else {
            0
        }
    }
}

/// True for an address whose top 17 bits are equal: 4-level paging.
pub(crate) fn is_canonical(address: u64) -> bool {
    ((address << 16) as i64 >> 16) as u64 == address
}

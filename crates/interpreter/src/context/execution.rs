//! Running operations, and going somewhere else.

use super::{Context, is_canonical};
use crate::block::Block;
use crate::op::{Flow, Op, Outcome, Stop};
use engine::{Branch, Exception, Exit, Mmu, Rflags};

impl<M: Mmu> Context<'_, M> {
    /// Executes a block until it jumps out, one of its operations stops, the budget is used up or all are done.
    #[inline]
    pub(crate) fn execute(&mut self, block: &Block<M>) -> Result<(), Stop> {
        loop {
            self.execute_until(block, self.budget)?;
            if !self.is_back_at(&block.ops) {
                return Ok(());
            }
        }
    }

    /// True where the block that just ran is the next one, too: a loop.
    fn is_back_at(&self, ops: &[Op<M>]) -> bool {
        let start = ops.first().is_some_and(|op| op.address == self.rip);
        start && self.mmu.code_epoch() == self.epoch && !self.stepping && self.retired < self.budget
    }

    /// Executes operations until one jumps, one stops, the limit is reached or they are all done.
    #[inline(always)]
    fn execute_until(&mut self, block: &Block<M>, limit: u64) -> Result<(), Stop> {
        self.limit = limit;
        let room = usize::try_from(limit - self.retired).unwrap_or(usize::MAX);
        let ops = &block.ops[..room.min(block.ops.len())];
        let outcome = (block.chain)(self, ops);
        match outcome {
            Ok(Flow::Next) => {
                self.retired += ops.len() as u64;
                self.rip = ops.last().map_or(self.rip, Op::next);
            }
            Ok(Flow::Jump) => {
                self.retired += u64::from(self.ended) + 1;
                self.note_branch(&ops[usize::from(self.ended)]);
            }
            Err(_) => {
                self.retired += u64::from(self.ended);
                self.stopped(&ops[usize::from(self.ended)]);
            }
        }
        outcome.map(drop)
    }

    /// Remembers where the branch was that has just been taken. An instruction that repeats, or that goes on behind itself,
    /// is none.
    #[inline(always)]
    fn note_branch(&mut self, op: &Op<M>) {
        if self.rip != op.address && self.rip != op.next() {
            self.cpu.last_branch = Branch { from: op.address, to: self.rip };
        }
    }

    #[cold]
    fn stopped(&mut self, op: &Op<M>) {
        self.stop.instruction = op.address;
        if self.stop.committed {
            self.retired += 1;
        } else {
            self.rip = op.address;
        }
    }

    /// Executes the first operation alone: for the one that has answers, that lies in the shadow of STI or that TF traps.
    pub(crate) fn step(&mut self, block: &Block<M>) -> Result<(), Stop> {
        let trap = self.cpu.rflags & Rflags::TF != 0;
        let shadow = self.cpu.interrupt_shadow;
        let (start, address) = (self.retired, self.rip);
        let result = self.execute_until(block, start + 1);
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
            return Err(self.refuse_call(op));
        }
        let _ = self.push::<u64>(op, op.next())?;
        self.rip = target;
        Ok(Flow::Jump)
    }

    /// #GP(0), but a push that fails comes first.
    #[cold]
    #[inline(never)]
    fn refuse_call(&mut self, op: &Op<M>) -> Stop {
        self.try_push(op, 8).err().unwrap_or_else(|| self.general_protection())
    }
}

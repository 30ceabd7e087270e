//! The default engine: x86-64 in safe Rust.
//!
//! iced-x86 decodes. A decoded instruction becomes an `op::Op`: a handler function and its operands, resolved as far as
//! they can be. Runs of operations within a page are kept in blocks (`block`), keyed by address and by the stamp of the
//! page's content, so that decoded code is never stale and survives a page that leaves memory and comes back.
//!
//! A handler (in `ops`, one file a family) works on a `context::Context`. It does everything that can fail before it
//! changes anything: that is what makes faults precise.
#![forbid(unsafe_code)]

mod block;
mod context;
mod decode;
mod flags;
mod float;
mod op;
mod operand;
mod ops;
mod registers;
mod width;

use block::Cache;
use context::Context;
use engine::{Cpu, Engine, Mmu, Run};
use op::Stop;

/// An engine that interprets. It holds decoded code and no guest state.
pub struct Interpreter<M> {
    cache: Cache<M>,
}

impl<M: Mmu> Default for Interpreter<M> {
    fn default() -> Self {
        Interpreter { cache: Cache::default() }
    }
}

impl<M: Mmu> Engine<M> for Interpreter<M> {
    fn run(&mut self, cpu: &mut Cpu, mmu: &mut M, budget: u64) -> Run {
        let mut context = Context::enter(cpu, mmu, budget);
        while context.retired < budget {
            if let Err(Stop) = self.advance(&mut context) {
                return context.leave();
            }
        }
        context.leave_out_of_budget()
    }
}

impl<M: Mmu> Interpreter<M> {
    /// Executes one block, or one instruction where the processor's state asks for care.
    fn advance(&mut self, context: &mut Context<'_, M>) -> Result<(), Stop> {
        let block = self.cache.find(context)?;
        if context.must_step() { context.step(block) } else { context.execute(block) }
    }
}

//! Structured exception handling through `.pdata` (C++ documentation, "x64 exception handling").
//!
//! An exception puts a `Search` on the thread's modelled frames: it asks the handlers of the functions on the stack. One
//! that takes the exception starts an `Unwind` to its function. Both walk the stack with `Walk`, which leaves functions
//! by their unwind information (`leave`) and crosses modelled frames. Handlers, filters and `__finally` blocks are guest
//! code; `__C_specific_handler` is ours ([`scope`]).

mod epilog;
mod exception;
mod leave;
mod operand;
mod registers;
mod scope;
mod scratch;
mod search;
mod source;
mod unwind;
mod walk;

use nt_types::layout::context;
use nt_types::{Rva, Va};

use crate::call::{Next, Outcome, Trap};
use crate::machine::Machine;

pub(crate) use exception::Raised;
pub(crate) use leave::{Handler, leave};
pub(crate) use registers::Registers;
pub(crate) use scope::handler as c_specific_handler;
pub(crate) use source::{Failure, Reading, Source};
pub(crate) use unwind::{Destination, Unwind};
pub(crate) use walk::{Level, Walk};

/// What a language-specific handler answers (`EXCEPTION_DISPOSITION`).
pub(crate) mod disposition {
    pub(crate) const CONTINUE_EXECUTION: u32 = 0;
    pub(crate) const CONTINUE_SEARCH: u32 = 1;
}

/// Continuations of exception handling.
#[derive(Clone, Hash, Debug)]
pub enum Then {
    /// First phase: start, or a handler was asked.
    Search(Box<search::Search>),
    /// Second phase: start, or a handler was told.
    Unwind(Box<Unwind>),
    /// `__C_specific_handler` called the filter of this `__except` block.
    Filtered(Box<scope::Scopes>, Rva),
    /// `__C_specific_handler` called a `__finally` block.
    Left(Box<scope::Scopes>),
}

impl Then {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            Then::Search(search) => search.run(m, value),
            Then::Unwind(unwind) => unwind.run(m, value),
            Then::Filtered(scopes, block) => scopes.filtered(m, value, block),
            Then::Left(scopes) => scopes.leave(m),
        }
    }
}

impl Registers {
    /// From a `CONTEXT` in guest memory.
    pub(crate) fn read(m: &mut Machine, address: Va) -> Result<Registers, Trap> {
        let bytes = m.read_bytes(address, context::SIZEOF)?;
        let mut fixed = [0; context::SIZEOF as usize];
        fixed.copy_from_slice(&bytes);
        Ok(Registers::from_context(&fixed))
    }
}

impl Machine {
    /// Execution goes on with these registers. Modelled frames below them are gone.
    pub(crate) fn go_on_at(&mut self, registers: &Registers) -> Next {
        registers.restore(self.cpu());
        self.attention = true;
        Next::Jump
    }
}

//! Ends of a run.

use super::Context;
use crate::op::Stop;
use engine::{Exception, Exit, Mmu};

impl<M: Mmu> Context<'_, M> {
    /// Ends the run with nothing of the current instruction committed.
    #[cold]
    #[inline(never)]
    pub(crate) fn exit_before(&mut self, exit: Exit) -> Stop {
        self.stop.exit = exit;
        self.stop.committed = false;
        Stop
    }

    /// Ends the run with the current instruction committed; the caller has set `rip`.
    #[cold]
    #[inline(never)]
    pub(crate) fn exit_after(&mut self, exit: Exit) -> Stop {
        self.stop.exit = exit;
        self.stop.committed = true;
        Stop
    }

    /// Ends the run before an instruction that could not be fetched.
    #[cold]
    #[inline(never)]
    pub(crate) fn exit_at_fetch(&mut self, exit: Exit) -> Stop {
        self.stop.instruction = self.rip;
        self.exit_before(exit)
    }

    /// Ends the run before the instruction with a processor exception that has no error code.
    #[cold]
    #[inline(never)]
    pub(crate) fn exception(&mut self, vector: u8) -> Stop {
        self.exit_before(Exit::Exception(Exception { vector, error: None, software: false }))
    }

    /// #UD.
    #[cold]
    #[inline(never)]
    pub(crate) fn invalid_opcode(&mut self) -> Stop {
        self.exception(6)
    }

    /// #GP(0).
    #[cold]
    #[inline(never)]
    pub(crate) fn general_protection(&mut self) -> Stop {
        self.exception_with_zero(13)
    }

    /// A processor exception with the error code 0.
    #[cold]
    #[inline(never)]
    pub(super) fn exception_with_zero(&mut self, vector: u8) -> Stop {
        self.exit_before(Exit::Exception(Exception { vector, error: Some(0), software: false }))
    }
}

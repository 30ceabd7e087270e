//! First phase: which function handles the exception?
//!
//! Each function that has a handler is asked, innermost first. A handler that takes the exception does not come back: it
//! unwinds to its function ([`super::unwind`]).

use engine::Gpr;
use nt_types::constants::{EXCEPTION_NESTED_CALL, EXCEPTION_NONCONTINUABLE, EXCEPTION_STACK_INVALID};
use nt_types::layout::{dispatcher_context, exception_record};
use nt_types::{BugCheck, BugCheckCode, NtStatus, Va};

use super::disposition;
use super::exception::Raised;
use super::leave::Handler;
use super::registers::Registers;
use super::scratch::{Dispatcher, Scratch};
use super::source::{Failure, Reading};
use super::walk::{Function, Level, Walk};
use crate::call::{Next, Outcome, Then, Trap};
use crate::machine::Machine;
use crate::stop::{Cause, Stop, StopKind};

/// A search in progress.
#[derive(Clone, Hash, Debug)]
pub struct Search {
    raised: Raised,
    /// The next frame to be looked at.
    next: Walk,
    /// The frame whose handler was called; none before the first.
    asked: Option<u64>,
    /// `EXCEPTION_*` flags added to those of the record.
    flags: u32,
    /// Up to this frame, an exception inside the handling of another one is nested in it.
    nested_in: u64,
    /// Scopes of the next function that an interrupted unwind dealt with.
    scope_index: u32,
}

impl Search {
    pub(crate) fn new(raised: Raised) -> Search {
        let next = raised.origin.clone();
        Search { raised, next, asked: None, flags: 0, nested_in: 0, scope_index: 0 }
    }

    /// What raised the exception.
    pub(crate) fn origin(&self) -> &Walk {
        &self.raised.origin
    }

    /// The frame whose handler runs.
    pub(crate) fn asked_frame(&self) -> u64 {
        self.asked.unwrap_or(0)
    }

    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        let scratch = Scratch(m.cpu().get(Gpr::Rsp));
        match (self.asked, value as u32) {
            (None, _) => self.write_structures(m, scratch)?,
            (Some(_), disposition::CONTINUE_SEARCH) => {}
            (Some(_), disposition::CONTINUE_EXECUTION) => return self.continue_execution(m, scratch),
            (Some(_), _) => return Ok(self.give_way(m, scratch, NtStatus::INVALID_DISPOSITION)),
        }
        self.look_on(m, scratch)
    }

    fn write_structures(&self, m: &mut Machine, scratch: Scratch) -> Result<(), Trap> {
        let structures =
            [(scratch.record(), self.raised.record()), (scratch.context(), self.raised.origin.registers.to_context())];
        for (at, bytes) in structures {
            if m.memory.write_bytes(at, &bytes).is_err() {
                return Err(m.double_fault(at).into());
            }
        }
        Ok(())
    }

    /// Looks for the next function with a handler.
    fn look_on(mut self, m: &mut Machine, scratch: Scratch) -> Outcome {
        loop {
            match self.next.step(m, Reading::Touch) {
                Ok(Level::Function(function)) => {
                    if let Some(handler) = function.handler.filter(|handler| handler.on_exception) {
                        return self.ask(m, scratch, function, handler);
                    }
                    self.passed(function.establisher);
                }
                Ok(Level::Leaf | Level::Service(_)) => {}
                Ok(Level::Exception { establisher, .. }) => self.nested_in = self.nested_in.max(establisher),
                Ok(Level::Unwind { dispatcher, .. }) => {
                    self.scope_index = m.read_u32(dispatcher_context::SCOPE_INDEX.at(dispatcher))?;
                }
                Ok(Level::Interruption(_) | Level::End) => return Err(self.unhandled(m, scratch).into()),
                Err(Failure::Fault(fault)) => return Err(Trap::Fault(fault)),
                Err(Failure::Malformed | Failure::Stack(_)) => {
                    let flags = self.raised.flags | self.flags | EXCEPTION_STACK_INVALID;
                    m.write_u32(exception_record::EXCEPTION_FLAGS.at(scratch.record()), flags)?;
                    return Err(self.unhandled(m, scratch).into());
                }
            }
        }
    }

    /// Leaves a function behind.
    fn passed(&mut self, establisher: u64) {
        self.scope_index = 0;
        if establisher >= self.nested_in {
            self.nested_in = 0;
        }
    }

    fn ask(mut self, m: &mut Machine, scratch: Scratch, function: Function, handler: Handler) -> Outcome {
        self.flags = if self.nested_in != 0 { EXCEPTION_NESTED_CALL } else { 0 };
        let flags = self.raised.flags | self.flags;
        m.write_u32(exception_record::EXCEPTION_FLAGS.at(scratch.record()), flags)?;
        let (routine, handler_data) = (function.base + handler.routine, function.base + handler.data);
        let scope_index = self.scope_index;
        let about = Dispatcher { function, handler: routine, handler_data, target: Va::NULL, scope_index };
        scratch.write_dispatcher(m, &about)?;
        self.asked = Some(function.establisher);
        self.passed(function.establisher);
        let arguments = [scratch.record().0, function.establisher, scratch.context().0, scratch.dispatcher().0];
        Ok(Next::call(routine, &arguments, Then::Seh(super::Then::Search(Box::new(self)))))
    }

    /// The handler repaired what was wrong.
    fn continue_execution(self, m: &mut Machine, scratch: Scratch) -> Outcome {
        let flags = m.read_u32(exception_record::EXCEPTION_FLAGS.at(scratch.record()))?;
        if flags & EXCEPTION_NONCONTINUABLE != 0 {
            return Ok(self.give_way(m, scratch, NtStatus::NONCONTINUABLE_EXCEPTION));
        }
        let registers = Registers::read(m, scratch.context())?;
        Ok(m.go_on_at(&registers))
    }

    /// Another exception takes the place of this one.
    fn give_way(self, m: &mut Machine, scratch: Scratch, code: NtStatus) -> Next {
        let origin = self.raised.origin;
        let raised = Raised::noncontinuable(code, self.raised.address, origin);
        Raised { chained: scratch.record(), ..raised }.next(m)
    }

    /// Nobody handles it: bug check 0x1E, or 0x7E in a system thread.
    fn unhandled(&self, m: &mut Machine, scratch: Scratch) -> Stop {
        let (code, address) = (self.raised.code, self.raised.address);
        let information = |index: usize| self.raised.information.get(index).copied().unwrap_or(0);
        let check = if self.in_system_thread(m) {
            let parameters = [u64::from(code.0), address.0, scratch.record().0, scratch.context().0];
            BugCheck { code: BugCheckCode::SYSTEM_THREAD_EXCEPTION_NOT_HANDLED, parameters }
        } else {
            let parameters = [u64::from(code.0), address.0, information(0), information(1)];
            BugCheck { code: BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED, parameters }
        };
        // The report is about the code that raised the exception, with its registers and its stack.
        self.raised.origin.registers.restore(m.cpu());
        m.thread().frames.truncate(self.raised.origin.depth);
        m.stop_at(address, StopKind::BugCheck(check, Cause::Exception { code, address }))
    }

    /// The search came to the end of a thread that the driver, or a worker routine of its, was started on.
    fn in_system_thread(&self, m: &mut Machine) -> bool {
        self.next.depth == 0 && matches!(m.thread().frames.first().map(|frame| &frame.then), Some(Then::Thread(_)))
    }
}

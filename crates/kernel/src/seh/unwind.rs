//! Second phase: leaving functions, innermost first, until the one that execution goes on in.
//!
//! Every handler on the way may run code of its function (`__finally`). An exception in such code meets this unwind when
//! it looks for a handler, and goes on with the function that was being left: a collided unwind.

use engine::Gpr;
use nt_types::constants::{
    EXCEPTION_COLLIDED_UNWIND, EXCEPTION_EXIT_UNWIND, EXCEPTION_TARGET_UNWIND, EXCEPTION_UNWINDING,
};
use nt_types::layout::{dispatcher_context, exception_record};
use nt_types::{NtStatus, Va};

use super::disposition;
use super::exception::Raised;
use super::leave::Handler;
use super::scratch::{Dispatcher, Scratch};
use super::source::{Failure, Reading};
use super::walk::{Function, Level, Walk};
use crate::call::{Next, Outcome, Then, Trap};
use crate::machine::Machine;

/// Where an unwind leads to, and why.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Destination {
    /// The frame of the function that execution goes on in; 0 for an exit unwind.
    pub(crate) frame: u64,
    pub(crate) target: Va,
    /// RAX at the target.
    pub(crate) value: u64,
    /// The record that handlers are given; null for one of the unwind's own.
    pub(crate) record: Va,
}

/// An unwind in progress.
#[derive(Clone, Hash, Debug)]
pub struct Unwind {
    to: Destination,
    /// The function that is being left.
    position: Walk,
    /// What follows once its handler has returned: the caller, or nothing where it is the target.
    asked: Option<Option<Walk>>,
    /// `EXCEPTION_*` flags of the record, without those of a single call.
    flags: Option<u32>,
    /// The function that comes next was being left by another unwind, up to this scope.
    collided: Option<u32>,
}

impl Unwind {
    /// Begins at the caller of the routine that unwinds.
    pub(crate) fn begin(m: &mut Machine, to: Destination) -> Result<Next, Trap> {
        let position = m.caller()?;
        let unwind = Unwind { to, position, asked: None, flags: None, collided: None };
        Ok(Next::Below(Then::Seh(super::Then::Unwind(Box::new(unwind))), Scratch::BYTES))
    }

    /// The function that is being left.
    pub(crate) fn position(&self) -> &Walk {
        &self.position
    }

    pub(crate) fn run(mut self, m: &mut Machine, value: u64) -> Outcome {
        let scratch = Scratch(m.cpu().get(Gpr::Rsp));
        if self.flags.is_none() {
            self.take_record(m, scratch)?;
        }
        match self.asked.take() {
            None => {}
            Some(_) if value as u32 != disposition::CONTINUE_SEARCH => {
                return Ok(self.fail(m, NtStatus::INVALID_DISPOSITION));
            }
            Some(None) => return Ok(self.arrive(m)),
            Some(Some(caller)) => self.position = caller,
        }
        self.go_on(m, scratch)
    }

    fn take_record(&mut self, m: &mut Machine, scratch: Scratch) -> Result<(), Trap> {
        if self.to.record.is_null() {
            self.to.record = scratch.record();
            let address = Va(self.position.registers.rip);
            let mut own = Raised::noncontinuable(NtStatus::UNWIND, address, self.position.clone());
            own.flags = 0;
            m.write_bytes(scratch.record(), &own.record())?;
        }
        let exit = if self.to.frame == 0 { EXCEPTION_EXIT_UNWIND } else { 0 };
        let flags = m.read_u32(exception_record::EXCEPTION_FLAGS.at(self.to.record))?;
        self.flags = Some(flags | EXCEPTION_UNWINDING | exit);
        Ok(())
    }

    /// Leaves functions until one has a handler to be told, or is the target.
    fn go_on(mut self, m: &mut Machine, scratch: Scratch) -> Outcome {
        loop {
            let mut caller = self.position.clone();
            match caller.step(m, Reading::Touch) {
                Ok(Level::Function(function)) => {
                    let is_target = function.establisher == self.to.frame && self.to.frame != 0;
                    if let Some(handler) = function.handler.filter(|handler| handler.on_unwind) {
                        self.asked = Some((!is_target).then_some(caller));
                        return self.tell(m, scratch, function, handler);
                    }
                    self.collided = None;
                    if is_target {
                        return Ok(self.arrive(m));
                    }
                    if self.to.frame != 0 && function.establisher > self.to.frame {
                        return Ok(self.fail(m, NtStatus::INVALID_UNWIND_TARGET));
                    }
                }
                Ok(Level::Leaf | Level::Service(_) | Level::Exception { .. }) => {}
                Ok(Level::Unwind { dispatcher, .. }) => {
                    let index = m.read_u32(dispatcher_context::SCOPE_INDEX.at(dispatcher))?;
                    self.collided = Some(index);
                }
                Ok(Level::Interruption(_) | Level::End) => return Ok(self.fail(m, NtStatus::INVALID_UNWIND_TARGET)),
                Err(Failure::Fault(fault)) => return Err(Trap::Fault(fault)),
                Err(Failure::Malformed | Failure::Stack(_)) => return Ok(self.fail(m, NtStatus::BAD_STACK)),
            }
            self.position = caller;
        }
    }

    /// Tells a handler that its function is being left.
    fn tell(mut self, m: &mut Machine, scratch: Scratch, function: Function, handler: Handler) -> Outcome {
        let target = if matches!(self.asked, Some(None)) { EXCEPTION_TARGET_UNWIND } else { 0 };
        let collided = if self.collided.is_some() { EXCEPTION_COLLIDED_UNWIND } else { 0 };
        let flags = self.flags.unwrap_or(EXCEPTION_UNWINDING) | target | collided;
        m.write_u32(exception_record::EXCEPTION_FLAGS.at(self.to.record), flags)?;
        m.write_bytes(scratch.context(), &self.position.registers.to_context())?;
        let (routine, handler_data) = (function.base + handler.routine, function.base + handler.data);
        let scope_index = self.collided.take().unwrap_or(0);
        let about = Dispatcher { function, handler: routine, handler_data, target: self.to.target, scope_index };
        scratch.write_dispatcher(m, &about)?;
        let arguments = [self.to.record.0, function.establisher, scratch.context().0, scratch.dispatcher().0];
        Ok(Next::call(routine, &arguments, Then::Seh(super::Then::Unwind(Box::new(self)))))
    }

    /// Execution goes on at the target.
    fn arrive(self, m: &mut Machine) -> Next {
        let mut registers = self.position.registers;
        registers.gpr[Gpr::Rax as usize] = self.to.value;
        registers.rip = self.to.target.0;
        m.go_on_at(&registers)
    }

    fn fail(self, m: &mut Machine, code: NtStatus) -> Next {
        let address = Va(self.position.registers.rip);
        let raised = Raised::noncontinuable(code, address, self.position);
        Raised { chained: self.to.record, ..raised }.next(m)
    }
}

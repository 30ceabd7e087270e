//! Walking a stack: functions of drivers through their unwind information, and the modelled frames between them.

use driver_image::unwind::find_function;
use nt_types::{Rva, Va};

use super::leave::{self, Handler, pop_return};
use super::registers::Registers;
use super::scratch::Scratch;
use super::source::{Failure, Reading, Source};
use crate::call::Then;
use crate::machine::Machine;

/// A place on the stack of the current thread: registers, and how many modelled frames lie outside of it.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Walk {
    pub(crate) registers: Registers,
    pub(crate) depth: usize,
}

/// A function of a driver that was left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    /// Where it was: an instruction, or the return address of a call.
    pub(crate) control: Va,
    /// The image it belongs to.
    pub(crate) base: Va,
    /// Its entry in the function table.
    pub(crate) entry: Rva,
    /// The stack pointer of its body.
    pub(crate) establisher: u64,
    /// Its handler, where it was in its body.
    pub(crate) handler: Option<Handler>,
}

/// What a step left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// A function with unwind information.
    Function(Function),
    /// A function without, or a routine of the kernel that called nobody.
    Leaf,
    /// A routine of the kernel that had called the code before.
    Service(Va),
    /// Interrupt dispatch: what it had interrupted follows.
    Interruption(Va),
    /// Exception dispatch: what raised the exception follows.
    Exception {
        service: Va,
        /// The frame whose handler was being asked.
        establisher: u64,
    },
    /// An unwind in progress: the frame that it was leaving follows.
    Unwind {
        service: Va,
        /// Its `DISPATCHER_CONTEXT`.
        dispatcher: Va,
    },
    /// Nothing: this was the beginning of the thread.
    End,
}

impl Walk {
    /// From where the current thread is.
    pub(crate) fn current(m: &mut Machine) -> Walk {
        Walk { registers: Registers::of(m.cpu()), depth: m.thread().frames.len() }
    }

    /// Leaves the innermost level. After a failure the walk is where it was.
    pub(crate) fn step(&mut self, m: &mut Machine, reading: Reading) -> Result<Level, Failure> {
        let rip = Va(self.registers.rip);
        if rip == m.kernel_images.return_stub {
            return self.leave_modelled(m);
        }
        if rip == m.kernel_images.thread_exit_stub {
            return Ok(Level::End);
        }
        let mut outside = self.registers.clone();
        let level = leave_code(m, &mut outside, reading)?;
        // A caller's frame lies above, on the same stack. This also ends every walk.
        let (low, high) = m.thread().stack;
        if !(low.0..outside.rsp()).contains(&self.registers.rsp()) || outside.rsp() > high.0 {
            return Err(Failure::Stack(Va(outside.rsp())));
        }
        self.registers = outside;
        Ok(level)
    }

    /// Leaves the modelled frame that the code before returns to.
    fn leave_modelled(&mut self, m: &mut Machine) -> Result<Level, Failure> {
        let depth = self.depth.checked_sub(1).ok_or(Failure::Malformed)?;
        let id = m.current_thread();
        let frame = m.threads[id.0 as usize].frames.get(depth).ok_or(Failure::Malformed)?;
        let service = frame.service;
        let level = match &frame.then {
            Then::Interruption(interruption) => {
                *self = Walk { registers: Registers::of(interruption.context()), depth };
                Level::Interruption(service)
            }
            Then::Seh(super::Then::Search(search)) => {
                *self = search.origin().clone();
                Level::Exception { service, establisher: search.asked_frame() }
            }
            Then::Seh(super::Then::Unwind(unwind)) => {
                let dispatcher = Scratch(frame.rsp).dispatcher();
                *self = unwind.position().clone();
                Level::Unwind { service, dispatcher }
            }
            _ => {
                let mut registers = Registers { rip: 0, ..self.registers.clone() };
                registers.set_rsp(frame.rsp);
                pop_return(&m.memory, &mut registers)?;
                *self = Walk { registers, depth };
                Level::Service(service)
            }
        };
        Ok(level)
    }
}

fn leave_code(m: &mut Machine, registers: &mut Registers, reading: Reading) -> Result<Level, Failure> {
    let control = Va(registers.rip);
    let Some(driver) = m.modules.driver_at(control) else {
        pop_return(&m.memory, registers)?;
        return Ok(Level::Leaf);
    };
    let mut source = Source { memory: &mut m.memory, driver, reading };
    let table = source.function_table();
    let Some((entry, function)) = find_function(&mut source, table, Rva((control - driver.base) as u32))? else {
        pop_return(&m.memory, registers)?;
        return Ok(Level::Leaf);
    };
    let left = leave::leave(&mut source, function, registers)?;
    let (establisher, handler) = (left.establisher, left.handler);
    Ok(Level::Function(Function { control, base: driver.base, entry, establisher, handler }))
}

//! Leaving one function without running it (C++ documentation, "x64 exception handling", "Unwind procedure").

use driver_image::unwind::{RuntimeFunction, UnwindInfo, UnwindOperation, UnwindTail};
use nt_types::Rva;

use super::epilog::{self, Step};
use super::registers::Registers;
use super::source::{Failure, Source};

/// Longest chain of unwind information followed.
const MAX_CHAIN: usize = 32;

/// A language-specific handler and its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handler {
    pub(crate) routine: Rva,
    pub(crate) data: Rva,
    /// Ask it when an exception looks for a handler.
    pub(crate) on_exception: bool,
    /// Tell it when the function is left by unwinding.
    pub(crate) on_unwind: bool,
}

/// What was learnt of a function while leaving it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    /// The stack pointer of its body, by which handlers know this invocation.
    pub(crate) establisher: u64,
    /// Its handler, where the function was in its body.
    pub(crate) handler: Option<Handler>,
}

/// Turns the registers inside `function` into those of its caller.
pub(crate) fn leave(
    source: &mut Source<'_>,
    function: RuntimeFunction,
    registers: &mut Registers,
) -> Result<Left, Failure> {
    let rva = Rva(registers.rip.wrapping_sub(source.driver.base.0) as u32);
    let info = UnwindInfo::read(source, function.unwind_info)?;
    let offset = rva.0.saturating_sub(function.begin.0);
    let in_prolog = offset < u32::from(info.prolog_size);
    let establisher = frame_base(&info, in_prolog.then_some(offset), registers);
    if !in_prolog && let Some(steps) = epilog::rest(source, function, info.frame, rva)? {
        finish_epilog(source, &info, &steps, registers)?;
        return Ok(Left { establisher, handler: None });
    }
    let handler = undo_chain(source, info, in_prolog.then_some(offset), registers)?;
    Ok(Left { establisher, handler: handler.filter(|_| !in_prolog) })
}

/// A function without unwind information has its return address at the top of the stack.
pub(crate) fn pop_return(memory: &memory::Memory, registers: &mut Registers) -> Result<(), Failure> {
    registers.rip = u64::from_le_bytes(super::source::stack(memory, registers.rsp())?);
    registers.set_rsp(registers.rsp().wrapping_add(8));
    Ok(())
}

/// Base of the fixed allocation: from the frame pointer, once the prolog has set it.
fn frame_base(info: &UnwindInfo, prolog_offset: Option<u32>, registers: &Registers) -> u64 {
    let done = |at: u8| prolog_offset.is_none_or(|offset| u32::from(at) <= offset);
    let is_set = |frame: &driver_image::unwind::FrameRegister| {
        let mut set = info.codes.iter().filter(|code| code.operation == UnwindOperation::SetFrame);
        frame.register < 16 && (prolog_offset.is_none() || set.any(|code| done(code.prolog_offset)))
    };
    match info.frame.filter(is_set) {
        Some(frame) => registers.gpr[usize::from(frame.register)].wrapping_sub(u64::from(frame.offset)),
        None => registers.rsp(),
    }
}

fn finish_epilog(
    source: &Source<'_>,
    info: &UnwindInfo,
    steps: &[Step],
    registers: &mut Registers,
) -> Result<(), Failure> {
    for step in steps {
        match *step {
            Step::Release(bytes) => registers.set_rsp(registers.rsp().wrapping_add(bytes)),
            Step::FromFrame(bytes) => {
                let frame = info.frame.map_or(0, |frame| registers.gpr[usize::from(frame.register & 15)]);
                registers.set_rsp(frame.wrapping_add(bytes));
            }
            Step::Pop(register) => pop(source, register, registers)?,
        }
    }
    pop_return(source.memory, registers)
}

fn pop(source: &Source<'_>, register: u8, registers: &mut Registers) -> Result<(), Failure> {
    let rsp = registers.rsp();
    registers.set_rsp(rsp.wrapping_add(8));
    registers.gpr[usize::from(register & 15)] = source.stack_u64(rsp)?;
    Ok(())
}

/// Undoes what the prolog did, of the chained parts too, and returns to the caller. The handler is that of the last part.
fn undo_chain(
    source: &mut Source<'_>,
    first: UnwindInfo,
    prolog_offset: Option<u32>,
    registers: &mut Registers,
) -> Result<Option<Handler>, Failure> {
    let mut info = first;
    let mut returned = undo(source, &info, prolog_offset, registers)?;
    for _ in 0..MAX_CHAIN {
        let handler = match info.tail {
            UnwindTail::Chained(next) => {
                info = UnwindInfo::read(source, next.unwind_info)?;
                returned |= undo(source, &info, None, registers)?;
                continue;
            }
            UnwindTail::Handler { on_exception, on_unwind, handler, data } => {
                Some(Handler { routine: handler, data, on_exception, on_unwind })
            }
            UnwindTail::None => None,
        };
        if !returned {
            pop_return(source.memory, registers)?;
        }
        return Ok(handler);
    }
    Err(Failure::Malformed)
}

/// Undoes the codes that have taken effect; true where a machine frame gave the return address already.
fn undo(
    source: &Source<'_>,
    info: &UnwindInfo,
    prolog_offset: Option<u32>,
    registers: &mut Registers,
) -> Result<bool, Failure> {
    let base = frame_base(info, prolog_offset, registers);
    let saved_at = |offset: u32| base.wrapping_add(u64::from(offset));
    for code in &info.codes {
        if prolog_offset.is_some_and(|offset| u32::from(code.prolog_offset) > offset) {
            continue;
        }
        match code.operation {
            UnwindOperation::Push { register } => pop(source, register, registers)?,
            UnwindOperation::Allocate { size } => registers.set_rsp(registers.rsp().wrapping_add(u64::from(size))),
            UnwindOperation::SetFrame => registers.set_rsp(base),
            UnwindOperation::Save { register, offset } => {
                registers.gpr[usize::from(register & 15)] = source.stack_u64(saved_at(offset))?;
            }
            UnwindOperation::SaveXmm { register, offset } => {
                registers.xmm[usize::from(register & 15)] = u128::from_le_bytes(source.stack(saved_at(offset))?);
            }
            UnwindOperation::MachineFrame { error_code } => {
                let frame = registers.rsp().wrapping_add(if error_code { 8 } else { 0 });
                registers.rip = source.stack_u64(frame)?;
                registers.set_rsp(source.stack_u64(frame.wrapping_add(24))?);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;

//! Recognising the rest of an epilog (C++ documentation, "x64 prolog and epilog", "Epilog code").
//!
//! Unwind information does not describe epilogs in version 1, and in version 2 only where they begin. In both, code is in
//! an epilog if and only if it has the form of one, so the code itself decides.

use driver_image::ReadImage;
use driver_image::unwind::{FrameRegister, RuntimeFunction, find_function, primary_function};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use nt_types::Rva;

use super::source::{Failure, Source};

/// No epilog is longer: one instruction that releases the stack, eight pops, a jump.
const MAX_BYTES: u32 = 40;

/// What one instruction of an epilog does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Adds to the stack pointer.
    Release(u64),
    /// Sets the stack pointer to the frame pointer plus this.
    FromFrame(u64),
    /// Pops a register.
    Pop(u8),
}

/// The rest of the epilog that `rva` is in, without its final return or jump; none where it is in no epilog.
pub(super) fn rest(
    source: &mut Source<'_>,
    function: RuntimeFunction,
    frame: Option<FrameRegister>,
    rva: Rva,
) -> Result<Option<Vec<Step>>, Failure> {
    let length = function.end.0.saturating_sub(rva.0).min(MAX_BYTES);
    let mut code = vec![0; length as usize];
    source.read(rva, &mut code)?;
    let mut steps = Vec::new();
    for instruction in Decoder::with_ip(64, &code, u64::from(rva.0), DecoderOptions::NONE) {
        if let Some(step) = step(&instruction, frame, steps.is_empty()) {
            steps.push(step);
        } else if is_end(&instruction, &code[(instruction.ip() - u64::from(rva.0)) as usize..]) {
            return Ok(Some(steps));
        } else if is_relative_jump(&instruction) {
            let target = Rva(instruction.near_branch_target() as u32);
            return Ok(leaves(source, function, target)?.then_some(steps));
        } else {
            return Ok(None);
        }
    }
    Ok(None)
}

fn step(instruction: &Instruction, frame: Option<FrameRegister>, first: bool) -> Option<Step> {
    let to_stack_pointer = instruction.op0_kind() == OpKind::Register && instruction.op0_register() == Register::RSP;
    match instruction.code() {
        Code::Pop_r64 => Some(Step::Pop(instruction.op0_register().number() as u8)),
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32 if first && to_stack_pointer => {
            Some(Step::Release(instruction.immediate(1)))
        }
        Code::Lea_r64_m if first && to_stack_pointer => {
            let base = instruction.memory_base();
            let from_frame = base.is_gpr64() && frame.is_some_and(|frame| usize::from(frame.register) == base.number());
            let plain = from_frame && instruction.memory_index() == Register::None;
            plain.then_some(Step::FromFrame(instruction.memory_displacement64()))
        }
        _ => None,
    }
}

/// A return, or a jump that only a tail call makes: through the import table, or through a register with REX.W.
fn is_end(instruction: &Instruction, bytes: &[u8]) -> bool {
    match instruction.code() {
        Code::Retnq | Code::Retnq_imm16 => true,
        Code::Jmp_rm64 if instruction.op0_kind() == OpKind::Memory => instruction.is_ip_rel_memory_operand(),
        Code::Jmp_rm64 => bytes.first().is_some_and(|byte| byte & 0xF8 == 0x48),
        _ => false,
    }
}

fn is_relative_jump(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Jmp_rel8_64 | Code::Jmp_rel32_64)
}

/// Does a jump there leave the function? A jump to its beginning does: it calls itself.
fn leaves(source: &mut Source<'_>, function: RuntimeFunction, target: Rva) -> Result<bool, Failure> {
    let whole = primary_function(source, function)?;
    if target == whole.begin {
        return Ok(true);
    }
    let table = source.function_table();
    match find_function(source, table, target)? {
        Some((_, other)) => Ok(primary_function(source, other)?.begin != whole.begin),
        None => Ok(true),
    }
}

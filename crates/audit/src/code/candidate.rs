//! What only a pointer leads to: a function, or data that lie among code?
//!
//! Functions that the function table does not list leave the stack as it was ("x64 calling convention"), so each way through
//! one ends with a return, or a jump to somewhere else, at the depth at which it began. Hardly any data look like that.

use core::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::decode::{direct_target, ends_flow, taken_address};
use super::program::Program;

/// Longest function that only a pointer leads to, and that the function table does not list, in bytes.
pub(super) const MAX_BYTES: u32 = 0x1000;

/// What a candidate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Every way through it ends as those of functions do.
    Code,
    /// Some ways do.
    Doubtful,
    /// No way does.
    Data,
}

/// Bytes that the stack has grown by since the entry; `None` where that is not known any more.
type Depth = Option<i32>;

/// Judges candidates, one after the other, and keeps its memory.
#[derive(Default)]
pub(super) struct Judge {
    /// By offset: the depth that an instruction was met with.
    seen: Vec<Option<Depth>>,
    pending: Vec<(u32, Depth)>,
    /// Where the last candidate leads: what it calls, jumps to, or takes the address of.
    pub(super) leads: Vec<u32>,
    /// Instructions looked at, of all candidates.
    pub(super) spent: u64,
}

/// What comes after an instruction.
enum After {
    /// The next one.
    Next(Depth),
    /// Another one, or the next one as well.
    Jump(u32, bool),
    /// A way ends, as it does in functions or not.
    End(bool),
}

impl Judge {
    /// Judges what begins at the start of `range` and ends within it. `is_start` says where else a function may begin.
    pub(super) fn judge(
        &mut self,
        program: &Program<'_>,
        range: Range<u32>,
        is_start: impl Fn(u32) -> bool,
    ) -> Verdict {
        self.seen.clear();
        self.seen.resize(range.len(), None);
        self.pending.clear();
        self.leads.clear();
        self.pending.push((range.start, Some(0)));
        let (mut good, mut bad) = (0, 0);
        while let Some((at, depth)) = self.pending.pop() {
            match self.follow(program, &range, at, depth, &is_start) {
                Some(true) => good += 1,
                Some(false) => bad += 1,
                None => {}
            }
        }
        match (good, bad) {
            (1.., 0) => Verdict::Code,
            (0, 1..) => Verdict::Data,
            _ => Verdict::Doubtful,
        }
    }

    /// Follows one way to its end, and notes others. How it ends; `None` where it meets another way.
    fn follow(
        &mut self,
        program: &Program<'_>,
        range: &Range<u32>,
        start: u32,
        mut depth: Depth,
        is_start: &impl Fn(u32) -> bool,
    ) -> Option<bool> {
        let bytes = program.bytes.get(start as usize..range.end as usize).unwrap_or_default();
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
        while decoder.can_decode() {
            let seen = &mut self.seen[(decoder.ip() as u32 - range.start) as usize];
            if let Some(before) = seen.replace(depth) {
                return (before.is_some() && depth.is_some() && before != depth).then_some(false);
            }
            self.spent += 1;
            let instruction = decoder.decode();
            self.leads.extend(direct_target(&instruction).or_else(|| taken_address(program, &instruction)));
            match after(program, &instruction, depth) {
                After::Next(next) => depth = next,
                After::Jump(target, falls) => {
                    let inside = range.contains(&target);
                    if inside {
                        self.pending.push((target, depth));
                    }
                    let leaves = !inside && is_start(target) && depth.unwrap_or(0) == 0;
                    if !falls || !inside && !leaves {
                        return (!inside).then_some(leaves);
                    }
                }
                After::End(good) => return Some(good),
            }
        }
        Some(false)
    }
}

fn after(program: &Program<'_>, instruction: &Instruction, depth: Depth) -> After {
    let level = depth.unwrap_or(0) == 0;
    let next_byte = || program.bytes.get(instruction.next_ip() as usize).copied();
    match instruction.flow_control() {
        _ if !is_ordinary(instruction) => After::End(false),
        // One is a breakpoint, several are padding.
        FlowControl::Interrupt if instruction.mnemonic() == Mnemonic::Int3 && next_byte() != Some(0xcc) => {
            After::Next(depth)
        }
        FlowControl::Interrupt if instruction.mnemonic() == Mnemonic::Int3 => After::End(false),
        FlowControl::Return | FlowControl::IndirectBranch => After::End(level),
        FlowControl::ConditionalBranch => After::Jump(instruction.near_branch_target() as u32, true),
        FlowControl::UnconditionalBranch => After::Jump(instruction.near_branch_target() as u32, false),
        FlowControl::Call if !program.is_executable(instruction.near_branch_target() as u32) => After::End(false),
        // What does not return is followed by padding.
        FlowControl::Call | FlowControl::IndirectCall if next_byte() == Some(0xcc) => After::End(true),
        FlowControl::Call => After::Next(depth),
        _ if ends_flow(program, instruction) => After::End(true),
        FlowControl::IndirectCall | FlowControl::Interrupt => After::Next(depth),
        _ => After::Next(depth_after(instruction, depth)),
    }
}

fn depth_after(instruction: &Instruction, depth: Depth) -> Depth {
    let depth = depth?;
    if instruction.op_count() == 0
        || instruction.op0_kind() != OpKind::Register
        || instruction.op0_register() != Register::RSP
    {
        let leaves = instruction.mnemonic() == Mnemonic::Leave;
        return (!leaves).then(|| depth.wrapping_sub(instruction.stack_pointer_increment()));
    }
    let number = || instruction.try_immediate(1).ok().map(|number| number as i32);
    match instruction.mnemonic() {
        Mnemonic::Add => Some(depth.wrapping_sub(number()?)),
        Mnemonic::Sub => Some(depth.wrapping_add(number()?)),
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push => {
            Some(depth.wrapping_sub(instruction.stack_pointer_increment()))
        }
        _ => None,
    }
}

/// Do drivers have such an instruction? Of the privileged ones those that headers make inline functions of.
fn is_ordinary(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::INVALID | Mnemonic::Int1 | Mnemonic::Iretd | Mnemonic::Iretq | Mnemonic::Retf => false,
        // `__fastfail`, and an assertion.
        Mnemonic::Int => matches!(instruction.immediate8(), 0x29 | 0x2c),
        Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd | Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => {
            instruction.has_rep_prefix()
        }
        Mnemonic::Mov
        | Mnemonic::Cli
        | Mnemonic::Sti
        | Mnemonic::In
        | Mnemonic::Out
        | Mnemonic::Rdmsr
        | Mnemonic::Wrmsr
        | Mnemonic::Wbinvd
        | Mnemonic::Invlpg => true,
        _ => !instruction.is_privileged(),
    }
}

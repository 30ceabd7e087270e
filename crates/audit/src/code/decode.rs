//! The instructions of a function: decoding that follows jumps.

use core::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};

use super::discovery::Function;
use super::program::Program;
use super::switch::{self, Switch};

/// Most instructions of one function that are looked at.
const MAX_INSTRUCTIONS: usize = 100_000;

/// Most places that the jumps through tables of one function lead to, each counted as often as a jump leads there.
const MAX_SWITCHED: usize = 1 << 16;

/// An instruction begins here.
const BEGINS: u8 = 1;
/// Control arrives here by a jump, or from outside.
const LEADS: u8 = 2;

/// The instructions of a function, in the order in which they were found. One value serves for many functions, one after
/// the other, and keeps its memory.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) instructions: Vec<Instruction>,
    /// Jumps whose targets are not known.
    pub(crate) unresolved_jumps: u32,
    /// Bytes that are no instruction were reached, or the function is too long.
    pub(crate) cut: bool,
    spans: Vec<Span>,
    /// By offset in the spans, one after the other.
    marks: Vec<u8>,
    /// Jumps through tables.
    pub(super) switches: Vec<Switch>,
    /// Places that these lead to.
    switched: usize,
    pending: Vec<u32>,
}

/// A piece of the function, and the offset of its first byte in `marks`.
struct Span {
    range: Range<u32>,
    offset: u32,
}

impl Code {
    /// Decodes a function, following its jumps.
    pub(crate) fn decode(&mut self, program: &Program<'_>, function: &Function) {
        self.begin(function);
        self.follow(program, function.entry);
        for &block in &function.handlers {
            self.follow(program, block);
        }
        self.switches.sort_unstable_by_key(|switch| switch.jump);
    }

    fn begin(&mut self, function: &Function) {
        self.instructions.clear();
        self.switches.clear();
        self.spans.clear();
        (self.unresolved_jumps, self.cut, self.switched) = (0, false, 0);
        let mut size = 0;
        for range in &function.parts {
            self.spans.push(Span { range: range.clone(), offset: size });
            size += range.end - range.start;
        }
        self.marks.clear();
        self.marks.resize(size as usize, 0);
    }

    fn follow(&mut self, program: &Program<'_>, start: u32) {
        self.pending.push(start);
        while let Some(at) = self.pending.pop() {
            let Some((end, place)) = self.place(at) else { continue };
            self.marks[place] |= LEADS;
            if self.marks[place] & BEGINS == 0 {
                self.decode_from(program, at, end, place);
            }
        }
    }

    /// The end of the piece that an address lies in, and the offset of the address in `marks`.
    fn place(&self, rva: u32) -> Option<(u32, usize)> {
        let index = self.spans.partition_point(|span| span.range.start <= rva).checked_sub(1)?;
        let Span { range, offset } = &self.spans[index];
        range.contains(&rva).then(|| (range.end, (offset + rva - range.start) as usize))
    }

    /// Does control arrive here by a jump, or from outside?
    pub(super) fn is_led_to(&self, rva: u32) -> bool {
        self.place(rva).is_some_and(|(_, place)| self.marks[place] & LEADS != 0)
    }

    /// Where a jump through a table leads.
    pub(super) fn switch_targets(&self, jump: u32) -> &[u32] {
        let found = self.switches.binary_search_by_key(&jump, |switch| switch.jump);
        found.map_or(&[], |index| &self.switches[index].targets)
    }

    /// Where such a jump leads by the entry with this number.
    pub(crate) fn switch_target(&self, program: &Program<'_>, jump: u32, index: u64) -> Option<u32> {
        let found = self.switches.binary_search_by_key(&jump, |switch| switch.jump).ok()?;
        self.switches[found].target(program, index)
    }

    fn decode_from(&mut self, program: &Program<'_>, start: u32, end: u32, mut place: usize) {
        let bytes = program.bytes.get(start as usize..end as usize).unwrap_or_default();
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
        let first = self.instructions.len();
        while decoder.can_decode() && self.marks[place] & BEGINS == 0 {
            let instruction = decoder.decode();
            if instruction.is_invalid() || self.instructions.len() >= MAX_INSTRUCTIONS {
                self.cut = true;
                return;
            }
            self.marks[place] |= BEGINS;
            place += instruction.len();
            self.instructions.push(instruction);
            self.branch(program, &instruction, first);
            if ends_flow(program, &instruction) {
                return;
            }
        }
        // Falls into code that is known already, or out of the piece.
        self.pending.extend((decoder.ip() < u64::from(end)).then_some(decoder.ip() as u32));
    }

    fn branch(&mut self, program: &Program<'_>, instruction: &Instruction, first: usize) {
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                self.pending.push(instruction.near_branch_target() as u32);
            }
            FlowControl::IndirectBranch => {
                if self.switched >= MAX_SWITCHED {
                    self.unresolved_jumps += 1;
                    return;
                }
                let inside = |rva| self.place(rva).is_some();
                let Some(switch) = switch::find(program, &self.instructions[first..], inside) else { return };
                self.unresolved_jumps += u32::from(switch.targets.is_empty());
                self.switched += switch.targets.len().max(1);
                self.pending.extend(&switch.targets);
                self.switches.push(switch);
            }
            _ => {}
        }
    }
}

/// True where control does not go on to the next instruction.
pub(super) fn ends_flow(program: &Program<'_>, instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::Return
        | FlowControl::IndirectBranch
        | FlowControl::UnconditionalBranch
        | FlowControl::Exception => true,
        // `int 29h` is `__fastfail`.
        FlowControl::Interrupt => instruction.immediate8() == 0x29 || instruction.immediate8() == 3,
        FlowControl::IndirectCall => calls_what_never_returns(program, instruction),
        _ => false,
    }
}

/// A call of an import that does not return.
fn calls_what_never_returns(program: &Program<'_>, instruction: &Instruction) -> bool {
    instruction.is_ip_rel_memory_operand()
        && program
            .import_at(instruction.ip_rel_memory_address() as u32)
            .is_some_and(|id| program.import(id).routine.is_some_and(crate::ddi::Routine::never_returns))
}

/// Where a direct call or jump leads.
pub(super) fn direct_target(instruction: &Instruction) -> Option<u32> {
    let direct = matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    (direct && instruction.near_branch_target() != 0).then(|| instruction.near_branch_target() as u32)
}

/// Code whose address an instruction takes.
pub(super) fn taken_address(program: &Program<'_>, instruction: &Instruction) -> Option<u32> {
    let address = match instruction.mnemonic() {
        Mnemonic::Lea if instruction.is_ip_rel_memory_operand() => instruction.ip_rel_memory_address() as u32,
        Mnemonic::Mov if instruction.op_count() == 2 && instruction.op1_kind() == OpKind::Immediate64 => {
            program.rva_of(instruction.immediate64())?
        }
        _ => return None,
    };
    program.is_executable(address).then_some(address)
}

//! The flow of control within one function.

use core::ops::Range;

use iced_x86::{FlowControl, Instruction};

use super::decode::{Code, ends_flow};
use super::discovery::Function;
use super::program::Program;

/// A straight stretch of instructions.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Where it begins.
    pub(crate) start: u32,
    /// Its instructions, in [`Code::instructions`].
    code: Range<u32>,
    /// Where control goes next, in [`Graph::edges`].
    edges: Range<u32>,
}

/// The instructions of a function and how control flows between them. One value serves for many functions, one after the
/// other, and keeps its memory.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) code: Code,
    /// By address.
    pub(crate) blocks: Vec<Block>,
    edges: Vec<u32>,
    /// Blocks where control arrives from outside: the entry first, then `__except` blocks.
    pub(crate) entries: Vec<u32>,
}

impl Graph {
    pub(crate) fn successors(&self, block: &Block) -> &[u32] {
        &self.edges[block.edges.start as usize..block.edges.end as usize]
    }

    pub(crate) fn instructions(&self, block: &Block) -> &[Instruction] {
        &self.code.instructions[block.code.start as usize..block.code.end as usize]
    }

    /// The last instruction of a block.
    pub(crate) fn last(&self, block: &Block) -> &Instruction {
        &self.code.instructions[block.code.end as usize - 1]
    }

    /// Does a jump lead to a block of the function?
    pub(crate) fn leads_on(&self, jump: &Instruction) -> bool {
        block_at(&self.blocks, jump.near_branch_target() as u32).is_some()
    }

    /// The block that an instruction lies in.
    pub(crate) fn block_of(&self, rva: u32) -> Option<usize> {
        self.blocks.partition_point(|block| block.start <= rva).checked_sub(1)
    }

    /// Decodes a function and finds its blocks.
    pub(crate) fn read(&mut self, program: &Program<'_>, function: &Function) {
        self.code.decode(program, function);
        self.split(program);
        self.connect(program);
        let entries = std::iter::once(&function.entry).chain(&function.handlers);
        self.entries.clear();
        self.entries.extend(entries.filter_map(|&rva| block_at(&self.blocks, rva)));
    }

    /// Cuts the code into blocks: where control arrives, after what ends the flow or may jump, and where instructions do
    /// not follow each other.
    fn split(&mut self, program: &Program<'_>) {
        self.blocks.clear();
        let code = &self.code.instructions;
        let mut start = 0;
        for (index, instruction) in code.iter().enumerate() {
            let follows = code.get(index + 1).filter(|next| next.ip() == instruction.next_ip());
            let leads = follows.is_none_or(|next| self.code.is_led_to(next.ip() as u32));
            let jumps = instruction.flow_control() == FlowControl::ConditionalBranch;
            if leads || jumps || ends_flow(program, instruction) {
                let end = index as u32 + 1;
                self.blocks.push(Block { start: code[start as usize].ip() as u32, code: start..end, edges: 0..0 });
                start = end;
            }
        }
        self.blocks.sort_unstable_by_key(|block| block.start);
    }

    fn connect(&mut self, program: &Program<'_>) {
        self.edges.clear();
        for index in 0..self.blocks.len() {
            let (start, last) = (self.edges.len() as u32, *self.last(&self.blocks[index]));
            if !ends_flow(program, &last) {
                self.edges.extend(block_at(&self.blocks, last.next_ip() as u32));
            }
            match last.flow_control() {
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    self.edges.extend(block_at(&self.blocks, last.near_branch_target() as u32));
                }
                FlowControl::IndirectBranch => {
                    let targets = self.code.switch_targets(last.ip() as u32);
                    self.edges.extend(targets.iter().filter_map(|&target| block_at(&self.blocks, target)));
                }
                _ => {}
            }
            self.blocks[index].edges = start..self.edges.len() as u32;
        }
    }
}

/// The block that begins at an address.
fn block_at(blocks: &[Block], rva: u32) -> Option<u32> {
    blocks.binary_search_by_key(&rva, |block| block.start).ok().map(|index| index as u32)
}

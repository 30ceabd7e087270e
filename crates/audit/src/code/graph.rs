//! The flow of control within one function.

use core::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};

use super::discovery::Function;
use super::program::Program;
use super::switch;

/// Most instructions of one function that are looked at.
pub(crate) const MAX_INSTRUCTIONS: usize = 100_000;

/// A straight stretch of instructions.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its instructions, in [`Graph::code`].
    pub(crate) code: Range<u32>,
    /// Where control goes next, in [`Graph::edges`].
    edges: Range<u32>,
}

/// The instructions of a function and how control flows between them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Graph {
    pub(crate) code: Vec<Instruction>,
    pub(crate) blocks: Vec<Block>,
    edges: Vec<u32>,
    /// Blocks where control arrives from outside: the entry first, then `__except` blocks.
    pub(crate) entries: Vec<u32>,
    /// Jumps whose targets are not known.
    pub(crate) unresolved_jumps: u32,
    /// Bytes that are no instruction were reached, or the function is too long.
    pub(crate) cut: bool,
}

impl Graph {
    pub(crate) fn successors(&self, block: &Block) -> &[u32] {
        &self.edges[block.edges.start as usize..block.edges.end as usize]
    }

    pub(crate) fn instructions(&self, block: &Block) -> &[Instruction] {
        &self.code[block.code.start as usize..block.code.end as usize]
    }

    /// Decodes a function, following its jumps.
    pub(crate) fn of(program: &Program<'_>, function: &Function) -> Graph {
        let mut builder = Builder::new(program, function);
        builder.follow(function.entry);
        for &block in &function.handlers {
            builder.follow(block);
        }
        builder.finish()
    }
}

/// True where control does not come back from an instruction in this function.
pub(crate) fn ends_flow(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::Return
        | FlowControl::IndirectBranch
        | FlowControl::UnconditionalBranch
        | FlowControl::Exception => true,
        // `int 29h` is `__fastfail`.
        FlowControl::Interrupt => instruction.immediate8() == 0x29 || instruction.immediate8() == 3,
        _ => false,
    }
}

struct Builder<'p> {
    program: &'p Program<'p>,
    function: &'p Function,
    code: Vec<Instruction>,
    /// By offset in the parts: was an instruction decoded there?
    seen: Vec<bool>,
    /// Where blocks begin.
    leaders: Vec<u32>,
    /// Targets of jumps through tables, with the jump.
    switches: Vec<(u32, Vec<u32>)>,
    pending: Vec<u32>,
    graph: Graph,
}

impl<'p> Builder<'p> {
    fn new(program: &'p Program<'p>, function: &'p Function) -> Builder<'p> {
        let size: u32 = function.parts.iter().map(|part| part.end - part.start).sum();
        let code = Vec::with_capacity((size as usize / 4).min(MAX_INSTRUCTIONS));
        Builder {
            program,
            function,
            code,
            seen: vec![false; size as usize],
            leaders: Vec::new(),
            switches: Vec::new(),
            pending: Vec::new(),
            graph: Graph::default(),
        }
    }

    fn follow(&mut self, start: u32) {
        self.pending.push(start);
        while let Some(at) = self.pending.pop() {
            let Some(place) = self.place(at) else { continue };
            self.leaders.push(at);
            if !self.seen[place] {
                self.decode_from(at);
            }
        }
    }

    /// Offset of an address in the parts of the function.
    fn place(&self, rva: u32) -> Option<usize> {
        let mut before = 0;
        for part in &self.function.parts {
            if part.contains(&rva) {
                return Some((before + rva - part.start) as usize);
            }
            before += part.end - part.start;
        }
        None
    }

    fn decode_from(&mut self, start: u32) {
        let Some(part) = self.function.parts.iter().find(|part| part.contains(&start)).cloned() else { return };
        let bytes = self.program.bytes.get(start as usize..part.end as usize).unwrap_or_default();
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
        let first = self.code.len();
        let mut place = self.place(start).unwrap_or_default();
        while decoder.can_decode() && !self.seen[place] {
            let instruction = decoder.decode();
            if instruction.is_invalid() || self.code.len() >= MAX_INSTRUCTIONS {
                self.graph.cut = true;
                return;
            }
            self.seen[place] = true;
            place += instruction.len();
            self.code.push(instruction);
            self.branch(&instruction, first);
            if ends_flow(&instruction) || self.never_returns(&instruction) {
                return;
            }
        }
        // Falls into code that is known already, or out of the part.
        self.pending.extend((decoder.ip() < u64::from(part.end)).then_some(decoder.ip() as u32));
    }

    fn branch(&mut self, instruction: &Instruction, first: usize) {
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                self.pending.push(instruction.near_branch_target() as u32);
            }
            FlowControl::IndirectBranch => {
                let Some(targets) = switch::targets(self.program, &self.code[first..], &self.function.parts) else {
                    return;
                };
                self.graph.unresolved_jumps += u32::from(targets.is_empty());
                self.pending.extend(&targets);
                self.switches.push((instruction.ip() as u32, targets));
            }
            _ => {}
        }
    }

    /// A call of an import that does not return.
    fn never_returns(&self, instruction: &Instruction) -> bool {
        instruction.flow_control() == FlowControl::IndirectCall
            && instruction.is_ip_rel_memory_operand()
            && self
                .program
                .import_at(instruction.ip_rel_memory_address() as u32)
                .is_some_and(|id| self.program.import(id).routine.is_some_and(crate::ddi::Routine::never_returns))
    }

    fn finish(mut self) -> Graph {
        self.code.sort_unstable_by_key(Instruction::ip);
        // What follows a conditional jump begins a block.
        let after = self.code.iter().filter(|i| i.flow_control() == FlowControl::ConditionalBranch);
        self.leaders.extend(after.map(|jump| jump.next_ip() as u32));
        self.leaders.sort_unstable();
        self.leaders.dedup();
        self.graph.code = std::mem::take(&mut self.code);
        self.split();
        self.connect();
        let entries = std::iter::once(&self.function.entry).chain(&self.function.handlers);
        self.graph.entries = entries.filter_map(|&rva| block_at(&self.graph, rva)).collect();
        self.graph
    }

    /// Cuts the code into blocks: at leaders, after what ends the flow, and where instructions do not follow each other.
    fn split(&mut self) {
        let graph = &mut self.graph;
        let mut start = 0;
        for index in 0..graph.code.len() {
            let instruction = &graph.code[index];
            let follows = graph.code.get(index + 1).filter(|next| next.ip() == instruction.next_ip());
            let leads = follows.is_some_and(|next| self.leaders.binary_search(&(next.ip() as u32)).is_ok());
            if follows.is_none() || leads || ends_flow(instruction) {
                graph.blocks.push(Block { code: start..index as u32 + 1, edges: 0..0 });
                start = index as u32 + 1;
            }
        }
    }

    fn connect(&mut self) {
        for index in 0..self.graph.blocks.len() {
            let start = self.graph.edges.len() as u32;
            let last = self.graph.code[self.graph.blocks[index].code.end as usize - 1];
            if !ends_flow(&last) && !self.never_returns(&last) {
                self.edge(last.next_ip() as u32);
            }
            match last.flow_control() {
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                    self.edge(last.near_branch_target() as u32);
                }
                FlowControl::IndirectBranch => {
                    let found = self.switches.iter().position(|(jump, _)| u64::from(*jump) == last.ip());
                    let targets = found.map(|found| self.switches[found].1.clone()).unwrap_or_default();
                    targets.into_iter().for_each(|target| self.edge(target));
                }
                _ => {}
            }
            self.graph.blocks[index].edges = start..self.graph.edges.len() as u32;
        }
    }

    fn edge(&mut self, target: u32) {
        self.graph.edges.extend(block_at(&self.graph, target));
    }
}

/// The block that begins at an address.
fn block_at(graph: &Graph, rva: u32) -> Option<u32> {
    let first = |block: &Block| graph.code[block.code.start as usize].ip() as u32;
    graph.blocks.binary_search_by_key(&rva, first).ok().map(|index| index as u32)
}

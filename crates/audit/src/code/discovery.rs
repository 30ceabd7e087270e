//! Where functions lie: by the function table, the entry point, exports, symbols, calls and pointers.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use driver_image::unwind::{self, RuntimeFunction};
use driver_image::{Directory, ExportTarget, MappedImage};
use iced_x86::{FlowControl, Instruction, Mnemonic};
use nt_types::Rva;

use super::graph::Graph;
use super::program::Program;
use super::scopes;

/// Most functions of one image.
const MAX_FUNCTIONS: usize = 200_000;
/// What may be spent on the smallest image, in instructions.
const MIN_BUDGET: u64 = 1 << 20;
/// Longest part of a function that is looked at, in bytes.
const MAX_PART: u32 = 1 << 20;
/// Longest function that the function table does not list, in bytes.
const MAX_UNLISTED: u32 = 0x1_0000;
/// Longest function that only a pointer leads to, and that the function table does not list, in bytes.
const MAX_LEAF: u32 = 0x400;

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Where it is called.
    pub(crate) entry: u32,
    /// Its pieces, the one with the entry first.
    pub(crate) parts: Vec<Range<u32>>,
    /// `__except` blocks in it.
    pub(crate) handlers: Vec<u32>,
    /// Functions it calls or jumps to, by index; ascending.
    pub(crate) callees: Vec<u32>,
}

/// The functions of an image, and what was learned on the way.
#[derive(Default, Debug)]
pub(crate) struct Functions {
    /// By entry, ascending.
    pub(crate) all: Vec<Function>,
    /// Functions whose address is held by data or taken by code.
    pub(crate) taken: BTreeSet<u32>,
    /// Exported functions.
    pub(crate) exported: BTreeSet<u32>,
    /// Instructions decoded.
    pub(crate) instructions: u64,
    /// Jumps whose targets are not known.
    pub(crate) unresolved_jumps: u32,
    /// Functions with bytes that are no instructions, or too long.
    pub(crate) cut: u32,
    /// There were more functions than are looked at.
    pub(crate) too_many: bool,
}

impl Functions {
    /// Index of the function that is called at `rva`.
    pub(crate) fn at(&self, rva: u32) -> Option<usize> {
        self.all.binary_search_by_key(&rva, |function| function.entry).ok()
    }

    /// Finds the functions of an image. `names` are entry points that symbols name.
    pub(crate) fn find(program: &Program<'_>, names: &[Rva]) -> Functions {
        let mut search = Search::new(program);
        search.add_listed();
        search.add_outside(names);
        search.add_pointers();
        search.run();
        search.finish()
    }
}

struct Search<'p> {
    program: &'p Program<'p>,
    found: BTreeMap<u32, Function>,
    /// Every piece that the function table lists, by start, with its end.
    listed: BTreeMap<u32, u32>,
    /// Where functions may begin, and whether one certainly does.
    pending: Vec<(u32, bool)>,
    /// Addresses called by each function.
    calls: BTreeMap<u32, Vec<u32>>,
    /// Instructions decoded, and memory prepared for them: overlapping functions could cost without end.
    spent: u64,
    result: Functions,
}

impl<'p> Search<'p> {
    fn new(program: &'p Program<'p>) -> Search<'p> {
        Search {
            program,
            found: BTreeMap::new(),
            listed: BTreeMap::new(),
            pending: Vec::new(),
            calls: BTreeMap::new(),
            spent: 0,
            result: Functions::default(),
        }
    }

    /// Functions of the function table; their detached parts are chained to the first.
    fn add_listed(&mut self) {
        let table = self.program.image.headers().directory(Directory::Exception);
        let mut reader = MappedImage(&self.program.bytes);
        let parts = unwind::functions(&mut reader, table).unwrap_or_default();
        for part in parts {
            let sound = part.begin < part.end && self.program.section_at(part.end.0 - 1).is_some();
            if sound && part.end.0 - part.begin.0 > MAX_PART {
                self.result.cut += 1;
            } else if sound && self.program.is_executable(part.begin.0) {
                self.listed.insert(part.begin.0, part.end.0);
                self.add_part(part);
            }
        }
        self.pending.extend(self.found.keys().map(|&entry| (entry, true)));
    }

    fn add_part(&mut self, part: RuntimeFunction) {
        let mut reader = MappedImage(&self.program.bytes);
        let whole = unwind::primary_function(&mut reader, part).unwrap_or(part);
        let scopes = scopes::scopes(self.program, part);
        let new = Function { entry: whole.begin.0, parts: Vec::new(), handlers: Vec::new(), callees: Vec::new() };
        let function = self.found.entry(whole.begin.0).or_insert(new);
        let range = part.begin.0..part.end.0;
        match range.start == function.entry {
            true => function.parts.insert(0, range),
            false => function.parts.push(range),
        }
        function.handlers.extend(scopes.blocks);
        self.result.taken.extend(&scopes.routines);
        self.pending.extend(scopes.routines.into_iter().map(|routine| (routine, true)));
    }

    fn add_outside(&mut self, names: &[Rva]) {
        self.pending.extend(self.program.image.headers().entry_point.map(|rva| (rva.0, true)));
        self.pending.extend(names.iter().map(|rva| (rva.0, false)));
        let exports = self.program.image.exports().unwrap_or_default();
        for (_, target) in exports.numbered() {
            if let ExportTarget::Rva(rva) = target
                && self.program.is_executable(rva.0)
            {
                self.result.exported.insert(rva.0);
                self.pending.push((rva.0, true));
            }
        }
    }

    /// Addresses of code that data hold.
    fn add_pointers(&mut self) {
        for place in self.program.image.relocations() {
            if let Some(target) = self.program.pointer_at(place.0)
                && self.may_start(target)
            {
                self.result.taken.insert(target);
                self.pending.push((target, false));
            }
        }
    }

    /// Could a function begin here? Inside listed functions only they themselves can.
    fn may_start(&self, rva: u32) -> bool {
        let listed = self.listed.range(..=rva).next_back();
        self.program.is_executable(rva) && listed.is_none_or(|(start, end)| *start == rva || *end <= rva)
    }

    fn run(&mut self) {
        let mut done = BTreeSet::new();
        while let Some((entry, certain)) = self.pending.pop() {
            if !self.may_start(entry) || !done.insert((entry, certain)) || done.contains(&(entry, true)) && !certain {
                continue;
            }
            if self.found.len() >= MAX_FUNCTIONS || self.spent > self.budget() {
                self.result.too_many = true;
                return;
            }
            let listed = self.found.contains_key(&entry);
            let function = self.found.get(&entry).cloned().unwrap_or_else(|| self.unlisted(entry, certain));
            let graph = Graph::of(self.program, &function);
            let bytes: u32 = function.parts.iter().map(|part| part.end - part.start).sum();
            self.spent += graph.code.len() as u64 + u64::from(bytes / 16);
            if listed || certain || self.is_leaf(entry, &graph) {
                self.look_into(&function, &graph);
                self.found.insert(entry, function);
            }
        }
    }

    /// What may be spent on an image. Functions of a compiler do not overlap, and need a fraction of it.
    fn budget(&self) -> u64 {
        MIN_BUDGET + 4 * self.program.bytes.len() as u64
    }

    /// Code that only a pointer leads to may be data. A function that the function table does not list calls nothing and
    /// leaves the stack and nonvolatile registers alone ("x64 calling convention"), and it does not begin just anywhere.
    fn is_leaf(&self, entry: u32, graph: &Graph) -> bool {
        let before = entry.checked_sub(1).and_then(|rva| self.program.bytes.get(rva as usize)).copied();
        let begins = entry.is_multiple_of(16) || matches!(before, Some(0xcc | 0xc3 | 0x90));
        let allowed = |instruction: &Instruction| {
            !matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt
            ) && !matches!(instruction.mnemonic(), Mnemonic::Push | Mnemonic::Pop | Mnemonic::Leave | Mnemonic::Enter)
                && !instruction.is_privileged()
        };
        begins && !graph.cut && graph.code.iter().all(allowed)
    }

    /// A function that is not listed ends where the next one or its section does.
    fn unlisted(&self, start: u32, certain: bool) -> Function {
        let longest = if certain { MAX_UNLISTED } else { MAX_LEAF };
        let listed = self.listed.range(start + 1..).next().map_or(u32::MAX, |(next, _)| *next);
        let found = self.found.range(start + 1..).next().map_or(u32::MAX, |(next, _)| *next);
        let section = self.program.section_at(start).map(|index| self.program.image.sections()[index].end() as u32);
        let end = listed.min(found).min(section.unwrap_or(start)).min(start.saturating_add(longest));
        let whole = start..end.min(self.program.bytes.len() as u32);
        Function { entry: start, parts: std::iter::once(whole).collect(), handlers: Vec::new(), callees: Vec::new() }
    }

    fn look_into(&mut self, function: &Function, graph: &Graph) {
        if self.calls.contains_key(&function.entry) {
            return;
        }
        self.result.instructions += graph.code.len() as u64;
        self.result.unresolved_jumps += graph.unresolved_jumps;
        self.result.cut += u32::from(graph.cut);
        let mut calls = Vec::new();
        for instruction in &graph.code {
            if let Some(target) = direct_target(instruction) {
                let inside = function.parts.iter().any(|part| part.contains(&target));
                let called = instruction.flow_control() == FlowControl::Call;
                if (!inside || called) && self.may_start(target) {
                    calls.push(target);
                }
            } else if let Some(target) = taken_address(self.program, instruction)
                && self.may_start(target)
            {
                self.result.taken.insert(target);
                self.pending.push((target, false));
            }
        }
        calls.sort_unstable();
        calls.dedup();
        self.pending.extend(calls.iter().map(|&call| (call, true)));
        self.calls.insert(function.entry, calls);
    }

    fn finish(mut self) -> Functions {
        let mut all: Vec<Function> =
            std::mem::take(&mut self.found).into_values().filter(|f| self.calls.contains_key(&f.entry)).collect();
        let entries: Vec<u32> = all.iter().map(|function| function.entry).collect();
        let index = |rva: &u32| entries.binary_search(rva).ok().map(|index| index as u32);
        for function in &mut all {
            let calls = self.calls.get(&function.entry).map_or(&[][..], Vec::as_slice);
            function.callees = calls.iter().filter_map(index).collect();
        }
        Functions { all, ..self.result }
    }
}

/// Where a direct call or jump leads.
fn direct_target(instruction: &Instruction) -> Option<u32> {
    let direct = matches!(
        instruction.flow_control(),
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    (direct && instruction.near_branch_target() != 0).then(|| instruction.near_branch_target() as u32)
}

/// Code whose address an instruction takes.
fn taken_address(program: &Program<'_>, instruction: &Instruction) -> Option<u32> {
    let address = match instruction.mnemonic() {
        Mnemonic::Lea if instruction.is_ip_rel_memory_operand() => instruction.ip_rel_memory_address() as u32,
        Mnemonic::Mov if instruction.op_count() == 2 && instruction.op1_kind() == iced_x86::OpKind::Immediate64 => {
            program.rva_of(instruction.immediate64())?
        }
        _ => return None,
    };
    program.is_executable(address).then_some(address)
}

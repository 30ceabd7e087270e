//! Where functions lie: by the function table, the entry point, exports, symbols, calls and pointers.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use driver_image::unwind::{self, RuntimeFunction};
use driver_image::{Directory, ExportTarget, MappedImage};
use iced_x86::FlowControl;
use nt_types::Rva;
use smallvec::SmallVec;

use super::candidate::{self, Judge, Verdict};
use super::decode::{Code, direct_target, taken_address};
use super::program::Program;
use super::scopes::{self, Scopes};

/// Most functions of one image.
const MAX_FUNCTIONS: usize = 500_000;
/// What may be spent on the smallest image, in instructions.
const MIN_BUDGET: u64 = 1 << 20;
/// Longest part of a function that is looked at, in bytes.
const MAX_PART: u32 = 1 << 20;
/// Longest function that the function table does not list, in bytes.
const MAX_UNLISTED: u32 = 0x1_0000;
/// Instructions that may be decoded once more, in the smallest image, and bytes of a larger one for each more. A compiler makes
/// hardly any such; each may become a function.
const MIN_AGAIN: u64 = 1 << 14;
const BYTES_AGAIN: u64 = 128;
/// Filters and blocks that scope tables may name, in the smallest image, and bytes of a larger one for each more: tables of parts
/// that do not share them take sixteen bytes a row.
const MIN_SCOPES: u64 = 1 << 16;
const BYTES_A_SCOPE: u64 = 16;

/// A listed piece begins at this byte, or this byte is inside of one.
const STARTS: u8 = 1;
const INSIDE: u8 = 2;
/// A function was looked for here, and whether one was certain then.
const LOOKED_AT: u8 = 4;
const LOOKED_AT_CERTAIN: u8 = 8;
/// An instruction of a function begins here.
const DECODED: u8 = 16;
/// Bytes of the image that share an entry of [`Functions::index`], as a power of two.
const BUCKET: u32 = 8;

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Where it is called.
    pub(crate) entry: u32,
    /// Its pieces, ascending; none overlaps another.
    pub(crate) parts: SmallVec<[Range<u32>; 1]>,
    /// `__except` blocks in it.
    pub(crate) handlers: Vec<u32>,
    /// What it calls or jumps to, in [`Functions::callees`]; `None` while it was not looked into.
    callees: Option<Range<u32>>,
}

impl Function {
    fn new(entry: u32) -> Function {
        Function { entry, parts: SmallVec::new(), handlers: Vec::new(), callees: None }
    }

    /// Length of all pieces, in bytes.
    pub(crate) fn bytes(&self) -> u32 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    fn contains(&self, rva: u32) -> bool {
        self.parts.iter().any(|part| part.contains(&rva))
    }

    /// Sorts the pieces, and makes one of those that overlap.
    fn tidy(&mut self) {
        self.parts.sort_unstable_by_key(|part| part.start);
        self.parts.dedup_by(|next, part| {
            let overlaps = next.start < part.end;
            if overlaps {
                part.end = part.end.max(next.end);
            }
            overlaps
        });
    }
}

/// The functions of an image, and what was learned on the way.
#[derive(Default, Debug)]
pub(crate) struct Functions {
    /// By entry, ascending.
    pub(crate) all: Vec<Function>,
    /// The entries of `all`: close together, for searching.
    entries: Vec<u32>,
    /// For each stretch of the image, the first of `entries` there.
    index: Vec<u32>,
    /// What each function calls or jumps to, by index; ascending.
    callees: Vec<u32>,
    /// Functions whose address is held by data or taken by code.
    pub(crate) taken: BTreeSet<u32>,
    /// Tables that jumps go through, by their starts, with a jump.
    tables: BTreeMap<u32, u32>,
    /// Those of them whose address is held by data.
    pub(crate) pointed: BTreeSet<u32>,
    /// Exported functions.
    pub(crate) exported: BTreeSet<u32>,
    /// Instructions decoded.
    pub(crate) instructions: u64,
    /// Jumps whose targets are not known.
    pub(crate) unresolved_jumps: u32,
    /// Functions with bytes that are no instructions, or too long.
    pub(crate) cut: u32,
    /// Pieces of them that are too long to be looked at.
    pub(crate) too_long: u32,
    /// Addresses that are taken of what may be code or data, and is not looked at.
    pub(crate) doubtful: BTreeSet<u32>,
    /// Where that would lead.
    pub(crate) unseen: BTreeSet<u32>,
    /// There were more functions than are looked at.
    pub(crate) too_many: bool,
    /// The function table cannot be read.
    pub(crate) unreadable_table: bool,
}

impl Functions {
    /// Index of the function that is called at `rva`.
    pub(crate) fn at(&self, rva: u32) -> Option<usize> {
        let bucket = (rva >> BUCKET) as usize;
        let (first, end) = (*self.index.get(bucket)? as usize, *self.index.get(bucket + 1)? as usize);
        Some(first + self.entries[first..end].binary_search(&rva).ok()?)
    }

    /// Index of the function that an instruction belongs to, if it is in no piece that lies before the entry.
    pub(crate) fn around(&self, rva: u32) -> Option<usize> {
        let index = self.entries.partition_point(|entry| *entry <= rva).checked_sub(1)?;
        self.all[index].parts.iter().any(|part| part.contains(&rva)).then_some(index)
    }

    /// The jump that goes through the table which begins at `rva`.
    pub(crate) fn jump_through(&self, rva: u32) -> Option<u32> {
        self.tables.get(&rva).copied()
    }

    /// What a function calls or jumps to, by index.
    pub(crate) fn callees(&self, index: usize) -> &[u32] {
        self.all[index].callees.clone().map_or(&[], |range| &self.callees[range.start as usize..range.end as usize])
    }

    /// Finds the functions of an image. `names` are entry points that symbols name.
    pub(crate) fn find(program: &Program<'_>, names: &BTreeSet<Rva>) -> Functions {
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
    /// Functions that the function table lists, ascending.
    listed: Vec<Function>,
    /// Where each piece that the function table lists begins, ascending.
    starts: Vec<u32>,
    /// By byte of the image: what is known of functions there.
    marks: Vec<u8>,
    /// Functions that it does not list.
    others: BTreeMap<u32, Function>,
    /// Where functions begin.
    pending: Vec<u32>,
    /// Where functions may begin: what pointers lead to.
    candidates: Vec<u32>,
    /// Addresses called, function by function.
    calls: Vec<u32>,
    code: Code,
    judge: Judge,
    /// Instructions decoded, and memory prepared for them: overlapping functions could cost without end.
    spent: u64,
    /// Filters and blocks that scope tables named.
    scopes: u64,
    /// Instructions of functions that are instructions of other ones as well.
    again: u64,
    result: Functions,
}

impl<'p> Search<'p> {
    fn new(program: &'p Program<'p>) -> Search<'p> {
        Search {
            program,
            listed: Vec::new(),
            starts: Vec::new(),
            marks: vec![0; program.bytes.len()],
            others: BTreeMap::new(),
            pending: Vec::new(),
            candidates: Vec::new(),
            calls: Vec::new(),
            code: Code::default(),
            judge: Judge::default(),
            spent: 0,
            scopes: 0,
            again: 0,
            result: Functions::default(),
        }
    }

    /// Functions of the function table; their detached parts are chained to the first.
    fn add_listed(&mut self) {
        let table = self.program.image.headers().directory(Directory::Exception);
        let mut reader = MappedImage(&self.program.bytes);
        let parts = unwind::functions(&mut reader, table).unwrap_or_else(|_| {
            self.result.unreadable_table = true;
            Vec::new()
        });
        let mut of_function = Vec::with_capacity(parts.len());
        let mut too_long = Vec::new();
        for part in parts {
            let sound = part.begin < part.end && self.program.section_at(part.end.0 - 1).is_some();
            if sound && part.end.0 - part.begin.0 > MAX_PART {
                self.result.too_long += 1;
                too_long.push(part);
            } else if sound && self.program.is_executable(part.begin.0) {
                let whole = unwind::primary_function(&mut reader, part).unwrap_or(part);
                of_function.push((whole.begin.0, part));
            }
        }
        self.mark_listed(of_function.iter().map(|(_, part)| *part), &too_long);
        of_function.sort_by_key(|(entry, part)| (*entry, part.begin));
        of_function.into_iter().for_each(|(entry, part)| self.add_part(entry, part));
        self.listed.iter_mut().for_each(Function::tidy);
        // The first one comes last, and is looked at first.
        self.pending.extend(self.listed.iter().rev().map(|function| function.entry));
    }

    /// Marks where listed pieces begin, and the bytes inside them; each byte once, however pieces overlap. Where a piece is too
    /// long nothing begins, so that it is not taken for many functions.
    fn mark_listed(&mut self, parts: impl Iterator<Item = RuntimeFunction>, too_long: &[RuntimeFunction]) {
        let bounds = |part: &RuntimeFunction, starts| (part.begin.0, part.end.0, starts);
        let mut pieces: Vec<(u32, u32, bool)> = parts.map(|part| bounds(&part, true)).collect();
        pieces.extend(too_long.iter().map(|part| bounds(part, false)));
        pieces.sort_unstable();
        let mut marked = 0;
        for (start, end, starts) in pieces {
            let inside = marked.max(start + u32::from(starts)) as usize..end as usize;
            self.marks.get_mut(inside).unwrap_or_default().iter_mut().for_each(|mark| *mark |= INSIDE);
            if starts {
                self.marks.get_mut(start as usize).into_iter().for_each(|mark| *mark |= STARTS);
            }
            self.starts.push(start);
            marked = marked.max(end);
        }
        self.starts.dedup();
    }

    fn add_part(&mut self, entry: u32, part: RuntimeFunction) {
        if self.listed.last().is_none_or(|last| last.entry != entry) {
            self.listed.push(Function::new(entry));
        }
        if self.scopes > MIN_SCOPES + self.program.bytes.len() as u64 / BYTES_A_SCOPE {
            self.result.too_many = true;
        }
        let scopes = if self.result.too_many { Scopes::default() } else { scopes::scopes(self.program, part) };
        self.scopes += (scopes.routines.len() + scopes.blocks.len()) as u64;
        if let Some(function) = self.listed.last_mut() {
            function.parts.push(part.begin.0..part.end.0);
            function.handlers.extend(scopes.blocks);
        }
        self.result.taken.extend(&scopes.routines);
        self.pending.extend(scopes.routines);
    }

    fn add_outside(&mut self, names: &BTreeSet<Rva>) {
        self.pending.extend(self.program.image.headers().entry_point.map(|rva| rva.0));
        self.pending.extend(names.iter().map(|rva| rva.0));
        let exports = self.program.image.exports().unwrap_or_default();
        for (_, target) in exports.numbered() {
            if let ExportTarget::Rva(rva) = target
                && self.program.is_executable(rva.0)
            {
                self.result.exported.insert(rva.0);
                self.pending.push(rva.0);
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
                self.result.pointed.insert(target);
                self.candidates.push(target);
            }
        }
    }

    /// Could a function begin here? Inside listed functions only they themselves can.
    fn may_start(&self, rva: u32) -> bool {
        let mark = self.marks.get(rva as usize).copied().unwrap_or(INSIDE);
        (mark & STARTS != 0 || mark & INSIDE == 0) && self.program.is_executable(rva)
    }

    /// Looks at functions, then at what only pointers lead to: what is certain says where that may end.
    fn run(&mut self) {
        while let Some((entry, certain)) = self.next() {
            let done = if certain { LOOKED_AT_CERTAIN } else { LOOKED_AT_CERTAIN | LOOKED_AT };
            if !self.may_start(entry) || self.marks[entry as usize] & done != 0 {
                continue;
            }
            self.marks[entry as usize] |= if certain { LOOKED_AT_CERTAIN } else { LOOKED_AT };
            if self.listed.len() + self.others.len() >= MAX_FUNCTIONS || self.is_over_budget() {
                self.result.too_many = true;
                return;
            }
            self.look_at(entry, certain);
        }
    }

    /// Where to look next, and whether a function certainly begins there.
    fn next(&mut self) -> Option<(u32, bool)> {
        self.pending.pop().map(|entry| (entry, true)).or_else(|| Some((self.candidates.pop()?, false)))
    }

    fn look_at(&mut self, entry: u32, certain: bool) {
        let listed = self.listed.binary_search_by_key(&entry, |function| function.entry).ok();
        let known = listed.map(|index| &mut self.listed[index]).or_else(|| self.others.get_mut(&entry));
        if known.as_ref().is_some_and(|function| function.callees.is_some()) {
            return;
        }
        let mut function = match known {
            Some(function) => std::mem::replace(function, Function::new(entry)),
            None => self.unlisted(entry, certain),
        };
        if listed.is_none() && !certain && !self.is_code(&function) {
            return;
        }
        let mut code = std::mem::take(&mut self.code);
        code.decode(self.program, &function);
        self.spent += code.instructions.len() as u64 + u64::from(function.bytes() / 16);
        function.callees = Some(self.look_into(&function, &code));
        match listed {
            Some(index) => self.listed[index] = function,
            None => _ = self.others.insert(entry, function),
        }
        self.code = code;
    }

    /// Was more spent than functions of a compiler need? They overlap hardly ever.
    fn is_over_budget(&self) -> bool {
        let bytes = self.program.bytes.len() as u64;
        self.spent > MIN_BUDGET + 4 * bytes || self.again > MIN_AGAIN + bytes / BYTES_AGAIN
    }

    /// Is this, which only a pointer leads to, a function?
    fn is_code(&mut self, function: &Function) -> bool {
        let mut judge = std::mem::take(&mut self.judge);
        let (entry, range) = (function.entry, function.parts.first().cloned().unwrap_or_default());
        let before = judge.spent;
        let verdict = judge.judge(self.program, range, |target| self.may_start(target));
        self.spent += judge.spent - before;
        self.judge = judge;
        if verdict == Verdict::Doubtful {
            self.result.doubtful.insert(entry);
            self.result.unseen.extend(&self.judge.leads);
        }
        verdict == Verdict::Code
    }

    /// A function that is not listed ends where the next one or its section does.
    fn unlisted(&self, start: u32, certain: bool) -> Function {
        let longest = if certain { MAX_UNLISTED } else { candidate::MAX_BYTES };
        let listed =
            self.starts.get(self.starts.partition_point(|piece| *piece <= start)).map_or(u32::MAX, |next| *next);
        let other = self.others.range(start + 1..).next().map_or(u32::MAX, |(next, _)| *next);
        let section = self.program.section_at(start).map(|index| self.program.image.sections()[index].end() as u32);
        let end = listed.min(other).min(section.unwrap_or(start)).min(start.saturating_add(longest));
        let mut function = Function::new(start);
        function.parts.push(start..end.min(self.program.bytes.len() as u32));
        function
    }

    /// Finds what a function calls, and the functions whose address it takes.
    fn look_into(&mut self, function: &Function, code: &Code) -> Range<u32> {
        self.result.instructions += code.instructions.len() as u64;
        self.result.unresolved_jumps += code.unresolved_jumps;
        self.result.cut += u32::from(code.cut);
        let understood = code.switches.iter().filter(|switch| !switch.targets.is_empty());
        self.result.tables.extend(understood.map(|switch| (switch.table, switch.jump)));
        let mut calls: SmallVec<[u32; 16]> = SmallVec::new();
        for instruction in &code.instructions {
            if let Some(mark) = self.marks.get_mut(instruction.ip() as usize) {
                self.again += u64::from(*mark & DECODED != 0);
                *mark |= DECODED;
            }
            if let Some(target) = direct_target(instruction) {
                let called = instruction.flow_control() == FlowControl::Call;
                if (called || !function.contains(target)) && self.may_start(target) {
                    calls.push(target);
                }
            } else if let Some(target) = taken_address(self.program, instruction)
                && self.may_start(target)
            {
                self.result.taken.insert(target);
                self.candidates.push(target);
            }
        }
        calls.sort_unstable();
        calls.dedup();
        self.pending.extend(calls.iter().copied());
        let start = self.calls.len() as u32;
        self.calls.extend(calls);
        start..self.calls.len() as u32
    }

    fn finish(self) -> Functions {
        let mut all = self.listed;
        all.extend(self.others.into_values());
        all.retain(|function| function.callees.is_some());
        all.sort_unstable_by_key(|function| function.entry);
        let entries: Vec<u32> = all.iter().map(|function| function.entry).collect();
        let buckets = (self.program.bytes.len() >> BUCKET) as u32 + 2;
        let mut next = 0;
        let index = (0..buckets).map(|bucket| {
            next += entries[next..].iter().take_while(|entry| **entry < bucket << BUCKET).count();
            next as u32
        });
        let mut found = Functions { index: index.collect(), entries, ..self.result };
        // A label within a function is no function that is missing.
        found.doubtful.retain(|rva| self.marks[*rva as usize] & DECODED == 0);
        let mut callees = Vec::with_capacity(self.calls.len());
        for function in &mut all {
            let calls = function.callees.clone().unwrap_or_default();
            let calls = &self.calls[calls.start as usize..calls.end as usize];
            let start = callees.len() as u32;
            callees.extend(calls.iter().filter_map(|rva| Some(found.at(*rva)? as u32)));
            function.callees = Some(start..callees.len() as u32);
        }
        (found.all, found.callees) = (all, callees);
        found
    }
}

//! Programs: code by `iced_x86::code_asm`, with unwind information and imports, linked to an image.

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::{Directory, ImportedSymbol};
use iced_x86::code_asm::{AsmRegister64, CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, Code, Instruction, MemoryOperand, Register};
use nt_types::Rva;

/// Bytes of the `.data` section that each program has.
const DATA_BYTES: u32 = 0x1000;

/// An image under construction.
pub(crate) struct Program {
    /// The code: plain instructions go here.
    pub(crate) code: CodeAssembler,
    builder: PeBuilder,
    imports: Vec<(&'static str, Rva)>,
    parts: Vec<Part>,
    data: Rva,
    tables: &'static str,
}

/// A function, or a part of one, that has unwind information.
struct Part {
    begin: CodeLabel,
    end: CodeLabel,
    unwind: Unwind,
}

/// Unwind information, codes as they are encoded: last instruction of the prolog first.
#[derive(Default)]
pub(crate) struct Unwind {
    pub(crate) prolog_size: u8,
    /// Register, and sixteenths of its offset in the high half.
    pub(crate) frame: u8,
    pub(crate) codes: Vec<[u8; 2]>,
    pub(crate) tail: Tail,
    /// If there are any, all of it: nothing else counts then.
    pub(crate) bytes: Vec<u8>,
}

/// What follows the codes.
#[derive(Default)]
pub(crate) enum Tail {
    #[default]
    None,
    /// `__C_specific_handler` (through a thunk at this label) and its scopes.
    Scopes { handler: CodeLabel, scopes: Vec<Scope> },
    /// The same with this number of rows, and none there.
    Rows { handler: CodeLabel, rows: u32 },
    /// A handler of the program's own, for exceptions and unwinding. Its data: the offset of a label.
    Handler { handler: CodeLabel, data: CodeLabel },
    /// Continues the part with this index.
    Chained(usize),
}

/// A row of a scope table.
pub(crate) struct Scope {
    pub(crate) begin: CodeLabel,
    pub(crate) end: CodeLabel,
    /// Filter or termination handler; none for `__except (EXCEPTION_EXECUTE_HANDLER)`.
    pub(crate) routine: Option<CodeLabel>,
    /// The `__except` block; none for `__finally`.
    pub(crate) target: Option<CodeLabel>,
}

impl Program {
    /// An empty program that imports these routines of `ntoskrnl.exe`.
    pub(crate) fn new(imports: &[&'static str]) -> Program {
        let mut builder = PeBuilder::new();
        let data = builder.section_of_size(".data", VARIABLES, &[], DATA_BYTES);
        let symbols: Vec<ImportedSymbol> =
            imports.iter().map(|name| ImportedSymbol::Name { name: (*name).to_owned(), hint: 0 }).collect();
        let slots = builder.imports(&[("ntoskrnl.exe", &symbols)]);
        let imports = imports.iter().copied().zip(slots).collect();
        Program { code: CodeAssembler::new(64).unwrap(), builder, imports, parts: Vec::new(), data, tables: ".pdata" }
    }

    /// Offset of a byte of `.data`, which is zero at start.
    pub(crate) fn data(&self, offset: u32) -> Rva {
        Rva(self.data.0 + offset)
    }

    /// `call [rip + import]`.
    pub(crate) fn call_import(&mut self, name: &str) {
        self.memory_instruction(Code::Call_rm64, self.slot(name));
    }

    /// `jmp [rip + import]`: the thunk that linkers make.
    pub(crate) fn thunk(&mut self, name: &str) -> CodeLabel {
        let label = self.here();
        self.memory_instruction(Code::Jmp_rm64, self.slot(name));
        label
    }

    /// `lea register, [rip + target]`.
    pub(crate) fn lea(&mut self, register: AsmRegister64, target: Rva) {
        let memory = MemoryOperand::with_base_displ(Register::RIP, i64::from(target.0));
        self.code
            .add_instruction(Instruction::with2(Code::Lea_r64_m, Register::from(register), memory).unwrap())
            .unwrap();
    }

    /// `inc dword ptr [data + offset]`.
    pub(crate) fn count(&mut self, offset: u32) {
        self.memory_instruction(Code::Inc_rm32, self.data(offset));
    }

    /// `mov eax, [data + offset]`.
    pub(crate) fn load_eax(&mut self, offset: u32) {
        let memory = MemoryOperand::with_base_displ(Register::RIP, i64::from(self.data(offset).0));
        self.code.add_instruction(Instruction::with2(Code::Mov_r32_rm32, Register::EAX, memory).unwrap()).unwrap();
    }

    /// `mov [data + offset], eax`.
    pub(crate) fn store_eax(&mut self, offset: u32) {
        let memory = MemoryOperand::with_base_displ(Register::RIP, i64::from(self.data(offset).0));
        self.code.add_instruction(Instruction::with2(Code::Mov_rm32_r32, memory, Register::EAX).unwrap()).unwrap();
    }

    /// Puts the function table and the unwind information into a section of this name.
    pub(crate) fn tables_in(&mut self, section: &'static str) {
        self.tables = section;
    }

    /// A label that is not placed yet.
    pub(crate) fn label(&mut self) -> CodeLabel {
        self.code.create_label()
    }

    /// A label here.
    pub(crate) fn here(&mut self) -> CodeLabel {
        let mut label = self.label();
        self.code.set_label(&mut label).unwrap();
        // A label needs an instruction of its own: two may not share one.
        self.code.zero_bytes().unwrap();
        label
    }

    /// Places a label here.
    pub(crate) fn place(&mut self, label: &mut CodeLabel) {
        self.code.set_label(label).unwrap();
        self.code.zero_bytes().unwrap();
    }

    /// Gives `begin..end` unwind information; parts come in the order of their addresses. Returns its index.
    pub(crate) fn unwind(&mut self, begin: CodeLabel, end: CodeLabel, unwind: Unwind) -> usize {
        self.parts.push(Part { begin, end, unwind });
        self.parts.len() - 1
    }

    fn slot(&self, name: &str) -> Rva {
        self.imports.iter().find(|(known, _)| *known == name).expect("the program imports it").1
    }

    fn memory_instruction(&mut self, code: Code, target: Rva) {
        let memory = MemoryOperand::with_base_displ(Register::RIP, i64::from(target.0));
        self.code.add_instruction(Instruction::with1(code, memory).unwrap()).unwrap();
    }

    /// The file, and where each of `labels` is.
    pub(crate) fn link<const N: usize>(mut self, labels: [CodeLabel; N]) -> (Vec<u8>, [Rva; N]) {
        let text = self.builder.next_rva();
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let result = self.code.assemble_options(u64::from(text.0), options).expect("the program assembles");
        let rva = |label: &CodeLabel| Rva(result.label_ip(label).expect("the label is placed") as u32);
        let code = result.inner.code_buffer.clone();
        self.builder.section(".text", CODE, &code);
        let (pdata, xdata) = tables(&self.parts, self.builder.next_rva(), &rva);
        let table = self.builder.section(self.tables, CONSTANTS, &[pdata.as_slice(), &xdata].concat());
        self.builder.directory(Directory::Exception, table, pdata.len() as u32);
        (self.builder.build(), labels.map(|label| rva(&label)))
    }
}

/// The function table at `start`, and the unwind information after it.
fn tables(parts: &[Part], start: Rva, rva: &impl Fn(&CodeLabel) -> Rva) -> (Vec<u8>, Vec<u8>) {
    let xdata_start = start.0 + 12 * parts.len() as u32;
    let mut xdata = Vec::new();
    let mut entries: Vec<[u32; 3]> = Vec::new();
    for part in parts {
        entries.push([rva(&part.begin).0, rva(&part.end).0, xdata_start + xdata.len() as u32]);
        xdata.extend(part.unwind.encode(&entries, rva));
    }
    let pdata = entries.iter().flatten().flat_map(|field| field.to_le_bytes()).collect();
    (pdata, xdata)
}

impl Unwind {
    /// `sub rsp, 28h`, what a function needs that calls others.
    pub(crate) fn of_28h(tail: Tail) -> Unwind {
        Unwind { prolog_size: 4, frame: 0, codes: vec![[4, 0x42]], tail, ..Unwind::default() }
    }

    fn encode(&self, entries: &[[u32; 3]], rva: &impl Fn(&CodeLabel) -> Rva) -> Vec<u8> {
        if !self.bytes.is_empty() {
            return self.bytes.clone();
        }
        let flags = match self.tail {
            Tail::None => 0,
            Tail::Scopes { .. } | Tail::Rows { .. } | Tail::Handler { .. } => 3,
            Tail::Chained(_) => 4,
        };
        let mut bytes = vec![1 | flags << 3, self.prolog_size, self.codes.len() as u8, self.frame];
        bytes.extend(self.codes.iter().flatten());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let mut words = Vec::new();
        match &self.tail {
            Tail::None => {}
            Tail::Scopes { handler, scopes } => {
                words.extend([rva(handler).0, scopes.len() as u32]);
                for scope in scopes {
                    let routine = scope.routine.as_ref().map_or(1, |label| rva(label).0);
                    let target = scope.target.as_ref().map_or(0, |label| rva(label).0);
                    words.extend([rva(&scope.begin).0, rva(&scope.end).0, routine, target]);
                }
            }
            Tail::Rows { handler, rows } => words.extend([rva(handler).0, *rows]),
            Tail::Handler { handler, data } => words.extend([rva(handler).0, rva(data).0]),
            Tail::Chained(part) => words.extend(entries[*part]),
        }
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}

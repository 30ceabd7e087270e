//! Images whose routines are assembled for one test. The first routine of `.text` is the entry point.

use std::ops::{Deref, DerefMut};

use audit::{Audit, FindingKind};
use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::{Directory, Image, ImportedSymbol, SectionFlags};
use iced_x86::code_asm::{AsmRegister64, CodeAssembler};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};
use nt_types::Rva;

/// Writes a part of a routine, or all of it.
pub(crate) type Step = fn(&mut Routine<'_>) -> Result<(), IcedError>;

type Write = Box<dyn Fn(&mut Routine<'_>) -> Result<(), IcedError>>;

/// Bytes from one routine to the next.
const ROUTINE: u32 = 0x100;
/// Bytes of `.data`.
const DATA: usize = 0x400;

/// The routines of a driver, section by section.
pub(crate) struct Source {
    module: &'static str,
    imports: Vec<&'static str>,
    sections: [Vec<Write>; 3],
    data: Vec<(u32, Datum)>,
    /// Routines that the function table does not list.
    unlisted: Vec<(Section, usize)>,
}

/// What lies at a place of `.data`.
#[derive(Clone, Copy)]
enum Datum {
    /// The address of a routine.
    Routine(Section, usize),
    /// The address of another place of `.data`.
    Place(u32),
    Number(u32),
}

/// Sections with routines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Text,
    Page,
    Init,
}

const SECTIONS: [(Section, &str); 3] = [(Section::Text, ".text"), (Section::Page, "PAGE"), (Section::Init, "INIT")];

impl Source {
    pub(crate) fn new(imports: &[&'static str]) -> Source {
        Source {
            module: "ntoskrnl.exe",
            imports: imports.to_vec(),
            sections: Default::default(),
            data: Vec::new(),
            unlisted: Vec::new(),
        }
    }

    /// Imports come from this module.
    pub(crate) fn from(mut self, module: &'static str) -> Source {
        self.module = module;
        self
    }

    /// Adds a routine to a section.
    pub(crate) fn routine(
        mut self,
        section: Section,
        write: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static,
    ) -> Source {
        self.sections[section as usize].push(Box::new(write));
        self
    }

    /// Adds a routine that the function table does not list.
    pub(crate) fn leaf(
        mut self,
        section: Section,
        write: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static,
    ) -> Source {
        self.unlisted.push((section, self.sections[section as usize].len()));
        self.routine(section, write)
    }

    pub(crate) fn text(self, write: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
        self.routine(Section::Text, write)
    }

    pub(crate) fn page(self, write: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
        self.routine(Section::Page, write)
    }

    /// The address of a routine of `.text` lies so many bytes from the start of `.data`.
    pub(crate) fn pointer(self, offset: u32, number: usize) -> Source {
        self.datum(offset, Datum::Routine(Section::Text, number))
    }

    /// The address of another place of `.data` lies there.
    pub(crate) fn place(self, offset: u32, place: u32) -> Source {
        self.datum(offset, Datum::Place(place))
    }

    /// A number of four bytes lies there.
    pub(crate) fn number(self, offset: u32, number: u32) -> Source {
        self.datum(offset, Datum::Number(number))
    }

    fn datum(mut self, offset: u32, datum: Datum) -> Source {
        self.data.push((offset, datum));
        self
    }

    /// The image. It is made twice: first to learn where things lie.
    pub(crate) fn build(&self) -> Image {
        let mut layout = Layout { slots: self.imports.iter().map(|name| (*name, 0)).collect(), ..Layout::default() };
        let mut bytes = Vec::new();
        for _ in 0..2 {
            (bytes, layout) = self.lay_out(&layout);
        }
        Image::parse(bytes).expect("the builder's images are sound")
    }

    fn lay_out(&self, before: &Layout) -> (Vec<u8>, Layout) {
        let mut builder = PeBuilder::new();
        let mut layout = Layout::default();
        let mut table = Vec::new();
        for (section, name) in SECTIONS {
            let discardable = if section == Section::Init { SectionFlags::DISCARDABLE } else { 0 };
            let mut code = Vec::new();
            for (number, write) in self.sections[section as usize].iter().enumerate() {
                let start = before.routine(section, number);
                let routine = assemble(before, start, write);
                assert!(routine.len() < ROUTINE as usize, "the routine is too long");
                if !self.unlisted.contains(&(section, number)) {
                    table.push([start, start + routine.len() as u32]);
                }
                code.resize(number * ROUTINE as usize, 0xcc);
                code.extend(routine);
            }
            code.resize(code.len().next_multiple_of(0x1000).max(0x1000), 0xcc);
            layout.sections[section as usize] = builder.section(name, SectionFlags(CODE.0 | discardable), &code).0;
        }
        let mut data = vec![0; DATA];
        let mut pointers = Vec::new();
        for &(offset, datum) in &self.data {
            let target = match datum {
                Datum::Number(number) => {
                    data[offset as usize..][..4].copy_from_slice(&number.to_le_bytes());
                    continue;
                }
                Datum::Routine(section, number) => before.routine(section, number),
                Datum::Place(place) => before.data + place,
            };
            data[offset as usize..][..8].copy_from_slice(&(0x1_4000_0000 + u64::from(target)).to_le_bytes());
            pointers.push(offset);
        }
        layout.data = builder.section(".data", VARIABLES, &data).0;
        let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]).0;
        table.sort_unstable();
        let rows: Vec<u8> =
            table.iter().flat_map(|[start, end]| [*start, *end, unwind]).flat_map(u32::to_le_bytes).collect();
        let functions = builder.section(".pdata", CONSTANTS, &rows);
        builder.directory(Directory::Exception, functions, rows.len() as u32);
        let symbols: Vec<ImportedSymbol> =
            self.imports.iter().map(|name| ImportedSymbol::Name { name: (*name).to_owned(), hint: 0 }).collect();
        let slots = builder.imports(&[(self.module, &symbols)]);
        layout.slots = self.imports.iter().copied().zip(slots.iter().map(|slot| slot.0)).collect();
        let pointers: Vec<Rva> = pointers.into_iter().map(|offset| Rva(layout.data + offset)).collect();
        builder.relocations(&pointers);
        builder.entry_point(Rva(layout.routine(Section::Text, 0)));
        (builder.build(), layout)
    }
}

fn assemble(layout: &Layout, start: u32, write: &Write) -> Vec<u8> {
    let code = CodeAssembler::new(64).expect("64 bits are supported");
    let mut routine = Routine { layout, code };
    write(&mut routine).expect("the routine can be assembled");
    routine.code.assemble(u64::from(start)).expect("the routine can be assembled")
}

/// Where the parts of an image lie.
#[derive(Clone, Default)]
pub(crate) struct Layout {
    sections: [u32; 3],
    slots: Vec<(&'static str, u32)>,
    data: u32,
}

impl Layout {
    fn routine(&self, section: Section, number: usize) -> u32 {
        self.sections[section as usize] + number as u32 * ROUTINE
    }
}

/// A routine that is being written.
pub(crate) struct Routine<'l> {
    layout: &'l Layout,
    code: CodeAssembler,
}

impl Deref for Routine<'_> {
    type Target = CodeAssembler;

    fn deref(&self) -> &CodeAssembler {
        &self.code
    }
}

impl DerefMut for Routine<'_> {
    fn deref_mut(&mut self) -> &mut CodeAssembler {
        &mut self.code
    }
}

impl Routine<'_> {
    /// Calls an import.
    pub(crate) fn import(&mut self, name: &str) -> Result<(), IcedError> {
        let (_, slot) = self.layout.slots.iter().find(|(import, _)| *import == name).expect("it is imported");
        let place = MemoryOperand::with_base_displ(Register::RIP, i64::from(*slot));
        self.code.add_instruction(Instruction::with1(Code::Call_rm64, place)?)
    }

    /// Calls a routine of the driver.
    pub(crate) fn routine(&mut self, section: Section, number: usize) -> Result<(), IcedError> {
        let target = self.address_of(section, number);
        self.code.call(target)
    }

    /// Jumps to a routine of the driver.
    pub(crate) fn jump_to(&mut self, section: Section, number: usize) -> Result<(), IcedError> {
        let target = self.address_of(section, number);
        self.code.jmp(target)
    }

    /// The address of a routine of the driver, to jump to.
    pub(crate) fn address_of(&self, section: Section, number: usize) -> u64 {
        self.layout.routine(section, number).into()
    }

    /// Puts the address of a routine into a register.
    pub(crate) fn address(&mut self, to: AsmRegister64, section: Section, number: usize) -> Result<(), IcedError> {
        self.lea_of(to, self.layout.routine(section, number))
    }

    /// Puts the address of what lies so many bytes from the start of `.data` into a register.
    pub(crate) fn data(&mut self, to: AsmRegister64, offset: u32) -> Result<(), IcedError> {
        self.lea_of(to, self.layout.data + offset)
    }

    fn lea_of(&mut self, to: AsmRegister64, rva: u32) -> Result<(), IcedError> {
        let place = MemoryOperand::with_base_displ(Register::RIP, i64::from(rva));
        self.code.add_instruction(Instruction::with2(Code::Lea_r64_m, Register::from(to), place)?)
    }

    /// A routine that may be called at APC_LEVEL and below only: the audit says at which level it is called.
    pub(crate) fn probe(&mut self) -> Result<(), IcedError> {
        self.import(PROBE)
    }
}

/// A routine of the rule IrqlMmApcLte.
pub(crate) const PROBE: &str = "MmFreePagesFromMdl";

pub(crate) fn is_virtual_miniport(source: &Source) -> bool {
    audit::is_virtual_miniport(&source.build()).expect("it can be laid out")
}

pub(crate) fn audit(source: &Source) -> Audit {
    audit::audit(&source.build(), &[]).expect("it can be laid out")
}

/// Findings of the default level as "section number: kind".
pub(crate) fn findings(source: &Source) -> Vec<String> {
    let image = source.build();
    let audit = audit::audit(&image, &[]).expect("it can be laid out");
    let certain = audit.findings.iter().filter(|finding| finding.assumes.is_none());
    let named = |finding: &audit::Finding| {
        let section = image.sections().iter().rfind(|section| section.rva.0 <= finding.at.0).expect("it is in one");
        let kind = format!("{:?}", finding.kind);
        let kind = kind.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
        format!("{} {}: {kind}", section.name(), (finding.at.0 - section.rva.0) / ROUTINE)
    };
    certain.map(named).collect()
}

/// The lowest level at each probe at which it is wrong, in the order of addresses.
pub(crate) fn probed(source: &Source) -> Vec<u8> {
    let level = |kind: &FindingKind| match kind {
        FindingKind::AboveApc { routine, irql } if routine == PROBE => Some(*irql),
        _ => None,
    };
    audit(source).findings.iter().filter_map(|finding| level(&finding.kind)).collect()
}

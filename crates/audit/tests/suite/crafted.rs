//! Images made for one test: a few routines that only return, an entry point that names them to the system, and data.

use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use driver_image::{Image, ImportedSymbol};
use nt_types::Rva;

/// Where the parts of an image lie.
#[derive(Default)]
pub(crate) struct Places {
    text: u32,
    /// Slots of the imports, in the order given.
    pub(crate) slots: Vec<u32>,
    pub(crate) data: u32,
    /// A page of `PAGE`, full of routines that only return.
    pub(crate) page: u32,
}

/// Length of the routines, and of what comes before the entry point.
const ROUTINE: u32 = 16;
const ENTRY: u32 = 0x200;

impl Places {
    /// A routine that only returns, by number.
    pub(crate) fn routine(&self, number: u32) -> u32 {
        self.text + number * ROUTINE
    }

    /// The entry point, which has 200h bytes of stack.
    pub(crate) fn entry(&self) -> Assembler {
        let mut entry = Assembler { at: self.text + ENTRY, bytes: Vec::new() };
        entry.code(&[0x48, 0x81, 0xec, 0x00, 0x02, 0x00, 0x00]); // sub rsp, 200h
        entry
    }
}

/// Data of an image: values of eight bytes, of which some are offsets that the loader relocates.
#[derive(Clone, Default)]
pub(crate) struct Data {
    bytes: Vec<u8>,
    pointers: Vec<u32>,
}

impl Data {
    pub(crate) fn numbers(&mut self, numbers: &[u32]) -> &mut Data {
        self.bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self
    }

    pub(crate) fn pointer(&mut self, rva: u32) -> &mut Data {
        self.pointers.push(self.bytes.len() as u32);
        self.bytes.extend((0x1_4000_0000 + u64::from(rva)).to_le_bytes());
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Data {
        self.bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        self
    }

    pub(crate) fn zeros(&mut self, count: usize) -> &mut Data {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }
}

/// As much of an assembler as the tests need.
pub(crate) struct Assembler {
    at: u32,
    bytes: Vec<u8>,
}

/// Registers by what stands between `lea` and the displacement.
pub(crate) const RAX: [u8; 3] = [0x48, 0x8d, 0x05];
pub(crate) const RCX: [u8; 3] = [0x48, 0x8d, 0x0d];
pub(crate) const RDX: [u8; 3] = [0x48, 0x8d, 0x15];
pub(crate) const R8: [u8; 3] = [0x4c, 0x8d, 0x05];
pub(crate) const R9: [u8; 3] = [0x4c, 0x8d, 0x0d];

impl Assembler {
    pub(crate) fn code(&mut self, bytes: &[u8]) -> &mut Assembler {
        self.bytes.extend(bytes);
        self
    }

    fn relative(&mut self, bytes: &[u8], target: u32) -> &mut Assembler {
        self.code(bytes);
        let next = self.at + self.bytes.len() as u32 + 4;
        self.code(&target.wrapping_sub(next).to_le_bytes())
    }

    /// `lea register, [target]`
    pub(crate) fn lea(&mut self, register: [u8; 3], target: u32) -> &mut Assembler {
        self.relative(&register, target)
    }

    /// `lea register, [rsp+offset]`
    pub(crate) fn lea_stack(&mut self, register: [u8; 3], offset: u32) -> &mut Assembler {
        let [rex, lea, modrm] = register;
        self.code(&[rex, lea, modrm & 0x38 | 0x84, 0x24]).code(&offset.to_le_bytes())
    }

    /// `mov [rsp+offset], rax`
    pub(crate) fn store(&mut self, offset: u32) -> &mut Assembler {
        self.code(&[0x48, 0x89, 0x84, 0x24]).code(&offset.to_le_bytes())
    }

    /// `je target`
    pub(crate) fn jump_if_equal(&mut self, target: u32) -> &mut Assembler {
        self.relative(&[0x0f, 0x84], target)
    }

    /// `call [slot]`
    pub(crate) fn call(&mut self, slot: u32) -> &mut Assembler {
        self.relative(&[0xff, 0x15], slot)
    }

    /// `mov [place], rax` and `cmp qword [place], 0`
    pub(crate) fn keep_and_test(&mut self, place: u32) -> &mut Assembler {
        self.relative(&[0x48, 0x89, 0x05], place);
        // The displacement counts from the end of the instruction, behind its immediate byte.
        self.relative(&[0x48, 0x83, 0x3d], place.wrapping_sub(1)).code(&[0])
    }

    /// `mov rax, [slot]` and `call [rax+offset]`
    pub(crate) fn call_through(&mut self, slot: u32, offset: u32) -> &mut Assembler {
        self.relative(&[0x48, 0x8b, 0x05], slot).code(&[0xff, 0x90]).code(&offset.to_le_bytes())
    }
}

/// An image that imports `imports` from `module`. Its parts are made twice: first to learn how long they are.
pub(crate) fn image(
    module: &str,
    imports: &[&str],
    data: impl Fn(&Places) -> Data,
    entry: impl Fn(&Places) -> Assembler,
) -> Image {
    let symbols: Vec<ImportedSymbol> =
        imports.iter().map(|name| ImportedSymbol::Name { name: (*name).to_owned(), hint: 0 }).collect();
    let mut places = Places { slots: vec![0; imports.len()], ..Places::default() };
    let mut built = Vec::new();
    for _ in 0..2 {
        let mut builder = PeBuilder::new();
        let mut code = [0xc3, 0xcc, 0xcc, 0xcc].repeat(ENTRY as usize / 4);
        code.extend(entry(&places).bytes);
        code.extend([0x48, 0x81, 0xc4, 0x00, 0x02, 0x00, 0x00, 0xc3]); // add rsp, 200h; ret
        let text = builder.section(".text", CODE, &code);
        let content = data(&places);
        let at = builder.section(".data", VARIABLES, &content.bytes);
        let page = builder.section("PAGE", CODE, &[0xc3; 0x1000]);
        let slots = builder.imports(&[(module, &symbols)]);
        let pointers: Vec<Rva> = content.pointers.iter().map(|offset| Rva(at.0 + offset)).collect();
        builder.relocations(&pointers);
        builder.entry_point(Rva(text.0 + ENTRY));
        built = builder.build();
        places = Places { text: text.0, slots: slots.iter().map(|slot| slot.0).collect(), data: at.0, page: page.0 };
    }
    Image::parse(built).expect("the builder's images are sound")
}

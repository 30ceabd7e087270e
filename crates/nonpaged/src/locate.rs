//! From offsets in an image to places for people: names, source lines, code.

use std::collections::BTreeMap;
use std::ops::Range;

use driver_image::symbols::{PdbError, Symbols};
use driver_image::{Image, ImageError, SectionFlags};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use nt_types::Rva;
use report::{Place, Source, Span, Symbol, Window};

/// Knows names and lines of one image.
#[derive(Clone)]
pub struct Locator {
    name: String,
    image: Image,
    /// The image as it is loaded at its preferred base.
    mapped: Vec<u8>,
    symbols: Symbols,
    /// Where functions and detached parts of functions begin and end, ascending.
    functions: Vec<Range<u32>>,
    /// Names of imports by the slot that holds their address.
    slots: BTreeMap<Rva, String>,
}

/// Bytes of the longest call that compilers make: a prefix, the opcode and an operand with a displacement.
const CALL_BYTES_MAX: u32 = 8;

/// Bytes of the longest instruction.
const MAX_INSTRUCTION: usize = 15;

/// Why the names of an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The exports or unwind data of the image contradict themselves.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The PDB cannot be used.
    #[error(transparent)]
    Pdb(#[from] PdbError),
}

impl Locator {
    /// Names from the exports of the image alone, or from the bytes of its PDB as well. `name` is the image's file name.
    pub fn new(name: &str, image: &Image, pdb: Option<&[u8]>) -> Result<Locator, LocateError> {
        let symbols = match pdb {
            Some(pdb) => Symbols::from_pdb(image, pdb)?,
            None => Symbols::from_exports(image)?,
        };
        let imports = image.imports().iter().flat_map(|module| &module.imports);
        let slots = imports.map(|import| (import.slot, import.symbol.to_string())).collect();
        let mapped = image.map_at(image.headers().preferred_base)?;
        let mut functions: Vec<_> = image.functions()?.iter().map(|part| part.begin.0..part.end.0).collect();
        functions.sort_unstable_by_key(|part| part.start);
        Ok(Locator { name: name.to_owned(), image: image.clone(), mapped, symbols, functions, slots })
    }

    /// The image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Bytes of the image as it is loaded, up to `count` of them.
    pub fn bytes(&self, rva: Rva, count: usize) -> Vec<u8> {
        self.mapped.get(rva.0 as usize..).unwrap_or_default().iter().take(count).copied().collect()
    }

    /// Where the PDB says that functions begin, in executable sections.
    pub fn code_starts(&self) -> Vec<Rva> {
        let executes = |rva: &Rva| {
            let section = self.image.section_at(*rva).map(|index| self.image.sections()[index]);
            section.is_some_and(|section| section.flags.has(SectionFlags::EXECUTE))
        };
        self.symbols.functions().filter(executes).collect()
    }

    /// True where a function begins, as far as the exception table or the symbols tell.
    pub fn is_function_start(&self, rva: Rva) -> bool {
        let listed = self.functions.binary_search_by_key(&rva.0, |part| part.start).is_ok();
        listed || self.symbols.symbolize(rva).is_some_and(|symbol| symbol.offset == 0)
    }

    /// Where the call instruction begins that returns to `after`.
    pub fn call_before(&self, after: Rva) -> Option<Rva> {
        let part = self.functions.iter().rev().find(|part| part.start < after.0 && after.0 <= part.end);
        let swept = part.and_then(|part| self.call_between(part.start, after));
        swept.or_else(|| {
            (2..=CALL_BYTES_MAX).rev().find_map(|back| self.call_between(after.0.checked_sub(back)?, after))
        })
    }

    /// Length in bytes of the instruction that stands here.
    pub fn length(&self, rva: Rva) -> u32 {
        let code = self.bytes(rva, MAX_INSTRUCTION);
        Decoder::with_ip(64, &code, u64::from(rva.0), DecoderOptions::NONE).decode().len() as u32
    }

    /// Where the jump leads that stands here.
    pub fn jump_target(&self, rva: Rva) -> Option<Rva> {
        let code = self.bytes(rva, MAX_INSTRUCTION);
        let jump = Decoder::with_ip(64, &code, u64::from(rva.0), DecoderOptions::NONE).decode();
        jump.is_jmp_short_or_near().then_some(Rva(jump.near_branch_target() as u32))
    }

    /// The instructions of functions that take the address of this place.
    pub fn takers(&self, target: Rva) -> Vec<Rva> {
        let takes = |code: &Instruction| {
            code.mnemonic() == Mnemonic::Lea
                && code.is_ip_rel_memory_operand()
                && code.ip_rel_memory_address() == u64::from(target.0)
        };
        let of_part = |part: &Range<u32>| {
            let code = self.bytes(Rva(part.start), part.len());
            let decoder = Decoder::with_ip(64, &code, u64::from(part.start), DecoderOptions::NONE);
            decoder.into_iter().filter(takes).map(|code| Rva(code.ip() as u32)).collect::<Vec<_>>()
        };
        self.functions.iter().flat_map(of_part).collect()
    }

    /// The instruction that ends at `after`, if it is a call, where decoding starts at `start`.
    fn call_between(&self, start: u32, after: Rva) -> Option<Rva> {
        let code = self.bytes(Rva(start), (after.0 - start) as usize);
        let decoder = Decoder::with_ip(64, &code, u64::from(start), DecoderOptions::NONE);
        let last = decoder.into_iter().last().filter(|last| last.next_ip() == u64::from(after.0))?;
        let calls = last.is_call_near() || last.is_call_near_indirect();
        calls.then_some(Rva(last.ip() as u32))
    }

    /// The place at an offset.
    pub fn place(&self, rva: Rva) -> Place {
        let symbol = self.symbols.symbolize(rva);
        let line = self.symbols.line_of(rva);
        Place {
            image: self.name.clone(),
            section: self.image.section_at(rva).map(|index| self.image.sections()[index].name()),
            rva,
            symbol: symbol.map(|symbol| Symbol { name: symbol.name.to_owned(), offset: symbol.offset }),
            source: line.map(|line| Source { file: line.file.to_owned(), line: line.line }),
        }
    }

    /// The place with its code: `bytes` are those in memory from the offset on.
    pub fn span(&self, rva: Rva, bytes: Vec<u8>) -> Span {
        Span { place: self.place(rva), code: Some(Window::new(rva, bytes, |place| self.name_of(place))) }
    }

    /// The import whose slot, or the function or datum that starts exactly there.
    fn name_of(&self, rva: Rva) -> Option<String> {
        let symbol = || self.symbols.symbolize(rva).filter(|symbol| symbol.offset == 0);
        self.slots.get(&rva).cloned().or_else(|| Some(symbol()?.name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: &[u8] = include_bytes!("../../../drivers/serial/serial.sys");
    const PDB: &[u8] = include_bytes!("../../../drivers/serial/serial.pdb");

    fn image() -> Image {
        Image::parse(DRIVER).expect("the sample is sound")
    }

    /// Where a function of the sample starts.
    fn start_of(function: &str) -> Rva {
        let symbols = Symbols::from_pdb(&image(), PDB).expect("the PDB belongs to the sample");
        symbols.find(function).expect("the sample has it")
    }

    fn bytes_at(rva: Rva) -> Vec<u8> {
        let mapped = image().map_at(image().headers().preferred_base).expect("the sample is sound");
        mapped[rva.0 as usize..].iter().copied().take(0x200).collect()
    }

    #[test]
    fn a_pdb_gives_names_and_lines() {
        let locator = Locator::new("serial.sys", &image(), Some(PDB)).expect("the PDB belongs to the sample");
        let place = locator.place(start_of("SerialRead"));
        assert_eq!(place.to_string(), "serial.sys!SerialRead+0x0");
        assert_eq!(place.section.as_deref(), Some("PAGESER"));
        assert!(place.source.is_some_and(|source| source.file.ends_with("request.c") && source.line > 1));
    }

    #[test]
    fn without_a_pdb_no_name_is_made_up() {
        let locator = Locator::new("serial.sys", &image(), None).expect("the sample is sound");
        let rva = start_of("SerialRead");
        assert_eq!(locator.place(rva).to_string(), format!("serial.sys+{rva}"));
        assert_eq!(locator.place(Rva(u32::MAX)).section, None);
    }

    #[test]
    fn a_return_address_leads_to_its_call() {
        let locator = Locator::new("serial.sys", &image(), Some(PDB)).expect("the PDB belongs to the sample");
        let start = start_of("DriverEntry");
        let code = bytes_at(start);
        let decoder = Decoder::with_ip(64, &code, u64::from(start.0), DecoderOptions::NONE);
        let call = decoder.into_iter().find(Instruction::is_call_near_indirect).expect("it calls an import");
        assert_eq!(locator.call_before(Rva(call.next_ip() as u32)), Some(Rva(call.ip() as u32)));
        assert_eq!(locator.call_before(Rva(call.next_ip() as u32 - 1)), None);
        assert_eq!(locator.call_before(Rva(0)), None);
        assert!(locator.is_function_start(start) && !locator.is_function_start(Rva(start.0 + 1)));
    }

    #[test]
    fn code_names_imports_and_functions() {
        let locator = Locator::new("serial.sys", &image(), Some(PDB)).expect("the PDB belongs to the sample");
        let start = start_of("DriverEntry");
        let names = locator.span(start, bytes_at(start)).code.expect("there is code").names;
        assert!(names.contains(&(start_of("SerialUnload"), "SerialUnload".to_owned())), "{names:?}");
        assert!(names.iter().any(|(_, name)| name == "KeInitializeEvent"), "{names:?}");
    }
}

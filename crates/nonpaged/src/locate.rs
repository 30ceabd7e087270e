//! From offsets in an image to places for people: names, source lines, code.

use std::collections::BTreeMap;

use driver_image::symbols::{PdbError, Symbols};
use driver_image::{Image, ImageError};
use nt_types::Rva;
use report::{Place, Source, Span, Symbol, Window};

/// Knows names and lines of one image.
pub struct Locator {
    name: String,
    image: Image,
    symbols: Symbols,
    /// Names of imports by the slot that holds their address.
    slots: BTreeMap<Rva, String>,
}

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
        Ok(Locator { name: name.to_owned(), image: image.clone(), symbols, slots })
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
    fn code_names_imports_and_functions() {
        let locator = Locator::new("serial.sys", &image(), Some(PDB)).expect("the PDB belongs to the sample");
        let start = start_of("DriverEntry");
        let names = locator.span(start, bytes_at(start)).code.expect("there is code").names;
        assert!(names.contains(&(start_of("SerialUnload"), "SerialUnload".to_owned())), "{names:?}");
        assert!(names.iter().any(|(_, name)| name == "KeInitializeEvent"), "{names:?}");
    }
}

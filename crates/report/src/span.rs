//! Places in images, and the code around them.

use core::fmt;

use nt_types::Rva;

use crate::decode;

/// A place in a loaded image, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// File name of the image, such as `serial.sys`.
    pub image: String,
    /// Name of the section that holds the place; `None` for headers and gaps.
    pub section: Option<String>,
    /// Offset in bytes from the image base.
    pub rva: Rva,
    /// The function or variable, from the PDB or the export table. Never made up.
    pub symbol: Option<Symbol>,
    /// The source line, from the PDB.
    pub source: Option<Source>,
}

/// The nearest preceding name and the distance from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// The undecorated name.
    pub name: String,
    /// Distance in bytes.
    pub offset: u32,
}

/// A source line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The file as the PDB names it.
    pub file: String,
    /// Line number from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    /// `serial.sys!SerialRead+0x3c`, or `serial.sys+0x2a3c` where no name is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "{}!{}+{:#x}", self.image, symbol.name, symbol.offset),
            None => write!(f, "{}+{}", self.image, self.rva),
        }
    }
}

impl Place {
    /// The function's name in backticks, or the address form where no name is known.
    pub fn function(&self) -> String {
        match &self.symbol {
            Some(symbol) => format!("`{}`", symbol.name),
            None => format!("`{self}`"),
        }
    }
}

/// Instruction bytes to be drawn, starting at the instruction they explain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Window {
    /// The bytes from the instruction on, as they were when it executed; 32 are plenty. Undecodable rests are not drawn.
    pub bytes: Vec<u8>,
    /// Names for call targets and import slots in the same image, to be shown in place of their addresses.
    pub names: Vec<(Rva, String)>,
}

impl Window {
    /// The window of the instructions at `start`. `name_of` knows functions, data and import slots of the image.
    pub fn new(start: Rva, bytes: Vec<u8>, name_of: impl Fn(Rva) -> Option<String>) -> Window {
        let instructions = decode::instructions(start, &bytes);
        let places = instructions.iter().filter_map(decode::referred).filter_map(|place| u32::try_from(place).ok());
        let names = places.filter_map(|place| Some((Rva(place), name_of(Rva(place))?))).collect();
        Window { bytes, names }
    }
}

/// A place with its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where.
    pub place: Place,
    /// The code from there on; `None` for data, or where the bytes could not be read.
    pub code: Option<Window>,
}

impl From<Place> for Span {
    fn from(place: Place) -> Span {
        Span { place, code: None }
    }
}

//! Names of functions and data, and source lines.
//!
//! Names come from the exports, or from the PDB that was written together with the image. There are no made-up names:
//! where neither knows one, there is none.

mod lines;
mod pdb;
mod source;

use nt_types::Rva;

pub use pdb::PdbError;

use crate::unwind::{self, RuntimeFunction};
use crate::{ExportTarget, Image, ImageError, Section};

/// What is known about an offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// Name of the function or datum.
    pub name: &'a str,
    /// Distance from its start, in bytes.
    pub offset: u32,
    /// The source line, which only a PDB knows.
    pub line: Option<SourceLine<'a>>,
}

/// A line of a source file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceLine<'a> {
    /// Path as the compiler saw it.
    pub file: &'a str,
    /// Number, from 1.
    pub line: u32,
}

/// The symbols of an image.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// Every name and where it starts, sorted.
    names: Vec<Name>,
    /// Rows of the line table, sorted by start.
    rows: Vec<Row>,
    files: Vec<String>,
    /// The function table, sorted: it says where functions end.
    extents: Vec<Extent>,
    sections: Vec<Section>,
}

/// A function or a part of one, and where the function starts.
#[derive(Clone, Copy, Debug)]
struct Extent {
    begin: Rva,
    end: Rva,
    entry: Rva,
}

/// A name. Sorted by start; of several names of one place, the one that ranks higher comes last and wins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Name {
    start: Rva,
    rank: Rank,
    name: String,
    /// Where it ends, where that is known.
    end: Option<u64>,
    /// The PDB says that it is a function.
    is_function: bool,
}

/// How good a name is: a PDB's private symbols are as the source spells them, public ones as the linker does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    Export,
    Public,
    Private,
}

/// A piece of code that belongs to one source line; line 0 where the compiler says there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Row {
    start: Rva,
    end: u64,
    file: usize,
    line: u32,
}

impl Symbols {
    /// The names that the image exports.
    pub fn from_exports(image: &Image) -> Result<Symbols, ImageError> {
        let exports = image.exports()?;
        let names = exports.named().filter_map(|(name, target)| match target {
            ExportTarget::Rva(start) => {
                Some(Name { start: *start, rank: Rank::Export, name: name.into(), end: None, is_function: false })
            }
            ExportTarget::Forwarder(_) => None,
        });
        Symbols::assemble(image, names.collect(), Vec::new(), Vec::new())
    }

    /// The names and lines of the PDB whose bytes are `pdb`, and the names that the image exports. The PDB must carry the
    /// image's identity.
    pub fn from_pdb(image: &Image, pdb: &[u8]) -> Result<Symbols, PdbError> {
        let contents = pdb::read(image, pdb)?;
        let mut names = Symbols::from_exports(image)?.names;
        names.extend(contents.names);
        Ok(Symbols::assemble(image, names, contents.rows, contents.files)?)
    }

    fn assemble(
        image: &Image,
        mut names: Vec<Name>,
        mut rows: Vec<Row>,
        files: Vec<String>,
    ) -> Result<Symbols, ImageError> {
        names.sort_unstable();
        rows.sort_unstable();
        let mut extents: Vec<Extent> = image.functions()?.into_iter().map(|part| extent(image, part)).collect();
        extents.sort_unstable_by_key(|extent| extent.begin);
        Ok(Symbols { names, rows, files, extents, sections: image.sections().to_vec() })
    }

    /// Name and line of an offset.
    pub fn symbolize(&self, rva: Rva) -> Option<Symbol<'_>> {
        let name = self.name_of(rva)?;
        Some(Symbol { name: &name.name, offset: rva.0 - name.start.0, line: self.line_of(rva) })
    }

    /// Where the function or datum of this name starts.
    pub fn find(&self, name: &str) -> Option<Rva> {
        self.names.iter().find(|candidate| candidate.name == name).map(|found| found.start)
    }

    /// Where the PDB says that functions start, ascending.
    pub fn functions(&self) -> impl Iterator<Item = Rva> {
        self.names.iter().filter(|name| name.is_function).map(|name| name.start)
    }

    /// The source line of an offset.
    pub fn line_of(&self, rva: Rva) -> Option<SourceLine<'_>> {
        let after = self.rows.partition_point(|row| row.start <= rva);
        let row = self.rows[..after].last().filter(|row| u64::from(rva.0) < row.end && row.line != 0)?;
        Some(SourceLine { file: self.files.get(row.file)?, line: row.line })
    }

    fn name_of(&self, rva: Rva) -> Option<&Name> {
        let section = self.sections.iter().find(|section| section.contains(rva))?;
        let after = self.extents.partition_point(|extent| extent.begin <= rva);
        let (floor, entry) = match self.extents[..after].last() {
            Some(extent) if rva < extent.end => (extent.begin, Some(extent.entry)),
            Some(extent) => (extent.end, None),
            None => (section.rva, None),
        };
        // The nearest name counts only if no other function lies between; a detached part has the name of its function.
        let nearest = self.last_name(rva).filter(|name| name.start >= floor.max(section.rva));
        let of_whole = || self.last_name(entry?).filter(|name| Some(name.start) == entry && name.start <= rva);
        nearest.or_else(of_whole).filter(|name| name.end.is_none_or(|end| u64::from(rva.0) < end))
    }

    /// The best of the names that start last at or before `rva`.
    fn last_name(&self, rva: Rva) -> Option<&Name> {
        let after = self.names.partition_point(|name| name.start <= rva);
        self.names[..after].last()
    }
}

fn extent(image: &Image, part: RuntimeFunction) -> Extent {
    // Unwind data that makes no sense leaves the part on its own.
    let whole = unwind::primary_function(&mut image.clone(), part).unwrap_or(part);
    Extent { begin: part.begin, end: part.end, entry: whole.begin }
}

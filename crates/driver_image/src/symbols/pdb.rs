//! What a PDB says about an image.
//!
//! `pdb2` reads the container, the list of modules and the symbol records: those parts return an error for whatever
//! they cannot read. It is not asked for line programs, stream names or address maps, where version 0.11 panics on
//! lengths that lie. `fuzz/fuzz_targets/pdb.rs` watches over this.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use nt_types::Rva;
use pdb2::{
    DebugInformation, FallibleIterator, PDB, PDBInformation, PdbInternalSectionOffset, StreamIndex, SymbolData,
};

use super::lines::{self, Fields, RawRow};
use super::source::BoundedSource;
use super::{Name, Rank, Row};
use crate::{Image, ImageError, PdbId, Section};

/// How every PDB of this century starts.
const MAGIC: &[u8] = b"Microsoft C/C++ MSF 7.00\r\n\x1a\x44\x53\x00\x00\x00";
/// Most modules (object files) accepted. Drivers have a few hundred.
const MAX_MODULES: usize = 8192;
/// How often each byte may be read: modules are viewed twice, and the directory once more.
const ROUNDS: usize = 4;
/// Stream of the PDB's identity and of the names of other streams.
const INFO_STREAM: StreamIndex = StreamIndex(1);
/// First field of the string table.
const STRINGS_MAGIC: u32 = 0xeffe_effe;

/// Records that name a function or datum: `S_LDATA32`, `S_GDATA32`, `S_PUB32`, and `S_LPROC32` and `S_GPROC32` in all their
/// forms. Others are not decoded.
const NAMING_RECORDS: [u16; 9] = [0x110c, 0x110d, 0x110e, 0x110f, 0x1110, 0x1146, 0x1147, 0x1155, 0x1156];

/// Why a PDB cannot be used for an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdbError {
    /// Nothing says which PDB the image had.
    #[error("the image names no PDB")]
    NoReference,
    /// Not a PDB, or one of the format of the 1990s.
    #[error("not a PDB: no `MSF 7.00` signature")]
    NotPdb,
    /// Of another build.
    #[error("the PDB is of another build: the image wants `{image}` and this is `{pdb}`")]
    Mismatch {
        /// What the image names.
        image: PdbId,
        /// What the PDB says it is.
        pdb: PdbId,
    },
    /// Cannot be read.
    #[error("the PDB is malformed: {0}")]
    Malformed(String),
    /// The image itself has a table that cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<pdb2::Error> for PdbError {
    fn from(error: pdb2::Error) -> PdbError {
        PdbError::Malformed(error.to_string())
    }
}

fn malformed(what: &str) -> PdbError {
    PdbError::Malformed(format!("{what} is cut off or inconsistent"))
}

/// Names and lines by offset in the image.
pub(super) struct Contents {
    pub(super) names: Vec<Name>,
    pub(super) rows: Vec<Row>,
    pub(super) files: Vec<String>,
}

pub(super) fn read(image: &Image, file: &[u8]) -> Result<Contents, PdbError> {
    let wanted = image.pdb_reference()?.ok_or(PdbError::NoReference)?.id;
    if !file.starts_with(MAGIC) {
        return Err(PdbError::NotPdb);
    }
    check_length(file)?;
    let mut pdb = PDB::open(BoundedSource::new(file, ROUNDS))?;
    let info = pdb.pdb_information()?;
    let modules = pdb.debug_information()?;
    check_identity(wanted, &info, &modules)?;
    let strings = strings(&mut pdb, &info)?;
    let mut reader =
        Reader { sections: image.sections(), strings, file_indices: BTreeMap::new(), contents: Contents::new() };
    reader.add_public_names(&mut pdb)?;
    let mut modules = modules.modules()?.take(MAX_MODULES);
    while let Some(module) = modules.next()? {
        reader.add_module(&mut pdb, &module)?;
    }
    Ok(reader.contents)
}

/// The header counts the pages of the file; a file with fewer is cut off, even where nothing of interest is missing.
fn check_length(file: &[u8]) -> Result<(), PdbError> {
    let mut fields = Fields(&file[MAGIC.len()..]);
    let (page_size, _free_map, pages) = (fields.u32(), fields.u32(), fields.u32());
    let size = u64::from(page_size.unwrap_or(0)) * u64::from(pages.unwrap_or(0));
    if size == 0 || size > file.len() as u64 { Err(malformed("the file")) } else { Ok(()) }
}

type Pdb<'a> = PDB<'a, BoundedSource<'a>>;

fn check_identity(wanted: PdbId, info: &PDBInformation<'_>, modules: &DebugInformation<'_>) -> Result<(), PdbError> {
    let found = PdbId { guid: info.guid.to_bytes_le(), age: modules.age().unwrap_or(info.age) };
    if found == wanted { Ok(()) } else { Err(PdbError::Mismatch { image: wanted, pdb: found }) }
}

/// The string table's strings; empty if the PDB has none.
fn strings(pdb: &mut Pdb<'_>, info: &PDBInformation<'_>) -> Result<Vec<u8>, PdbError> {
    let directory = pdb.raw_stream(INFO_STREAM)?.ok_or_else(|| malformed("the stream directory"))?;
    let named = named_stream(directory.get(info.names_offset..).unwrap_or_default(), info.names_size, b"/names");
    let Some(index) = named else { return Ok(Vec::new()) };
    let stream = pdb.raw_stream(index)?.ok_or_else(|| malformed("the string table"))?;
    string_table(&stream).map(<[u8]>::to_vec).ok_or_else(|| malformed("the string table"))
}

fn string_table(stream: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(stream);
    let (magic, _version, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
    fields.take(size as usize).filter(|_| magic == STRINGS_MAGIC)
}

/// The stream of this name: `map` starts with the names, `size` bytes, and goes on with a hash table of their offsets.
fn named_stream(map: &[u8], size: usize, name: &[u8]) -> Option<StreamIndex> {
    let mut fields = Fields(map);
    let names = fields.take(size)?;
    let (count, _capacity) = (fields.u32()?, fields.u32()?);
    for _bit_vector in ["present", "deleted"] {
        let words = fields.u32()?;
        fields.take(words as usize * 4)?;
    }
    for _ in 0..count {
        let (offset, stream) = (fields.u32()?, fields.u32()?);
        if string_at(names, offset) == Some(name) {
            return u16::try_from(stream).ok().map(StreamIndex);
        }
    }
    None
}

/// The bytes from `offset` to the next zero.
fn string_at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    strings.get(offset as usize..)?.split(|&byte| byte == 0).next()
}

struct Reader<'a> {
    sections: &'a [Section],
    strings: Vec<u8>,
    /// Offset in the string table to index in [`Contents::files`].
    file_indices: BTreeMap<u32, usize>,
    contents: Contents,
}

impl Contents {
    fn new() -> Contents {
        Contents { names: Vec::new(), rows: Vec::new(), files: Vec::new() }
    }
}

impl Reader<'_> {
    fn add_public_names(&mut self, pdb: &mut Pdb<'_>) -> Result<(), PdbError> {
        let table = pdb.global_symbols()?;
        let mut symbols = table.iter();
        while let Some(symbol) = symbols.next()? {
            self.add_symbol(&symbol);
        }
        Ok(())
    }

    fn add_module(&mut self, pdb: &mut Pdb<'_>, module: &pdb2::Module<'_>) -> Result<(), PdbError> {
        let Some(symbols) = pdb.module_info(module)? else { return Ok(()) };
        let mut symbols = symbols.symbols()?;
        while let Some(symbol) = symbols.next()? {
            self.add_symbol(&symbol);
        }
        let Some(stream) = pdb.raw_stream(module.info().stream)? else { return Ok(()) };
        let lines = module_lines(&stream, module.info()).ok_or_else(|| malformed("a line table"))?;
        lines.into_iter().for_each(|row| self.add_row(&row));
        Ok(())
    }

    /// Keeps the name of a function or datum; other records and those that do not parse name nothing.
    fn add_symbol(&mut self, symbol: &pdb2::Symbol<'_>) {
        if !NAMING_RECORDS.contains(&symbol.raw_kind()) {
            return;
        }
        let Ok(data) = symbol.parse() else { return };
        let (rank, name, place, length, is_function) = match data {
            SymbolData::Procedure(function) => {
                (Rank::Private, function.name, function.offset, Some(function.len), true)
            }
            SymbolData::Data(datum) => (Rank::Private, datum.name, datum.offset, None, false),
            SymbolData::Public(public) => (Rank::Public, public.name, public.offset, None, public.function),
            _ => return,
        };
        let Some(start) = self.rva(place) else { return };
        let end = length.map(|length| u64::from(start.0) + u64::from(length));
        self.contents.names.push(Name { start, rank, name: name.to_string().into_owned(), end, is_function });
    }

    fn add_row(&mut self, raw: &RawRow) {
        let Some(start) = self.rva(PdbInternalSectionOffset::new(raw.section, raw.start)) else { return };
        let Some(file) = self.file_index(raw.file) else { return };
        let end = u64::from(start.0) + raw.end.saturating_sub(u64::from(raw.start));
        self.contents.rows.push(Row { start, end, file, line: raw.line });
    }

    fn file_index(&mut self, name: u32) -> Option<usize> {
        match self.file_indices.entry(name) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                let name = String::from_utf8_lossy(string_at(&self.strings, name)?).into_owned();
                self.contents.files.push(name);
                Some(*new.insert(self.contents.files.len() - 1))
            }
        }
    }

    /// A place given by section number, from 1, and offset; none if it is not in the section.
    fn rva(&self, place: PdbInternalSectionOffset) -> Option<Rva> {
        let section = self.sections.get(usize::from(place.section).checked_sub(1)?)?;
        section.rva.0.checked_add(place.offset).map(Rva).filter(|&rva| section.contains(rva))
    }
}

/// The line table of a module's stream: it follows the symbols and the lines of an older format.
fn module_lines(stream: &[u8], info: &pdb2::DBIModuleInfo) -> Option<Vec<RawRow>> {
    let mut fields = Fields(stream);
    fields.take(info.symbols_size as usize)?;
    fields.take(info.lines_size as usize)?;
    lines::rows(fields.take(info.c13_lines_size as usize)?)
}

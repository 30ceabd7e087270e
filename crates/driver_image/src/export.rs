//! The export directory (PE format, "The .edata Section").

use std::collections::BTreeMap;

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

use crate::read::TableReader;
use crate::{DataDirectory, Directory, ReadImage};

/// Most exports accepted in one image. The NT kernel has a few thousand.
const MAX_EXPORTS: u32 = 16384;

/// What an image exports.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Exports {
    /// The image's own idea of its file name; empty where it has no export directory.
    pub module: String,
    ordinal_base: u32,
    targets: Vec<Option<ExportTarget>>,
    names: BTreeMap<String, usize>,
}

/// Where an export leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportTarget {
    /// Code or data of the image itself.
    Rva(Rva),
    /// An export of another image, as `module.name` or `module.#ordinal`.
    Forwarder(String),
}

impl Exports {
    /// Decodes the export directory that lies at `table`.
    pub fn read<R: ReadImage>(reader: &mut R, table: DataDirectory) -> Result<Exports, R::Error> {
        if table.is_absent() {
            return Ok(Exports::default());
        }
        let mut reader = TableReader::new(reader, Directory::Export);
        let header: pe::ImageExportDirectory = reader.pod(table.rva)?;
        let module = reader.name(Rva(header.name.get(LE)))?;
        let targets = targets(&mut reader, table, &header)?;
        let names = names(&mut reader, &header, targets.len())?;
        Ok(Exports { module, ordinal_base: header.base.get(LE), targets, names })
    }

    /// The export of this name.
    pub fn by_name(&self, name: &str) -> Option<&ExportTarget> {
        self.targets.get(*self.names.get(name)?)?.as_ref()
    }

    /// The export with this ordinal.
    pub fn by_ordinal(&self, ordinal: u16) -> Option<&ExportTarget> {
        let index = u32::from(ordinal).checked_sub(self.ordinal_base)?;
        self.targets.get(index as usize)?.as_ref()
    }

    /// Every named export, in the order of names.
    pub fn named(&self) -> impl Iterator<Item = (&str, &ExportTarget)> {
        self.names.iter().filter_map(|(name, &index)| Some((name.as_str(), self.targets.get(index)?.as_ref()?)))
    }

    /// Every export by ordinal, in the order of ordinals.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &ExportTarget)> {
        (self.ordinal_base..).zip(&self.targets).filter_map(|(ordinal, target)| Some((ordinal, target.as_ref()?)))
    }
}

fn targets<R: ReadImage>(
    reader: &mut TableReader<'_, R>,
    table: DataDirectory,
    header: &pe::ImageExportDirectory,
) -> Result<Vec<Option<ExportTarget>>, R::Error> {
    let start = Rva(header.address_of_functions.get(LE));
    let count = count(reader, header.number_of_functions.get(LE))?;
    let mut targets = Vec::with_capacity(count as usize);
    for index in 0..count {
        let at = reader.offset(start, u64::from(index) * 4)?;
        let rva = Rva(reader.u32(at)?);
        targets.push(match rva {
            Rva(0) => None,
            rva if table.contains(rva) => Some(ExportTarget::Forwarder(reader.name(rva)?)),
            rva => Some(ExportTarget::Rva(rva)),
        });
    }
    Ok(targets)
}

fn names<R: ReadImage>(
    reader: &mut TableReader<'_, R>,
    header: &pe::ImageExportDirectory,
    targets: usize,
) -> Result<BTreeMap<String, usize>, R::Error> {
    let (names_at, ordinals_at) = (header.address_of_names.get(LE), header.address_of_name_ordinals.get(LE));
    let mut names = BTreeMap::new();
    for index in 0..count(reader, header.number_of_names.get(LE))? {
        let pointer = reader.offset(Rva(names_at), u64::from(index) * 4)?;
        let ordinal = reader.offset(Rva(ordinals_at), u64::from(index) * 2)?;
        let name_at = Rva(reader.u32(pointer)?);
        let target = usize::from(reader.u16(ordinal)?);
        if target >= targets {
            return Err(reader.malformed(ordinal, "a name leads to no export"));
        }
        let name = reader.name(name_at)?;
        names.insert(name, target);
    }
    Ok(names)
}

fn count<R: ReadImage>(reader: &TableReader<'_, R>, count: u32) -> Result<u32, R::Error> {
    if count > MAX_EXPORTS { Err(reader.too_many(MAX_EXPORTS as usize)) } else { Ok(count) }
}

//! The import directory (PE format, "The .idata Section").

use core::fmt;

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

use crate::read::TableReader;
use crate::{Directory, Image, ImageError};

/// Most imports accepted in one image. Drivers have a few hundred.
const MAX_IMPORTS: usize = 8192;
/// Most imported modules accepted in one image.
const MAX_MODULES: usize = 256;

/// What an image imports from one module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedModule {
    /// File name as the image spells it, such as `ntoskrnl.exe`.
    pub name: String,
    /// The imports in table order.
    pub imports: Vec<Import>,
}

/// One imported function or datum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// What is wanted.
    pub symbol: ImportedSymbol,
    /// The entry of the import address table that is to hold its address, eight bytes.
    pub slot: Rva,
}

/// How an import is named.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ImportedSymbol {
    /// By name; the hint is the linker's guess of its index among the names exported.
    Name {
        /// The name.
        name: String,
        /// The guess.
        hint: u16,
    },
    /// By ordinal.
    Ordinal(u16),
}

impl fmt::Display for ImportedSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportedSymbol::Name { name, .. } => f.write_str(name),
            ImportedSymbol::Ordinal(ordinal) => write!(f, "#{ordinal}"),
        }
    }
}

pub(crate) fn imports(image: &mut Image) -> Result<Vec<ImportedModule>, ImageError> {
    let table = image.headers().directory(Directory::Import);
    let mut modules = Vec::new();
    let mut room = MAX_IMPORTS;
    if table.is_absent() {
        return Ok(modules);
    }
    let mut reader = TableReader::new(image, Directory::Import);
    for index in 0..=MAX_MODULES as u64 {
        let at = reader.offset(table.rva, index * size_of::<pe::ImageImportDescriptor>() as u64)?;
        let descriptor: pe::ImageImportDescriptor = reader.pod(at)?;
        if descriptor.name.get(LE) == 0 || descriptor.first_thunk.get(LE) == 0 {
            return Ok(modules);
        }
        let name = reader.name(Rva(descriptor.name.get(LE)))?;
        let imports = thunks(&mut reader, &descriptor, &mut room)?;
        modules.push(ImportedModule { name, imports });
    }
    Err(reader.too_many(MAX_MODULES))
}

/// The imports of one module. Names come from the lookup table if there is one: the address table is bound in some images.
fn thunks(
    reader: &mut TableReader<'_, Image>,
    descriptor: &pe::ImageImportDescriptor,
    room: &mut usize,
) -> Result<Vec<Import>, ImageError> {
    let slots = Rva(descriptor.first_thunk.get(LE));
    let lookup = match descriptor.original_first_thunk.get(LE) {
        0 => slots,
        table => Rva(table),
    };
    let mut imports = Vec::new();
    loop {
        let offset = imports.len() as u64 * 8;
        let thunk = reader.offset(lookup, offset).and_then(|at| reader.u64(at))?;
        if thunk == 0 {
            return Ok(imports);
        }
        *room = room.checked_sub(1).ok_or_else(|| reader.too_many(MAX_IMPORTS))?;
        let slot = reader.offset(slots, offset)?;
        reader.u64(slot)?;
        imports.push(Import { symbol: symbol(reader, thunk)?, slot });
    }
}

fn symbol(reader: &mut TableReader<'_, Image>, thunk: u64) -> Result<ImportedSymbol, ImageError> {
    if thunk & pe::IMAGE_ORDINAL_FLAG64 != 0 {
        return Ok(ImportedSymbol::Ordinal(thunk as u16));
    }
    let at = reader.offset(Rva(0), thunk)?;
    let hint = reader.u16(at)?;
    let name = reader.offset(at, 2).and_then(|at| reader.name(at))?;
    Ok(ImportedSymbol::Name { name, hint })
}

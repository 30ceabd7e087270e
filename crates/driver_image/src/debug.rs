//! The debug directory: which PDB belongs to the image.

use core::fmt;

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

use crate::read::{MAX_NAME, TableReader};
use crate::{DataDirectory, Directory, ReadImage};

/// Most debug records looked at. Linkers write four or five.
const MAX_RECORDS: u32 = 64;
/// Bytes of a `RSDS` record before the path: signature, GUID, age.
const RSDS_HEADER: u32 = 24;

/// The PDB that was written together with an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PdbReference {
    /// Path of the PDB on the machine that linked the image.
    pub path: String,
    /// Identity.
    pub id: PdbId,
}

/// Identity of a PDB: an image and its PDB carry the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PdbId {
    /// The GUID's bytes as they are stored.
    pub guid: [u8; 16],
    /// How often the PDB was rewritten.
    pub age: u32,
}

impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = self.guid;
        let (a, b, c) =
            (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-")?;
        for (index, byte) in rest.iter().enumerate() {
            write!(f, "{}{byte:02x}", if index == 2 { "-" } else { "" })?;
        }
        write!(f, " age {}", self.age)
    }
}

/// The PDB named by the debug directory at `table`.
pub fn pdb_reference<R: ReadImage>(reader: &mut R, table: DataDirectory) -> Result<Option<PdbReference>, R::Error> {
    let mut reader = TableReader::new(reader, Directory::Debug);
    let entry = size_of::<pe::ImageDebugDirectory>() as u32;
    for index in 0..(table.size / entry).min(MAX_RECORDS) {
        let at = reader.offset(table.rva, u64::from(index * entry))?;
        let record: pe::ImageDebugDirectory = reader.pod(at)?;
        let (data, size) = (Rva(record.address_of_raw_data.get(LE)), record.size_of_data.get(LE));
        // A record without an address is not loaded with the image.
        if record.typ.get(LE) == pe::IMAGE_DEBUG_TYPE_CODEVIEW && data.0 != 0 && size >= RSDS_HEADER {
            return rsds(&mut reader, data, size);
        }
    }
    Ok(None)
}

/// The record at `data`, if it is one of a PDB 7.0.
fn rsds<R: ReadImage>(reader: &mut TableReader<'_, R>, data: Rva, size: u32) -> Result<Option<PdbReference>, R::Error> {
    if &reader.array::<4>(data)? != b"RSDS" {
        return Ok(None);
    }
    let guid = reader.offset(data, 4).and_then(|at| reader.array(at))?;
    let age = reader.offset(data, 20).and_then(|at| reader.u32(at))?;
    let mut path = vec![0; ((size - RSDS_HEADER) as usize).min(MAX_NAME)];
    let path_at = reader.offset(data, u64::from(RSDS_HEADER))?;
    reader.bytes(path_at, &mut path)?;
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(Some(PdbReference { path: String::from_utf8_lossy(path).into_owned(), id: PdbId { guid, age } }))
}

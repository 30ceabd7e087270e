//! The version resource (Windows documentation, "Version Information" and PE format, "The .rsrc Section").

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

use crate::read::TableReader;
use crate::{DataDirectory, Directory, ReadImage};

/// Largest version resource read, in bytes. Real ones have about a thousand.
const MAX_RESOURCE: usize = 1 << 16;
/// First field of `VS_FIXEDFILEINFO`.
const FIXED_SIGNATURE: u32 = 0xFEEF_04BD;
/// The two halves of a directory entry's target: a subdirectory has the top bit set.
const SUBDIRECTORY: u32 = pe::IMAGE_RESOURCE_DATA_IS_DIRECTORY;

/// What an image says about its own version.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VersionInfo {
    /// Version of the file, most significant part first.
    pub file_version: [u16; 4],
    /// Version of the product, most significant part first.
    pub product_version: [u16; 4],
    /// Names and values, such as `OriginalFilename` and `CompanyName`, in the order of the resource.
    pub strings: Vec<(String, String)>,
}

impl VersionInfo {
    /// Decodes the version resource in the resource directory at `table`.
    pub fn read<R: ReadImage>(reader: &mut R, table: DataDirectory) -> Result<Option<VersionInfo>, R::Error> {
        if table.is_absent() {
            return Ok(None);
        }
        let mut reader = TableReader::new(reader, Directory::Resource);
        let Some(bytes) = version_resource(&mut reader, table.rva)? else { return Ok(None) };
        Ok(Block::split(&bytes).map(|(root, _)| VersionInfo::from_root(&root)))
    }

    /// The first string of this name.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.strings.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn from_root(root: &Block<'_>) -> VersionInfo {
        let field = |index: usize| {
            let bytes = root.value.get(4 * index..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let is_fixed = field(0) == Some(FIXED_SIGNATURE);
        let version = |index: usize| {
            let (high, low) = (field(index).unwrap_or(0), field(index + 1).unwrap_or(0));
            if is_fixed { [(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16] } else { [0; 4] }
        };
        let groups = Block::all(root.children).filter(|group| group.key == "StringFileInfo");
        let tables = groups.flat_map(|group| Block::all(group.children));
        let strings = tables.flat_map(|table| Block::all(table.children));
        VersionInfo {
            file_version: version(2),
            product_version: version(4),
            strings: strings.map(|string| (string.key, text(string.value))).collect(),
        }
    }
}

/// The bytes of the first version resource, in whatever language.
fn version_resource<R: ReadImage>(reader: &mut TableReader<'_, R>, root: Rva) -> Result<Option<Vec<u8>>, R::Error> {
    let is_version = |id: u32| id == u32::from(pe::RT_VERSION);
    let Some(by_name) = subdirectory(reader, root, 0, is_version)? else { return Ok(None) };
    let Some(by_language) = subdirectory(reader, root, by_name, |_| true)? else { return Ok(None) };
    let Some(entry) = subdirectory(reader, root, by_language, |_| true)? else { return Ok(None) };
    let at = reader.offset(root, u64::from(entry))?;
    let data: pe::ImageResourceDataEntry = reader.pod(at)?;
    let mut bytes = vec![0; (data.size.get(LE) as usize).min(MAX_RESOURCE)];
    reader.bytes(Rva(data.offset_to_data.get(LE)), &mut bytes)?;
    Ok(Some(bytes))
}

/// Target of the first wanted entry of the directory at `offset` from `root`, as an offset from `root`.
fn subdirectory<R: ReadImage>(
    reader: &mut TableReader<'_, R>,
    root: Rva,
    offset: u32,
    wanted: impl Fn(u32) -> bool,
) -> Result<Option<u32>, R::Error> {
    let at = reader.offset(root, u64::from(offset))?;
    let header: pe::ImageResourceDirectory = reader.pod(at)?;
    let count = u64::from(header.number_of_named_entries.get(LE)) + u64::from(header.number_of_id_entries.get(LE));
    let first = size_of::<pe::ImageResourceDirectory>() as u64;
    for index in 0..count {
        let at = reader.offset(at, first + index * size_of::<pe::ImageResourceDirectoryEntry>() as u64)?;
        let entry: pe::ImageResourceDirectoryEntry = reader.pod(at)?;
        if wanted(entry.name_or_id.get(LE)) {
            return Ok(Some(entry.offset_to_data_or_directory.get(LE) & !SUBDIRECTORY));
        }
    }
    Ok(None)
}

/// One node of the tree in a version resource. It starts on a multiple of four bytes, and so do its value and children.
struct Block<'a> {
    key: String,
    value: &'a [u8],
    children: &'a [u8],
}

impl<'a> Block<'a> {
    /// The first block of `bytes`, and what follows it.
    fn split(bytes: &'a [u8]) -> Option<(Block<'a>, &'a [u8])> {
        let word = |offset: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?)));
        let (length, value_length, is_text) = (word(0)?, word(2)?, word(4)? == 1);
        let block = bytes.get(..length)?;
        let key = text(block.get(6..)?);
        let value_at = (6 + 2 * (key.encode_utf16().count() + 1)).next_multiple_of(4);
        let value_size = if is_text { 2 * value_length } else { value_length };
        let value = block.get(value_at..).unwrap_or_default();
        let value = value.get(..value_size).unwrap_or(value);
        let children = block.get((value_at + value.len()).next_multiple_of(4)..).unwrap_or_default();
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((Block { key, value, children }, rest))
    }

    /// The blocks of `bytes`, until one makes no sense.
    fn all(bytes: &'a [u8]) -> impl Iterator<Item = Block<'a>> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let (block, after) = Block::split(rest)?;
            rest = after;
            Some(block)
        })
    }
}

/// UTF-16 text up to its first zero.
fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units = units.take_while(|&unit| unit != 0);
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

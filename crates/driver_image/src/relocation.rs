//! Base relocations (PE format, ".reloc Section").

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

use crate::read::TableReader;
use crate::{Directory, Image, ImageError, ReadImage};

const BLOCK_HEADER: u32 = size_of::<pe::ImageBaseRelocation>() as u32;
const ABSOLUTE: u16 = pe::IMAGE_REL_BASED_ABSOLUTE.0;
const DIR64: u16 = pe::IMAGE_REL_BASED_DIR64.0;

/// Places that hold an absolute address of eight bytes, from the relocation directory.
pub(crate) fn relocations(image: &mut Image) -> Result<Vec<Rva>, ImageError> {
    let table = image.headers().directory(Directory::BaseRelocation);
    let size_of_image = image.headers().size_of_image;
    let last_place = size_of_image.checked_sub(8);
    let most = size_of_image as usize / 8;
    let mut places = Vec::new();
    let mut at = if table.is_absent() { table.size } else { 0 };
    while table.size - at >= BLOCK_HEADER {
        let mut reader = TableReader::new(image, Directory::BaseRelocation);
        let start = reader.offset(table.rva, u64::from(at))?;
        let header: pe::ImageBaseRelocation = reader.pod(start)?;
        let (page, size) = (header.virtual_address.get(LE), header.size_of_block.get(LE));
        if (page, size) == (0, 0) {
            break; // padding
        }
        if size < BLOCK_HEADER || size > table.size - at {
            return Err(reader.malformed(start, "a block has an impossible size"));
        }
        let mut entries = vec![0; (size - BLOCK_HEADER) as usize];
        image.read(Rva(start.0 + BLOCK_HEADER), &mut entries)?;
        for entry in entries.chunks_exact(2) {
            places.extend(place(page, u16::from_le_bytes([entry[0], entry[1]]), last_place)?);
        }
        if places.len() > most {
            return Err(ImageError::TooMany { directory: Directory::BaseRelocation, limit: most });
        }
        at += size;
    }
    Ok(places)
}

/// The place that one entry names; none for padding.
fn place(page: u32, entry: u16, last_place: Option<u32>) -> Result<Option<Rva>, ImageError> {
    let (kind, offset) = (entry >> 12, u32::from(entry & 0xfff));
    if kind == ABSOLUTE {
        return Ok(None);
    }
    let rva = Rva(page.saturating_add(offset));
    match kind {
        DIR64 if last_place.is_some_and(|last| rva.0 <= last) => Ok(Some(rva)),
        DIR64 => Err(ImageError::TableOutside { directory: Directory::BaseRelocation, rva, length: 8 }),
        _ => Err(ImageError::RelocationType { kind: kind as u8, rva }),
    }
}

/// Adds `delta` to every place of the mapped image.
pub(crate) fn apply(image: &mut [u8], places: &[Rva], delta: u64) {
    for place in places {
        let start = place.0 as usize;
        if let Some(bytes) = image.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<8>) {
            *bytes = u64::from_le_bytes(*bytes).wrapping_add(delta).to_le_bytes();
        }
    }
}

//! The headers of a PE32+ file.

use nt_types::{PAGE_SIZE, Rva, Va};
use object::LittleEndian as LE;
use object::pe;
use object::pod::{self, Pod};

use crate::directory::DIRECTORY_COUNT;
use crate::{DataDirectory, Directory, ImageError, MAX_IMAGE_SIZE};

/// What the headers say about the image as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Where the linker expected the image to lie.
    pub preferred_base: Va,
    /// Bytes of the loaded image.
    pub size_of_image: u32,
    /// Bytes of headers at the start of the image.
    pub size_of_headers: u32,
    /// Alignment of sections in memory: a power of two, often less than a page (R37).
    pub section_alignment: u32,
    /// Alignment of sections in the file: a power of two.
    pub file_alignment: u32,
    /// `DriverEntry`, or its wrapper. An export driver may have none.
    pub entry_point: Option<Rva>,
    /// Characteristics of the file header.
    pub characteristics: u16,
    /// `DllCharacteristics`.
    pub dll_characteristics: u16,
    /// Checksum as stored.
    pub checksum: u32,
    /// Time of linking in seconds since 1970, or a hash in reproducible builds.
    pub timestamp: u32,
    /// Offset in the file of the string table, behind the symbols; 0 if there is none.
    pub(crate) string_table: u64,
    /// Where the section headers begin, in the file and in the image.
    section_table: Rva,
    directories: [DataDirectory; DIRECTORY_COUNT],
}

/// Headers, and where the section table lies.
pub(crate) struct ParsedHeaders {
    pub(crate) headers: Headers,
    pub(crate) section_table: u64,
    pub(crate) section_count: usize,
}

impl Headers {
    /// Where a table lies.
    pub fn directory(&self, directory: Directory) -> DataDirectory {
        self.directories[directory as usize]
    }

    /// Where the header of a section lies.
    pub fn section_header(&self, index: usize) -> Rva {
        Rva(self.section_table.0.saturating_add((index * pe::IMAGE_SIZEOF_SECTION_HEADER) as u32))
    }

    /// Pages of the loaded image.
    pub fn page_count(&self) -> u32 {
        self.size_of_image.div_ceil(PAGE_SIZE as u32)
    }

    /// False if the image can lie only at its preferred base.
    pub fn is_relocatable(&self) -> bool {
        self.characteristics & pe::IMAGE_FILE_RELOCS_STRIPPED.0 == 0
    }

    pub(crate) fn parse(file: &[u8]) -> Result<ParsedHeaders, ImageError> {
        let nt_offset = nt_headers_offset(file)?;
        let signature: object::U32<LE> = at(file, nt_offset, "the PE signature")?;
        if signature.get(LE) != pe::IMAGE_NT_SIGNATURE {
            return Err(ImageError::NotPe("`PE`"));
        }
        let file_header: pe::ImageFileHeader = at(file, nt_offset + 4, "the file header")?;
        check_file_header(&file_header)?;
        let optional_offset = nt_offset + 4 + size_of::<pe::ImageFileHeader>() as u64;
        let optional = optional_header(file, optional_offset, &file_header)?;
        let size = u64::from(file_header.size_of_optional_header.get(LE));
        let directories = directories(file, optional_offset, size, &optional)?;
        let section_table = optional_offset + size;
        let table = Rva(u32::try_from(section_table).unwrap_or(u32::MAX));
        let headers = Headers { section_table: table, ..Headers::from_parts(&file_header, &optional, directories) };
        headers.check()?;
        let section_count = usize::from(file_header.number_of_sections.get(LE));
        Ok(ParsedHeaders { headers, section_table, section_count })
    }

    fn from_parts(
        file: &pe::ImageFileHeader,
        optional: &pe::ImageOptionalHeader64,
        directories: [DataDirectory; DIRECTORY_COUNT],
    ) -> Headers {
        let entry_point = optional.address_of_entry_point.get(LE);
        Headers {
            preferred_base: Va(optional.image_base.get(LE)),
            size_of_image: optional.size_of_image.get(LE),
            size_of_headers: optional.size_of_headers.get(LE),
            section_alignment: optional.section_alignment.get(LE),
            file_alignment: optional.file_alignment.get(LE),
            entry_point: (entry_point != 0).then_some(Rva(entry_point)),
            characteristics: file.characteristics.get(LE).0,
            dll_characteristics: optional.dll_characteristics.get(LE).0,
            checksum: optional.check_sum.get(LE),
            timestamp: file.time_date_stamp.get(LE),
            string_table: string_table(file),
            section_table: Rva(0),
            directories,
        }
    }

    fn check(&self) -> Result<(), ImageError> {
        let alignments = [("SectionAlignment", self.section_alignment), ("FileAlignment", self.file_alignment)];
        for (field, value) in alignments {
            if !value.is_power_of_two() {
                return Err(ImageError::Alignment { field, value });
            }
        }
        if self.size_of_image == 0 || self.size_of_image > MAX_IMAGE_SIZE {
            return Err(ImageError::ImageSize(self.size_of_image));
        }
        if let Some(entry_point) = self.entry_point.filter(|entry| entry.0 >= self.size_of_image) {
            return Err(ImageError::EntryPoint(entry_point));
        }
        self.check_base(self.preferred_base)
    }

    /// Can the image lie at `base`?
    pub(crate) fn check_base(&self, base: Va) -> Result<(), ImageError> {
        let last = base.0.checked_add(u64::from(self.size_of_image));
        if base.page_offset() != 0 || last.is_none() {
            return Err(ImageError::Base { base, size: self.size_of_image });
        }
        Ok(())
    }
}

/// Where the string table lies: behind the symbols, which drivers of Microsoft's linker do not have.
fn string_table(file: &pe::ImageFileHeader) -> u64 {
    let symbols = u64::from(file.pointer_to_symbol_table.get(LE));
    let bytes = u64::from(file.number_of_symbols.get(LE)) * pe::IMAGE_SIZEOF_SYMBOL as u64;
    if symbols == 0 { 0 } else { symbols + bytes }
}

/// The structure at `offset` of the file.
pub(crate) fn at<T: Pod>(file: &[u8], offset: u64, what: &'static str) -> Result<T, ImageError> {
    let needed = offset.saturating_add(size_of::<T>() as u64);
    let truncated = ImageError::Truncated { what, needed, available: file.len() as u64 };
    let bytes = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)).ok_or(truncated)?;
    pod::from_bytes::<T>(bytes).map(|(value, _)| *value).map_err(|()| truncated)
}

fn nt_headers_offset(file: &[u8]) -> Result<u64, ImageError> {
    // Of an empty file the next lines say that it is.
    if !file.is_empty() && !file.starts_with(b"MZ") {
        return Err(ImageError::NotPe("`MZ`"));
    }
    let dos: pe::ImageDosHeader = at(file, 0, "the DOS header")?;
    Ok(u64::from(dos.e_lfanew.get(LE)))
}

fn check_file_header(header: &pe::ImageFileHeader) -> Result<(), ImageError> {
    let machine = header.machine.get(LE).0;
    if machine != pe::IMAGE_FILE_MACHINE_AMD64.0 {
        return Err(ImageError::Machine(machine));
    }
    let characteristics = header.characteristics.get(LE).0;
    if characteristics & pe::IMAGE_FILE_EXECUTABLE_IMAGE.0 == 0 {
        return Err(ImageError::NotExecutable(characteristics));
    }
    Ok(())
}

fn optional_header(
    file: &[u8],
    offset: u64,
    file_header: &pe::ImageFileHeader,
) -> Result<pe::ImageOptionalHeader64, ImageError> {
    let size = file_header.size_of_optional_header.get(LE);
    if usize::from(size) < size_of::<pe::ImageOptionalHeader64>() {
        return Err(ImageError::OptionalHeaderSize(size));
    }
    let optional: pe::ImageOptionalHeader64 = at(file, offset, "the optional header")?;
    if optional.magic.get(LE) != pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC {
        return Err(ImageError::OptionalHeaderMagic(optional.magic.get(LE)));
    }
    let subsystem = optional.subsystem.get(LE).0;
    if subsystem != pe::IMAGE_SUBSYSTEM_NATIVE.0 {
        return Err(ImageError::Subsystem(subsystem));
    }
    Ok(optional)
}

/// The directories that are there: as many as the header counts, as fit in it, and as have a meaning.
fn directories(
    file: &[u8],
    optional_offset: u64,
    optional_size: u64,
    optional: &pe::ImageOptionalHeader64,
) -> Result<[DataDirectory; DIRECTORY_COUNT], ImageError> {
    let fixed = size_of::<pe::ImageOptionalHeader64>() as u64;
    let entry = size_of::<pe::ImageDataDirectory>() as u64;
    let room = (optional_size - fixed) / entry;
    let count = u64::from(optional.number_of_rva_and_sizes.get(LE)).min(room).min(DIRECTORY_COUNT as u64);
    let mut directories = [DataDirectory::default(); DIRECTORY_COUNT];
    for (index, directory) in (0..count).zip(&mut directories) {
        let raw: pe::ImageDataDirectory = at(file, optional_offset + fixed + index * entry, "the data directories")?;
        *directory = DataDirectory { rva: Rva(raw.virtual_address.get(LE)), size: raw.size.get(LE) };
    }
    Ok(directories)
}

#[cfg(test)]
impl Headers {
    /// Headers of an image with this layout and nothing else in it.
    pub(crate) fn with_layout(section_alignment: u32, size_of_headers: u32, size_of_image: u32) -> Headers {
        Headers {
            preferred_base: Va(0x1_4000_0000),
            size_of_image,
            size_of_headers,
            section_alignment,
            file_alignment: 0x200,
            entry_point: None,
            characteristics: 0,
            dll_characteristics: 0,
            checksum: 0,
            timestamp: 0,
            string_table: 0,
            section_table: Rva(0),
            directories: [DataDirectory::default(); DIRECTORY_COUNT],
        }
    }
}

//! The bytes of the file.

use nt_types::PAGE_SIZE;
use object::pe;
use object::pod::bytes_of;
use object::{LittleEndian as LE, U16, U32, U64};

use super::{NewSection, PeBuilder};

/// Offset of the PE signature: right after the DOS header.
const NT_OFFSET: u32 = 0x40;
/// File alignment of images whose sections are aligned to pages.
const FILE_ALIGNMENT: u32 = 0x200;

impl PeBuilder {
    /// The bytes of the file.
    ///
    /// # Panics
    /// If the headers do not fit in the space left for them.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0; NT_OFFSET as usize];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = NT_OFFSET as u8;
        file.extend(bytes_of(&self.nt_headers()));
        for directory in self.directories {
            file.extend(directory.rva.0.to_le_bytes());
            file.extend(directory.size.to_le_bytes());
        }
        let mut offset = self.size_of_headers;
        for section in &self.sections {
            let raw_size = self.raw_size(section);
            file.extend(bytes_of(&self.section_header(section, if raw_size == 0 { 0 } else { offset }, raw_size)));
            offset += raw_size;
        }
        assert!(file.len() <= self.size_of_headers as usize, "{} sections are too many", self.sections.len());
        file.resize(self.size_of_headers as usize, 0);
        for section in &self.sections {
            let end = file.len() + self.raw_size(section) as usize;
            file.extend(&section.data);
            file.resize(end, 0);
        }
        file
    }

    /// Bytes of a section in the file. Below page alignment the file is laid out as memory is.
    fn raw_size(&self, section: &NewSection) -> u32 {
        if self.is_flat() {
            section.size_in_memory().next_multiple_of(self.section_alignment)
        } else {
            (section.data.len() as u32).next_multiple_of(FILE_ALIGNMENT)
        }
    }

    pub(super) fn file_alignment(&self) -> u32 {
        if self.is_flat() { self.section_alignment } else { FILE_ALIGNMENT }
    }

    fn is_flat(&self) -> bool {
        u64::from(self.section_alignment) < PAGE_SIZE
    }

    fn nt_headers(&self) -> pe::ImageNtHeaders64 {
        let directories = size_of_val(&self.directories);
        pe::ImageNtHeaders64 {
            signature: U32::new(LE, pe::IMAGE_NT_SIGNATURE),
            file_header: pe::ImageFileHeader {
                machine: U16::new(LE, pe::IMAGE_FILE_MACHINE_AMD64),
                number_of_sections: U16::new(LE, self.sections.len() as u16),
                time_date_stamp: U32::new(LE, 0),
                pointer_to_symbol_table: U32::new(LE, 0),
                number_of_symbols: U32::new(LE, 0),
                size_of_optional_header: U16::new(LE, (size_of::<pe::ImageOptionalHeader64>() + directories) as u16),
                characteristics: U16::new(LE, pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE),
            },
            optional_header: self.optional_header(),
        }
    }

    fn optional_header(&self) -> pe::ImageOptionalHeader64 {
        pe::ImageOptionalHeader64 {
            magic: U16::new(LE, pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC),
            major_linker_version: 0,
            minor_linker_version: 0,
            size_of_code: U32::new(LE, 0),
            size_of_initialized_data: U32::new(LE, 0),
            size_of_uninitialized_data: U32::new(LE, 0),
            address_of_entry_point: U32::new(LE, self.entry_point.0),
            base_of_code: U32::new(LE, 0),
            image_base: U64::new(LE, self.base.0),
            section_alignment: U32::new(LE, self.section_alignment),
            file_alignment: U32::new(LE, self.file_alignment()),
            major_operating_system_version: U16::new(LE, 10),
            minor_operating_system_version: U16::new(LE, 0),
            major_image_version: U16::new(LE, 0),
            minor_image_version: U16::new(LE, 0),
            major_subsystem_version: U16::new(LE, 10),
            minor_subsystem_version: U16::new(LE, 0),
            win32_version_value: U32::new(LE, 0),
            size_of_image: U32::new(LE, self.next_rva().0),
            size_of_headers: U32::new(LE, self.size_of_headers),
            check_sum: U32::new(LE, 0),
            subsystem: U16::new(LE, pe::IMAGE_SUBSYSTEM_NATIVE),
            dll_characteristics: U16::new(LE, pe::DllFlags(0)),
            size_of_stack_reserve: U64::new(LE, 0),
            size_of_stack_commit: U64::new(LE, 0),
            size_of_heap_reserve: U64::new(LE, 0),
            size_of_heap_commit: U64::new(LE, 0),
            loader_flags: U32::new(LE, 0),
            number_of_rva_and_sizes: U32::new(LE, self.directories.len() as u32),
        }
    }

    fn section_header(&self, section: &NewSection, offset: u32, raw_size: u32) -> pe::ImageSectionHeader {
        pe::ImageSectionHeader {
            name: section.name,
            virtual_size: U32::new(LE, section.size_in_memory()),
            virtual_address: U32::new(LE, section.rva.0),
            size_of_raw_data: U32::new(LE, raw_size),
            pointer_to_raw_data: U32::new(LE, offset),
            pointer_to_relocations: U32::new(LE, 0),
            pointer_to_linenumbers: U32::new(LE, 0),
            number_of_relocations: U16::new(LE, 0),
            number_of_linenumbers: U16::new(LE, 0),
            characteristics: U32::new(LE, pe::SectionFlags(section.flags.0)),
        }
    }
}

//! Section headers. Sections are known by index in header order: real images repeat names.

use core::fmt;

use nt_types::Rva;
use object::LittleEndian as LE;
use object::pe;

/// The characteristics of a section (PE format, "Section Flags").
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SectionFlags(pub u32);

impl SectionFlags {
    /// Holds code.
    pub const CODE: u32 = pe::IMAGE_SCN_CNT_CODE.0;
    /// Holds data that the file contains.
    pub const INITIALIZED_DATA: u32 = pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0;
    /// May be discarded after initialisation.
    pub const DISCARDABLE: u32 = pe::IMAGE_SCN_MEM_DISCARDABLE.0;
    /// Asks not to be paged. The loader does not look at it (R41).
    pub const NOT_PAGED: u32 = pe::IMAGE_SCN_MEM_NOT_PAGED.0;
    /// Can be executed.
    pub const EXECUTE: u32 = pe::IMAGE_SCN_MEM_EXECUTE.0;
    /// Can be read.
    pub const READ: u32 = pe::IMAGE_SCN_MEM_READ.0;
    /// Can be written.
    pub const WRITE: u32 = pe::IMAGE_SCN_MEM_WRITE.0;

    /// True if every bit of `flags` is set.
    pub const fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }
}

impl fmt::Debug for SectionFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SectionFlags({:#010x})", self.0)
    }
}

/// One section header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// The name field as it is, padded with zeros; it has no terminator if all eight bytes are used.
    pub raw_name: [u8; 8],
    /// Where the section starts (`VA` of BEHAVIOUR.md).
    pub rva: Rva,
    /// `RawSize`: bytes in the file, rounded by the linker.
    pub raw_size: u32,
    /// `VirtSize`: bytes in memory.
    pub virtual_size: u32,
    /// Offset in the file of the raw bytes; 0 if the file has none.
    pub raw_offset: u32,
    /// Characteristics.
    pub flags: SectionFlags,
}

impl Section {
    pub(crate) fn from_header(header: &pe::ImageSectionHeader) -> Section {
        Section {
            raw_name: header.name,
            rva: Rva(header.virtual_address.get(LE)),
            raw_size: header.size_of_raw_data.get(LE),
            virtual_size: header.virtual_size.get(LE),
            raw_offset: header.pointer_to_raw_data.get(LE),
            flags: SectionFlags(header.characteristics.get(LE).0),
        }
    }

    /// Bytes of the section in memory: the larger of raw and virtual size, so a bss tail belongs to it (R44).
    pub fn span(&self) -> u32 {
        self.raw_size.max(self.virtual_size)
    }

    /// Offset just past the last byte, [`span`](Section::span) counted.
    pub fn end(&self) -> u64 {
        u64::from(self.rva.0) + u64::from(self.span())
    }

    /// Does the section hold this offset (D16)?
    pub fn contains(&self, rva: Rva) -> bool {
        rva >= self.rva && u64::from(rva.0) < self.end()
    }

    /// The name without its padding, for people. Bytes that are not printable ASCII appear as `\xNN`.
    pub fn name(&self) -> String {
        let used = self.raw_name.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        self.raw_name[..used].escape_ascii().to_string()
    }

    /// Is the section pageable by name (R41, D2)? Flags are not consulted.
    pub fn is_pageable_by_name(&self) -> bool {
        self.raw_name.starts_with(b"PAGE") || self.raw_name.starts_with(b".eda")
    }

    /// Is the whole name `INIT` (D9)?
    pub fn is_init(&self) -> bool {
        &self.raw_name == b"INIT\0\0\0\0"
    }

    /// Part of the file that holds the raw bytes, as offset and length.
    pub(crate) fn file_range(&self) -> Option<(u64, u64)> {
        let present = self.raw_offset != 0 && self.raw_size != 0;
        present.then(|| (u64::from(self.raw_offset), u64::from(self.raw_size)))
    }
}

//! Writes small PE32+ images: the modelled kernel's own, and odd layouts for tests.
//!
//! Sections get their address when they are added, so that later ones can refer to it. The same calls give the same
//! bytes.

mod tables;
mod write;

use nt_types::{Rva, Va};

use crate::{DataDirectory, Directory, SectionFlags};

/// Flags of a section of code.
pub const CODE: SectionFlags =
    SectionFlags(SectionFlags::CODE | SectionFlags::EXECUTE | SectionFlags::READ | SectionFlags::NOT_PAGED);
/// Flags of a section of constants.
pub const CONSTANTS: SectionFlags =
    SectionFlags(SectionFlags::INITIALIZED_DATA | SectionFlags::READ | SectionFlags::NOT_PAGED);
/// Flags of a section of variables.
pub const VARIABLES: SectionFlags = SectionFlags(CONSTANTS.0 | SectionFlags::WRITE);

/// An image under construction.
#[derive(Clone, Debug)]
pub struct PeBuilder {
    base: Va,
    section_alignment: u32,
    size_of_headers: u32,
    entry_point: Rva,
    sections: Vec<NewSection>,
    directories: [DataDirectory; 16],
}

#[derive(Clone, Debug)]
struct NewSection {
    name: [u8; 8],
    flags: SectionFlags,
    rva: Rva,
    virtual_size: u32,
    data: Vec<u8>,
}

impl Default for PeBuilder {
    fn default() -> PeBuilder {
        PeBuilder::new()
    }
}

impl PeBuilder {
    /// An empty image with preferred base 0x140000000, page-aligned sections, and one page of headers.
    pub fn new() -> PeBuilder {
        PeBuilder {
            base: Va(0x1_4000_0000),
            section_alignment: 0x1000,
            size_of_headers: 0x1000,
            entry_point: Rva(0),
            sections: Vec::new(),
            directories: [DataDirectory::default(); 16],
        }
    }

    /// Sets the preferred base.
    pub fn base(&mut self, base: Va) -> &mut PeBuilder {
        self.base = base;
        self
    }

    /// Sets the alignment of sections, and the bytes that headers take. To be called before sections are added.
    ///
    /// # Panics
    /// If `alignment` is not a power of two, `size_of_headers` not a multiple of the file alignment (0x200, or `alignment`
    /// below a page), or there are sections already.
    pub fn layout(&mut self, alignment: u32, size_of_headers: u32) -> &mut PeBuilder {
        assert!(alignment.is_power_of_two() && self.sections.is_empty());
        self.section_alignment = alignment;
        self.size_of_headers = size_of_headers;
        assert!(size_of_headers.is_multiple_of(self.file_alignment()));
        self
    }

    /// Sets the entry point.
    pub fn entry_point(&mut self, entry_point: Rva) -> &mut PeBuilder {
        self.entry_point = entry_point;
        self
    }

    /// Adds a section that holds `data`, and says where.
    ///
    /// # Panics
    /// As [`section_of_size`](PeBuilder::section_of_size).
    pub fn section(&mut self, name: &str, flags: SectionFlags, data: &[u8]) -> Rva {
        self.section_of_size(name, flags, data, data.len() as u32)
    }

    /// Adds a section of `virtual_size` bytes that starts with `data`, and says where. It follows the previous section
    /// at the next multiple of the alignment.
    ///
    /// # Panics
    /// If the name has more than eight bytes.
    pub fn section_of_size(&mut self, name: &str, flags: SectionFlags, data: &[u8], virtual_size: u32) -> Rva {
        let rva = self.next_rva();
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        self.sections.push(NewSection { name: padded, flags, rva, virtual_size, data: data.to_vec() });
        rva
    }

    /// Where the next section will lie.
    pub fn next_rva(&self) -> Rva {
        let end = self.sections.last().map_or(self.size_of_headers, |last| last.rva.0 + last.size_in_memory());
        Rva(end.next_multiple_of(self.section_alignment))
    }

    /// Says where a table lies.
    pub fn directory(&mut self, directory: Directory, rva: Rva, size: u32) -> &mut PeBuilder {
        self.directories[directory as usize] = DataDirectory { rva, size };
        self
    }
}

impl NewSection {
    fn size_in_memory(&self) -> u32 {
        self.virtual_size.max(self.data.len() as u32)
    }
}

//! Data directories: where the optional header says each table lies.

use core::fmt;

use nt_types::Rva;

/// A table named by the optional header. The discriminant is its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Directory {
    /// Exported functions and data.
    Export = 0,
    /// Imported functions and data.
    Import = 1,
    /// Resources; drivers have a version resource there.
    Resource = 2,
    /// `.pdata`: the function table.
    Exception = 3,
    /// Signatures. The only one given as a file offset, and not part of the loaded image.
    Security = 4,
    /// Base relocations.
    BaseRelocation = 5,
    /// Debug records.
    Debug = 6,
    /// Load configuration: security cookie, control-flow guard.
    LoadConfig = 10,
    /// The import address table.
    ImportAddressTable = 12,
}

/// Number of data directories a PE32+ file can have.
pub(crate) const DIRECTORY_COUNT: usize = 16;

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Directory::Export => "export directory",
            Directory::Import => "import directory",
            Directory::Resource => "resource directory",
            Directory::Exception => "function table",
            Directory::Security => "signature directory",
            Directory::BaseRelocation => "relocation directory",
            Directory::Debug => "debug directory",
            Directory::LoadConfig => "load configuration",
            Directory::ImportAddressTable => "import address table",
        })
    }
}

/// Where a table lies; all zero where the image has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct DataDirectory {
    /// First byte ([`Directory::Security`]: an offset in the file).
    pub rva: Rva,
    /// Length in bytes.
    pub size: u32,
}

impl DataDirectory {
    /// True where the image has no such table.
    pub fn is_absent(self) -> bool {
        self.rva.0 == 0 || self.size == 0
    }

    /// Does the table cover this offset?
    pub fn contains(self, rva: Rva) -> bool {
        rva.0.checked_sub(self.rva.0).is_some_and(|offset| offset < self.size)
    }
}

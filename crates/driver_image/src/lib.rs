//! PE32+ driver images: sections, pageability, imports, relocations, unwind data, symbols.
//!
//! [`Image::parse`] takes the bytes of a `.sys` file and checks everything a load depends on: headers, sections,
//! relocations and imports. Tables that only a later use depends on (exports, unwind data, resources) are decoded on
//! demand, from the file or from the image in guest memory: see [`ReadImage`].
//!
//! - [`Image`]: the file, its headers, [`Section`]s, imports, exports, and the image as it lies in memory
//! - [`pageability`]: which pages can leave memory, which are discarded, what a page allows
//! - [`unwind`]: how to leave a function without running it
//! - [`symbols`]: names and source lines
//! - [`builder`]: small images, written
//!
//! Input is hostile: no byte of it may cause a panic, an endless loop or an allocation without bound.
#![forbid(unsafe_code)]

pub mod builder;
mod debug;
mod directory;
mod error;
mod export;
mod headers;
mod image;
mod import;
mod load_config;
pub mod pageability;
mod read;
mod relocation;
mod section;
pub mod symbols;
pub mod unwind;
mod version;

pub use debug::{PdbId, PdbReference, pdb_reference};
pub use directory::{DataDirectory, Directory};
pub use error::ImageError;
pub use export::{ExportTarget, Exports};
pub use headers::Headers;
pub use image::Image;
pub use import::{Import, ImportedModule, ImportedSymbol};
pub use load_config::LoadConfig;
pub use read::{MappedImage, ReadImage};
pub use section::{Section, SectionFlags};
pub use version::VersionInfo;

/// Largest `SizeOfImage` accepted, in bytes.
pub const MAX_IMAGE_SIZE: u32 = 256 << 20;

/// Most sections accepted: the limit of the Windows loader (PE format, "COFF File Header").
pub const MAX_SECTIONS: usize = 96;

//! Drivers: load, initialise, discard INIT, unload.

use std::ops::Range;
use std::sync::Arc;

use driver_image::pageability::DiscardMode;
use driver_image::{Image, ImportedSymbol, pageability};
use memory::{ImageError, MapError, Memory, Protection, Region};
use nt_types::{PAGE_SIZE, Va};
use section_paging::{ImageId, ImageKind, NewImage, NewSection, PageRun};

use crate::event::EventKind;
use crate::export_driver::Role;
use crate::machine::Machine;
use crate::modules::{LoadedDriver, UnresolvedImport};
use crate::ntos_image::KernelImages;

/// Maps an image that is complete, with what `section_paging` must know of it.
pub(crate) fn load_image(
    memory: &mut Memory,
    name: &str,
    kind: ImageKind,
    image: &Image,
    base: Va,
    bytes: &[u8],
) -> Result<ImageId, ImageError> {
    let (headers, sections) = (image.headers(), image.sections());
    let load_map: Vec<PageRun> = pageability::load_map(headers, sections)
        .ranges()
        .iter()
        .map(|range| PageRun::new(base.page() + u64::from(range.start), u64::from(range.end - range.start)))
        .collect();
    let new_sections: Vec<NewSection> = sections
        .iter()
        .map(|section| NewSection { va: section.rva.0, span: section.span(), pageable: section.is_pageable_by_name() })
        .collect();
    let pages = u64::from(headers.size_of_image).div_ceil(PAGE_SIZE) as u32;
    let protections: Vec<Protection> = (0..pages)
        .map(|page| pageability::page_protection(headers, sections, page))
        .map(|page| Protection { write: page.write, execute: page.execute })
        .collect();
    let size_bytes = headers.size_of_image;
    let new = NewImage { name, kind, base, size_bytes, sections: &new_sections, load_map: &load_map };
    memory.load_image(&new, bytes, &protections)
}

/// Why a driver was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The image cannot be mapped.
    #[error(transparent)]
    Image(#[from] driver_image::ImageError),
    /// Guest memory has no room for it.
    #[error(transparent)]
    Map(#[from] MapError),
    /// Its pages cannot be placed.
    #[error(transparent)]
    Place(#[from] ImageError),
    /// The kernel's own objects do not fit.
    #[error("no memory for the driver object")]
    NoPool,
    /// It imports what another loaded driver does not export (STATUS_DRIVER_ENTRYPOINT_NOT_FOUND).
    #[error("it imports `{symbol}` from `{module}`, which is loaded and does not export it")]
    NoEntryPoint {
        /// The other driver.
        module: String,
        /// The routine or variable.
        symbol: String,
    },
}

/// The sections that are discarded when initialisation ends.
fn doomed(image: &Image, base: Va, mode: DiscardMode) -> Vec<Range<u64>> {
    let (headers, sections) = (image.headers(), image.sections());
    let indices = pageability::discard_set(headers, sections, mode).sections;
    let doomed = indices.iter().filter_map(|index| sections.get(*index));
    doomed.map(|section| base.0 + u64::from(section.rva.0)..base.0 + section.end()).collect()
}

/// Value that the loader puts into a security cookie: not the linker's default, the same in every run.
const SECURITY_COOKIE: u64 = 0x0000_5A17_C0DE_F00D;

impl Machine {
    /// Maps a driver as NT does (R40): the whole image is copied, relocated and bound before anything becomes pageable.
    pub fn load_driver(&mut self, name: &str, image: Image) -> Result<Va, LoadError> {
        let size = u64::from(image.headers().size_of_image);
        let base = self.memory.reserve(Region::Image, size.div_ceil(PAGE_SIZE))?;
        let mut bytes = image.map_at(base)?;
        let imports_from = self.bind_imports(&image, &mut bytes)?;
        set_security_cookie(&image, &mut bytes);
        self.memory.set_step(self.steps);
        let id = load_image(&mut self.memory, name, ImageKind::Driver, &image, base, &bytes)?;
        let entry = image.headers().entry_point.map_or(Va::NULL, |entry| base + entry);
        let name = name.to_owned();
        self.record_at(base, EventKind::Loaded { image: name.clone(), base, pages: size.div_ceil(PAGE_SIZE) });
        self.modules.set_doomed(base, doomed(&image, base, self.options.discard));
        let (image, role) = (Arc::new(image), Role::Library { initialized: false });
        let driver = LoadedDriver { name, base, size, image, id, entry, driver_object: Va::NULL, imports_from, role };
        self.modules.add(driver);
        Ok(base)
    }

    /// True where the kernel or a loaded driver is the image with this file name.
    pub fn has_image(&self, file: &str) -> bool {
        Machine::is_kernel_image(file) || self.modules.driver_named(file).is_some()
    }

    /// True where the kernel of every machine is the image with this file name.
    pub fn is_kernel_image(file: &str) -> bool {
        KernelImages::has_image(file)
    }

    /// Writes the address of every import into the image; what nobody exports gets an address that names it. Returns the
    /// loaded drivers that the image imports from: an import that one of these does not export is an error.
    fn bind_imports(&mut self, image: &Image, bytes: &mut [u8]) -> Result<Vec<Va>, LoadError> {
        let mut exporters = Vec::new();
        for module in image.imports() {
            let exporter = self.modules.driver_named(&module.name).cloned();
            let exports = exporter.as_ref().map(LoadedDriver::exports);
            for import in &module.imports {
                let address = match &exports {
                    Some(exports) => exports.address(&import.symbol).ok_or_else(|| LoadError::NoEntryPoint {
                        module: module.name.clone(),
                        symbol: import.symbol.to_string(),
                    })?,
                    None => self.kernel_export(&module.name, &import.symbol),
                };
                let slot = import.slot.0 as usize;
                if let Some(slot) = bytes.get_mut(slot..slot + 8) {
                    slot.copy_from_slice(&address.0.to_le_bytes());
                }
            }
            exporters.extend(exporter.map(|driver| driver.base));
        }
        exporters.sort_unstable();
        exporters.dedup();
        Ok(exporters)
    }

    fn kernel_export(&mut self, module: &str, symbol: &ImportedSymbol) -> Va {
        let known = match symbol {
            ImportedSymbol::Name { name, .. } => self.kernel_images.export(module, name),
            ImportedSymbol::Ordinal(_) => None,
        };
        known.unwrap_or_else(|| {
            let import = UnresolvedImport { module: module.to_owned(), name: symbol.to_string() };
            self.modules.add_unresolved(import)
        })
    }
}

/// A driver whose cookie still has the linker's value refuses to start.
fn set_security_cookie(image: &Image, bytes: &mut [u8]) {
    let Ok(Some(cookie)) = image.load_config().map(|config| config.security_cookie) else { return };
    let at = cookie.0 as usize;
    if let Some(slot) = bytes.get_mut(at..at + 8) {
        slot.copy_from_slice(&SECURITY_COOKIE.to_le_bytes());
    }
}

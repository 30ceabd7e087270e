//! Loaded and unloaded driver images.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use driver_image::Image;
use nt_types::{Rva, Va};
use section_paging::ImageId;

use crate::export_driver::Role;

/// A loaded driver.
#[derive(Clone, Debug)]
pub struct LoadedDriver {
    /// File name, as reports print it.
    pub name: String,
    /// First byte.
    pub base: Va,
    /// Bytes.
    pub size: u64,
    /// The file.
    pub image: Arc<Image>,
    /// What `section_paging` calls it.
    pub id: ImageId,
    /// Entry point.
    pub entry: Va,
    /// Its DRIVER_OBJECT, once created.
    pub driver_object: Va,
    /// The loaded drivers whose exports it imports.
    pub imports_from: Vec<Va>,
    /// Why it is in memory.
    pub role: Role,
}

/// A driver that has been unloaded (D30).
#[derive(Clone, Debug)]
pub struct UnloadedDriver {
    /// File name.
    pub name: String,
    /// First byte it had.
    pub base: Va,
    /// Bytes.
    pub size: u64,
    /// The file, so that reports can still name functions.
    pub image: Arc<Image>,
    /// What `section_paging` called it.
    pub id: ImageId,
}

impl Hash for LoadedDriver {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The name stands for the file.
        let LoadedDriver { name, base, size, image: _, id, entry, driver_object, imports_from, role } = self;
        (name, base, size, id, entry, driver_object, imports_from, role).hash(state);
    }
}

impl Hash for UnloadedDriver {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let UnloadedDriver { name, base, size, image: _, id } = self;
        (name, base, size, id).hash(state);
    }
}

/// An import that nobody implements.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnresolvedImport {
    /// The exporting image.
    pub module: String,
    /// The routine or variable.
    pub name: String,
}

/// Unresolved imports get addresses here, where nothing is ever mapped: touching one names it.
const UNRESOLVED_BASE: Va = Va(0xFFFF_FA00_0000_0000);
/// Distance between two of them.
const UNRESOLVED_STRIDE: u64 = 0x100;

/// All images of a machine.
#[derive(Clone, Default, Hash, Debug)]
pub struct Modules {
    loaded: BTreeMap<u64, LoadedDriver>,
    unloaded: Vec<UnloadedDriver>,
    unresolved: Vec<UnresolvedImport>,
    /// Sections that will be discarded when initialisation ends, by the base of their image.
    doomed: BTreeMap<u64, Vec<Range<u64>>>,
}

impl Modules {
    /// The driver whose image holds this address.
    pub fn driver_at(&self, address: Va) -> Option<&LoadedDriver> {
        let (_, driver) = self.loaded.range(..=address.0).next_back()?;
        (address - driver.base < driver.size).then_some(driver)
    }

    /// The most recently unloaded driver whose image held this address.
    pub fn unloaded_at(&self, address: Va) -> Option<&UnloadedDriver> {
        self.unloaded.iter().rev().find(|driver| address - driver.base < driver.size)
    }

    /// Drivers that have been unloaded, the oldest first.
    pub fn unloaded(&self) -> &[UnloadedDriver] {
        &self.unloaded
    }

    /// Loaded drivers, by address.
    pub fn drivers(&self) -> impl Iterator<Item = &LoadedDriver> {
        self.loaded.values()
    }

    /// Name of the section that holds this address of a loaded driver.
    pub fn section_name(&self, address: Va) -> Option<String> {
        let driver = self.driver_at(address)?;
        let section = driver.image.section_at(Rva((address - driver.base) as u32))?;
        driver.image.sections().get(section).map(driver_image::Section::name)
    }

    /// Name of a section of a loaded driver.
    pub fn section_name_of(&self, base: Va, section: usize) -> Option<String> {
        self.loaded.get(&base.0)?.image.sections().get(section).map(driver_image::Section::name)
    }

    /// True where the section that holds this address will be discarded when initialisation ends.
    pub(crate) fn is_doomed(&self, address: Va) -> bool {
        self.doomed.values().flatten().any(|section| section.contains(&address.0))
    }

    /// These sections of an image will be discarded when initialisation ends; none once it has.
    pub(crate) fn set_doomed(&mut self, base: Va, sections: Vec<Range<u64>>) {
        self.doomed.remove(&base.0);
        if !sections.is_empty() {
            self.doomed.insert(base.0, sections);
        }
    }

    /// True while nothing can be doomed.
    pub(crate) fn all_initialized(&self) -> bool {
        self.doomed.is_empty()
    }

    pub(crate) fn add(&mut self, driver: LoadedDriver) {
        self.loaded.insert(driver.base.0, driver);
    }

    pub(crate) fn driver_mut(&mut self, base: Va) -> Option<&mut LoadedDriver> {
        self.loaded.get_mut(&base.0)
    }

    pub(crate) fn remove(&mut self, base: Va) -> Option<LoadedDriver> {
        let driver = self.loaded.remove(&base.0)?;
        self.set_doomed(base, Vec::new());
        let gone = driver.clone();
        self.unloaded.push(UnloadedDriver { name: gone.name, base, size: gone.size, image: gone.image, id: gone.id });
        Some(driver)
    }

    /// An address that stands for an import that nobody implements.
    pub(crate) fn add_unresolved(&mut self, import: UnresolvedImport) -> Va {
        let known = self.unresolved.iter().position(|other| *other == import);
        let index = known.unwrap_or_else(|| {
            self.unresolved.push(import);
            self.unresolved.len() - 1
        });
        UNRESOLVED_BASE + index as u64 * UNRESOLVED_STRIDE
    }

    /// The import that this address stands for.
    pub fn unresolved_import(&self, address: Va) -> Option<UnresolvedImport> {
        let index = address.0.checked_sub(UNRESOLVED_BASE.0)? / UNRESOLVED_STRIDE;
        self.unresolved.get(usize::try_from(index).ok()?).cloned()
    }

    /// Every import that nobody implements, of all drivers loaded so far.
    pub fn unresolved(&self) -> &[UnresolvedImport] {
        &self.unresolved
    }
}

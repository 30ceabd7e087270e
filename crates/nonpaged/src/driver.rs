//! A driver as it lies on the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use driver_image::{Image, ImageError};
use kernel::Machine;
use sha2::{Digest, Sha256};

/// A driver and what belongs to it.
#[derive(Clone)]
pub struct Driver {
    /// Where it lies.
    pub path: PathBuf,
    /// File name, as reports print it.
    pub name: String,
    /// The image.
    pub image: Image,
    /// Path and bytes of the PDB beside it.
    pub pdb: Option<(PathBuf, Vec<u8>)>,
}

/// Why a driver was not read.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The host does not give the file.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is not an image that NT would load.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Largest image file, in bytes: an image of the largest size, and as much again for what is not loaded.
const MAX_IMAGE_FILE: u64 = 2 * driver_image::MAX_IMAGE_SIZE as u64;
/// Largest PDB file, in bytes.
const MAX_PDB_FILE: u64 = 1 << 30;
/// Names of libraries looked for, at most.
const MAX_LIBRARIES: usize = 64;

impl Driver {
    /// Reads a driver and the PDB beside it. A PDB that cannot be read is as good as none.
    pub fn read(path: &Path) -> Result<Driver, DriverError> {
        let image = Image::parse(read_ordinary(path, MAX_IMAGE_FILE)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_extension("pdb");
        let pdb = read_ordinary(&beside, MAX_PDB_FILE).ok().map(|bytes| (beside, bytes));
        Ok(Driver { path: path.to_owned(), name, image, pdb })
    }

    /// Reads a driver that lies beside this one.
    pub fn read_neighbour(&self, name: &str) -> Result<Driver, DriverError> {
        Driver::read(&self.path.with_file_name(name))
    }

    /// The drivers beside this one that it imports from, directly or through others, and that the machine does not have
    /// yet: each before those that import from it.
    pub fn libraries(&self, machine: &Machine) -> Vec<Driver> {
        self.libraries_without(&|name| machine.has_image(name))
    }

    /// The same for a machine that has these images.
    pub(crate) fn libraries_without(&self, has_image: &dyn Fn(&str) -> bool) -> Vec<Driver> {
        let mut found = Libraries { has_image, seen: BTreeSet::from([self.name.to_lowercase()]), drivers: Vec::new() };
        found.add_for(self);
        found.drivers
    }
}

/// Libraries found so far.
struct Libraries<'m> {
    has_image: &'m dyn Fn(&str) -> bool,
    /// Names that were looked for, in lower case.
    seen: BTreeSet<String>,
    drivers: Vec<Driver>,
}

impl Libraries<'_> {
    fn add_for(&mut self, importer: &Driver) {
        for module in importer.image.imports() {
            let known = (self.has_image)(&module.name) || self.seen.len() >= MAX_LIBRARIES;
            if known || !is_file_name(&module.name) || !self.seen.insert(module.name.to_lowercase()) {
                continue;
            }
            // What is not there, or no driver, is an import that nobody answers.
            if let Ok(library) = importer.read_neighbour(&module.name) {
                self.add_for(&library);
                self.drivers.push(library);
            }
        }
    }
}

/// The SHA-256 of a file, by which a build of a driver is known: 64 hexadecimal digits.
pub fn sha256(file: &[u8]) -> String {
    Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// True for a name in the folder itself: an image says whatever it likes.
fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name) && !name.contains(['\\', ':'])
}

/// The whole file, unless it is larger than it can reasonably be.
///
/// # Errors
/// What the host says, or `FileTooLarge`.
pub fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= limit {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")))
    }
}

/// The whole of a file on a disk. A driver and what it names beside it are files: a pipe could keep who reads it for ever.
fn read_ordinary(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    match kind.is_file() || kind.is_dir() {
        true => read_up_to(path, limit),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn no_import_leads_out_of_the_folder() {
        assert!(is_file_name("library.sys"));
        for name in ["../library.sys", "/etc/passwd", "..\\x.sys", "..", ".", "", "c:x.sys", "a/"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}

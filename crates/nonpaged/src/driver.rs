//! A driver as it lies on the disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use driver_image::{Image, ImageError};

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

impl Driver {
    /// Reads a driver and the PDB beside it. A PDB that cannot be read is as good as none.
    pub fn read(path: &Path) -> Result<Driver, DriverError> {
        let image = Image::parse(read_up_to(path, MAX_IMAGE_FILE)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_extension("pdb");
        let pdb = read_up_to(&beside, MAX_PDB_FILE).ok().map(|bytes| (beside, bytes));
        Ok(Driver { path: path.to_owned(), name, image, pdb })
    }

    /// Reads a driver that lies beside this one.
    pub fn read_neighbour(&self, name: &str) -> Result<Driver, DriverError> {
        Driver::read(&self.path.with_file_name(name))
    }
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

//! Reading the files that a command names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use driver_image::Image;
use kernel::Registry;
use kernel::registry::RegistryError;
use nonpaged::scenario::{Scenario, ScenarioError};
use report::Diagnostic;
use report::cause::{Cause, Input};

/// Largest image file, in bytes: an image of the largest size, and as much again for what is not loaded.
const MAX_IMAGE_FILE: u64 = 2 * driver_image::MAX_IMAGE_SIZE as u64;
/// Largest registry file, in bytes.
const MAX_REGISTRY_FILE: u64 = 64 << 20;
/// Largest PDB file, in bytes.
const MAX_PDB_FILE: u64 = 1 << 30;
/// Largest text file, in bytes.
const MAX_TEXT_FILE: u64 = 1 << 20;

/// A driver as it lies on the disk.
pub(crate) struct Driver {
    /// File name.
    pub(crate) name: String,
    pub(crate) image: Image,
    /// Path and bytes of the PDB beside it.
    pub(crate) pdb: Option<(PathBuf, Vec<u8>)>,
}

/// Reads a driver and its PDB. One that cannot be read is as good as none.
pub(crate) fn driver(path: &Path) -> Result<Driver, Box<Diagnostic>> {
    let image = image(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_extension("pdb");
    let pdb = read_up_to(&beside, MAX_PDB_FILE).ok().map(|bytes| (beside, bytes));
    Ok(Driver { name, image, pdb })
}

/// Reads and parses a driver image.
pub(crate) fn image(path: &Path) -> Result<Image, Box<Diagnostic>> {
    let bytes = read(path, "driver", MAX_IMAGE_FILE)?;
    Image::parse(bytes).map_err(|error| refuse(Input::NotLoadable { path: name(path), reason: error.to_string() }))
}

/// Reads and parses a scenario.
pub(crate) fn scenario(path: &Path) -> Result<Scenario, Box<Diagnostic>> {
    let bytes = read(path, "scenario", MAX_TEXT_FILE)?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(path, "scenario", &error.utf8_error()))?;
    Scenario::parse(&text).map_err(|error| malformed(path, error))
}

/// Reads registry contents.
pub(crate) fn registry(path: &Path) -> Result<Registry, Box<Diagnostic>> {
    let bytes = read(path, "registry", MAX_REGISTRY_FILE)?;
    let mut registry = Registry::default();
    registry.load(&bytes).map_err(|error| {
        let line = match &error {
            RegistryError::Line { line, .. } => Some(*line),
            _ => None,
        };
        let (column, text, problem) = (None, None, error.to_string());
        refuse(Input::Malformed { role: "registry", path: name(path), line, column, text, problem })
    })?;
    Ok(registry)
}

/// The whole file, unless it is larger than it can reasonably be. `role` says what it is for.
fn read(path: &Path, role: &'static str, limit: u64) -> Result<Vec<u8>, Box<Diagnostic>> {
    read_up_to(path, limit).map_err(|error| unreadable(path, role, &error))
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= limit {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")))
    }
}

fn malformed(path: &Path, error: ScenarioError) -> Box<Diagnostic> {
    refuse(Input::Malformed {
        role: "scenario",
        path: name(path),
        line: Some(error.line),
        column: Some(error.column),
        text: Some(error.text),
        problem: error.problem,
    })
}

pub(crate) fn unreadable(path: &Path, role: &'static str, error: &dyn std::error::Error) -> Box<Diagnostic> {
    refuse(Input::Unreadable { role, path: name(path), error: error.to_string() })
}

pub(crate) fn refuse(input: Input) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::Input(input)))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

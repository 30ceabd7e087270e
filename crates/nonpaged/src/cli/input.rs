//! Reading the files that a command names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use driver_image::Image;
use nonpaged::scenario::{Scenario, ScenarioError};
use report::Diagnostic;
use report::cause::{Cause, Input};

/// Largest image file, in bytes: an image of the largest size, and as much again for what is not loaded.
const MAX_IMAGE_FILE: u64 = 2 * driver_image::MAX_IMAGE_SIZE as u64;
/// Largest text file, in bytes.
const MAX_TEXT_FILE: u64 = 1 << 20;

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

fn unreadable(path: &Path, role: &'static str, error: &dyn std::error::Error) -> Box<Diagnostic> {
    refuse(Input::Unreadable { role, path: name(path), error: error.to_string() })
}

fn refuse(input: Input) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::Input(input)))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

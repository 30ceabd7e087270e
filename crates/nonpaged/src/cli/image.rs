//! Reading the driver image that a command names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use driver_image::Image;
use report::Diagnostic;
use report::cause::{Cause, Input};

/// Largest file that is read, in bytes: an image of the largest size, and as much again for what is not loaded.
const MAX_FILE: u64 = 2 * driver_image::MAX_IMAGE_SIZE as u64;

/// Reads and parses a driver image.
pub(crate) fn load(path: &Path) -> Result<Image, Box<Diagnostic>> {
    let name = path.display().to_string();
    let unreadable =
        |error: io::Error| Input::Unreadable { role: "driver", path: name.clone(), error: error.to_string() };
    let bytes = read(path).map_err(|error| input(unreadable(error)))?;
    Image::parse(bytes).map_err(|error| input(Input::NotLoadable { path: name, reason: error.to_string() }))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)? as u64 {
        0..=MAX_FILE => Ok(bytes),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_FILE} bytes"))),
    }
}

fn input(cause: Input) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::Input(cause)))
}

//! What is read beside the driver, by which a token knows that its run is still the same.

use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use kernel::Machine;

use crate::driver::{Driver, read_up_to};
use crate::scenario::{Action, Scenario};

/// Largest file that is looked at, in bytes. Who uses the file has limits of its own.
const MAX_FILE: u64 = 64 << 20;

/// Files beside the driver that decide what happens in a run.
#[derive(Clone, Default)]
pub struct Inputs {
    paths: Vec<PathBuf>,
    checksum: Hasher,
}

impl Inputs {
    /// The scenario, the drivers beside this one that it or the driver needs, and further files. One that cannot be read is
    /// left to whoever uses it.
    pub fn new<'a>(driver: &Driver, scenario: Option<&Path>, further: impl IntoIterator<Item = &'a Path>) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add_drivers(driver.libraries_without(&Machine::is_kernel_image));
        if let Some(path) = scenario {
            inputs.add_scenario(driver, path);
        }
        for path in further {
            if let Ok(bytes) = read_up_to(path, MAX_FILE) {
                inputs.add(path, &bytes);
            }
        }
        inputs
    }

    /// One checksum of all; `None` where there are none.
    pub fn checksum(&self) -> Option<u32> {
        (!self.paths.is_empty()).then(|| self.checksum.clone().finalize())
    }

    /// The paths, for people.
    pub fn paths(&self) -> Vec<String> {
        self.paths.iter().map(|path| path.display().to_string()).collect()
    }

    fn add(&mut self, path: &Path, content: &[u8]) {
        self.paths.push(path.to_owned());
        self.checksum.update(&(content.len() as u64).to_le_bytes());
        self.checksum.update(content);
    }

    fn add_scenario(&mut self, driver: &Driver, path: &Path) {
        let Some(text) = read_up_to(path, MAX_FILE).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return;
        };
        self.add(path, &said(&text));
        for step in Scenario::parse(&text).unwrap_or_default().steps {
            if let Action::Load { driver: name } = step.action
                && let Ok(other) = driver.read_neighbour(&name)
            {
                self.add_drivers(other.libraries_without(&Machine::is_kernel_image));
                self.add_drivers([other]);
            }
        }
    }

    fn add_drivers(&mut self, drivers: impl IntoIterator<Item = Driver>) {
        for driver in drivers {
            if !self.paths.contains(&driver.path) {
                self.add(&driver.path, driver.image.file());
            }
        }
    }
}

/// What a scenario says to a run: not its comments, and not what it has for the test suite, which may be a token with this
/// very checksum.
fn said(text: &str) -> Vec<u8> {
    let table = text.parse::<toml::Table>().ok().and_then(|mut table| {
        table.remove("test");
        serde_json::to_vec(&table).ok()
    });
    table.unwrap_or_else(|| text.as_bytes().to_vec())
}

//! Fetching a package with pip, and taking a driver out of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python package that holds a driver.
pub(crate) struct Package {
    /// Name and version.
    pub(crate) requirement: &'static str,
    /// Hash of the package file.
    pub(crate) sha256: &'static str,
    /// Path of the driver in it.
    pub(crate) driver: &'static str,
}

impl Package {
    /// The driver, fetched once; `None`, and a message past the test runner's capture, where it cannot be had.
    pub(crate) fn driver(&self) -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.requirement);
        let driver = folder.join(self.driver);
        if driver.is_file() {
            return Some(driver);
        }
        match self.fetch(&folder) {
            Ok(()) => Some(driver),
            Err(reason) => {
                let _ = writeln!(std::io::stderr(), "skipped: {} cannot be fetched: {reason}", self.requirement);
                None
            }
        }
    }

    fn fetch(&self, folder: &Path) -> Result<(), String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let list = folder.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", self.requirement, self.sha256);
        std::fs::write(&list, line).map_err(|error| error.to_string())?;
        let mut pip = python();
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
        finish(pip.arg("--dest").arg(folder).arg("--requirement").arg(&list))?;
        let package = packages(folder).ok_or("pip left no package")?;
        finish(python().args(["-m", "zipfile", "-e"]).arg(package).arg(folder))
    }
}

fn python() -> Command {
    Command::new("python3")
}

fn packages(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let is_package = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "whl" || kind == "zip");
    files.into_iter().find(is_package)
}

/// Runs to the end; the error is the last line of what it complained of.
fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.trim().lines().last().unwrap_or("it failed without a word").to_owned())
}

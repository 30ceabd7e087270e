//! The files that a command names: reading them, and what is said of those that cannot be used.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use kernel::Registry;
use kernel::registry::RegistryError;
use nonpaged::advice::{Profile, ProfileError};
use nonpaged::check::Baseline;
use nonpaged::explore::WordError;
use nonpaged::scenario::{Scenario, ScenarioError};
use nonpaged::{Driver, DriverError, read_up_to, sha256};
use report::Diagnostic;
use report::cause::{Cause, Input};

use super::output::unwritable;

/// Largest registry file, in bytes.
const MAX_REGISTRY_FILE: u64 = 64 << 20;
/// Largest text file, in bytes.
const MAX_TEXT_FILE: u64 = 1 << 20;

/// Reads a driver and its PDB.
pub(crate) fn driver(path: &Path) -> Result<Driver, Box<Diagnostic>> {
    Driver::read(path).map_err(|error| match error {
        DriverError::Read(error) if error.kind() == io::ErrorKind::IsADirectory => {
            let problem =
                format!("`{}` is a folder: only `nonpaged run` and `nonpaged check` take folders", name(path));
            refuse(Input::Arguments { problem })
        }
        DriverError::Read(error) => unreadable(path, "driver", &error),
        DriverError::Image(error) => refuse(Input::NotLoadable { path: name(path), reason: error.to_string() }),
    })
}

/// Reads and parses a scenario.
pub(crate) fn scenario(path: &Path) -> Result<Scenario, Box<Diagnostic>> {
    let bytes = read(path, "scenario", MAX_TEXT_FILE)?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(path, "scenario", &error.utf8_error()))?;
    Scenario::parse(&text).map_err(|error| malformed(path, error))
}

/// A word that names no schedule.
pub(crate) fn no_token(error: WordError) -> Box<Diagnostic> {
    match error {
        WordError::Word(_) | WordError::Folder { .. } => refuse(Input::Arguments { problem: error.to_string() }),
        WordError::Read { path, source } => unreadable(&path, "token", &source),
        WordError::File { path, source } => {
            let (line, column, text, problem) = (None, None, None, source.to_string());
            refuse(Input::Malformed { role: "token", path: name(&path), line, column, text, problem })
        }
    }
}

/// Reads a baseline.
pub(crate) fn baseline(path: &Path) -> Result<Baseline, Box<Diagnostic>> {
    let bytes = read(path, "baseline", MAX_TEXT_FILE)?;
    let text = String::from_utf8(bytes).map_err(|error| unreadable(path, "baseline", &error.utf8_error()))?;
    Baseline::parse(&text).map_err(|error| {
        let (line, problem) = (Some(error.line), error.to_string());
        refuse(Input::Malformed { role: "baseline", path: name(path), line, column: None, text: None, problem })
    })
}

/// Reads what the logs of runs say about a driver; `None` where there are none.
pub(crate) fn profile(driver: &Driver, logs: &[PathBuf]) -> Result<Option<Profile>, Box<Diagnostic>> {
    let mut profile = Profile::new(sha256(driver.image.file()));
    for path in logs {
        let file = File::open(path).map_err(|error| unreadable(path, "log", &error))?;
        profile.add(&driver.name, &mut BufReader::new(file)).map_err(|error| match error {
            ProfileError::Read(error) => unreadable(path, "log", &error),
            error => {
                let line = if let ProfileError::Line { line, .. } = error { Some(line) } else { None };
                let (column, text, problem) = (None, None, error.to_string());
                refuse(Input::Malformed { role: "log", path: name(path), line, column, text, problem })
            }
        })?;
    }
    Ok((!logs.is_empty()).then_some(profile))
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

/// A file that an argument names and that cannot be created. A disk that takes no more is no wrong argument.
pub(crate) fn uncreatable(path: &Path, role: &str, error: &io::Error) -> Box<Diagnostic> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => unwritable(&name(path), error),
        _ => refuse(Input::Arguments { problem: format!("{role} `{}` cannot be created: {error}", name(path)) }),
    }
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

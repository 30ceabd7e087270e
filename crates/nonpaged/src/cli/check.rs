//! `nonpaged check`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use nonpaged::check::{Baseline, Certainty, Policy, check as audit};
use report::cause::{Cause, Input, Remark};
use report::{Check, CheckedFile, Diagnostic, json, junit, sarif};

use super::args::{CheckOptions, Format, Level};
use super::output::Output;
use super::{Outcome, input};

/// Deepest folder below one that is named.
const MAX_DEPTH: usize = 16;

/// Audits files and folders of files, and reports.
pub(crate) fn check(options: &CheckOptions, output: &Output) -> Outcome {
    let policy = policy(options)?;
    let paths = drivers(&options.drivers)?;
    let check = Check { files: in_parallel(&paths, |path| checked(path, &policy, options.level.into())) };
    if let Some(path) = &options.write_baseline {
        let text = Baseline::text(check.reports().filter(|report| policy.counts(report)));
        std::fs::write(path, text).map_err(|error| super::output::unwritable(&path.display().to_string(), &error))?;
    }
    match options.format {
        Format::Text => output.check(&check),
        Format::Json => output.result(&json::check(&check))?,
        Format::Sarif => output.result(&sarif(&check))?,
        Format::Junit => output.result(&junit(&check))?,
    }
    Ok(check.exit_code())
}

impl From<Level> for Certainty {
    fn from(level: Level) -> Certainty {
        match level {
            Level::High => Certainty::High,
            Level::Possible => Certainty::Possible,
        }
    }
}

fn policy(options: &CheckOptions) -> Result<Policy, Box<Diagnostic>> {
    let baseline = options.baseline.as_deref().map(input::baseline).transpose()?.unwrap_or_default();
    Ok(Policy { deny: options.deny.clone(), allow: options.allow.clone(), baseline })
}

/// What is shown of one file.
fn checked(path: &Path, policy: &Policy, certainty: Certainty) -> CheckedFile {
    let reports = match input::driver(path) {
        Err(report) => vec![*report],
        Ok(driver) => match audit(&driver, certainty) {
            Err(error) => {
                let reason = error.to_string();
                vec![Diagnostic::from(Cause::Input(Input::NotLoadable { path: path.display().to_string(), reason }))]
            }
            Ok(audited) => {
                let pdb = driver.pdb.map(|(path, _)| path.display().to_string()).unwrap_or_default();
                let unusable = audited.symbols.map(|error| {
                    let remark = Remark::SymbolsUnusable { path: pdb, problem: error.to_string() };
                    Diagnostic::from(Cause::Remark(remark))
                });
                let shown = audited.reports.into_iter().filter(|report| policy.shows(report));
                unusable.into_iter().chain(shown).collect()
            }
        },
    };
    CheckedFile { path: path.display().to_string(), reports }
}

/// The files named, and those named `.sys` in the folders named.
fn drivers(named: &[PathBuf]) -> Result<Vec<PathBuf>, Box<Diagnostic>> {
    let mut paths = Vec::new();
    for path in named {
        if path.is_dir() {
            add_folder(path, MAX_DEPTH, &mut paths)?;
        } else {
            paths.push(path.clone());
        }
    }
    Ok(paths)
}

fn add_folder(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), Box<Diagnostic>> {
    let unreadable = |error: &std::io::Error| input::unreadable(folder, "folder", error);
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(&error))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        // Links are not followed, so that no folder is visited twice.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            add_folder(&path, depth - 1, paths)?;
        } else if !is_folder && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sys")) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Does the work for each path on all processors; results keep the order of paths.
fn in_parallel(paths: &[PathBuf], work: impl Fn(&Path) -> CheckedFile + Sync) -> Vec<CheckedFile> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(paths.len().max(1));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(paths.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = paths.get(index) else { return };
                    let result = work(path);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

//! `nonpaged check`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use nonpaged::check::{Baseline, Certainty, Checked, Policy, check as audit};
use nonpaged::{Driver, fleet, sha256};
use report::cause::{Cause, Input, Remark};
use report::{Check, CheckedFile, Diagnostic, json, junit, sarif};

use super::args::{CheckOptions, Format, Level};
use super::output::Output;
use super::{Outcome, input};

/// Audits files and folders of files, and reports.
pub(crate) fn check(options: &CheckOptions, output: &Output) -> Outcome {
    let judge = Judge::new(options)?;
    let paths = fleet::images(&options.drivers).map_err(|(path, error)| input::unreadable(&path, "folder", &error))?;
    let files = in_parallel(&paths, |path| judge.file(path));
    let check = Check { files, has_baseline: options.baseline.is_some() };
    if let Some(path) = &options.write_baseline {
        let text = Baseline::text(check.files.iter().flat_map(CheckedFile::all));
        std::fs::write(path, text).map_err(|error| input::uncreatable(path, "baseline", &error))?;
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

/// What decides what is shown of a file.
struct Judge {
    policy: Policy,
    baseline: Baseline,
    certainty: Certainty,
}

impl Judge {
    fn new(options: &CheckOptions) -> Result<Judge, Box<Diagnostic>> {
        let baseline = options.baseline.as_deref().map(input::baseline).transpose()?.unwrap_or_default();
        let policy = Policy { deny: options.deny.clone(), allow: options.allow.clone() };
        Ok(Judge { policy, baseline, certainty: options.level.into() })
    }

    /// What is shown of one file.
    fn file(&self, path: &Path) -> CheckedFile {
        let file = CheckedFile { path: path.display().to_string(), ..CheckedFile::default() };
        let driver = match input::driver(path) {
            Ok(driver) => driver,
            Err(report) => return CheckedFile { reports: vec![*report], ..file },
        };
        let sha256 = Some(sha256(driver.image.file()));
        match audit(&driver, self.certainty) {
            Ok(audited) => CheckedFile { sha256, ..self.judged(file, &driver, audited) },
            Err(error) => {
                let (path, reason) = (file.path.clone(), error.to_string());
                let report = Diagnostic::from(Cause::Input(Input::NotLoadable { path, reason }));
                CheckedFile { sha256, reports: vec![report], ..file }
            }
        }
    }

    fn judged(&self, file: CheckedFile, driver: &Driver, audited: Checked) -> CheckedFile {
        let Checked { reports, withheld, symbols } = audited;
        let pdb = driver.pdb.as_ref().map(|(path, _)| path.display().to_string()).unwrap_or_default();
        let unusable = symbols.map(|error| {
            Diagnostic::from(Cause::Remark(Remark::SymbolsUnusable { path: pdb, problem: error.to_string() }))
        });
        let gone = self.baseline.gone(&driver.name, reports.iter().chain(&withheld));
        let shown = reports.into_iter().filter(|report| self.policy.shows(report));
        let (known, new) = shown.partition::<Vec<_>, _>(|report| self.baseline.knows(&driver.name, report));
        CheckedFile { reports: unusable.into_iter().chain(new).chain(gone).collect(), known, ..file }
    }
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

//! `nonpaged check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use nonpaged::check::{Baseline, Certainty, Checked, Policy, check as audit};
use nonpaged::locate::LocateError;
use nonpaged::{Driver, fleet, sha256};
use report::cause::{Cause, Input, Remark};
use report::{Check, CheckedFile, Diagnostic, SourceRoot, json, junit, sarif};

use super::args::{CheckOptions, Format, Level};
use super::output::Output;
use super::{Outcome, input};

/// Audits files and folders of files, and reports.
pub(crate) fn check(options: &CheckOptions, output: &Output) -> Outcome {
    let judge = Judge::new(options)?;
    let root = options.source_root.as_deref().map(source_root).transpose()?;
    let files = in_parallel(&images(&options.drivers)?, |image| judge.file(image));
    let check = Check { files, has_baseline: options.baseline.is_some() };
    if let Some(path) = &options.write_baseline {
        let text = Baseline::text(check.files.iter().flat_map(CheckedFile::all));
        std::fs::write(path, text).map_err(|error| input::uncreatable(path, "baseline", &error))?;
    }
    match options.format {
        Format::Text => output.check(&check),
        Format::Json => output.result(&json::check(&check))?,
        Format::Sarif => output.result(&sarif(&check, root.as_ref()))?,
        Format::Junit => output.result(&junit(&check))?,
    }
    Ok(check.exit_code())
}

/// A folder as it was named, which may be one of another machine; a relative one is a folder of this machine.
fn source_root(path: &Path) -> Result<SourceRoot, Box<Diagnostic>> {
    if let Some(root) = SourceRoot::new(&path.to_string_lossy()) {
        return Ok(root);
    }
    let absolute = std::path::absolute(path).map_err(|error| input::unreadable(path, "folder", &error))?;
    let problem = || format!("`{}` is no folder that source files can be in", path.display());
    SourceRoot::new(&absolute.to_string_lossy()).ok_or_else(|| input::refuse(Input::Arguments { problem: problem() }))
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
    fn file(&self, Image { path, name }: &Image) -> CheckedFile {
        let file = CheckedFile { path: path.display().to_string(), image: name.clone(), ..CheckedFile::default() };
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
        let gone = self.baseline.gone(&file.image, reports.iter().chain(&withheld));
        let shown = reports.into_iter().filter(|report| self.policy.shows(report));
        let (known, new) = shown.partition::<Vec<_>, _>(|report| self.baseline.knows(&file.image, report));
        // Where nothing is told of code, no name is missing.
        let told = new.iter().any(|report| !matches!(report.cause, Cause::Layout(_)) && self.policy.counts(report));
        let symbols = remark_on_symbols(driver, symbols).filter(|remark| told && self.policy.shows(remark));
        CheckedFile { reports: symbols.into_iter().chain(new).chain(gone).collect(), known, ..file }
    }
}

/// Why there are no names and source lines, if there are none.
fn remark_on_symbols(driver: &Driver, unusable: Option<LocateError>) -> Option<Diagnostic> {
    let remark = match (&driver.pdb, unusable) {
        (Some((path, _)), Some(error)) => {
            Remark::SymbolsUnusable { path: path.display().to_string(), problem: error.to_string() }
        }
        (None, _) => {
            let named = driver.image.pdb_reference().ok().flatten().map(|reference| reference.path);
            let path = driver.path.with_extension("pdb").display().to_string();
            Remark::SymbolsMissing { image: driver.name.clone(), path, named }
        }
        (Some(_), None) => return None,
    };
    Some(Diagnostic::from(Cause::Remark(remark)))
}

/// An image to look at, and what tells it from the others.
struct Image {
    path: PathBuf,
    name: String,
}

/// The files named, and those named `.sys` in the folders named. Each has its path below the folder for a name, or that of its
/// file; where two have the same, folders above are added until they differ.
fn images(named: &[PathBuf]) -> Result<Vec<Image>, Box<Diagnostic>> {
    let mut found: Vec<(PathBuf, usize)> = Vec::new();
    for path in named {
        let below = path.components().count();
        let length = |file: &Path| file.components().count().saturating_sub(below).max(1);
        let unreadable = |(path, error): (PathBuf, std::io::Error)| input::unreadable(&path, "folder", &error);
        let files = fleet::images(std::slice::from_ref(path)).map_err(unreadable)?;
        found.extend(files.into_iter().map(|file| (file.clone(), length(&file))));
    }
    loop {
        let names: Vec<String> = found.iter().map(|(path, length)| end_of(path, *length)).collect();
        let mut paths: BTreeMap<&String, BTreeSet<&PathBuf>> = BTreeMap::new();
        names.iter().zip(&found).for_each(|(name, (path, _))| _ = paths.entry(name).or_default().insert(path));
        let shared = |(name, (path, length)): (&String, &(PathBuf, usize))| {
            paths[name].len() > 1 && *length < path.components().count()
        };
        let longer: Vec<bool> = names.iter().zip(&found).map(shared).collect();
        if !longer.contains(&true) {
            let image = |((path, _), name)| Image { path, name };
            return Ok(found.into_iter().zip(names).map(image).collect());
        }
        found.iter_mut().zip(longer).for_each(|((_, length), longer)| *length += usize::from(longer));
    }
}

/// The last parts of a path, so many of them.
fn end_of(path: &Path, parts: usize) -> String {
    let all: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    all[all.len().saturating_sub(parts)..].join("/")
}

/// Does the work for each image on all processors; results keep the order of images.
fn in_parallel(images: &[Image], work: impl Fn(&Image) -> CheckedFile + Sync) -> Vec<CheckedFile> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(images.len().max(1));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(images.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(image) = images.get(index) else { return };
                    let result = work(image);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

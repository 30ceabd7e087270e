//! What runs of the broken drivers report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::search;

/// A place by the function and the offset of an instruction in it.
pub(crate) type Instruction = (String, u64);

/// A driver that some case is there to break, and the reports of all cases of it.
pub(crate) struct Driver {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) reports: Vec<Report>,
}

/// One report of a run.
pub(crate) struct Report {
    /// Of the bug check, and of the finding that it stands for.
    pub(crate) codes: BTreeSet<String>,
    pub(crate) title: String,
    /// Instructions: that of the report, and those of what made it possible.
    pub(crate) at: BTreeSet<Instruction>,
    /// Where calls on the stack return to.
    pub(crate) returns: BTreeSet<Instruction>,
}

impl Driver {
    pub(crate) fn name(&self) -> &str {
        Path::new(&self.path).file_stem().and_then(|stem| stem.to_str()).expect("a driver has a name")
    }
}

impl Report {
    pub(crate) fn functions(&self) -> impl Iterator<Item = &str> {
        self.at.iter().chain(&self.returns).map(|(function, _)| function.as_str())
    }

    /// Is it about this instruction, or was this a call on the stack? A call has two to seven bytes.
    pub(crate) fn is_at(&self, (function, offset): &Instruction) -> bool {
        let returns = |(of, to): &Instruction| of == function && (offset + 2..=offset + 7).contains(to);
        self.at.contains(&(function.clone(), *offset)) || self.returns.iter().any(returns)
    }

    fn of(report: &Value) -> Report {
        let texts = [&report["code"], &report["finding"]].into_iter().filter_map(Value::as_str);
        let places = std::iter::once(&report["at"]).chain(report["because"].as_array().into_iter().flatten());
        let at = places.filter_map(|place| Some((place["symbol"].as_str()?.to_owned(), place["offset"].as_u64()?)));
        // Where a lock was taken that stays.
        let notes = report["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let locked = notes.filter_map(|note| frame(note.strip_prefix("locked by ")?.split(' ').next()?));
        let stack = report["context"]["stack"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Report {
            codes: texts.map(str::to_owned).collect(),
            title: report["title"].as_str().unwrap_or_default().to_owned(),
            at: at.chain(locked).collect(),
            returns: stack.filter_map(frame).collect(),
        }
    }
}

/// `serial.sys!SerialRead+0x3c`
fn frame(text: &str) -> Option<Instruction> {
    let (function, offset) = text.split_once('!')?.1.split_once("+0x")?;
    Some((function.to_owned(), u64::from_str_radix(offset, 16).ok()?))
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The drivers that cases in `fail` are about, and all samples in `drivers/broken` that are no repaired twins.
pub(crate) fn drivers() -> &'static [Driver] {
    static DRIVERS: OnceLock<Vec<Driver>> = OnceLock::new();
    DRIVERS.get_or_init(|| {
        let (mut broken, mut reports) = (samples(), BTreeMap::new());
        for case in cases() {
            let fails = case.iter().any(|part| part == "fail");
            for (driver, report) in of_case(&case) {
                broken.extend(fails.then(|| driver.clone()));
                reports.entry(driver).or_insert_with(Vec::new).push(report);
            }
        }
        let with_reports = broken.into_iter().map(|path| {
            let searched = || search::reports(&path).iter().filter(counts).map(Report::of).collect();
            let reports = reports.remove(&path).unwrap_or_else(searched);
            Driver { path, reports }
        });
        with_reports.collect()
    })
}

/// The broken samples. Those that are packed at 128 bytes are the same code: the kernel's tests run them.
fn samples() -> BTreeSet<String> {
    let files = std::fs::read_dir(root().join("drivers/broken")).expect("the samples are there");
    let names = files.map(|file| file.expect("it can be read").file_name().into_string().expect("a name"));
    let other = |name: &str| name.ends_with("-fixed.sys") || name.ends_with("-a80.sys") || name == "owner.sys";
    let broken = names.filter(|name| name.ends_with(".sys") && !other(name));
    broken.map(|name| format!("drivers/broken/{name}")).collect()
}

/// Information does not count.
fn counts(report: &&Value) -> bool {
    report["level"] != "info"
}

/// The reports of a case, each with the driver that it is about.
fn of_case(case: &Path) -> Vec<(String, Report)> {
    let scenario: toml::Value = toml::from_str(&std::fs::read_to_string(case).expect("a scenario")).expect("TOML");
    let loaded = scenario["test"]["driver"].as_str().expect("the case names its driver");
    let output = std::fs::read_to_string(case.with_extension("json")).unwrap_or_default();
    let output: Value = serde_json::from_str(&output).unwrap_or_default();
    let reports = output["reports"].as_array().into_iter().flatten().filter(counts);
    let with_drivers = reports.map(|report| {
        // Of several drivers, the one whose code or data it is.
        let image = report["at"]["image"].as_str();
        let about = image.map(|image| Path::new(loaded).with_file_name(image).display().to_string());
        (about.filter(|path| root().join(path).exists()).unwrap_or_else(|| loaded.to_owned()), Report::of(report))
    });
    with_drivers.collect()
}

fn cases() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read").path()).collect()
    };
    let areas = ["fail", "pass"].map(|outcome| root().join("tests/ui").join(outcome));
    let mut cases: Vec<PathBuf> =
        areas.iter().flat_map(|folder| entries(folder)).flat_map(|area| entries(&area)).collect();
    // What the machine does wrong is no driver's mistake.
    cases.retain(|path| path.extension().is_some_and(|end| end == "toml") && !path.iter().any(|part| part == "limit"));
    cases.sort();
    cases
}

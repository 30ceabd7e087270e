//! What the audit finds, sample by sample, as `docs/findings.toml` lists it.
//!
//! `tests/check` has what `nonpaged check` prints of each sample; `UPDATE=1 cargo test -p nonpaged --test audited_samples`
//! writes it anew. Of a repaired twin the program prints that nothing was found.

#[path = "common/findings.rs"]
mod findings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use nonpaged::Driver;
use nonpaged::check::{Certainty, check};
use report::cause::Cause;
use report::{Code, Diagnostic};

use findings::Row;

/// Codes of findings about headers, and where a routine lies: there is no way that leads there.
const WITHOUT_WAY: [&str; 8] = ["K15", "K16", "K17", "K24", "K27", "A03", "A04", "A05"];

const CLEAN: &str = "ok: 0 findings in 1 file; 0 errors, 0 warnings (exit code 0)\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/findings.toml")).expect("the table is there");
    findings::parse(&text).expect("it is right")
}

/// The rows of each sample.
fn by_sample(rows: &[Row]) -> BTreeMap<&str, Vec<&Row>> {
    let mut samples: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        samples.entry(&row.sample).or_default().push(row);
    }
    samples
}

/// What `nonpaged check` prints of a driver where these codes count, whatever their level.
fn printed(driver: &str, rows: &[&Row]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    let driver = format!("drivers/{driver}.sys");
    command.current_dir(root()).arg("check").arg(driver).args(rows.iter().flat_map(|row| ["--deny", &row.code]));
    let output = command.output().expect("the program starts");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

fn reports(driver: &str) -> Vec<Diagnostic> {
    let driver = Driver::read(&root().join(format!("drivers/{driver}.sys"))).expect("a driver");
    check(&driver, Certainty::High).expect("it can be audited").reports
}

#[test]
fn each_sample_prints_what_lies_in_tests_check() {
    let rows = rows();
    let mut files = BTreeSet::new();
    for (sample, rows) in by_sample(&rows) {
        let (path, printed) = (root().join(format!("tests/check/{sample}.txt")), printed(sample, &rows));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            std::fs::write(&path, &printed).expect("it can be written");
        }
        assert_eq!(printed, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
        files.insert(path);
    }
    for folder in std::fs::read_dir(root().join("tests/check")).expect("it is there") {
        let folder = folder.expect("it can be read").path();
        let entries = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("it can be read").path());
        entries.for_each(|path| assert!(files.contains(&path), "{}: docs/findings.toml lacks it", path.display()));
    }
}

#[test]
fn of_each_twin_nothing_is_printed() {
    for row in rows() {
        assert_eq!(printed(&row.twin(), &[&row]), CLEAN, "{}: {}", row.twin(), row.what);
    }
}

/// The code, the source line, and the way there.
#[test]
fn each_finding_says_where_and_how() {
    for row in rows() {
        let Row { what, code, sample, .. } = &row;
        let reports = reports(sample);
        let of_code = reports.iter().filter(|report| report.code().to_string() == *code);
        let found: Vec<_> = of_code.filter(|report| !matches!(report.cause, Cause::Layout(_))).collect();
        let about_headers = reports.iter().any(|report| report.code().to_string() == *code) && found.is_empty();
        assert!(about_headers || !found.is_empty(), "{what}: {sample} does not show {code}");
        for report in found {
            let source = report.at.as_ref().and_then(|span| span.place.source.as_ref());
            assert!(source.is_some(), "{what}: {sample} without a source line");
            assert!(WITHOUT_WAY.contains(&code.as_str()) || !report.path.is_empty(), "{what}: {sample} without a way");
        }
    }
}

/// Every finding that the audit can have is in the table.
#[test]
fn each_code_of_the_audit_is_in_the_table() {
    let listed: BTreeSet<String> = rows().into_iter().map(|row| row.code).collect();
    let mut shown = BTreeSet::new();
    for folder in ["broken", "audit", "checked", "layout"] {
        for entry in std::fs::read_dir(root().join("drivers").join(folder)).expect("the drivers are there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|extension| extension == "sys") {
                let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
                let codes = reports(&format!("{folder}/{name}")).into_iter().map(|report| report.code());
                shown.extend(codes.filter(|code| *code != Code::Note).map(|code| code.to_string()));
            }
        }
    }
    assert_eq!(listed, shown, "listed, and shown by some driver");
}

//! `nonpaged map --advise --log`: logs that help, several of them, and those that do not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers")
}

fn nonpaged(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nonpaged")).args(arguments).output().expect("the program starts")
}

/// The log of a run of a driver with these further arguments.
fn log(folder: &TempDir, driver: &Path, name: &str, arguments: &[&str]) -> String {
    let log = folder.path().join(name).display().to_string();
    let output = nonpaged(&[&["run", &driver.display().to_string(), "--log", &log], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    log
}

fn advice(driver: &Path, logs: &[&str]) -> Output {
    let logs: Vec<&str> = logs.iter().flat_map(|log| ["--log", log]).collect();
    nonpaged(&[&["map", &driver.display().to_string(), "--advise", "--json"], logs.as_slice()].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// Why a log is refused.
fn refusal(driver: &Path, log: &str) -> String {
    let output = nonpaged(&["map", &driver.display().to_string(), "--advise", "--log", log]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The log of a run says what ran, and recording it changes nothing of the run.
#[test]
fn recording_changes_nothing() {
    let driver = drivers().join("serial/serial.sys").display().to_string();
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("log").display().to_string();
    for trim in ["on-raise", "at-once"] {
        let arguments = ["run", &driver, "--json", "--cpus", "2", "--trim", trim];
        let (bare, logged) = (nonpaged(&arguments), nonpaged(&[&arguments[..], &["--log", &log]].concat()));
        assert!(!bare.stdout.is_empty());
        assert_eq!(bare.stdout, logged.stdout);
    }
}

/// R10: what runs at DISPATCH_LEVEL is never let go, and what a log adds is the use of each function.
#[test]
fn r10_a_log_says_what_is_used() {
    let folder = TempDir::new().expect("a temporary folder");
    let driver = drivers().join("mixer/mixer.sys");
    let log = log(&folder, &driver, "log", &[]);
    let with = json(&advice(&driver, &[&log]))["advice"].clone();
    let moves = with["moves"].as_array().expect("there are moves").clone();
    let summary: Vec<String> = moves
        .iter()
        .map(|one| format!("{} {} {}", one["symbol"], one["to"], one["uses"]["after_initialisation"]))
        .collect();
    assert_eq!(summary, [r#""SampleCreateDevice" "INIT" false"#, r#""SampleDeleteDevice" "PAGE" true"#]);
    assert_eq!((&with["used"]["logs"], &with["used"]["ran"]), (&Value::from(1), &with["used"]["functions"]));
    let without = json(&advice(&driver, &[]))["advice"].clone();
    assert!(without.get("used").is_none() && without["moves"][0].get("uses").is_none(), "{without}");
}

/// The images below a folder.
fn images(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("the samples are there").map(|entry| entry.expect("it is there").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let found = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "sys"));
    found.chain(folders.iter().flat_map(|folder| images(folder))).collect()
}

/// R5: of all samples, nothing that the audit lets go ran at DISPATCH_LEVEL or above in a run, however that ended.
#[test]
fn r5_no_run_contradicts_the_advice() {
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("log").display().to_string();
    let mut moves = 0;
    for driver in images(&drivers()) {
        nonpaged(&["run", &driver.display().to_string(), "--log", &log]);
        let advice = json(&advice(&driver, &[&log]))["advice"].clone();
        assert_eq!(advice["used"]["stay"], Value::Array(Vec::new()), "{}", driver.display());
        moves += advice["moves"].as_array().map_or(0, Vec::len);
    }
    assert!(moves > 500, "{moves}");
}

/// Counts of several logs add up.
#[test]
fn logs_merge() {
    let folder = TempDir::new().expect("a temporary folder");
    let driver = drivers().join("mixer/mixer.sys");
    let [one, other] = ["one", "other"].map(|name| log(&folder, &driver, name, &["--trim", "at-once"]));
    let used = |logs: &[&str]| json(&advice(&driver, logs))["advice"].clone();
    let (once, twice) = (used(&[&one]), used(&[&one, &other]));
    let number = |value: &Value| value.as_u64().expect("it is a number");
    assert_eq!(number(&twice["used"]["logs"]), 2);
    assert_eq!(number(&twice["used"]["requests"]), 2 * number(&once["used"]["requests"]));
    assert_eq!(number(&twice["moves"][1]["uses"]["times"]), 2 * number(&once["moves"][1]["uses"]["times"]));
    assert_eq!(twice["used"]["ran"], once["used"]["ran"]);
}

/// A log of another build, or of another driver, says nothing about this one.
#[test]
fn a_log_of_another_build_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let driver = drivers().join("mixer/mixer.sys");
    let log = log(&folder, &driver, "log", &[]);
    let mut bytes = std::fs::read(&driver).expect("the sample is there");
    bytes.push(0);
    let rebuilt = folder.path().join("mixer.sys");
    std::fs::write(&rebuilt, bytes).expect("it can be written");
    let refused = refusal(&rebuilt, &log);
    assert!(refused.contains("it is a log of another build of `mixer.sys`, with SHA-256 "), "{refused}");
    let refused = refusal(&drivers().join("beep/beep.sys"), &log);
    assert!(refused.contains("it is a log of `mixer.sys`, not of `beep.sys`"), "{refused}");
}

#[test]
fn what_is_no_log_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let driver = drivers().join("mixer/mixer.sys");
    let whole = std::fs::read_to_string(log(&folder, &driver, "log", &[])).expect("it was just written");
    let events: String =
        whole.lines().filter(|line| !line.contains("\"executed\"")).map(|l| l.to_owned() + "\n").collect();
    let cases = [
        ("cut", events.as_str(), "it does not say which code ran"),
        ("empty", "", "it does not say which code ran"),
        ("text", "hello\n", ", line 1: expected value"),
        ("half", &whole[..whole.len() - 9], ": EOF while parsing"),
    ];
    for (name, text, problem) in cases {
        let path = folder.path().join(name).display().to_string();
        std::fs::write(&path, text).expect("it can be written");
        let refused = refusal(&driver, &path);
        assert!(refused.contains(&format!("log `{path}`")) && refused.contains(problem), "{refused}");
    }
    let missing = folder.path().join("missing").display().to_string();
    assert!(refusal(&driver, &missing).contains(&format!("log `{missing}` cannot be read")));
    let alone = nonpaged(&["map", &driver.display().to_string(), "--log", &missing]);
    assert_eq!(alone.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&alone.stderr).contains("--advise"), "{alone:?}");
}

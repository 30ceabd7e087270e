//! `nonpaged run` on a folder.

use std::path::Path;
use std::process::{Command, Output};

use driver_image::builder::{CODE, PeBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// A driver whose DriverEntry is this code.
fn driver(code: &[u8]) -> Vec<u8> {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, code);
    builder.entry_point(text);
    builder.build()
}

/// `xor eax, eax; ret`, `jmp $`, a null call, and what is no image.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("it can be written");
    write("a-good.sys", &driver(&[0x31, 0xC0, 0xC3]));
    write("b-loop.sys", &driver(&[0xEB, 0xFE]));
    write("c-null.sys", &driver(&[0x31, 0xC0, 0xFF, 0xD0]));
    write("d-text.sys", b"this is no image");
    write("e-good.sys", &driver(&[0x31, 0xC0, 0xC3]));
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.arg("run").arg(folder).args(arguments).output().expect("the program starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What became of each driver, times left out.
fn ends(document: &Value) -> Vec<(String, String, Value)> {
    let drivers = document["drivers"].as_array().expect("drivers are listed");
    let end = |driver: &Value| {
        let name = Path::new(driver["path"].as_str().expect("a path")).file_name().expect("a name");
        (
            name.to_string_lossy().into_owned(),
            driver["end"].as_str().expect("a word").to_owned(),
            driver["steps"].clone(),
        )
    };
    drivers.iter().map(end).collect()
}

#[test]
fn each_driver_has_an_end_of_its_own() {
    let folder = folder();
    let output = run(folder.path(), &["--json", "--steps", "10000"]);
    let document = json(&output);
    let words: Vec<String> = ends(&document).into_iter().map(|(_, word, _)| word).collect();
    assert_eq!(words, ["finished", "limit", "bug_check", "not_loadable", "finished"]);
    assert_eq!((output.status.code(), &document["exit_code"]), (Some(10), &Value::from(10)), "the gravest end");
    assert_eq!(document["measures"]["kernel_only"]["drivers"], 4);
    assert_eq!(document["measures"]["all"]["with_status"], 2);
}

/// What becomes of a driver does not depend on its neighbours, on the order in which they run, or on the time.
#[test]
fn the_same_in_each_run_and_alone() {
    let folder = folder();
    let first = ends(&json(&run(folder.path(), &["--json", "--steps", "10000"])));
    assert_eq!(ends(&json(&run(folder.path(), &["--json", "--steps", "10000"]))), first);
    let alone = TempDir::new().expect("a temporary folder");
    std::fs::copy(folder.path().join("b-loop.sys"), alone.path().join("b-loop.sys")).expect("it can be copied");
    assert_eq!(ends(&json(&run(alone.path(), &["--json", "--steps", "10000"])))[0], first[1]);
}

/// The host's time is a safety net, and an end that it made says so.
#[test]
fn time_is_named_as_such() {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("loop.sys"), driver(&[0xEB, 0xFE])).expect("it can be written");
    let output = run(folder.path(), &["--steps", "1000000000000", "--time-limit", "1"]);
    assert_eq!(output.status.code(), Some(30));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("time up: 1 s of the host's time"), "{text}");
}

#[test]
fn lines_records_and_sums() {
    let folder = folder();
    let text = String::from_utf8(run(folder.path(), &["--summary", "--steps", "10000"]).stdout).expect("UTF-8");
    let line = "b-loop.sys  -                                 limit: the run did not end within 10000 steps";
    assert!(text.contains(line) && text.contains("\nkernel only   4 of them"), "{text}");
    let csv = String::from_utf8(run(folder.path(), &["--csv", "--steps", "10000"]).stdout).expect("UTF-8");
    assert_eq!(csv.lines().count(), 6);
    assert!(csv.lines().nth(1).is_some_and(|record| record.contains("a-good.sys,finished,0,0x00000000,")), "{csv}");
}

#[test]
fn what_is_for_one_driver_is_refused() {
    let folder = folder();
    let output = run(folder.path(), &["--stop-at", "5"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`--stop-at` is for a single driver"));
}

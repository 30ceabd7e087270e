//! `nonpaged merge`: the parts of a search are the whole, no more and no less.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const BROKEN: &str = "drivers/broken/x34-two-closers.sys";
/// Every schedule with one deed, on one thread: of several schedules that show a failure it is always the same that is told.
const WHOLE: [&str; 4] = ["--strategy=exhaustive", "--depth=1", "--time=1000h", "--threads=1"];

fn nonpaged(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_nonpaged")).args(arguments).current_dir(root).output().expect("the program runs")
}

fn search(more: &[&str]) -> Output {
    nonpaged(&[&["explore", BROKEN], &WHOLE[..], more].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output, problem: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains(problem), "{text}");
}

/// What comes after this word at the beginning of a line.
fn said(output: &Output, word: &str) -> String {
    let text = stdout(output);
    text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{text}")).trim().to_owned()
}

fn tokens(output: &Output) -> BTreeSet<String> {
    stdout(output).split_whitespace().filter(|word| word.starts_with("np2-")).map(str::to_owned).collect()
}

/// A folder with the folders `1`, `2`, .. of parts.
struct Parts(TempDir);

impl Parts {
    fn new(of: u64, more: &[&str]) -> Parts {
        let parts = Parts(TempDir::new().expect("a temporary folder"));
        for part in 1..=of {
            parts.search(part, of, more);
        }
        parts
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn search(&self, part: u64, of: u64, more: &[&str]) -> Output {
        let (shard, out) = (format!("{part}/{of}"), self.path(&part.to_string()));
        search(&[&["--shard", &shard, "--out", &out], more].concat())
    }

    fn merge(&self, into: &str, from: &[&str]) -> Output {
        let folders: Vec<String> = [&[into], from].concat().into_iter().map(|name| self.path(name)).collect();
        nonpaged(&[&["merge"], &folders.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat())
    }
}

#[test]
fn the_parts_are_the_whole() {
    let parts = Parts::new(2, &[]);
    // Nothing is left to run, and nothing is forgotten.
    let again = parts.search(1, 2, &[]);
    assert!(stdout(&again).contains("nothing is left to run"), "{}", stdout(&again));
    let (merged, whole) = (parts.merge("all", &["1", "2"]), search(&["--out", &parts.path("whole")]));
    assert_eq!((merged.status.code(), tokens(&merged)), (whole.status.code(), tokens(&whole)));
    assert_eq!(said(&merged, "parts"), "2 of 2");
    // The run without deeds is in each part, and counts once.
    assert_eq!(said(&merged, "shown"), said(&whole, "shown"));
    assert!(said(&whole, "shown").starts_with(&format!("all {} schedules", said(&merged, "schedules"))));
    let progress = |name: &str| -> serde_json::Value {
        let bytes = fs::read(parts.0.path().join(name).join("progress.json")).expect("progress");
        serde_json::from_slice(&bytes).expect("it is JSON")
    };
    assert_eq!(progress("all")["rounds"], progress("whole")["rounds"]);
}

/// Part, parts and ranges of parts are numbers.
#[test]
fn json_has_what_the_text_has() {
    let parts = Parts::new(0, &[]);
    parts.search(2, 4, &["--schedules=5"]);
    parts.search(3, 4, &[]);
    let text = parts.merge("all", &["2", "3"]);
    let folders = ["data", "2", "3"].map(|name| parts.path(name));
    let output = nonpaged(&["merge", "--json", &folders[0], &folders[1], &folders[2]]);
    assert_eq!((output.status.code(), stdout(&text).contains("failures  0")), (Some(0), true), "{}", stdout(&text));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let expected = serde_json::json!({
        "parts": 4,
        "missing": [[1, 1], [4, 4]],
        "unfinished": [2],
        "schedules": said(&text, "schedules").parse::<u64>().expect("a number"),
        "failures": [],
        "shown": said(&text, "shown"),
    });
    assert_eq!(document, expected);
    let refused = nonpaged(&["merge", "--json", &folders[0], &folders[1]]);
    let refusal: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("it is JSON");
    assert_eq!((refused.status.code(), &refusal["exit_code"]), (Some(64), &64.into()));
}

/// What was merged has no one number from which it could go on.
#[test]
fn no_search_goes_on_in_what_was_merged() {
    let parts = Parts::new(2, &["--schedules=5"]);
    parts.merge("all", &["1", "2"]);
    let problem = "has the results of several parts, merged";
    refused(&search(&["--out", &parts.path("all")]), problem);
    refused(&parts.merge("more", &["all"]), problem);
}

#[test]
fn parts_that_did_not_come_to_their_end_are_named() {
    let parts = Parts::new(2, &["--schedules=5"]);
    let merged = parts.merge("all", &["1", "2"]);
    assert_eq!(said(&merged, "parts"), "2 of 2; unfinished: 1/2, 2/2");
    assert_eq!(said(&merged, "schedules"), "9");
    let shown = said(&merged, "shown");
    assert!(shown.starts_with("the schedule without a deed: no failure; of those with 1 deed, 8 of "), "{shown}");
    parts.search(2, 2, &[]);
    assert_eq!(said(&parts.merge("half", &["1", "2"]), "parts"), "2 of 2; unfinished: 1/2");
}

/// Parts that are there twice are refused, and those that are not there are named.
#[test]
fn a_merge_says_what_is_missing() {
    let parts = Parts::new(0, &[]);
    parts.search(2, 4, &[]);
    let merged = parts.merge("all", &["2"]);
    assert_eq!(said(&merged, "parts"), "1 of 4; missing: 1/4, 3/4 to 4/4");
    assert!(said(&merged, "shown").starts_with("the schedule without a deed: no failure; of those with 1 deed, "));
    search(&["--shard=2/4", "--schedules=5", "--out", &parts.path("again")]);
    refused(&parts.merge("none", &["2", "again"]), "has part 2 of 4, and so has another folder");
    refused(&parts.merge("none", &["2", "nowhere"]), "nowhere` has no results of a search");
    assert!(!parts.0.path().join("none").exists());
}

/// The first folder is made, and no results are lost where it was forgotten or has some.
#[test]
fn a_merge_writes_over_nothing() {
    let parts = Parts::new(2, &["--schedules=5"]);
    let before = fs::read(parts.0.path().join("1/progress.json")).expect("progress");
    refused(&parts.merge("1", &["2"]), "has results already, and a merge makes a new folder");
    refused(&parts.merge("1", &["1", "2"]), "is one of those that are merged, too");
    refused(&parts.merge("2/../1", &["1", "2"]), "is one of those that are merged, too");
    assert_eq!(fs::read(parts.0.path().join("1/progress.json")).expect("progress"), before);
    fs::create_dir(parts.0.path().join("new")).expect("it is new");
    assert_eq!(said(&parts.merge("new", &["1", "2"]), "schedules"), "9");
    refused(&parts.merge("new", &["1", "2"]), "has results already");
}

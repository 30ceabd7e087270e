//! The folder of a search when things go wrong: the program is killed, the disk is full, a file is not what it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const BROKEN: &str = "drivers/broken/x34-two-closers.sys";

fn search(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.args(["explore", BROKEN, "--strategy=exhaustive", "--depth=1", "--time=1000h", "--threads=2", "--out"]);
    command.arg(out).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

fn run(out: &Path) -> Output {
    search(out).output().expect("the program runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn progress(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("progress.json")).expect("progress")).expect("it is JSON")
}

/// Cause and place of each failure in the folder.
fn failures(folder: &Path) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(folder.join("failures.jsonl")).expect("failures");
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a whole line"));
    records.map(|r| (r["code"].to_string(), r["place"].as_str().expect("an address").to_owned())).collect()
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

/// Killed again and again at other moments, the search comes to the same end: nothing is lost, nothing counted twice.
#[test]
fn a_search_that_is_killed_goes_on() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let expected = run(&whole);
    assert_eq!(expected.status.code(), Some(10), "{}", stderr(&expected));
    for moment in [50, 170, 290, 410, 530, 650] {
        let mut child = search(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(moment));
        // It may have come to its end.
        child.kill().and_then(|()| child.wait()).expect("it is gone");
    }
    let rest = run(&killed);
    assert_eq!(rest.status.code(), Some(10), "{}", stderr(&rest));
    assert_eq!(progress(&killed), progress(&whole));
    assert_eq!(failures(&killed), failures(&whole));
    assert_eq!(last_line(&rest), last_line(&expected));
}

/// No room for the results: the reason is said, and what was there stays.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let out = folder.path().join("out");
    let begun = search(&out).arg("--schedules=20").output().expect("the program runs");
    assert_eq!(begun.status.code(), Some(0), "{}", stderr(&begun));
    let before = progress(&out);
    // The new file is written here before it takes the place of the old one.
    std::os::unix::fs::symlink("/dev/full", out.join("progress.new")).expect("a link");
    let full = run(&out);
    // What it had found until then is told all the same, and is what the exit code says.
    assert!(matches!(full.status.code(), Some(10 | 30)), "{}", stderr(&full));
    assert!(last_line(&full).starts_with("shown"), "{}", last_line(&full));
    assert!(stderr(&full).contains("progress.json") && stderr(&full).contains("No space left"), "{}", stderr(&full));
    assert_eq!(progress(&out), before);
    fs::remove_file(out.join("progress.new")).expect("the link goes");
    let rest = run(&out);
    assert_eq!(rest.status.code(), Some(10), "{}", stderr(&rest));
}

/// The same for the failures: what was told before the disk was full is in the folder, and the rest is found again.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_the_failures_is_said() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    let expected = run(&whole);
    fs::create_dir(&out).expect("it is new");
    std::os::unix::fs::symlink("/dev/full", out.join("failures.jsonl")).expect("a link");
    let full = run(&out);
    assert_eq!(full.status.code(), Some(10), "{}", stderr(&full));
    assert!(stderr(&full).contains("failures.jsonl") && stderr(&full).contains("No space left"), "{}", stderr(&full));
    assert!(last_line(&full).starts_with("shown"), "{}", last_line(&full));
    let ended = "ended     where results could not be written any more\n";
    assert!(String::from_utf8_lossy(&full.stdout).contains(ended), "{full:?}");
    fs::remove_file(out.join("failures.jsonl")).expect("the link goes");
    let rest = run(&out);
    assert_eq!((rest.status.code(), last_line(&rest)), (Some(10), last_line(&expected)), "{}", stderr(&rest));
    assert_eq!(failures(&out), failures(&whole));
}

/// Two at the same time would write over what the other one says.
#[test]
fn a_folder_is_for_one_search_at_a_time() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let whole = run(folder.path());
    let other = fs::File::open(folder.path().join("failures.jsonl")).expect("it is there");
    other.lock().expect("nobody else has it");
    let refused = run(folder.path());
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("is in use by another search"), "{}", stderr(&refused));
    drop(other);
    assert_eq!(last_line(&run(folder.path())), last_line(&whole));
}

/// A line that was cut off is left out; one that somebody changed is named.
#[test]
fn a_damaged_folder_is_named() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let out = folder.path().join("out");
    let whole = run(&out);
    let file = out.join("failures.jsonl");
    let text = fs::read_to_string(&file).expect("failures");
    fs::write(&file, &text[..text.len() - 9]).expect("it is writable");
    assert_eq!(last_line(&run(&out)), last_line(&whole));
    fs::write(&file, "{}\n").expect("it is writable");
    let refused = run(&out);
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("failures.jsonl`, line 1"), "{}", stderr(&refused));
}

/// What is written is data: an address is not rounded, and a bound has a name.
#[test]
fn what_is_written_is_data() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let out = folder.path().join("out");
    let found = search(&out).arg("--bound=switch=1,trim=1").output().expect("the program runs");
    assert_eq!(found.status.code(), Some(10), "{}", stderr(&found));
    assert!(failures(&out).iter().all(|(_, place)| place.starts_with("0x")), "{:?}", failures(&out));
    let search = &progress(&out)["search"];
    assert_eq!(search["bound"], serde_json::json!({"switch": 1, "trim": 1}));
    assert_eq!((&search["strategy"], &search["depth"]), (&"exhaustive".into(), &1.into()));
}

/// A token that is too long to be pasted is named by its file, which is as good.
#[test]
fn a_long_token_is_named_by_its_file() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let (out, long) = (folder.path().join("out put"), folder.path().join(format!("{}.sys", "x".repeat(180))));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::copy(root.join(BROKEN), &long).expect("a copy");
    let nonpaged = |command: &mut Command| command.current_dir(folder.path()).output().expect("the program runs");
    let mut searched = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    searched.arg("explore").arg(&long).args(["--strategy=exhaustive", "--depth=1", "--time=1000h", "--out"]).arg(&out);
    let found = nonpaged(&mut searched);
    assert_eq!(found.status.code(), Some(10), "{}", stderr(&found));
    let (file, text) = (out.join("failure-1.token"), String::from_utf8_lossy(&found.stdout).into_owned());
    let hint = format!("nonpaged replay \"{}\"", file.display());
    assert!(text.contains(&hint) && stderr(&found).contains(&hint), "{text}{}", stderr(&found));
    assert!(!text.contains("np2-") && !stderr(&found).contains("np2-"), "{text}{}", stderr(&found));
    let replay = |word: &str| nonpaged(Command::new(env!("CARGO_BIN_EXE_nonpaged")).args(["replay", word]));
    let token = fs::read_to_string(&file).expect("the token");
    let (by_file, by_token) = (replay(&file.display().to_string()), replay(token.trim()));
    assert_eq!((by_file.status.code(), by_token.status.code()), (Some(10), Some(10)), "{}", stderr(&by_file));
    // A line is broken before a long word.
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let named = stderr(&by_token).replace(token.trim(), &format!("\"{}\"", file.display()));
    assert_eq!(words(&stderr(&by_file)), words(&named));
    assert_eq!(by_file.stdout, by_token.stdout);
    fs::write(&file, "np2-AAAAAAAA\n").expect("it is writable");
    let damaged = replay(&file.display().to_string());
    assert_eq!(damaged.status.code(), Some(64), "{}", stderr(&damaged));
    assert!(stderr(&damaged).contains("failure-1.token`: the token is damaged"), "{}", stderr(&damaged));
}

/// A folder of another version of the format is named as one, and left alone.
#[test]
fn a_folder_of_another_version_is_refused() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let old = r#"{"format": 2, "search": "np2-x Bound([None])", "shard": [1, 1], "units": 3}"#;
    fs::write(folder.path().join("progress.json"), old).expect("it is writable");
    let refused = run(folder.path());
    assert_eq!(refused.status.code(), Some(64), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("was written in version 2 of the format of results"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(folder.path().join("progress.json")).expect("it is there"), old);
}

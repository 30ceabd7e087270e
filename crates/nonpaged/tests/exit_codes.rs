//! Results that cannot be written, and files that are none: words and the gravest exit code, whatever else is found.
#![cfg(target_os = "linux")]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

const NO_ROOM: &str = "`standard output` cannot be written: No space left on device";

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nonpaged"))
}

fn driver(name: &str) -> OsString {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers").join(name).with_extension("sys").into()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the program says with these arguments, the driver after the first of them.
fn with(arguments: &[&str], driver: impl AsRef<OsStr>) -> Command {
    let mut command = program();
    command.arg(arguments[0]).arg(driver).args(&arguments[1..]);
    command
}

#[track_caller]
fn assert_says(command: &mut Command, code: i32, words: &[&str]) -> Output {
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", stderr(&output));
    let text = stderr(&output);
    words.iter().for_each(|word| assert!(text.contains(word), "{command:?}: {text}"));
    output
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("it can be opened")
}

/// What was found weighs more than that it cannot be written, and both are said; where nothing was found, or less, it is 30.
#[test]
fn no_room_for_a_result_hides_no_bug() {
    let bug = driver("broken/x10-lock-leak");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/ui/fail/broken/x10-lock-leak.toml");
    let folder = TempDir::new().expect("a temporary folder");
    fs::copy(driver("broken/x06-init-after-discard"), folder.path().join("a.sys")).expect("it can be copied");
    let run = ["run", "--scenario", scenario];
    assert_says(with(&run, &bug).stdout(full()), 10, &[NO_ROOM, "K05"]);
    assert_says(with(&[&run[..], &["--json"]].concat(), &bug).stdout(full()), 10, &[NO_ROOM]);
    assert_says(with(&["run"], folder.path()).stdout(full()), 10, &[NO_ROOM]);
    let search = ["explore", "--schedules=1", "--scenario", scenario];
    assert_says(with(&search, &bug).stdout(full()), 10, &[NO_ROOM, "K05"]);
    for (arguments, driver) in [
        (&["run"][..], driver("null/null")),
        (&["map"], driver("null/null")),
        (&["explore", "--schedules=1", "--json"], driver("null/null")),
        (&["check", "--format", "json"], driver("broken/x28-dpc-pageable")),
    ] {
        assert_says(with(arguments, driver).stdout(full()), 30, &[NO_ROOM]);
    }
    assert_says(program().arg("--help").stdout(full()), 30, &[NO_ROOM]);
    assert_says(program().args(["run", "--help"]).stdout(full()), 30, &[NO_ROOM]);
}

/// The same for the log of a run.
#[test]
fn no_room_for_a_log_hides_no_bug() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/ui/fail/broken/x10-lock-leak.toml");
    let logged = ["run", "--log", "/dev/full", "--scenario", scenario];
    assert_says(&mut with(&logged, driver("broken/x10-lock-leak")), 10, &["K05", "`/dev/full` cannot be written"]);
    let words = ["`/dev/full` cannot be written", "(exit code 30)\n"];
    let output = assert_says(&mut with(&logged[..3], driver("null/null")), 30, &words);
    assert!(!output.stdout.is_empty(), "the result is there");
}

/// Nobody writes to the pipes: who opened one would wait for ever.
#[test]
fn a_pipe_is_no_driver() {
    let folder = TempDir::new().expect("a temporary folder");
    let pipe = |name: &str| {
        let path = folder.path().join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
        path
    };
    let image = pipe("pipe.sys");
    for command in ["run", "map", "check", "explore"] {
        assert_says(&mut with(&[command], &image), 64, &["pipe.sys` cannot be read: it is no ordinary file"]);
    }
    // A library and symbols that are pipes are as good as none.
    let client = folder.path().join("client.sys");
    fs::copy(driver("library/client"), &client).expect("it can be copied");
    pipe("library.sys");
    pipe("client.pdb");
    assert_says(&mut with(&["run"], &client), 20, &["library.sys"]);
}

/// Whoever names a folder expects a driver there.
#[test]
fn a_folder_without_drivers_is_no_success() {
    let folder = TempDir::new().expect("a temporary folder");
    for command in ["run", "check"] {
        assert_says(&mut with(&[command], folder.path()), 64, &["cannot be read: there is no `.sys` file in it"]);
    }
    for command in ["map", "explore"] {
        assert_says(
            &mut with(&[command], folder.path()),
            64,
            &["is a folder: only `nonpaged run` and `nonpaged check` take"],
        );
    }
}

/// Not even root can make a folder there.
#[test]
fn a_folder_for_results_that_cannot_be_made_is_a_wrong_argument() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let below = file.path().join("out").display().to_string();
    for out in ["/proc/nonpaged/out", &below] {
        let search = ["explore", "--schedules=1", "--out", out];
        assert_says(&mut with(&search, driver("null/null")), 64, &[out, "cannot be created"]);
    }
    assert_says(program().args(["merge", "/proc/nonpaged/all", &below]), 64, &[&below]);
}

/// As that of the search: 10 only where a failure of the driver was found, and what cannot be merged is told apart in words.
#[test]
fn a_merge_exits_as_the_search_does() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let search = |name: &str, driver_name: &str, more: &[&str], code: i32| {
        let out = path(name);
        let arguments = [&["explore", "--schedules=1", "--out", &out], more].concat();
        assert_says(&mut with(&arguments, driver(driver_name)), code, &[]);
    };
    let merge = |from: &str, code: i32, words: &[&str]| {
        assert_says(program().args(["merge", &path(&format!("all-{from}")), &path(from)]), code, words)
    };
    search("clean", "null/null", &[], 0);
    search("bug", "broken/x06-init-after-discard", &[], 10);
    search("nothing", "null/null", &["--steps=100"], 20);
    for (name, code) in [("clean", 0), ("bug", 10), ("nothing", 20)] {
        merge(name, code, &[]);
    }
    let edited = |name: &str, edit: &dyn Fn(&Path)| {
        search(name, "broken/x06-init-after-discard", &[], 10);
        edit(&folder.path().join(name));
    };
    let replace = |path: PathBuf, text: &str| fs::write(path, text).expect("it is writable");
    edited("format", &|out| replace(out.join("progress.json"), r#"{"format": 2}"#));
    edited("damaged", &|out| replace(out.join("failures.jsonl"), "{}\n"));
    edited("unreadable", &|out| {
        fs::remove_file(out.join("failures.jsonl")).expect("it is there");
        fs::create_dir(out.join("failures.jsonl")).expect("it can be made");
    });
    merge("format", 64, &["was written in version 2 of the format of results"]);
    merge("damaged", 64, &["result `", "failures.jsonl`, line 1: "]);
    merge("unreadable", 64, &["result `", "failures.jsonl` cannot be read: Is a directory"]);
    merge("nowhere", 64, &["nowhere` has no results of a search"]);
    // A disk that takes no more is no wrong argument, and the next attempt finds nothing in its way.
    fs::create_dir(path("all-bug-2")).expect("it can be made");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("all-bug-2/progress.new")).expect("a link");
    for (code, words) in [(30, &["progress.json` cannot be written: No space left"][..]), (10, &[])] {
        assert_says(program().args(["merge", &path("all-bug-2"), &path("bug")]), code, words);
    }
}

/// A folder whose files are larger than any search makes them is refused, and not read into memory.
#[test]
fn a_huge_file_of_progress_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = File::create(folder.path().join("progress.json")).expect("it can be made");
    file.set_len(1 << 34).expect("a hole takes no room");
    let out = folder.path().display().to_string();
    let search = ["explore", "--schedules=1", "--out", &out];
    assert_says(&mut with(&search, driver("null/null")), 64, &["progress.json`, line 1"]);
}

#[test]
fn names_may_have_any_bytes() {
    let folder = TempDir::new().expect("a temporary folder");
    let copy = |name: &[u8]| -> PathBuf {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::copy(driver("broken/x06-init-after-discard"), &path).expect("it can be copied");
        path
    };
    for path in [copy(b"bad\xffname.sys"), copy(b"a `b` $(c) 'd'.sys"), copy("Gerät \u{202e}.sys".as_bytes())] {
        for arguments in [&["map"][..], &["check"], &["map", "--json"], &["check", "--format", "sarif"]] {
            let output = with(arguments, &path).output().expect("the program starts");
            assert!(matches!(output.status.code(), Some(0 | 11)), "{path:?}: {arguments:?}: {}", stderr(&output));
        }
        assert_says(&mut with(&["run"], &path), 10, &["0x50"]);
        let found = assert_says(&mut with(&["explore", "--schedules=1"], &path), 10, &["0x50"]);
        let text = String::from_utf8_lossy(&found.stdout);
        let token = text.split_whitespace().find(|word| word.starts_with("np2-")).expect("a token");
        // A token is text: of a name that is none, the file has to be said.
        let mut replay = program();
        replay.args(["replay", token]).args(path.to_str().is_none().then_some("--driver"));
        replay.args(path.to_str().is_none().then_some(&path));
        assert_says(&mut replay, 10, &["0x50"]);
    }
}

/// Ctrl-C ends a search at once and without a word; its folder has what was found, and the search goes on from there.
#[test]
fn an_interrupted_search_leaves_a_whole_folder() {
    let folder = TempDir::new().expect("a temporary folder");
    let out = folder.path().join("out").display().to_string();
    let search = |schedules: &str| {
        with(&["explore", "--strategy=random", schedules, "--out", &out, "--time=1000h"], driver("null/null"))
    };
    // Whoever runs the tests may have SIGINT ignored, which children would inherit.
    let endless = search("--schedules=1000000000");
    let mut child = Command::new("env");
    child.arg("--default-signal=INT").arg(endless.get_program()).args(endless.get_args());
    child.current_dir(endless.get_current_dir().unwrap_or(Path::new(".")));
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !folder.path().join("out/progress.json").exists() {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended");
        assert!(Instant::now() < patience, "no progress is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Of the shell: a small system has no program of this name.
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().expect("it can be sent");
    let ended = child.wait_with_output().expect("it ends");
    assert!(sent.success() && ended.status.signal() == Some(2), "{ended:?}");
    assert_eq!((stderr(&ended), ended.stdout.as_slice()), (String::new(), &b""[..]));
    assert_says(&mut search("--schedules=5"), 0, &[]);
}

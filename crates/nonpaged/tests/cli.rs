//! The program from outside: exit codes, streams, help.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driver_image::SectionFlags;
use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use tempfile::TempDir;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nonpaged"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

#[track_caller]
fn assert_fails(arguments: &[&str], code: i32, message: &str) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "{arguments:?}: results and reports are apart");
}

/// A folder with a sound image, `good.sys`, and some that are not.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let mut builder = PeBuilder::new();
        builder.section(".text", CODE, &[0xc3; 0x800]);
        builder.section("PAGE", CODE, &[0xc3; 0x1800]);
        builder.section("PAGEDATA", VARIABLES, &[0; 0x800]);
        builder.section("INIT", SectionFlags(CODE.0 | SectionFlags::DISCARDABLE), &[0xc3; 0x100]);
        let files = Files(TempDir::new().expect("a temporary folder"));
        files.write("good.sys", &builder.build());
        files.write("text.sys", b"this is no image");
        files.write("empty.sys", b"");
        files
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("the file can be written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[test]
fn help_and_version_are_results() {
    for arguments in [&["--help"][..], &["-h"], &["run", "--help"], &["map", "--help"], &["explain", "--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&output).contains("Usage: nonpaged"), "{arguments:?}: {}", stdout(&output));
        assert_eq!(stderr(&output), "");
    }
    assert_eq!(stdout(&run(&["--version"])), concat!("nonpaged ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_arguments_are_64() {
    assert_fails(&[], 64, "Usage: nonpaged");
    assert_fails(&["nothing"], 64, "unrecognized subcommand");
    assert_fails(&["run"], 64, "<DRIVER>");
    assert_fails(&["run", "a.sys", "--trim", "sometimes"], 64, "never, pressure, on-raise, at-once");
    assert_fails(&["run", "a.sys", "--frames", "31"], 64, "31 is not in 32..=16777216");
    assert_fails(&["run", "a.sys", "--cpus", "65"], 64, "--cpus");
    assert_fails(
        &["run", "a.sys", "--serial-line", "file:"],
        64,
        "loopback, peer, stdio, file:PATH, replay:PATH or pty",
    );
    assert_fails(&["explain"], 64, "<CODE>");
}

#[test]
fn a_missing_driver_is_64() {
    for command in ["run", "map"] {
        assert_fails(&[command, "no/such/file.sys"], 64, "driver `no/such/file.sys` cannot be read");
    }
    assert_fails(&["map", "."], 64, "`.` is a folder");
}

#[test]
fn no_image_is_65() {
    let files = Files::new();
    for command in ["run", "map"] {
        assert_fails(&[command, &files.name("text.sys")], 65, "is not a loadable driver: not a PE image");
        assert_fails(&[command, &files.name("empty.sys")], 65, "the file is truncated: the DOS header needs 64 bytes");
    }
}

/// Each cut of an image is refused or mapped; none makes the program fail.
#[test]
fn cut_images_do_no_harm() {
    let files = Files::new();
    let image = std::fs::read(files.path("good.sys")).expect("the image is there");
    for length in (0..image.len()).step_by(image.len() / 40) {
        files.write("cut.sys", &image[..length]);
        let output = run(&["map", &files.name("cut.sys")]);
        assert!([Some(0), Some(65)].contains(&output.status.code()), "{length} bytes: {}", stderr(&output));
    }
}

#[test]
fn a_wrong_scenario_is_64_and_says_where() {
    let files = Files::new();
    files.write("bad.toml", b"[[steps]]\nraed = { bytes = 1 }\n");
    files.write("binary.toml", b"\xff\xfe");
    let (driver, bad) = (files.name("good.sys"), files.name("bad.toml"));
    assert_fails(&["run", &driver, "--scenario", &bad], 64, "bad.toml`, line 2, column 1: unknown field `raed`");
    assert_fails(&["run", &driver, "--scenario", &files.name("binary.toml")], 64, "cannot be read: invalid utf-8");
    assert_fails(&["run", &driver, "--scenario", &files.name("none.toml")], 64, "scenario `");
}

#[test]
fn map_prints_pages_and_sums() {
    let files = Files::new();
    let output = run(&["map", &files.name("good.sys")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).starts_with("good.sys: 6 pages, 24.0 KiB, section alignment 0x1000\n"),
        "{}",
        stdout(&output)
    );
    assert!(stdout(&output).contains("2000 - 3fff      2  pageable   r-x     PAGE\n"), "{}", stdout(&output));
}

#[test]
fn json_is_one_object() {
    let files = Files::new();
    let map: serde_json::Value =
        serde_json::from_slice(&run(&["map", "--json", &files.name("good.sys")]).stdout).expect("JSON");
    assert_eq!(map["totals"]["pageable_bytes"], 0x3000);
    assert_eq!(map["totals"]["discarded"], 1);
}

#[test]
fn errors_are_json_too() {
    let files = Files::new();
    for command in ["run", "map"] {
        let output = run(&[command, "--json", &files.name("text.sys")]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(document["exit_code"], 65);
        assert_eq!(document["ended"], "not_started");
        assert_eq!(document["reports"][0]["class"], "input");
        assert_eq!((output.status.code(), stderr(&output)), (Some(65), ""));
    }
}

/// The text goes to standard error like all reports, the other forms to standard output.
#[test]
fn check_finds_and_exits_with_11() {
    let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/broken");
    let broken = drivers.join("x03-helper-in-paged-file.sys").display().to_string();
    let repaired = drivers.join("x03-helper-in-paged-file-fixed.sys").display().to_string();
    let output = run(&["check", &broken, &repaired]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(11), ""));
    assert!(stderr(&output).starts_with("error[K13]: pageable code may be reached at `DISPATCH_LEVEL`\n"));
    assert!(
        stderr(&output).contains("1 finding in 2 files; 1 error, 0 warnings (exit code 11)"),
        "{}",
        stderr(&output)
    );
    let output = run(&["check", &repaired]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "ok: 0 findings in 1 file; 0 errors, 0 warnings (exit code 0)\n");
    for (format, start) in [("json", "{"), ("sarif", "{"), ("junit", "<?xml")] {
        let output = run(&["check", "--format", format, &broken]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(11), ""), "{format}");
        assert!(stdout(&output).starts_with(start) && stdout(&output).contains("K13"), "{format}");
    }
}

#[test]
fn check_counts_what_it_is_told_to() {
    let files = Files::new();
    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/broken/x03-helper-in-paged-file.sys");
    let (broken, baseline) = (broken.display().to_string(), files.name("known.txt"));
    let code = |arguments: &[&str]| run(&[&["check"], arguments].concat()).status.code();
    assert_eq!(code(&["--allow", "K13", &broken]), Some(0));
    assert_eq!(code(&["--allow", "error", &broken]), Some(0));
    assert_eq!(code(&["--allow", "error", "--deny", "latent-fault", &broken]), Some(11));
    assert_eq!(code(&["--write-baseline", &baseline, &broken]), Some(11));
    assert_eq!(code(&["--baseline", &baseline, &broken]), Some(0));
    files.write("bad.txt", b"nonsense\n");
    assert_fails(&["check", "--baseline", &files.name("bad.txt"), &broken], 64, "bad.txt`, line 1: `nonsense` is no");
    assert_fails(&["check", "--deny", "K99", &broken], 64, "expected error, warning or info, a code such as K13");
    assert_fails(&["check"], 64, "<DRIVERS>");
}

/// A folder is searched; a file that is no image is told, and the others are audited all the same.
#[test]
fn check_takes_folders() {
    let files = Files::new();
    let output = run(&["check", &files.0.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    assert!(stderr(&output).contains("text.sys` is not a loadable driver"), "{}", stderr(&output));
    assert!(stderr(&output).contains("in 3 files;"), "{}", stderr(&output));
}

#[test]
fn explain_finds_codes_and_lists_them() {
    assert!(stdout(&run(&["explain", "d3"])).is_empty(), "a bug check is written with 0x");
    assert!(stdout(&run(&["explain", "0xd3"])).starts_with("# 0xD3 DRIVER_PORTION_MUST_BE_NONPAGED\n"));
    assert!(stdout(&run(&["explain", "K08"])).starts_with("# K08 unlock-with-queued-irps\n"));
    assert_eq!(stdout(&run(&["explain", "--list"])).lines().count(), report::explain::pages().count(), "one a page");
}

#[test]
fn an_unknown_code_is_64_and_lists_the_known_ones() {
    assert_fails(&["explain", "K99"], 64, "error: unknown code `K99`\n     = help: the known ones are 0x01, 0x0A,");
    assert_fails(&["explain", "--list", "K01"], 64, "cannot be used with");
}

#[test]
fn colour_is_used_only_where_it_is_wanted() {
    let colored = |color: &[&str], no_color: &str| {
        let mut command = program();
        command.args(["explain", "K99"]).args(color).env("NO_COLOR", no_color);
        stderr(&command.output().expect("the program starts")).contains('\x1b')
    };
    assert!(!colored(&[], ""), "standard error is no terminal here");
    assert!(colored(&["--color=always"], ""));
    assert!(colored(&["--color=always"], "1"), "what is asked for expressly is done");
    assert!(!colored(&["--color=never"], ""));
}

/// `nonpaged explain --list | head -1` is no error.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = program();
    command.args(["explain", "--list"]).stdout(writer).stderr(Stdio::piped());
    let output = command.output().expect("the program starts");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn a_full_disk_is_a_limit() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    let full = std::fs::OpenOptions::new().write(true).open(full).expect("it can be opened");
    let output = program().args(["explain", "--list"]).stdout(full).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(30), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("limit: `standard output` cannot be written"), "{}", stderr(&output));
}

/// However few frames there are, the run ends with a report, and with enough of them it finishes: memory of threads that
/// have ended is used again.
#[test]
fn few_frames_are_a_limit_and_no_bug() {
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/serial/serial.sys");
    for frames in (32..130).chain([150, 175]) {
        let output = run(&["run", driver, "--frames", &frames.to_string(), "--trim=pressure"]);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 10 | 30)), "{frames} frames: {code:?}: {}", stderr(&output));
    }
    let output = run(&["run", driver, "--frames=200", "--trim=pressure"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

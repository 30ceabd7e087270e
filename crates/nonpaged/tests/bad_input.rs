//! Bad input from the command line: one clear error each, the right exit code, no half-written file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use driver_image::Directory;
use driver_image::builder::{CODE, CONSTANTS, PeBuilder};
use tempfile::TempDir;

const SERIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/serial/serial.sys");

/// Offsets in a file of the builder.
const FILE_HEADER: usize = 0x44;
const OPTIONAL_HEADER: usize = 0x58;
const DIRECTORIES: usize = 0xc8;
const SECTIONS: usize = 0x148;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nonpaged"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// One report, which has this text, and this exit code; no result.
#[track_caller]
fn assert_refused(output: &Output, code: i32, message: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    let reports = text.lines().filter(|line| line.starts_with("error") || line.starts_with("limit"));
    assert_eq!(reports.count(), 1, "{text}");
    assert!(text.lines().next().is_some_and(|line| line.contains(message)), "{text}");
    assert!(output.stdout.is_empty(), "there is no result");
}

/// An image of two sections, with these bytes at this offset.
fn image_with(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut builder = PeBuilder::new();
    builder.section(".text", CODE, &[0xc3; 0x800]);
    builder.section("PAGE", CODE, &[0xc3; 0x1800]);
    let mut file = builder.build();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    file
}

fn all_commands(file: &Path, code: i32, message: &str) {
    for command in [&["run"][..], &["map"], &["map", "--advise"]] {
        let output = program().args(command).arg(file).output().expect("the program starts");
        assert_refused(&output, code, message);
    }
    let output = program().arg("check").arg(file).output().expect("the program starts");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.contains(message)), "{text}");
    assert!(text.ends_with(&format!("1 error, 0 warnings (exit code {code})\n")), "{text}");
}

/// Wherever a file ends early, it is refused or as good as whole; nothing panics.
#[test]
fn truncated_files() {
    let whole = std::fs::read(SERIAL).expect("the sample is there");
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("cut.sys");
    for length in [0, 1, 63, 64, 200, 0x1ff, 0x400, 0x1234, 0x2000, 0x4321, whole.len() - 512, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).expect("it can be written");
        for command in [&["check"][..], &["map"], &["map", "--advise"]] {
            let output = program().args(command).arg(&file).output().expect("the program starts");
            assert_eq!(output.status.code(), Some(65), "{length}: {command:?}: {output:?}");
        }
    }
}

/// An image of which not all can be looked at: an instruction that is none, a section that is filled at run time, and more
/// functions that overlap than are looked at.
fn obfuscated() -> Vec<u8> {
    let mut builder = PeBuilder::new();
    builder.section_of_size("UPX0", CODE, &[], 0x2000);
    let mut code = vec![0x90; 100_000];
    code[1] = 0x06;
    let text = builder.section("UPX1", CODE, &code);
    let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]);
    let entry = |index: u32| [text.0 + index, text.0 + code.len() as u32, unwind.0].map(u32::to_le_bytes).concat();
    let table: Vec<u8> = (0..20_000).flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32).entry_point(text);
    builder.build()
}

/// What was not looked at is told in every format, and is no finding.
#[test]
fn what_was_not_looked_at_is_told_in_every_format() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("packed.sys");
    std::fs::write(&file, obfuscated()).expect("it can be written");
    let reasons = [
        "with bytes that are no instructions, or with too many",
        "1 executable section without bytes in the file: the code is made at run time",
        "there are more functions, or more of them overlap, than are looked at",
    ];
    let commands: [&[&str]; 6] = [
        &["check"],
        &["check", "--format", "json"],
        &["check", "--format", "sarif"],
        &["check", "--format", "junit"],
        &["map", "--advise"],
        &["map", "--advise", "--json"],
    ];
    for command in commands {
        let output = program().args(command).arg(&file).output().expect("the program starts");
        let text = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {text}");
        // Text is wrapped.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("analysis incomplete"), "{command:?}: {text}");
        for reason in reasons {
            assert!(text.contains(reason), "{command:?}: {text}");
        }
    }
}

/// 20 MB of code that nobody can make sense of, and as much that is sound: both come to an end soon.
#[test]
fn images_of_20_mb() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("large.sys");
    let noise: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for code in [noise, vec![0xc3; 20_000_000]] {
        let mut builder = PeBuilder::new();
        let text = builder.section(".text", CODE, &code);
        builder.entry_point(text);
        std::fs::write(&file, builder.build()).expect("it can be written");
        for command in [&["check"][..], &["map", "--advise"]] {
            let begun = Instant::now();
            let output = program().args(command).arg(&file).output().expect("the program starts");
            assert_eq!(output.status.code(), Some(0), "{command:?}: {output:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{command:?}: {:?}", begun.elapsed());
        }
    }
}

#[test]
fn images_that_are_no_x64_driver() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("bad.sys");
    let rows: [(&str, usize, &[u8]); 9] = [
        ("not a PE image", 0, b"NE"),
        ("the image is for machine `0x14c`, not for x64", FILE_HEADER, &[0x4c, 0x01]),
        ("the image is for machine `0xaa64`, not for x64", FILE_HEADER, &[0x64, 0xaa]),
        ("subsystem", OPTIONAL_HEADER + 68, &[2, 0]),
        ("SizeOfImage is `0xffffffff`", OPTIONAL_HEADER + 56, &[0xff; 4]),
        ("SectionAlignment", OPTIONAL_HEADER + 32, &[1, 0x10, 0, 0]),
        ("overlaps", SECTIONS + 40 + 12, &[0, 0x10, 0, 0]),
        ("past the end of the image", SECTIONS + 40 + 12, &[0, 0xf0, 0xff, 0xff]),
        ("import directory points outside", DIRECTORIES + 8, &[0, 0, 0x10, 0, 0x28, 0, 0, 0]),
    ];
    for (message, offset, bytes) in rows {
        std::fs::write(&file, image_with(offset, bytes)).expect("it can be written");
        all_commands(&file, 65, message);
    }
}

/// What `nonpaged run` says when a file that these arguments name cannot be used.
fn run_with(arguments: &[&str]) -> Output {
    program().arg("run").arg(SERIAL).args(arguments).output().expect("the program starts")
}

#[test]
fn folders_that_are_missing() {
    let folder = TempDir::new().expect("a temporary folder");
    let missing = folder.path().join("no").join("such").display().to_string();
    let serial_line = format!("file:{missing}");
    assert_refused(&run_with(&["--paging-file", &missing]), 64, &format!("paging file `{missing}` cannot be created"));
    assert_refused(&run_with(&["--log", &missing]), 64, &format!("log `{missing}` cannot be created"));
    assert_refused(&run_with(&["--serial-line", &serial_line]), 64, "serial line `");
    assert_refused(&run_with(&["--registry", &missing]), 64, "registry `");
    assert_refused(&run_with(&["--scenario", &missing]), 64, "scenario `");
}

#[test]
fn a_file_that_is_no_paging_file_stays() {
    let folder = TempDir::new().expect("a temporary folder");
    let letter = folder.path().join("letter");
    std::fs::write(&letter, "dear reader, this is no paging file").expect("it can be written");
    let output = run_with(&["--paging-file", &letter.display().to_string()]);
    assert_refused(&output, 64, "exists and is something else; it is left as it is");
    assert_eq!(std::fs::read_to_string(&letter).expect("it is there"), "dear reader, this is no paging file");
}

/// A run whose files may not grow beyond so many blocks of 512 bytes, as on a disk that is nearly full.
#[cfg(unix)]
fn run_with_room_for(blocks: u32, pages: &Path, log: &Path) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_nonpaged"), "run", SERIAL, "--trim=at-once"]);
    command.arg("--paging-file").arg(pages).arg("--log").arg(log);
    command.output().expect("the shell starts")
}

/// The log is there whole or not at all, however much room there is.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_a_limit() {
    let mut ends = Vec::new();
    for blocks in [0, 8, 16, 40, 64, 80, 96, 1000] {
        let folder = TempDir::new().expect("a temporary folder");
        let (pages, log) = (folder.path().join("pages"), folder.path().join("log.jsonl"));
        let output = run_with_room_for(blocks, &pages, &log);
        ends.push(output.status.code());
        if output.status.code() != Some(0) {
            let text = stderr(&output);
            assert!(text.contains("cannot be written") || text.contains("cannot be created"), "{blocks}: {text}");
        }
        let names: Vec<PathBuf> =
            folder.path().read_dir().expect("it is there").map(|e| e.expect("it is").path()).collect();
        assert!(names.iter().all(|name| *name == pages || *name == log), "{blocks}: {names:?}");
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{blocks}");
    }
    assert!(ends[1..].iter().all(|code| matches!(code, Some(0 | 30))), "{ends:?}");
    assert_eq!((ends[1], ends.last()), (Some(30), Some(&Some(0))), "{ends:?}");
}

/// STATUS_DRIVER_ENTRYPOINT_NOT_FOUND: the driver beside it that it imports from does not export all that it wants.
#[test]
fn an_import_that_the_driver_beside_it_lacks() {
    let drivers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers");
    let folder = TempDir::new().expect("a temporary folder");
    let client = folder.path().join("client.sys");
    std::fs::copy(format!("{drivers}/library/client.sys"), &client).expect("it can be copied");
    std::fs::copy(format!("{drivers}/null/null.sys"), folder.path().join("library.sys")).expect("it can be copied");
    let output = program().arg("run").arg(&client).output().expect("the program starts");
    assert_refused(&output, 65, "it imports `ChecksumLock` from `library.sys`, which is loaded and does not export it");
}

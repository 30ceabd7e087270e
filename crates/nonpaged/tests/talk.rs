//! A conversation with a serial driver through a pseudo-terminal, and the same again from the recording.
#![cfg(unix)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use tempfile::TempDir;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonpaged"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.args(["run", "drivers/serial/serial.sys", "--scenario", "scenarios/talk.toml"]).args(arguments);
    command
}

/// Reads what the terminal shows, up to and with the last byte of this.
fn read_until(terminal: &mut File, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end) {
        terminal.read_exact(&mut byte).expect("the terminal can be read");
        seen.extend(byte);
    }
    seen
}

#[test]
fn what_is_typed_comes_back_and_can_be_replayed() {
    let folder = TempDir::new().expect("a temporary folder");
    let record = folder.path().join("talk.txt").display().to_string();
    let mut live = program(&["--serial-line", "pty", "--record", &record])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut reports = BufReader::new(live.stderr.take().expect("it is piped"));
    let mut line = String::new();
    reports.read_line(&mut line).expect("it says where the terminal is");
    let path = line.trim().strip_prefix("serial line: ").expect("the path of the terminal");
    let mut terminal = OpenOptions::new().read(true).write(true).open(path).expect("the terminal opens");

    read_until(&mut terminal, b"Ctrl-D ends\r\n");
    terminal.write_all(b"hello").expect("it can be written");
    assert_eq!(read_until(&mut terminal, b"o"), b"hello", "every byte comes back through the driver");
    terminal.write_all(b"\x04").expect("it can be written");

    let output = live.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let again = program(&["--serial-line", &format!("replay:{record}")]).output().expect("the program starts");
    assert_eq!(String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&output.stdout));
}

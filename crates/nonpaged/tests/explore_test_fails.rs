//! What a test in Rust that fails says, and how it is seen again.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{ChoicePoints, Strategy};

/// Each run of the tests below runs this in a process of its own, with `--ignored`, and looks at how it fails.
#[test]
#[ignore = "it fails on purpose; the tests below run it in a process of its own"]
fn a_test_that_fails() {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/serial/serial.sys");
    let search = Explore::new(driver).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX);
    search.choices(ChoicePoints::FAIL).check(|m| {
        let port = m.open();
        assert!(port.opening().status.is_success());
    });
}

fn run_the_test_that_fails(replay: Option<&str>) -> (Output, String) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "a_test_that_fails", "--ignored"]).env_remove("NONPAGED_REPLAY");
    command.envs(replay.map(|token| ("NONPAGED_REPLAY", token)));
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

fn token(text: &str) -> &str {
    let from = text.split("NONPAGED_REPLAY=").nth(1).unwrap_or_else(|| panic!("no token in {text}"));
    from.split_whitespace().next().unwrap_or_default()
}

/// The first report of a test that failed.
fn report(text: &str) -> &str {
    let from = text.find("error[").unwrap_or_else(|| panic!("no report in {text}"));
    text[from..].split("\n\n").next().unwrap_or_default()
}

#[test]
fn a_test_that_fails_says_what_happened_and_how_to_see_it_again() {
    let (output, text) = run_the_test_that_fails(None);
    assert!(!output.status.success());
    assert!(text.contains("by schedule, `"), "who failed is part of the report: {text}");
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    assert!(text.contains(&format!(" cargo test{release} a_test_that_fails\n")), "{text}");
    assert!(text.contains("shown: all "), "{text}");
    // Schedules that fail print nothing themselves.
    assert_eq!(text.matches("panicked at").count(), 1, "{text}");
    let (output, again) = run_the_test_that_fails(Some(token(&text)));
    assert!(!output.status.success());
    assert!(again.contains("the schedule of NONPAGED_REPLAY"), "{again}");
    assert_eq!(report(&again), report(&text));
}

/// What a search keeps in its folder is as good as the word.
#[test]
fn a_file_with_a_token_in_the_environment_is_replayed() {
    let (_, text) = run_the_test_that_fails(None);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let name = file.path().to_str().expect("its name is text");
    fs::write(name, format!("{}\n", token(&text))).expect("it can be written");
    let (output, again) = run_the_test_that_fails(Some(name));
    assert!(!output.status.success());
    assert_eq!(report(&again), report(&text));
    fs::write(name, "np2-AAAA").expect("it can be written");
    let (output, damaged) = run_the_test_that_fails(Some(name));
    assert!(
        !output.status.success() && damaged.contains(&format!("token `{name}`: the token is damaged")),
        "{damaged}"
    );
}

#[test]
fn a_file_that_is_not_there_fails_the_test() {
    let (output, text) = run_the_test_that_fails(Some("out/failure-1.token"));
    assert!(
        !output.status.success() && text.contains("no token, and no file of that name: a token begins with `np2-`"),
        "{text}"
    );
}

/// A token that is damaged is not left out in silence.
#[test]
fn a_damaged_token_in_the_environment_fails_the_test() {
    let (output, text) = run_the_test_that_fails(Some("np2-AAAA"));
    assert!(!output.status.success() && text.contains("the token is damaged"), "{text}");
}

/// The program knows nothing of what the test does, and says who does.
#[test]
fn the_command_line_refuses_the_token_of_a_test_in_rust() {
    let (_, text) = run_the_test_that_fails(None);
    let output = Command::new(env!("CARGO_BIN_EXE_nonpaged")).args(["replay", token(&text)]).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("tests/explore_test_fails.rs:") && said.contains("NONPAGED_REPLAY"), "{said}");
}

//! A search as a test in Rust: programs, assertions, what a test that fails says, and how it is seen again.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{ChoicePoints, Kind, Strategy};

const SERIAL: &str = "serial/serial";

fn driver(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{name}.sys"))
}

/// Every schedule with one deed, and no limit that depends on this machine.
fn search(name: &str) -> Explore {
    Explore::new(driver(name)).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX)
}

#[test]
fn programs_are_run_in_every_schedule_and_answers_and_locks_are_seen() {
    let outcome = search(SERIAL).cpus(2).check(|program| {
        let port = program.open();
        let read = program.thread("reader").read(&port, 5);
        let write = program.write(&port, b"hello");
        program.wait(&read);
        program.assert(move |moment| {
            if !moment.machine().schedule_so_far().is_empty() {
                return;
            }
            let answer = |request| moment.answer(request).expect("it was answered");
            assert_eq!((answer(&write).information, answer(&read).output.as_slice()), (5, b"hello".as_slice()));
            assert_eq!((moment.locks("PAGESER"), moment.resident("PAGESER") > 0), (1, true));
        });
        let close = program.close(&port);
        program.assert(move |moment| {
            assert!(moment.answer(&close).is_none_or(|answer| answer.status.is_success()));
            assert_eq!(moment.locks("PAGESER"), 0);
        });
    });
    assert!(outcome.exhausted && outcome.proven.deeds == Some(1), "{}", outcome.proven);
}

/// The write gets its bytes unless memory runs out: the deed is found, the schedule has nothing else, and it replays.
#[test]
fn an_assertion_that_some_schedule_breaks_is_found_shrunk_and_replays() {
    let search = search(SERIAL).choices(ChoicePoints::FAIL).depth(2).strategy(Strategy::Mixed).schedules(2_000);
    let search = search.program(|program| {
        let port = program.open();
        let write = program.write(&port, b"hello");
        program.assert(move |moment| {
            let answer = moment.answer(&write).expect("the port was opened");
            assert_eq!(answer.information, 5, "all of it is written");
        });
    });
    let outcome = search.run().expect("it runs");
    let failures: Vec<_> =
        outcome.failures.iter().filter(|failure| failure.signature.kind == Kind::Assertion).collect();
    assert!(!failures.is_empty(), "{:?}", outcome.failures);
    for failure in failures {
        assert!(failure.signature.to_string().starts_with("assertion at "), "{}", failure.signature);
        assert!(failure.signature.code.contains("tests/explore_rust.rs:"), "{}", failure.signature);
        assert_eq!(failure.schedule.len(), 1, "{failure:?}");
        let token = search.token(failure).expect("the driver is there").encode();
        let reports = search.replay(&token).expect("it replays");
        assert!(reports.iter().any(|report| report.title().contains(&failure.signature.code)), "{reports:?}");
    }
}

/// Each run of the tests below runs this in a process of its own, with `--ignored`, and looks at how it fails.
#[test]
#[ignore = "it fails on purpose; the `a_test_that_fails_..` tests run it in a process of its own"]
fn a_test_that_fails() {
    let search = search(SERIAL).choices(ChoicePoints::FAIL);
    search.check(|program| {
        let port = program.open();
        program.assert(move |moment| assert!(moment.answer(&port).is_some_and(|answer| answer.status.is_success())));
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
    assert!(text.contains(" cargo test a_test_that_fails\n"), "{text}");
    assert!(text.contains("shown: all "), "{text}");
    // Schedules that fail print nothing themselves.
    assert_eq!(text.matches("panicked at").count(), 1, "{text}");
    let (output, again) = run_the_test_that_fails(Some(token(&text)));
    assert!(!output.status.success());
    assert!(again.contains("the schedule of NONPAGED_REPLAY"), "{again}");
    assert_eq!(report(&again), report(&text));
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
    assert!(said.contains("tests/explore_rust.rs:") && said.contains("NONPAGED_REPLAY"), "{said}");
}

#[test]
#[should_panic(expected = "no section `PAGENONE`")]
fn a_section_that_does_not_exist_is_an_assertion_that_does_not_hold() {
    search(SERIAL).schedules(1).check(|program| program.assert(|moment| assert_eq!(moment.locks("PAGENONE"), 0)));
}

#[test]
#[should_panic(expected = "driver `nowhere.sys`")]
fn a_driver_that_is_not_there_is_named() {
    Explore::new("nowhere.sys").assert_clean();
}

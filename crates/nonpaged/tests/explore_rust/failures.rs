//! What is said where a schedule breaks what a test says, or where there is nothing to search.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nonpaged::Machine;
use nonpaged::explore::{ChoicePoints, ExploreError, Kind, Strategy};

use super::{SERIAL, search};

/// The write gets its bytes unless memory runs out: the deed is found, the schedule has nothing else, and it replays.
#[test]
fn a_plain_assertion_that_some_schedule_breaks_is_found_shrunk_and_replays() {
    let search = search(SERIAL).choices(ChoicePoints::FAIL).depth(2).strategy(Strategy::Mixed).schedules(2_000);
    let search = search.test(|m| {
        let port = m.open();
        let written = m.write(&port, b"hello");
        assert_eq!(written.information, 5, "all of it is written");
    });
    let outcome = search.run().expect("it runs");
    let failures: Vec<_> =
        outcome.failures.iter().filter(|failure| failure.signature.kind == Kind::Assertion).collect();
    assert_eq!(failures.len(), 1, "{:?}", outcome.failures);
    for failure in failures {
        assert!(failure.signature.to_string().starts_with("assertion at "), "{}", failure.signature);
        assert!(failure.signature.code.contains("tests/explore_rust/failures.rs:"), "{}", failure.signature);
        assert_eq!(failure.schedule.len(), 1, "{failure:?}");
        let token = search.token(failure).expect("the driver is there").encode();
        let reports = search.replay(&token).expect("it replays");
        assert!(reports.iter().any(|report| report.title().contains(&failure.signature.code)), "{reports:?}");
    }
}

#[test]
fn a_loop_that_only_looks_ends() {
    let outcome = search(SERIAL).schedules(1).test(|m| while m.locks("PAGESER") < 99 {}).run().expect("it runs");
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].signature.kind, Kind::Assertion);
}

/// Nobody answers the second read: the program would hang.
#[test]
fn a_request_that_is_never_answered_is_a_failure() {
    let search = search(SERIAL).schedules(1).test(|m| {
        let port = m.open();
        m.read(&port, 1);
    });
    let outcome = search.run().expect("it runs");
    let token = search.token(&outcome.failures[0]).expect("the driver is there").encode();
    let shown = format!("{:?}", search.replay(&token).expect("it replays"));
    assert!(shown.contains("a request is answered within 2 s of virtual time"), "{shown}");
}

#[test]
#[should_panic(expected = "no section `PAGENONE`")]
fn a_section_that_does_not_exist_is_an_assertion_that_does_not_hold() {
    search(SERIAL).schedules(1).check(|m| assert_eq!(m.locks("PAGENONE"), 0));
}

#[test]
#[should_panic(expected = "driver `nowhere.sys`")]
fn a_driver_that_is_not_there_is_named() {
    Machine::explore("nowhere.sys", |m| drop(m.open()));
}

/// What was found is not lost where it cannot be written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_no_outcome() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    std::os::unix::fs::symlink("/dev/full", folder.path().join("failures.jsonl")).expect("a link");
    let search = search("broken/x06-init-after-discard").out(folder.path());
    match search.run() {
        Err(ExploreError::Lost { found, source }) => {
            assert!(!found.failures.is_empty() && source.to_string().contains("failures.jsonl"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    let told = catch_unwind(AssertUnwindSafe(|| search.assert_clean())).expect_err("it fails");
    let told = told.downcast_ref::<String>().expect("a text");
    assert!(told.contains("error[") && told.contains("failures.jsonl"), "{told}");
}

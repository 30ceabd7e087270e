//! What the code of a test can do: it is run in every schedule, and goes on by what it is given.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nonpaged::explore::{ChoicePoints, ExploreError, Irql, Kind, NtStatus, Outcome, Strategy};
use nonpaged::scenario::{Action, SerialEnd};
use nonpaged::{Explore, Machine};

const SERIAL: &str = "serial/serial";

fn driver(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{name}.sys"))
}

/// Every schedule with one deed, and no limit that depends on this machine.
fn search(name: &str) -> Explore {
    Explore::new(driver(name)).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX)
}

/// Everything was run, and nothing is unknown.
fn assert_whole(outcome: &Outcome, deeds: u32) {
    assert!(outcome.exhausted && outcome.proven.deeds == Some(deeds), "{}", outcome.proven);
    assert_eq!(outcome.progress.unknown, 0, "{}", outcome.proven);
}

#[test]
fn a_test_branches_on_answers() {
    let ways = Arc::new([const { AtomicU64::new(0) }; 2]);
    let count = Arc::clone(&ways);
    let outcome = search(SERIAL).check(move |m| {
        let port = m.open();
        let written = m.write(&port, b"hello");
        let way = if written.status.is_success() {
            assert_eq!((written.information, port.opening().status), (5, NtStatus::SUCCESS));
            0
        } else {
            assert!(!port.opening().status.is_success() && !m.is_undisturbed());
            assert_eq!(written.status, NtStatus::INVALID_HANDLE);
            1
        };
        count[way].fetch_add(1, Ordering::Relaxed);
    });
    assert_whole(&outcome, 1);
    let ways: Vec<u64> = ways.iter().map(|way| way.load(Ordering::Relaxed)).collect();
    assert!(ways.iter().all(|way| *way > 0), "each way was gone in some schedule: {ways:?}");
}

#[test]
fn a_test_loops_until_something_succeeds() {
    let most = Arc::new(AtomicU64::new(0));
    let tries = Arc::clone(&most);
    let outcome = search(SERIAL).depth(2).choices(ChoicePoints::FAIL).check(move |m| {
        let mut tried = 1;
        let mut port = m.open();
        while port.opening().status == NtStatus::INSUFFICIENT_RESOURCES {
            tried += 1;
            port = m.open();
        }
        tries.fetch_max(tried, Ordering::Relaxed);
        // Without memory for the device there is nothing to open.
        let status = port.opening().status;
        assert!(m.close(&port).status.is_success() || status == NtStatus::OBJECT_NAME_NOT_FOUND, "{status}");
    });
    assert_whole(&outcome, 2);
    assert_eq!(most.load(Ordering::Relaxed), 3, "two deeds, two opens that fail");
}

#[test]
fn requests_of_threads_are_outstanding_while_the_program_goes_on() {
    let outcome = search(SERIAL).cpus(2).check(|m| {
        let port = m.open();
        let read = m.thread("reader").on_cpu(1).read(&port, 5);
        let before = m.answer(&read);
        let written = m.write(&port, b"hello");
        let read = m.wait_for(&read, Duration::from_secs(2));
        if m.is_undisturbed() {
            assert_eq!((before, written.information, m.irql(0)), (None, 5, Irql::PASSIVE));
            assert_eq!(read.expect("the line is looped").output, b"hello");
            assert_eq!((m.locks("PAGESER"), m.resident("PAGESER") > 0), (1, true));
        }
        m.close(&port);
        assert_eq!(m.locks("PAGESER"), 0);
    });
    assert_whole(&outcome, 1);
}

#[test]
fn two_threads_open_at_the_same_time() {
    let outcome = search("broken/x34-two-closers-fixed").choices(ChoicePoints::SWITCH).check(|m| {
        let (first, second) = (m.thread("first"), m.thread("second"));
        let opens = [first.open(), second.open()];
        let [one, other] = opens.map(|open| m.wait(&open));
        let closes = [first.close(&one), second.close(&other)];
        closes.iter().for_each(|close| assert!(m.wait(close).status.is_success()));
    });
    assert_whole(&outcome, 1);
}

#[test]
fn a_read_is_cancelled_and_time_passes() {
    let outcome = search(SERIAL).check(|m| {
        let port = m.open();
        let read = m.thread("reader").read(&port, 1);
        let before = m.now();
        m.pass(Duration::from_micros(1_500));
        assert!(m.now() >= before + Duration::from_micros(1_500));
        let was_cancelled = m.answer(&read).is_some();
        m.cancel(&read);
        let answer = m.answer(&read).expect("nobody waits for a byte any more");
        let cancelled = if port.opening().status.is_success() { NtStatus::CANCELLED } else { NtStatus::INVALID_HANDLE };
        assert!(answer.status == cancelled || !m.is_undisturbed(), "{answer:?}, {was_cancelled}");
    });
    assert_whole(&outcome, 1);
}

#[test]
fn a_peer_on_the_serial_line_sends_and_receives() {
    let search = search(SERIAL).serial_line(SerialEnd::Peer).choices(ChoicePoints::TIME.and(ChoicePoints::SWITCH));
    let outcome = search.check(|m| {
        let port = m.open();
        let read = m.thread("reader").read(&port, 2);
        m.receive(b"ok");
        assert_eq!(m.wait(&read).output, b"ok");
        assert!(m.sent().is_empty());
        m.write(&port, b"hello");
        m.pass(Duration::from_millis(10));
        assert_eq!(m.sent(), b"hello");
        assert!(m.sent().is_empty(), "nothing went out since");
    });
    assert_whole(&outcome, 1);
}

#[test]
fn anything_else_of_a_scenario_can_be_done() {
    let outcome = search(SERIAL).check(|m| {
        let port = m.open();
        m.trim();
        let check = m.act(Action::Read { handle: port.name().to_owned(), bytes: 0, offset: None });
        assert!(check.is_ok() || !port.opening().status.is_success(), "{check:?}");
        let attached = m.act(Action::Attach { driver: Some("other.sys".into()), device: None });
        assert_eq!(attached, Err("`other.sys` is not loaded".to_owned()));
        m.close(&port);
        if m.act(Action::Remove).is_ok() {
            assert!(m.act(Action::Remove).is_err(), "it is gone");
        }
    });
    assert_whole(&outcome, 1);
}

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
        assert!(failure.signature.code.contains("tests/explore_rust.rs:"), "{}", failure.signature);
        assert_eq!(failure.schedule.len(), 1, "{failure:?}");
        let token = search.token(failure).expect("the driver is there").encode();
        let reports = search.replay(&token).expect("it replays");
        assert!(reports.iter().any(|report| report.title().contains(&failure.signature.code)), "{reports:?}");
    }
}

/// The numbers of schedules and of threads of the search change nothing about what a test is given.
#[test]
fn a_test_is_given_the_same_on_several_threads_and_in_parts() {
    let search = || {
        search(SERIAL).choices(ChoicePoints::FAIL.and(ChoicePoints::SWITCH)).test(|m| {
            let port = m.open();
            let reads = [m.thread("a").read(&port, 1), m.thread("b").read(&port, 1)];
            m.write(&port, b"xy");
            let got = reads.map(|read| m.wait_for(&read, Duration::from_secs(1)));
            let got: usize = got.iter().flatten().map(|answer| answer.output.len()).sum();
            assert!(got == 2 || !m.is_undisturbed());
            assert!(got < 2 || m.is_undisturbed(), "found in many schedules");
        })
    };
    let signatures =
        |outcome: &Outcome| outcome.failures.iter().map(|failure| failure.signature.clone()).collect::<Vec<_>>();
    let whole = search().threads(1.try_into().expect("not 0")).run().expect("it runs");
    let threads = search().threads(3.try_into().expect("not 0")).run().expect("it runs");
    assert_eq!((&whole.proven, signatures(&whole)), (&threads.proven, signatures(&threads)));
    assert_eq!(whole.failures.len(), 1);
    let parts = (1..=2).map(|part| search().shard(part, 2).run().expect("it runs"));
    let parts: Vec<Outcome> = parts.collect();
    // Each part begins with the run without deeds.
    assert_eq!(parts.iter().map(|part| part.proven.schedules).sum::<u64>(), whole.proven.schedules + 1);
}

#[test]
fn a_test_that_is_not_deterministic_is_named() {
    let calls = AtomicU64::new(0);
    let search = search(SERIAL).test(move |m| {
        let port = m.open();
        match calls.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => m.write(&port, b"hello"),
            _ => m.read(&port, 1),
        };
        m.close(&port);
    });
    let error = search.run().expect_err("nothing is known of the driver").to_string();
    assert!(error.contains("tests/explore_rust.rs:") && error.contains("the test is not deterministic"), "{error}");
    assert!(error.contains("its call ") && error.contains("`read`") && error.contains("`write`"), "{error}");
}

/// In the middle of a run, or in the next one.
#[test]
fn a_test_that_asks_for_less_than_before_is_named() {
    for so_often in [2, 3] {
        let calls = AtomicU64::new(0);
        let search = search(SERIAL).test(move |m| {
            if calls.fetch_add(1, Ordering::Relaxed) < so_often {
                let port = m.open();
                m.close(&port);
            }
        });
        let error = search.run().expect_err("nothing is known of the driver").to_string();
        assert!(
            error.contains("tests/explore_rust.rs:") && error.contains("its call 1 was `open`, and is the end now"),
            "{error}"
        );
    }
}

/// The same calls with other data are other calls.
#[test]
fn a_test_that_writes_something_else_than_before_is_named() {
    let calls = AtomicU64::new(0);
    let search = search(SERIAL).test(move |m| {
        let port = m.open();
        m.write(&port, calls.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    });
    let error = search.run().expect_err("nothing is known of the driver").to_string();
    assert!(error.contains("its call 3 was `write`, and is another `write` now"), "{error}");
}

#[test]
fn a_loop_that_only_looks_ends() {
    let outcome = search(SERIAL).schedules(1).test(|m| while m.locks("PAGESER") < 99 {}).run().expect("it runs");
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].signature.kind, Kind::Assertion);
}

/// Values that a test drops where it is unwound, or after a panic, ask for nothing.
#[test]
fn a_guard_that_closes_closes_once() {
    struct Open<'m>(Machine<'m>, nonpaged::explore::Handle);
    impl Drop for Open<'_> {
        fn drop(&mut self) {
            self.0.close(&self.1);
        }
    }
    let outcome = search(SERIAL).check(|m| {
        {
            let port = Open(*m, m.open());
            m.write(&port.1, b"hello");
        }
        assert_eq!(m.locks("PAGESER"), 0, "it was closed");
    });
    assert_whole(&outcome, 1);
    let refuted = search(SERIAL).schedules(1).test(|m| {
        let port = Open(*m, m.open());
        assert_eq!(m.write(&port.1, b"hello").information, 4, "it is 5");
    });
    assert_eq!(refuted.run().expect("it runs").failures.len(), 1);
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

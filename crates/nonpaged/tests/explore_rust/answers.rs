//! What a test is given, and what it does about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nonpaged::explore::{ChoicePoints, Irql, NtStatus};
use nonpaged::scenario::{Action, SerialEnd};

use super::{SERIAL, assert_whole, search};

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

/// What is found and is no failure: a section that was locked by its address before is locked by it again.
#[test]
fn a_test_looks_at_what_was_found() {
    let outcome = search("broken/x34-two-closers-fixed").check(|m| {
        for before in [&[][..], &[], &["K18"]] {
            assert!(m.findings() == before || !m.is_undisturbed(), "{:?}", m.findings());
            let file = m.open();
            m.close(&file);
        }
    });
    assert_whole(&outcome, 1);
}

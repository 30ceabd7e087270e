//! The code of a test is run again and again, and must do the same under the same answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nonpaged::Machine;
use nonpaged::explore::{ChoicePoints, Outcome};

use super::{SERIAL, assert_whole, search};

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
    assert!(
        error.contains("tests/explore_rust/again.rs:") && error.contains("the test is not deterministic"),
        "{error}"
    );
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
            error.contains("tests/explore_rust/again.rs:")
                && error.contains("its call 1 was `open`, and is the end now"),
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

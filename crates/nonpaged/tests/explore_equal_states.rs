//! States that are equal are not walked twice, and nothing else changes: not what is counted, not what is found.

#[path = "common/pairs.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod pairs;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::Engine;
use explore::{Campaign, Ending, Kind, Limits, Outcome, Signature, Strategy, Subject};
use kernel::{Bound, ChoicePoints, DeedKind, Machine};
use memory::Memory;
use nonpaged::Explore;
use nonpaged::explore::{Run, engine};
use pairs::pairs;

/// The same run, of whose states nobody knows.
struct Blind(Run);

impl Subject for Blind {
    fn fork(&mut self) -> Blind {
        Blind(self.0.fork())
    }

    fn machine(&mut self) -> &mut Machine {
        self.0.machine()
    }

    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        self.0.go_on(engine)
    }
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers").join(name)
}

/// A search of everything, with this many deeds at most.
fn whole(depth: u32, threads: usize) -> Campaign {
    let limits = Limits { time: None, schedules: None, until_first: false };
    let threads = NonZeroUsize::new(threads).expect("at least one");
    Campaign { strategy: Strategy::Exhaustive, depth, limits, threads, ..Campaign::default() }
}

fn bounded(search: Explore, preemptions: u32, trims: u32) -> Explore {
    let bound = Bound::default().with(DeedKind::Switch, preemptions).with(DeedKind::Trim, trims);
    search.choices(ChoicePoints::SWITCH.and(ChoicePoints::TRIM_SECTION)).bound(bound)
}

/// The statement about all schedules, and all that was found.
fn told(outcome: &Outcome) -> (String, Vec<Signature>) {
    assert!(outcome.exhausted);
    (outcome.proven.to_string(), outcome.failures.iter().map(|failure| failure.signature.clone()).collect())
}

/// Two searches: one that recognises states, and one that does not.
fn both(search: &Explore, campaign: &Campaign) -> (Outcome, Outcome) {
    let seeing = campaign.run(|| search.subject(), engine, |_| true);
    let blind = campaign.run(|| search.subject().map(Blind), engine, |_| true);
    (seeing.expect("it loads"), blind.expect("it loads"))
}

/// Searches twice and compares; the search that recognises states.
fn compare(name: &str, search: &Explore, campaign: &Campaign) -> Outcome {
    let (seeing, blind) = both(search, campaign);
    assert_eq!(told(&seeing), told(&blind), "{name}");
    assert_eq!((seeing.progress.equal > 0, blind.progress.equal), (true, 0), "{name}");
    assert!(seeing.progress.schedules <= blind.progress.schedules, "{name}");
    seeing
}

#[test]
fn every_kind_of_deed_once_counts_and_finds_the_same() {
    let names = ["null/null", "beep/beep", "serial/serial", "broken/x08-page-entire-race"];
    let more = ["broken/x33-lock-leak-on-error", "broken/x34-two-closers", "broken/x25-foreign-unlock-fixed"];
    let late = ["broken/x41-late-timer", "broken/x43-low-importance-fixed", "broken/x46-late-read"];
    for name in names.into_iter().chain(more).chain(late) {
        compare(name, &Explore::new(sample(name).with_extension("sys")), &whole(1, 1));
    }
    let two = Explore::new(sample("broken/x08-page-entire-race.sys")).cpus(2);
    compare("two processors", &two, &whole(1, 2));
    let device = Explore::new(sample("serial/serial.sys")).choices(ChoicePoints::DEVICE.and(ChoicePoints::TIME));
    compare("a device", &device, &whole(1, 2));
}

#[test]
fn bounds_count_and_find_the_same() {
    for name in ["broken/x34-two-closers.sys", "broken/x34-two-closers-fixed.sys"] {
        // On one thread: two may come to equal states at the same time.
        let outcome = compare(name, &bounded(Explore::new(sample(name)), 1, 1), &whole(3, 1));
        assert!(outcome.progress.schedules * 2 < outcome.proven.schedules, "{name}: {:?}", outcome.progress);
    }
}

/// Twins and broken samples of scenarios: all schedules with two deeds of any kind.
#[test]
fn two_deeds_of_any_kind_count_and_find_the_same() {
    let names = ["7e-bad-pointer-on-thread", "c7-region-in-timer-dpc", "x07-apc-raises", "x20-unlock-with-pended-irp"];
    for pair in pairs().iter().filter(|pair| names.contains(&pair.name.as_str())) {
        compare(&pair.name, &pair.search(true), &whole(2, 2));
        let (seeing, blind) = both(&pair.search(false), &whole(2, 2));
        assert_eq!(told(&seeing), told(&blind), "{}", pair.name);
    }
}

/// What a test is given is part of a state: a test that branches on it, and looks at the machine, counts and finds the same.
#[test]
fn tests_in_rust_count_and_find_the_same() {
    let serial = || Explore::new(sample("serial/serial.sys")).cpus(2);
    let branches = serial().choices(ChoicePoints::FAIL.and(ChoicePoints::TRIM)).test(|m| {
        let port = m.open();
        let written = m.write(&port, b"hello");
        if m.resident("PAGESER") == 0 {
            assert!(m.ioctl(&port, 1, b"", 0).information == 0 && written.information == 5, "no memory");
        }
        let read = m.thread("reader").read(&port, 3);
        assert!(m.wait(&read).output.len() == 3, "found in some schedules");
    });
    assert!(!compare("branches", &branches, &whole(2, 1)).failures.is_empty());
    let order = serial().choices(ChoicePoints::SWITCH.and(ChoicePoints::TIME)).test(|m| {
        let port = m.open();
        let reads = [m.thread("a").read(&port, 1), m.thread("b").read(&port, 1)];
        m.write(&port, b"xy");
        m.pass(Duration::from_millis(5));
        let first = reads.iter().filter_map(|read| m.answer(read)).map(|answer| answer.output).next();
        assert_eq!(first.unwrap_or_default(), b"x", "who came first");
    });
    assert!(!compare("order", &order, &whole(1, 2)).failures.is_empty());
    let race = Explore::new(sample("broken/x08-page-entire-race.sys"));
    let found = race.choices(ChoicePoints::SWITCH.and(ChoicePoints::TRIM)).test(|m| {
        let first = m.open();
        let (closes, opens) = (m.thread("first").close(&first), m.thread("second").open());
        m.wait(&closes);
        m.wait(&opens);
        assert!(!m.findings().contains(&"K03"), "told in some schedules");
    });
    let failures = compare("found", &found, &whole(1, 1)).failures;
    assert!(failures.iter().any(|failure| failure.signature.kind == Kind::Assertion), "{failures:?}");
}

/// The state at each choice of the run without deeds.
fn states(search: &Explore) -> Vec<u128> {
    let (mut run, mut engine, mut states) = (search.subject().expect("it loads"), engine(), Vec::new());
    run.machine().ask_from(Some(0));
    while run.go_on(engine.as_mut()).is_none() {
        states.extend(run.state());
        run.machine().answer_choice(None);
    }
    states
}

#[test]
fn what_a_test_was_given_tells_states_apart_until_it_is_over() {
    let looks = |look: fn(&nonpaged::Machine<'_>) -> u32| {
        states(&Explore::new(sample("serial/serial.sys")).test(move |m| {
            look(m);
            m.open();
        }))
    };
    let (none, again) = (looks(|m| m.locks("PAGESER")), looks(|m| m.locks("PAGESRP0")));
    assert_eq!(none, again, "no lock of one is as good as no lock of the other");
    let some = looks(|m| m.resident(".text"));
    let alike: Vec<bool> = none.iter().zip(&some).map(|(one, other)| one == other).collect();
    let (first, last) = (alike.iter().position(|alike| !alike), alike.iter().rposition(|alike| !alike));
    assert!(first.is_some_and(|first| first > 0), "nobody had looked yet: {alike:?}");
    assert!(last.is_some_and(|last| last < alike.len() - 1), "nobody goes by it any more: {alike:?}");
}

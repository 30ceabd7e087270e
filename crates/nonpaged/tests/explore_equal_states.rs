//! States that are equal are not walked twice, and nothing else changes: not what is counted, not what is found.

#[path = "common/pairs.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod pairs;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use engine::Engine;
use explore::{Campaign, Ending, Limits, Outcome, Signature, Strategy, Subject};
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
    let names = ["null/null", "beep/beep", "broken/x08-page-entire-race", "broken/x33-lock-leak-on-error"];
    for name in names.into_iter().chain(["broken/x34-two-closers", "broken/x25-foreign-unlock-fixed"]) {
        compare(name, &Explore::new(sample(name).with_extension("sys")), &whole(1, 1));
    }
    let two = Explore::new(sample("broken/x08-page-entire-race.sys")).cpus(2);
    compare("two processors", &two, &whole(1, 2));
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

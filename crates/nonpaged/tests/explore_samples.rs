//! Every broken sample is found by default settings, and every repaired twin is clean in all schedules with one deed.

#[path = "common/pairs.rs"]
mod pairs;

use std::num::NonZeroUsize;
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{ChoicePoints, Outcome, Strategy};
use pairs::{IMPERFECT_TWINS, OUT_OF_REACH, Pair, pairs};

/// Far more than any of them takes; see the table in docs/explore.md.
const MOST_SCHEDULES: u64 = 2_000;

/// A search that ends by the number of schedules, not by the time of this machine.
fn hunt(pair: &Pair) -> Outcome {
    let threads = NonZeroUsize::MIN.saturating_add(1);
    let search = pair.search(false).time(Duration::MAX).schedules(MOST_SCHEDULES).until_first();
    search.threads(threads).run().expect(&pair.name)
}

fn exhaust_twin(pair: &Pair) -> Outcome {
    let points = if pair.imperfection().is_some() { without(ChoicePoints::FAIL) } else { pair.points() };
    let search = pair.search(true).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX);
    search.choices(points).run().expect(&pair.name)
}

/// The usual choices but for these.
fn without(points: ChoicePoints) -> ChoicePoints {
    ChoicePoints::from_bits(ChoicePoints::USUAL.bits() & !points.bits())
}

/// What one deed of any kind but the one that they need does to samples of orders: nothing.
#[test]
fn samples_of_orders_need_another_order() {
    for (name, needs) in [
        ("x41-late-timer", ChoicePoints::ORDER),
        ("x42-timer-order", ChoicePoints::ORDER),
        ("x43-low-importance", ChoicePoints::ORDER),
        ("x44-first-waiter", ChoicePoints::ORDER),
        ("x45-missed-pulse", ChoicePoints::ORDER),
        ("x48-cancel-race", ChoicePoints::CANCEL),
    ] {
        let driver = pairs::root().join(format!("drivers/broken/{name}.sys"));
        let one_deed = || Explore::new(&driver).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX);
        let search = |points| one_deed().choices(points).run().expect(name);
        let (others, it) = (search(without(needs)), search(needs));
        assert!(others.failures.is_empty() && others.proven.deeds == Some(1), "{name}: {:?}", others.failures);
        assert!(!it.failures.is_empty(), "{name}: {}", it.proven);
    }
}

#[test]
fn every_broken_sample_is_found() {
    let pairs = pairs();
    assert!(pairs.len() >= 60, "{} samples", pairs.len());
    for pair in pairs.iter().filter(|pair| pair.out_of_reach().is_none()) {
        let outcome = hunt(pair);
        let codes: Vec<&str> = outcome.failures.iter().map(|failure| failure.signature.code.as_str()).collect();
        let is_right = |code: &String| codes.contains(&code.as_str());
        assert!(!codes.is_empty() && pair.expected.iter().all(is_right), "{}: {codes:?}", pair.name);
    }
}

#[test]
fn every_twin_is_clean_in_all_schedules_with_one_deed() {
    for pair in pairs().iter().filter(|pair| pair.name != "x23-storport-locks") {
        let outcome = exhaust_twin(pair);
        assert!(outcome.failures.is_empty(), "{}: {:?}", pair.name, outcome.failures);
        assert!(outcome.exhausted && outcome.progress.unknown == 0, "{}: {}", pair.name, outcome.proven);
        assert_eq!(outcome.proven.deeds, Some(1), "{}: {}", pair.name, outcome.proven);
    }
}

/// The lists of exceptions name samples that are there.
#[test]
fn exceptions_are_samples() {
    let names: Vec<String> = pairs().into_iter().map(|pair| pair.name).collect();
    for (name, _) in OUT_OF_REACH.iter().chain(&IMPERFECT_TWINS) {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

//! Every broken sample is found by default settings, and every repaired twin is clean in all schedules with one deed.

#[path = "common/pairs.rs"]
mod pairs;

use std::num::NonZeroUsize;
use std::time::Duration;

use nonpaged::explore::{ChoicePoints, Outcome, Strategy};
use nonpaged::{Driver, Explore, layout};
use pairs::{NOT_IN_A_RUN, Pair, pairs, root};

/// Far more than any of them takes; see the table in docs/explore.md.
const MOST_SCHEDULES: u64 = 2_000;

/// A search that ends by the number of schedules, not by the time of this machine, on one thread, so that the first failure
/// is always the same.
fn hunt(pair: &Pair) -> Outcome {
    let search = pair.search(false).time(Duration::MAX).schedules(MOST_SCHEDULES).until_first();
    search.threads(NonZeroUsize::MIN).run().expect(&pair.name)
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
        ("x49-still-pending", ChoicePoints::COMPLETION),
        ("x50-completion-in-dpc", ChoicePoints::COMPLETION),
        ("x51-threaded-dpc", ChoicePoints::ORDER),
    ] {
        let driver = root().join(format!("drivers/broken/{name}.sys"));
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
    for pair in pairs.iter().filter(|pair| pair.not_in_a_run().is_none()) {
        let outcome = hunt(pair);
        let codes: Vec<&str> = outcome.failures.iter().map(|failure| failure.signature.code.as_str()).collect();
        let is_right = |code: &String| codes.contains(&code.as_str());
        assert!(!codes.is_empty() && pair.expected.iter().all(is_right), "{}: {codes:?}", pair.name);
    }
}

/// Of its scenario and of the exercise, in which two programs use it at the same time.
#[test]
fn every_twin_is_clean_in_all_schedules_with_one_deed() {
    for pair in pairs().iter().filter(|pair| pair.name != "x23-storport-locks") {
        for outcome in pair.exhaust_twin() {
            assert!(outcome.failures.is_empty(), "{}: {:?}", pair.name, outcome.failures);
            assert!(outcome.exhausted && outcome.progress.unknown == 0, "{}: {}", pair.name, outcome.proven);
            assert_eq!(outcome.proven.deeds, Some(1), "{}: {}", pair.name, outcome.proven);
        }
    }
}

/// Samples that are right, by folder and file; not those that wait for others, or search too long.
const GOOD: [&str; 19] = [
    "apc/apc",
    "beep/beep",
    "beep/beep-locked",
    "cdmaker/cdmaker",
    "ftvol/ftvol",
    "init/init",
    "layout/layout",
    "library/client",
    "mixer/mixer",
    "null/null",
    "parallel/parallel",
    "power/power",
    "power/power-pagable",
    "seh/seh",
    "serial/serial",
    "stack/bus",
    "stack/filter",
    "stack/function",
    "tables/tables",
];

/// Also with two processors, and with two programs that close what the other uses.
#[test]
fn every_good_sample_is_clean_in_all_schedules_with_one_deed() {
    for name in GOOD {
        for cpus in [1, 2] {
            let search = Explore::new(root().join(format!("drivers/{name}.sys"))).cpus(cpus);
            let outcome = search.strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX).assert_clean();
            assert_eq!(outcome.proven.deeds, Some(1), "{name} on {cpus}: {}", outcome.proven);
        }
    }
}

/// What breaks in no run is seen in the image, and not in that of the twin.
#[test]
fn what_no_schedule_breaks_is_found_without_one() {
    for (name, _, finding) in NOT_IN_A_RUN {
        let has = |suffix: &str| {
            let path = root().join(format!("drivers/broken/{name}{suffix}.sys"));
            let driver = Driver::read(&path).expect("the sample is there");
            layout::findings(name, &driver.image).iter().any(|report| report.code().to_string() == finding)
        };
        assert!(has("") && !has("-fixed"), "{name}: {finding}");
    }
}

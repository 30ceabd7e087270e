//! Every broken sample is found by default settings, and every repaired twin is clean in all schedules with one deed:
//! docs/samples.md is what this test writes with `UPDATE=1`.

#[path = "common/pairs.rs"]
mod pairs;

use std::num::NonZeroUsize;
use std::time::Duration;

use nonpaged::explore::{ChoicePoints, Outcome, Strategy};
use nonpaged::{Driver, Explore, layout};
use pairs::{NOT_IN_A_RUN, Pair, first_failure, hunted, pairs, root};

/// Far more than any of them takes; see docs/samples.md.
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
        ("x62-timer-for-two", ChoicePoints::ORDER),
    ] {
        let driver = root().join(format!("drivers/broken/{name}.sys"));
        let one_deed = || Explore::new(&driver).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX);
        let search = |points| one_deed().choices(points).run().expect(name);
        let (others, it) = (search(without(needs)), search(needs));
        assert!(others.failures.is_empty() && others.proven.deeds == Some(1), "{name}: {:?}", others.failures);
        assert!(!it.failures.is_empty(), "{name}: {}", it.proven);
    }
}

const HEAD: &str = "# The broken samples

Each by default settings on one thread: whether the steps are those of the golden report of that name or the exercise, the
failure, the number of the first schedule that shows it, and the deeds after shrinking; then what was searched of the repaired
twin. `UPDATE=1 cargo test -p nonpaged --test explore_samples` writes this list, and the test compares it.

| driver | steps | failure | schedule | deeds | the twin |
|---|---|---|---|---|---|
";

/// Each sample breaks as its golden report says, and its twin is clean: of its scenario, and of the exercise, in which two
/// programs use it at the same time.
#[test]
fn every_broken_sample_is_found_and_every_twin_is_clean_with_one_deed() {
    let pairs = pairs();
    assert!(pairs.len() >= 60, "{} samples", pairs.len());
    let (found, twins) = std::thread::scope(|scope| {
        let twins = scope.spawn(|| pairs.iter().map(twin).collect::<Vec<_>>());
        (pairs.iter().map(found).collect::<Vec<_>>(), twins.join().expect("the twins are clean"))
    });
    let rows = pairs.iter().zip(found).zip(twins);
    let rows = rows.map(|((pair, found), twin)| format!("| `{}` | {found} | {twin} |\n", pair.name));
    let list = [HEAD.to_owned()].into_iter().chain(rows).collect::<String>();
    let path = root().join("docs/samples.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &list).expect("the list can be written");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the list is there"), list);
}

/// The table of docs/explore.md has a row for each sample that needs a deed, with the numbers that chance has no part in. The
/// others are a measurement of some thousand searches.
#[test]
fn the_table_of_strategies_has_every_sample_that_needs_a_deed() {
    let pairs = pairs();
    let rows = hunted(&pairs).filter_map(|(pair, processors)| {
        let search = pair.search(false).cpus(processors);
        let (mixed, deeds) = first_failure(&search, Strategy::Mixed, 0).filter(|(_, deeds)| *deeds > 0)?;
        let (exhaustive, _) = first_failure(&search, Strategy::Exhaustive, 0)?;
        Some(format!("| `{}` | {processors} | {deeds} | {mixed} | {exhaustive}", pair.name))
    });
    let document = std::fs::read_to_string(root().join("docs/explore.md")).expect("the table is there");
    let table = document.lines().skip_while(|line| !line.starts_with("| driver | processors |")).skip(2);
    let table = table.take_while(|line| line.starts_with('|'));
    let without_chance = table.map(|row| row.split(" | ").take(5).collect::<Vec<_>>().join(" | "));
    let (rows, without_chance): (Vec<_>, Vec<_>) = (rows.collect(), without_chance.collect());
    assert_eq!(rows, without_chance, "`cargo run --release -p nonpaged --example explore_table` prints the table");
}

/// How a sample breaks: steps, failure, number of the schedule, deeds.
fn found(pair: &Pair) -> String {
    if let Some((why, finding)) = pair.not_in_a_run() {
        return format!("none | {finding} by `nonpaged check`: it {why} | |");
    }
    let outcome = hunt(pair);
    let codes: Vec<&str> = outcome.failures.iter().map(|failure| failure.signature.code.as_str()).collect();
    assert!(pair.expected.iter().all(|code| codes.contains(&code.as_str())), "{}: {codes:?}", pair.name);
    let is_other = |code: &str| pair.expected.as_ref().is_some_and(|expected| expected != code);
    let first = outcome.failures.iter().min_by_key(|failure| (is_other(&failure.signature.code), failure.found_by));
    let first = first.unwrap_or_else(|| panic!("{}: nothing is found", pair.name));
    let steps = if pair.scenario.is_some() { "scenario" } else { "exercise" };
    format!("{steps} | {} | {} | {}", first.signature.code, first.found_by, first.schedule.len())
}

/// What was shown of a twin.
fn twin(pair: &Pair) -> String {
    if pair.name == "x23-storport-locks" {
        return String::new();
    }
    let outcomes = pair.exhaust_twin();
    for outcome in &outcomes {
        assert!(outcome.failures.is_empty(), "{}: {:?}", pair.name, outcome.failures);
        assert!(outcome.exhausted && outcome.progress.unknown == 0, "{}: {}", pair.name, outcome.proven);
        assert_eq!(outcome.proven.deeds, Some(1), "{}: {}", pair.name, outcome.proven);
    }
    let shown: Vec<String> = outcomes.iter().map(|outcome| outcome.proven.to_string()).collect();
    shown.join("; exercise: ")
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

//! Searches of the sample drivers: what is found in the broken ones, that their twins stay clean, and that tokens replay.

use std::path::PathBuf;
use std::time::Duration;

use explore::{Campaign, Done, Limits, Outcome, Strategy};
use nonpaged::explore::{Search, engine};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{name}.sys"))
}

/// A search that ends by the number of schedules only, so that it is the same on any machine.
fn search(name: &str, strategy: Strategy, schedules: u64) -> (Search, Outcome) {
    let limits = Limits { time: None, schedules: Some(schedules), until_first: false };
    let search = Search::new(path(name)).campaign(Campaign { strategy, limits, ..Campaign::default() });
    let outcome = search.run().unwrap_or_else(|error| panic!("{name}: {error}"));
    (search, outcome)
}

fn codes(outcome: &Outcome) -> Vec<&str> {
    let mut codes: Vec<&str> = outcome.failures.iter().map(|failure| failure.signature.code.as_str()).collect();
    codes.dedup();
    codes
}

/// Broken drivers, the codes of which at least one is found, and most deeds that it takes.
const BROKEN: [(&str, &[&str], usize); 5] = [
    ("x06-init-after-discard", &["0x50"], 0),
    ("x08-page-entire-race", &["K03", "K19"], 1),
    ("x20-unlock-with-pended-irp", &["K08"], 0),
    ("x33-lock-leak-on-error", &["K05"], 1),
    ("x34-two-closers", &["K05", "0x1A"], 1),
];

/// The whole first round of each, and some more: more schedules than any of them has single deeds.
const ENOUGH: u64 = 600;

#[test]
fn what_needs_a_schedule_is_found_and_shrunk_and_its_token_replays() {
    for (name, expected, deeds) in BROKEN {
        let (search, outcome) = search(&format!("broken/{name}"), Strategy::Mixed, ENOUGH);
        let found = outcome.failures.iter().filter(|failure| expected.contains(&failure.signature.code.as_str()));
        let fewest = found.min_by_key(|failure| failure.schedule.len());
        let failure = fewest.unwrap_or_else(|| panic!("{name}: {:?}", codes(&outcome)));
        assert!(failure.schedule.len() <= deeds, "{name}: {failure:?}");
        let token = search.token(failure).expect("the driver is there");
        assert!(token.encode().len() < 250, "{name}: {}", token.encode());
        let shown = Campaign::check(search.subject().expect("it loads"), engine().as_mut(), &token.schedule);
        assert!(shown.contains(&failure.signature), "{name}: {shown:?}");
    }
}

#[test]
fn repaired_twins_stay_clean_and_the_first_round_is_whole() {
    for (name, _, _) in BROKEN {
        let (_, outcome) = search(&format!("broken/{name}-fixed"), Strategy::Mixed, ENOUGH);
        assert!(outcome.failures.is_empty(), "{name}: {:?}", outcome.failures);
        assert!(outcome.proven.deeds.is_some_and(|deeds| deeds >= 1), "{name}: {}", outcome.proven);
        assert_eq!(outcome.proven.failed, 0);
    }
}

#[test]
fn each_strategy_is_the_same_for_the_same_seed() {
    for (strategy, name) in [Strategy::ALL[1], Strategy::ALL[2], Strategy::ALL[3]] {
        let campaign = |seed| Campaign {
            strategy,
            seed,
            limits: Limits { time: None, schedules: Some(150), until_first: false },
            threads: std::num::NonZeroUsize::MIN,
            ..Campaign::default()
        };
        let run = |seed| Search::new(path("broken/x08-page-entire-race")).campaign(campaign(seed)).run();
        let (first, second) = (run(7).expect("it runs"), run(7).expect("it runs"));
        assert_eq!(first.failures, second.failures, "{name}");
        assert_eq!(first.progress.coverage, second.progress.coverage, "{name}");
    }
}

#[test]
fn the_parts_of_a_search_are_the_whole() {
    let part = |shard, schedules| {
        let limits = Limits { time: None, schedules, until_first: false };
        let campaign = Campaign { strategy: Strategy::Exhaustive, depth: 1, limits, shard, ..Campaign::default() };
        Search::new(path("broken/x08-page-entire-race")).campaign(campaign).run().expect("it runs")
    };
    let (whole, parts) = (part((1, 1), None), [part((1, 2), None), part((2, 2), None)]);
    assert!(whole.exhausted && parts.iter().all(|part| part.exhausted));
    // Each part counts the run without deeds.
    assert_eq!(parts.iter().map(|part| part.progress.schedules).sum::<u64>(), whole.progress.schedules + 1);
    let signatures = |outcome: &Outcome| -> std::collections::BTreeSet<_> {
        outcome.failures.iter().map(|failure| failure.signature.clone()).collect()
    };
    let together = parts.iter().flat_map(signatures).collect();
    assert_eq!(signatures(&whole), together);
}

#[test]
fn a_search_goes_on_where_an_earlier_one_ended() {
    let search = |done, known, schedules| {
        let limits = Limits { time: None, schedules, until_first: false };
        let strategy = Strategy::Exhaustive;
        let campaign = Campaign { strategy, depth: 1, limits, done, known, ..Campaign::default() };
        Search::new(path("broken/x34-two-closers")).campaign(campaign).run().expect("it runs")
    };
    let whole = search(Done::default(), Vec::new(), None);
    let begun = search(Done::default(), Vec::new(), Some(60));
    assert!(begun.progress.done.units > 0 && !begun.exhausted);
    let rest = search(begun.progress.done.clone(), begun.failures, None);
    assert!(rest.exhausted);
    assert_eq!((rest.proven, &rest.progress.done), (whole.proven, &whole.progress.done));
    let signatures = |outcome: &Outcome| outcome.failures.iter().map(|f| f.signature.clone()).collect::<Vec<_>>();
    assert_eq!(signatures(&rest), signatures(&whole));
}

#[test]
#[should_panic(expected = "nonpaged replay np2-")]
fn a_test_that_fails_prints_the_token() {
    let limits = Limits { time: Some(Duration::from_secs(60)), schedules: Some(200), until_first: true };
    let campaign = Campaign { limits, ..Campaign::default() };
    Search::new(path("broken/x06-init-after-discard")).campaign(campaign).assert_clean();
}

//! Searches of the sample drivers: what is found in the broken ones, that their twins stay clean, and that tokens replay.

use std::path::PathBuf;
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{Outcome, Strategy, about};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{name}.sys"))
}

/// A search that ends by the number of schedules only, so that it is the same on any machine.
fn search(name: &str, strategy: Strategy, schedules: u64) -> (Explore, Outcome) {
    let search = Explore::new(path(name)).strategy(strategy).time(Duration::MAX).schedules(schedules);
    let outcome = search.run().unwrap_or_else(|error| panic!("{name}: {error}"));
    (search, outcome)
}

fn codes(outcome: &Outcome) -> Vec<&str> {
    let mut codes: Vec<&str> = outcome.failures.iter().map(|failure| failure.signature.code.as_str()).collect();
    codes.dedup();
    codes
}

/// The whole first round of each, and some more: more schedules than any of them has single deeds.
const ENOUGH: u64 = 600;

/// Default settings find one of these codes in the broken driver, with so many deeds at most, and the token replays it; the
/// repaired twin is clean under the same budget, and in every schedule with one deed.
fn is_found(name: &str, expected: &[&str], deeds: usize) {
    let (broken, outcome) = search(&format!("broken/{name}"), Strategy::Mixed, ENOUGH);
    let found = outcome.failures.iter().filter(|failure| expected.contains(&failure.signature.code.as_str()));
    let fewest = found.min_by_key(|failure| failure.schedule.len());
    let failure = fewest.unwrap_or_else(|| panic!("{name}: {:?}", codes(&outcome)));
    assert!(failure.schedule.len() <= deeds, "{name}: {failure:?}");
    let token = broken.token(failure).expect("the driver is there").encode();
    assert!(token.len() < 250, "{name}: {token}");
    let shown = about(broken.replay(&token).expect("it replays"), failure);
    assert!(shown.len() == 1 && shown[0].code().to_string() == failure.signature.code, "{name}: {shown:?}");
    let (_, twin) = search(&format!("broken/{name}-fixed"), Strategy::Mixed, ENOUGH);
    assert!(twin.failures.is_empty(), "{name}: {:?}", twin.failures);
    assert!(twin.proven.deeds.is_some_and(|deeds| deeds >= 1), "{name}: {}", twin.proven);
    assert_eq!(twin.proven.failed, 0);
}

/// No deed is needed: what is called is gone whatever happens.
#[test]
fn x06_an_init_pointer_used_late_is_found() {
    is_found("x06-init-after-discard", &["0x50"], 0);
}

#[test]
fn x08_paging_the_driver_while_another_opens_and_connects_is_found() {
    is_found("x08-page-entire-race", &["K03", "K19"], 1);
}

#[test]
fn x20_an_unlock_while_a_request_is_queued_is_found() {
    is_found("x20-unlock-with-pended-irp", &["K08"], 0);
}

#[test]
fn x33_a_lock_leak_on_the_error_path_of_an_allocation_is_found() {
    is_found("x33-lock-leak-on-error", &["K05"], 1);
}

#[test]
fn x34_two_closers_racing_are_found() {
    is_found("x34-two-closers", &["K05", "0x1A"], 1);
}

#[test]
fn each_strategy_is_the_same_for_the_same_seed() {
    for (strategy, name) in [Strategy::ALL[1], Strategy::ALL[2], Strategy::ALL[3]] {
        let search = Explore::new(path("broken/x08-page-entire-race")).strategy(strategy).seed(7);
        let search = search.time(Duration::MAX).schedules(150).threads(std::num::NonZeroUsize::MIN);
        let (first, second) = (search.run().expect("it runs"), search.run().expect("it runs"));
        assert_eq!(first.failures, second.failures, "{name}");
        assert_eq!(first.progress.coverage, second.progress.coverage, "{name}");
    }
}

#[test]
fn the_parts_of_a_search_are_the_whole() {
    let search = Explore::new(path("broken/x08-page-entire-race")).strategy(Strategy::Exhaustive).depth(1);
    let part = |index, count| search.clone().time(Duration::MAX).shard(index, count).run().expect("it runs");
    let (whole, parts) = (part(1, 1), [part(1, 2), part(2, 2)]);
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
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let search = Explore::new(path("broken/x34-two-closers")).strategy(Strategy::Exhaustive).depth(1);
    let search = search.time(Duration::MAX);
    let whole = search.run().expect("it runs");
    let kept = search.out(folder.path());
    let begun = kept.clone().schedules(60).run().expect("it runs");
    assert!(begun.progress.done.units > 0 && !begun.exhausted);
    let rest = kept.run().expect("it runs");
    assert!(rest.exhausted && rest.progress.schedules < whole.progress.schedules);
    assert_eq!((rest.proven, &rest.progress.done), (whole.proven, &whole.progress.done));
    let signatures = |outcome: &Outcome| outcome.failures.iter().map(|f| f.signature.clone()).collect::<Vec<_>>();
    assert_eq!(signatures(&rest), signatures(&whole));
}

#[test]
#[should_panic(expected = "nonpaged replay np2-")]
fn a_test_that_fails_prints_the_token() {
    Explore::new(path("broken/x06-init-after-discard")).schedules(200).until_first().assert_clean();
}

//! Searches of the sample drivers: what is found in the broken ones, that their twins stay clean, and that tokens replay.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use engine::Engine;
use explore::{Campaign, Ending, Subject, Watched};
use kernel::Machine;
use memory::Memory;
use nonpaged::Explore;
use nonpaged::explore::{Failure, Kind, Outcome, Run, Signature, Strategy, about, engine};
use report::Diagnostic;

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
        let search = search.time(Duration::MAX).schedules(150).threads(NonZeroUsize::MIN);
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

/// What has begun comes to its end and nothing more begins, so that a limit means the same on any number of threads.
#[test]
fn a_limit_of_schedules_is_exact_on_many_threads() {
    let search = Explore::new(path("broken/x34-two-closers")).strategy(Strategy::Exhaustive).time(Duration::MAX);
    for (depth, limit) in [(1, 60), (2, 600)] {
        let search = search.clone().depth(depth).schedules(limit);
        let outcome = search.threads(NonZeroUsize::MIN.saturating_add(7)).run().expect("it runs");
        assert_eq!(outcome.progress.schedules, limit);
        // One of them is the run without deeds; each of the first round is a unit, and none of these was broken off.
        assert!(outcome.progress.done.units >= outcome.progress.choices.1.min(limit - 1), "{:?}", outcome.progress);
    }
}

/// A run that does not go on before its search has told how far it is.
struct Waiting {
    run: Run,
    told: Option<Arc<(Mutex<bool>, Condvar)>>,
}

impl Subject for Waiting {
    fn fork(&mut self) -> Waiting {
        Waiting { run: self.run.fork(), told: self.told.clone() }
    }

    fn machine(&mut self) -> &mut Machine {
        self.run.machine()
    }

    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        if let Some((told, changed)) = self.told.as_deref() {
            let told = told.lock().expect("nobody panics");
            let waited = changed.wait_timeout_while(told, Duration::from_secs(60), |told| !*told);
            assert!(*waited.expect("nobody panics").0, "no progress is told before a unit is done");
        }
        self.run.go_on(engine)
    }
}

#[test]
fn progress_is_told_however_long_a_unit_takes() {
    let search = Explore::new(path("null/null"));
    let told = Arc::new((Mutex::new(false), Condvar::new()));
    // The first run is the one without deeds, which belongs to no unit.
    let made = Mutex::new(0);
    let base = || {
        let mut made = made.lock().expect("nobody panics");
        *made += 1;
        search.subject().map(|run| Waiting { run, told: (*made > 1).then(|| Arc::clone(&told)) })
    };
    let campaign = Campaign { strategy: Strategy::Exhaustive, depth: 1, ..Campaign::default() };
    let campaign = Campaign { limits: explore::Limits { time: None, schedules: None, until_first: false }, ..campaign };
    let outcome = campaign.run(base, engine, |watched| {
        if matches!(watched, Watched::Progress(_)) {
            *told.0.lock().expect("nobody panics") = true;
            told.1.notify_all();
        }
        true
    });
    assert!(outcome.expect("it loads").exhausted);
}

#[test]
#[should_panic(expected = "nonpaged replay np2-")]
fn a_test_that_fails_prints_the_token() {
    Explore::new(path("broken/x06-init-after-discard")).schedules(200).until_first().assert_clean();
}

/// The scenario was edited after the token was made.
#[test]
fn a_replay_from_rust_says_that_the_scenario_has_changed() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let write = |text: &str| std::fs::write(file.path(), text).expect("it is writable");
    write("[[steps]]\nopen = {}\n");
    let search = Explore::new(path("null/null")).scenario(file.path()).schedules(1);
    let failure = Failure {
        signature: Signature { kind: Kind::Finding, code: "K01".into(), place: 0 },
        schedule: Vec::new(),
        found_by: 0,
        times: 1,
    };
    let token = search.token(&failure).expect("the driver is there").encode();
    let notes = || search.replay(&token).expect("it replays").iter().map(Diagnostic::title).collect::<Vec<_>>();
    assert_eq!(notes(), Vec::<String>::new());
    write("[[steps]]\nopen = {}\n\n[[steps]]\nclose = {}\n");
    assert_eq!(notes(), [format!("`{}` is not what the token was made with", file.path().display())]);
}

//! Repaired twins of small samples, exhausted: docs/exhausted.md is what this test writes with `UPDATE=1`.

#[path = "common/pairs.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod pairs;

use std::fs;
use std::num::NonZeroUsize;
use std::time::Duration;

use nonpaged::explore::{Bound, ChoicePoints, DeedKind, Outcome, Strategy};
use pairs::{Pair, pairs, root};

/// A twin is small if it has no more schedules with one deed of any kind: then two are searched.
const SMALL: u64 = 40;
/// The same for one preemption and one trim: then a second preemption is.
const FEW: u64 = 160;

/// Twins of races, in the exercise with its two rivals: one preemption and one trim.
const RACES: [&str; 1] = ["x34-two-closers"];

const HEAD: &str = "# Twins that are exhausted

Small repaired twins, in *all* schedules of a bound: with two deeds of any kind that is on by default, at each call, fault and
change of IRQL, and with preemptions and one trim of a section. \"Run\" says how many of the schedules were run to their
end; the others come to a state from which the rest was run before, and are known by that.
`UPDATE=1 cargo test -p nonpaged --test explore_exhausted` writes this list, and the test compares it.

| twin | shown | run |
|---|---|---|
";

/// Searches everything on one thread, so that the number of schedules that are run is always the same.
fn exhaust(pair: &Pair, points: ChoicePoints, bound: Bound, deeds: u32) -> Outcome {
    let search = pair.search(true).choices(points).bound(bound).strategy(Strategy::Exhaustive).depth(deeds);
    let outcome = search.threads(NonZeroUsize::MIN).time(Duration::MAX).run();
    outcome.unwrap_or_else(|error| panic!("{}: {error}", pair.name))
}

/// All schedules with so many deeds of any kind.
fn any_deeds(pair: &Pair, deeds: u32) -> Outcome {
    exhaust(pair, pair.points(), Bound::default(), deeds)
}

fn preemptions_and_a_trim(pair: &Pair, preemptions: u32) -> Outcome {
    let bound = Bound::default().with(DeedKind::Switch, preemptions).with(DeedKind::Trim, 1);
    exhaust(pair, ChoicePoints::SWITCH.and(ChoicePoints::TRIM_SECTION), bound, preemptions + 1)
}

fn line(pair: &Pair, outcome: &Outcome) -> String {
    let whole = outcome.proven.schedules - outcome.progress.equal;
    assert!(outcome.exhausted && outcome.failures.is_empty(), "{}: {:?}", pair.name, outcome.failures);
    format!("| `{}-fixed` | {} | {whole} |\n", pair.name, outcome.proven)
}

#[test]
fn small_twins_are_exhausted() {
    let mut list = HEAD.to_owned();
    for pair in pairs().iter().filter(|pair| pair.scenario.is_some() && pair.not_in_a_run().is_none()) {
        if any_deeds(pair, 1).proven.schedules <= SMALL {
            list.push_str(&line(pair, &any_deeds(pair, 2)));
        }
        if (2..=FEW).contains(&preemptions_and_a_trim(pair, 1).proven.schedules) {
            list.push_str(&line(pair, &preemptions_and_a_trim(pair, 2)));
        }
    }
    for pair in pairs().iter().filter(|pair| RACES.contains(&pair.name.as_str())) {
        list.push_str(&line(pair, &preemptions_and_a_trim(pair, 1)));
    }
    let path = root().join("docs/exhausted.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &list).expect("the list can be written");
    }
    let kept = fs::read_to_string(&path).expect("the list is there");
    let other = kept.lines().zip(list.lines()).find(|(kept, shown)| kept != shown);
    assert_eq!((other, kept.lines().count()), (None, list.lines().count()), "docs/exhausted.md is not what was shown");
}

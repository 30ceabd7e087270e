//! Prints the tables of docs/explore.md: `cargo run --release -p nonpaged --example explore_table`.
#![expect(clippy::print_stdout, reason = "it prints tables")]

#[path = "../tests/common/pairs.rs"]
mod pairs;

use std::num::NonZeroUsize;
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{Failure, Outcome, Strategy};
use pairs::{Pair, pairs};

/// Searches of each strategy.
const SEEDS: u64 = 20;
/// A search that took so many schedules has not found it.
const GIVEN_UP: u64 = 5_000;
/// The threads of a search by default settings.
const THREADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// A sample whose race is another one on two processors.
const ON_TWO: &str = "x08-page-entire-race";

fn main() {
    let pairs = pairs();
    strategies(&pairs);
    println!();
    samples(&pairs);
}

fn strategies(pairs: &[Pair]) {
    println!("| driver | processors | deeds | {} |", Strategy::ALL.map(|(_, name)| name).join(" | "));
    println!("|---|---|---|---|---|---|---|---|");
    let on_one = pairs.iter().filter(|pair| pair.not_in_a_run().is_none()).map(|pair| (pair, 1));
    let on_two = pairs.iter().filter(|pair| pair.name == ON_TWO).map(|pair| (pair, 2));
    for (pair, processors) in on_one.chain(on_two) {
        let search = pair.search(false).cpus(processors);
        let found = hunt(&search, Strategy::Mixed, 0, THREADS).failures;
        // Whatever breaks without a deed needs no strategy.
        let Some(deeds) = found.iter().map(|failure| failure.schedule.len()).min().filter(|deeds| *deeds > 0) else {
            continue;
        };
        let medians = Strategy::ALL.map(|(strategy, _)| median(&search, strategy));
        println!("| `{}` | {processors} | {deeds} | {} |", pair.name, medians.join(" | "));
    }
}

fn median(search: &Explore, strategy: Strategy) -> String {
    let first = |seed| {
        let found = hunt(search, strategy, seed, NonZeroUsize::MIN).failures;
        found.iter().map(|failure| failure.found_by).min().unwrap_or(u64::MAX)
    };
    let mut numbers: Vec<u64> = (0..SEEDS).map(first).collect();
    numbers.sort_unstable();
    match numbers[numbers.len() / 2] {
        u64::MAX => format!("> {GIVEN_UP}"),
        number => number.to_string(),
    }
}

fn hunt(search: &Explore, strategy: Strategy, seed: u64, threads: NonZeroUsize) -> Outcome {
    let search = search.clone().strategy(strategy).seed(seed).threads(threads);
    search.schedules(GIVEN_UP).until_first().run().expect("the samples load")
}

fn samples(pairs: &[Pair]) {
    println!("| driver | steps | failure | schedule | deeds | the twin |");
    println!("|---|---|---|---|---|---|");
    let mut slowest = Duration::ZERO;
    for pair in pairs {
        if let Some((why, finding)) = pair.not_in_a_run() {
            println!("| `{}` | none | {finding} by `nonpaged check`: it {why} | | | |", pair.name);
            continue;
        }
        let found = hunt(&pair.search(false), Strategy::Mixed, 0, THREADS);
        slowest = slowest.max(found.progress.elapsed);
        let is_other = |failure: &Failure| pair.expected.as_ref().is_some_and(|code| *code != failure.signature.code);
        let first = found.failures.iter().min_by_key(|failure| (is_other(failure), failure.found_by));
        let (code, number, deeds) =
            first.map_or(("none", 0, 0), |f| (f.signature.code.as_str(), f.found_by, f.schedule.len()));
        let steps = if pair.scenario.is_some() { "scenario" } else { "exercise" };
        println!("| `{}` | {steps} | {code} | {number} | {deeds} | {} |", pair.name, twin(pair));
    }
    println!("\nThe slowest search took {:.1} s on two threads.", slowest.as_secs_f64());
}

fn twin(pair: &Pair) -> String {
    let shown: Vec<String> = pair.exhaust_twin().iter().map(|outcome| outcome.proven.to_string()).collect();
    shown.join("; exercise: ")
}

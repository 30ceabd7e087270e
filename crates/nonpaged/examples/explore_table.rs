//! Prints the table of docs/explore.md: `cargo run --release -p nonpaged --example explore_table`.
#![expect(clippy::print_stdout, reason = "it prints a table")]

#[path = "../tests/common/pairs.rs"]
#[expect(dead_code, reason = "tests need the rest")]
mod pairs;

use nonpaged::Explore;
use nonpaged::explore::Strategy;
use pairs::{GIVEN_UP, first_failure, hunted, pairs};

/// Searches of each strategy.
const SEEDS: u64 = 20;

fn main() {
    let pairs = pairs();
    println!("| driver | processors | deeds | {} |", Strategy::ALL.map(|(_, name)| name).join(" | "));
    println!("|---|---|---|---|---|---|---|---|");
    for (pair, processors) in hunted(&pairs) {
        let search = pair.search(false).cpus(processors);
        // Whatever breaks without a deed needs no strategy.
        let found = first_failure(&search, Strategy::Mixed, 0).filter(|(_, deeds)| *deeds > 0);
        let Some((_, deeds)) = found else { continue };
        let medians = Strategy::ALL.map(|(strategy, _)| median(&search, strategy));
        println!("| `{}` | {processors} | {deeds} | {} |", pair.name, medians.join(" | "));
    }
}

fn median(search: &Explore, strategy: Strategy) -> String {
    let first = |seed| first_failure(search, strategy, seed).map_or(u64::MAX, |(number, _)| number);
    let mut numbers: Vec<u64> = (0..SEEDS).map(first).collect();
    numbers.sort_unstable();
    match numbers[numbers.len() / 2] {
        u64::MAX => format!("> {GIVEN_UP}"),
        number => number.to_string(),
    }
}

//! What the code of a test can do: it is run in every schedule, and goes on by what it is given.

mod again;
mod answers;
mod failures;

use std::path::PathBuf;
use std::time::Duration;

use nonpaged::Explore;
use nonpaged::explore::{Outcome, Strategy};

const SERIAL: &str = "serial/serial";

fn driver(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../drivers/{name}.sys"))
}

/// Every schedule with one deed, and no limit that depends on this machine.
fn search(name: &str) -> Explore {
    Explore::new(driver(name)).strategy(Strategy::Exhaustive).depth(1).time(Duration::MAX)
}

/// Everything was run, and nothing is unknown.
fn assert_whole(outcome: &Outcome, deeds: u32) {
    assert!(outcome.exhausted && outcome.proven.deeds == Some(deeds), "{}", outcome.proven);
    assert_eq!(outcome.progress.unknown, 0, "{}", outcome.proven);
}

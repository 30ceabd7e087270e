//! Each pull request searches the driver for a few seconds. A failure prints a token; `nonpaged replay TOKEN` shows what
//! happened.

use std::time::Duration;

use explore::{Campaign, Limits};
use nonpaged::explore::Search;

/// Here is the path of your driver.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/null/null.sys");

#[test]
fn no_schedule_breaks_the_driver() {
    let limits = Limits { time: Some(Duration::from_secs(5)), schedules: Some(2_000), until_first: false };
    Search::new(DRIVER).campaign(Campaign { limits, ..Campaign::default() }).assert_clean();
}

#[test]
fn nor_on_two_processors() {
    let limits = Limits { time: Some(Duration::from_secs(5)), schedules: Some(2_000), until_first: false };
    Search::new(DRIVER).processors(2).campaign(Campaign { limits, ..Campaign::default() }).assert_clean();
}

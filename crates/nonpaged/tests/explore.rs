//! Searches of the sample drivers: what is found in the broken ones, and that their twins stay clean.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use devices::SerialLine;
use explore::{Campaign, Limits, Outcome, Strategy};
use kernel::{ChoicePoints, Options};
use memory::MemoryConfig;
use nonpaged::Driver;
use nonpaged::explore::{Run, engine};
use nonpaged::scenario::Player;
use nonpaged::session::Session;

fn run(path: &str) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers").join(path);
    let driver = Arc::new(Driver::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    let options = Options { choices: ChoicePoints::USUAL, ..Options::default() };
    let mut session = Session::new(options, MemoryConfig::default(), SerialLine::loopback_plug()).expect("it boots");
    let base = session.load_file(&driver).expect("it loads");
    let player = Player::exercise(base, driver, session.serial_port(), true);
    Run::new(session, player)
}

fn search(path: &str, campaign: &Campaign) -> Outcome {
    campaign.run(run(path), engine, |_| true)
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    for path in std::env::var("DRIVERS").unwrap_or_else(|_| "serial/serial.sys".into()).split(' ') {
        for (strategy, name) in Strategy::ALL {
            let limits = Limits { time: Some(Duration::from_secs(5)), schedules: None, until_first: false };
            let campaign = Campaign { strategy, limits, threads: NonZeroUsize::MIN, ..Campaign::default() };
            let outcome = search(path, &campaign);
            println!("{path} {name}: {:.0}/s {:?}\n  {}", outcome.progress.rate(), outcome.progress, outcome.proven);
            for failure in &outcome.failures {
                println!("  {} by {} x{}: {:?}", failure.signature, failure.found_by, failure.times, failure.schedule);
            }
        }
    }
}

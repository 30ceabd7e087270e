//! Many drivers, each in a machine of its own, on all processors of the host.
//!
//! What becomes of a driver depends on the driver and the limits alone, not on its neighbours: the instruction limit
//! decides. The time limit is a safety net for the host, and an end that it made says so.

mod case;
mod find;
mod missing;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kernel::Options;
use memory::MemoryConfig;
use report::table::fleet::{Driver, Fleet};

use crate::scenario::Scenario;

pub use case::panic_message;
pub use find::images;

/// What every driver of a fleet gets.
#[derive(Clone)]
pub struct Settings {
    /// The machine; its step limit is the instruction limit of a driver.
    pub options: Options,
    /// Its memory; the frames are the memory limit of a driver.
    pub memory: MemoryConfig,
    /// What to do with the driver.
    pub scenario: Scenario,
    /// Time of the host that a driver may take.
    pub time_limit: Duration,
    /// Threads of the host.
    pub jobs: usize,
}

/// Runs all drivers; `done` is called for each when it is through, from any thread.
pub fn run(paths: &[PathBuf], settings: &Settings, done: &(dyn Fn(&Driver) + Sync)) -> Fleet {
    let began = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..settings.jobs.clamp(1, paths.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, path)) = take(paths, &next) {
                    let driver = case::run(path, settings);
                    done(&driver);
                    results.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, driver));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    results.sort_by_key(|(index, _)| *index);
    let drivers: Vec<Driver> = results.into_iter().map(|(_, driver)| driver).collect();
    Fleet { wanted: missing::rank(&drivers), drivers, jobs: settings.jobs, elapsed: began.elapsed() }
}

/// The next driver that nobody has taken.
fn take<'a>(paths: &'a [PathBuf], next: &AtomicUsize) -> Option<(usize, &'a PathBuf)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    paths.get(index).map(|path| (index, path))
}

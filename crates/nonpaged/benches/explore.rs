//! What a search costs on the serial sample with its default exercise. Figures are processor time, so that other programs on
//! the machine disturb them little, and come with their ratio to a whole run from boot to unload in the same measurement.
//!
//! `cargo bench -p nonpaged --bench explore`
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use explore::Subject;
use nonpaged::Explore;
use nonpaged::explore::{Strategy, engine};

/// Schedules of a short and a long search: the cost of one is to be the same in both.
const SHORT: u64 = 1_000;
const LONG: u64 = 100_000;
/// Schedules where the number does not matter.
const MANY: u64 = 10_000;
/// Whole runs that calibrate.
const RUNS: u32 = 200;

fn main() {
    println!("a search of the serial sample, processor time per schedule; load {}", load());
    let whole = whole_run();
    println!("  a run from boot to unload     {:>9.1} us", whole * 1e6);
    for (strategy, name) in
        [(Strategy::Exhaustive, "exhaustive"), (Strategy::Random, "random"), (Strategy::Mixed, "mixed")]
    {
        let cost = search(strategy, MANY, 1).processor;
        let rate = 1.0 / cost;
        println!(
            "  {name:<12} {:>9.1} us  {rate:>7.0} a second a core   target 2000   {:.2} runs",
            cost * 1e6,
            cost / whole
        );
    }
    let (one, two) = (search(Strategy::Random, MANY, 1), search(Strategy::Random, MANY, 2));
    println!("  two threads   {:.2} times the throughput of one   target 1.8", one.wall / two.wall);
    println!(
        "  two threads   {:.2} times the processor time a schedule of one   target 1.11",
        two.processor / one.processor
    );
    let (short, long) = (search(Strategy::Random, SHORT, 1), search(Strategy::Random, LONG, 1));
    println!(
        "  {LONG} schedules cost {:.2} times as much each as {SHORT}   target 1.10",
        long.processor / short.processor
    );
}

/// Seconds that one schedule took.
struct Cost {
    processor: f64,
    wall: f64,
}

fn serial() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/serial/serial.sys")
}

fn search(strategy: Strategy, schedules: u64, threads: usize) -> Cost {
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let search = Explore::new(serial()).strategy(strategy).threads(threads);
    let search = search.time(Duration::MAX).schedules(schedules);
    let (before, start) = (processor_seconds(), Instant::now());
    let outcome = search.run().expect("the sample driver loads");
    let done = outcome.progress.schedules as f64;
    Cost { processor: (processor_seconds() - before) / done, wall: start.elapsed().as_secs_f64() / done }
}

fn whole_run() -> f64 {
    let mut base = Explore::new(serial()).subject().expect("the sample driver loads");
    let mut engine = engine();
    let before = processor_seconds();
    for _ in 0..RUNS {
        let ended = base.fork().go_on(engine.as_mut());
        assert!(ended.is_some(), "nobody asks");
    }
    (processor_seconds() - before) / f64::from(RUNS)
}

/// Time of all threads of this process on processors, those that have ended included; where the host does not say, time
/// since it was first asked.
fn processor_seconds() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let ticks = std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
        Some(user + system)
    });
    // Linux counts them by hundredths of a second whatever its timer does.
    ticks.map_or_else(|| start.elapsed().as_secs_f64(), |ticks| ticks / 100.0)
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

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
/// Comparisons of one thread and two, in turns, and short searches before a long one and after it.
const ROUNDS: u32 = 5;
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
    two_threads();
    long_and_short();
}

/// A long search, and short ones before and after it: a single short one would compare half a second with a minute, in which
/// the machine is now faster and now slower.
fn long_and_short() {
    let short = || (0..ROUNDS).map(|_| search(Strategy::Random, SHORT, 1).processor).sum::<f64>() / f64::from(ROUNDS);
    let before = short();
    let long = search(Strategy::Random, LONG, 1).processor;
    let after = short();
    println!(
        "  {LONG} schedules cost {:.2} times as much each as {SHORT} (before {:.2}, after {:.2})   target 1.10",
        2.0 * long / (before + after),
        long / before,
        long / after
    );
}

/// Two threads of one search; beside them two searches of one thread each at the same time, which share nothing: what these
/// cost more than one alone is the machine's doing, and what the threads cost more than these is ours.
fn two_threads() {
    let rounds = (0..ROUNDS).map(|_| {
        let one = search(Strategy::Random, MANY, 1);
        let apart = cost(|| {
            std::thread::scope(|scope| {
                let one = || schedules(Strategy::Random, MANY / 2, 1);
                let other = scope.spawn(one);
                one() + other.join().expect("it runs")
            })
        });
        (one, apart, search(Strategy::Random, MANY, 2))
    });
    let rounds: Vec<(Cost, Cost, Cost)> = rounds.collect();
    let median = |ratio: &dyn Fn(&(Cost, Cost, Cost)) -> f64| {
        let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    let throughput = median(&|(one, _, two)| one.wall / two.wall);
    println!("  two threads   {throughput:.2} times the throughput of one   target 1.8");
    let apart = median(&|(one, apart, _)| one.wall / apart.wall);
    println!("  two searches  {apart:.2} times the throughput of one");
    let processor = median(&|(one, _, two)| two.processor / one.processor);
    println!("  two threads   {processor:.2} times the processor time a schedule of one   target 1.05");
    let ours = median(&|(_, apart, two)| two.processor / apart.processor);
    println!("  two threads   {ours:.2} times the processor time a schedule of two searches");
}

/// Seconds that one schedule took.
struct Cost {
    processor: f64,
    wall: f64,
}

fn serial() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/serial/serial.sys")
}

fn search(strategy: Strategy, many: u64, threads: usize) -> Cost {
    cost(|| schedules(strategy, many, threads))
}

/// Searches; the number of schedules.
fn schedules(strategy: Strategy, schedules: u64, threads: usize) -> u64 {
    let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    let search = Explore::new(serial()).strategy(strategy).threads(threads);
    let search = search.time(Duration::MAX).schedules(schedules);
    search.run().expect("the sample driver loads").progress.schedules
}

/// What a schedule costs where `work` runs some and says how many.
fn cost(work: impl FnOnce() -> u64) -> Cost {
    let (before, start) = (processor_seconds(), Instant::now());
    let done = work() as f64;
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

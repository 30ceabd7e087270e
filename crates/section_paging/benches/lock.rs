//! What a lock costs, as ratios to one uncontended atomic read-modify-write on the same machine in the same run: an increment,
//! and an increment that a limit may refuse, which is what a count with a limit needs at least.
//!
//! `cargo bench -p section_paging`. Rows of one table are measured in turns, round after round, and the median round is
//! printed: a machine that becomes slow for a while slows all rows down alike, so the ratios hold.
#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nt_types::Va;
use section_paging::sync::{Host, SharedPaging, Threads};
use section_paging::{Config, Handle, ImageKind, LockStep, NewImage, NewSection, PageRun, Paging, Runs};

const ROUNDS: usize = 41;
const CALLS: u64 = 20_000;
const SECTIONS: u32 = 20;
const SECTION_PAGES: u32 = 3;
const BASE: Va = Va(0xFFFF_F800_0000_0000);
const IMAGE_BYTES: u32 = (SECTIONS * SECTION_PAGES + 1) << 12;
/// How many handles or addresses a row uses in turn.
const SPREAD: usize = 16;

/// A row: its name, operations in a call, and the call.
struct Row<'a> {
    name: String,
    operations: u64,
    call: Box<dyn FnMut(usize) + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: impl Into<String>, operations: u64, call: impl FnMut(usize) + 'a) -> Self {
        Row { name: name.into(), operations, call: Box::new(call) }
    }

    /// Nanoseconds for one operation.
    fn measure(&mut self) -> f64 {
        let start = Instant::now();
        (0..CALLS).for_each(|n| (self.call)(n as usize % SPREAD));
        start.elapsed().as_nanos() as f64 / (CALLS * self.operations) as f64
    }
}

/// Prints the median of each row, and its ratios to the first two.
fn table(title: &str, rows: &mut [Row<'_>]) {
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (row, times) in rows.iter_mut().zip(&mut times) {
            times.push(row.measure());
        }
    }
    println!("\n{title}");
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for (row, time) in rows.iter().zip(&medians) {
        println!("  {:<58} {time:>9.2} ns  {:>7.2} x {:>7.2} x", row.name, time / medians[0], time / medians[1]);
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The two rows that others are compared to.
fn increments(word: &AtomicU64) -> Vec<Row<'_>> {
    let plain = Row::new("one uncontended atomic increment", 1, |_| {
        black_box(word.fetch_add(1, Ordering::AcqRel));
    });
    let limited = Row::new("one that a limit may refuse", 1, |_| {
        let add = |count: u64| (count < u64::MAX).then_some(count + 1);
        black_box(word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, add)).ok();
    });
    vec![plain, limited]
}

fn sections() -> Vec<NewSection> {
    let section = |n| NewSection { va: (1 + n * SECTION_PAGES) << 12, span: SECTION_PAGES << 12, pageable: true };
    (0..SECTIONS).map(section).collect()
}

fn image(module: u64, sections: &[NewSection], load: impl FnOnce(&NewImage<'_>)) {
    let base = BASE + module * 0x10_0000;
    let load_map = [PageRun::at(base + 0x1000, u64::from(SECTIONS * SECTION_PAGES))];
    let kind = ImageKind::Driver;
    load(&NewImage { name: "bench.sys", kind, base, size_bytes: IMAGE_BYTES, sections, load_map: &load_map });
}

/// Addresses in sections spread over all modules.
fn addresses(modules: u64) -> Vec<Va> {
    let module = |n: u64| n * modules / SPREAD as u64;
    (0..SPREAD as u64).map(|n| BASE + module(n) * 0x10_0000 + ((1 + n * u64::from(SECTION_PAGES)) << 12)).collect()
}

fn pure(modules: u64) -> Paging {
    let mut paging = Paging::new(Config { call_sites: 0, ..Config::default() });
    let sections = sections();
    (0..modules).for_each(|module| image(module, &sections, |new| drop(paging.load(new).unwrap())));
    paging
}

fn lock(paging: &mut Paging, step: LockStep) -> Handle {
    match step {
        LockStep::Locked(locked) => locked.handle,
        LockStep::PageIn(transition) => paging.finish(transition).unwrap().handle,
        LockStep::Wait(_) => unreachable!("nobody else locks"),
    }
}

fn lock_address(paging: &mut Paging, address: Va) -> Handle {
    let step = paging.lock_by_address(address, Va::NULL).unwrap().step;
    lock(paging, step)
}

fn lock_handle(paging: &mut Paging, handle: Handle) {
    let step = paging.lock_by_handle(handle, Va::NULL).unwrap().step;
    lock(paging, step);
}

fn by_handle(modules: u64, held: bool) -> Row<'static> {
    let mut paging = pure(modules);
    let handles: Vec<_> = addresses(modules).into_iter().map(|address| lock_address(&mut paging, address)).collect();
    if !held {
        handles.iter().for_each(|handle| drop(paging.unlock(*handle, Va::NULL).unwrap()));
    }
    let state = if held { "locked" } else { "count 0, 3 resident pages" };
    Row::new(format!("by handle, {state}, {modules} modules"), 2, move |n| {
        lock_handle(&mut paging, handles[n]);
        black_box(paging.unlock(handles[n], Va::NULL).unwrap());
    })
}

fn by_address(modules: u64) -> Row<'static> {
    let mut paging = pure(modules);
    let addresses = addresses(modules);
    let handles: Vec<_> = addresses.iter().map(|address| lock_address(&mut paging, *address)).collect();
    Row::new(format!("by address, locked, {modules} modules"), 2, move |n| {
        lock_address(&mut paging, addresses[n]);
        black_box(paging.unlock(handles[n], Va::NULL).unwrap());
    })
}

/// Everything is resident.
struct Resident;

impl Host for Resident {
    type Error = ();

    fn page_in(&self, pages: &Runs) -> Result<(), ()> {
        black_box(pages.page_count());
        Ok(())
    }

    fn flush_queued_dpcs(&self) {}
}

fn shared(modules: u64) -> SharedPaging<Resident, Threads> {
    let shared = SharedPaging::new(Config::default(), Resident);
    let sections = sections();
    (0..modules).for_each(|module| image(module, &sections, |new| assert!(shared.load(new).is_ok())));
    shared
}

fn shared_by_handle(modules: u64, held: bool) -> Row<'static> {
    let shared = shared(modules);
    let handles: Vec<_> = addresses(modules).into_iter().map(|at| shared.lock_by_address(at).unwrap()).collect();
    if !held {
        handles.iter().for_each(|handle| shared.unlock(*handle).unwrap());
    }
    let state = if held { "locked" } else { "count 0, not evicted" };
    Row::new(format!("threads: by handle, {state}, {modules} modules"), 2, move |n| {
        shared.lock_by_handle(handles[n]).unwrap();
        shared.unlock(handles[n]).unwrap();
    })
}

fn shared_by_address(modules: u64) -> Row<'static> {
    let shared = shared(modules);
    let addresses = addresses(modules);
    let handles: Vec<_> = addresses.iter().map(|at| shared.lock_by_address(*at).unwrap()).collect();
    Row::new(format!("threads: by address, locked, {modules} modules"), 2, move |n| {
        shared.lock_by_address(addresses[n]).unwrap();
        shared.unlock(handles[n]).unwrap();
    })
}

/// A word on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

/// What one thread does: two operations.
type Work<'a> = &'a (dyn Fn() + Sync);

/// Nanoseconds for one operation while each piece of work is done over and over on a thread of its own; `None` if the
/// threads did not run at the same time.
fn together(work: &[Work<'_>]) -> Option<f64> {
    const TIMES: u64 = 100_000;
    let barrier = Barrier::new(work.len());
    let run = |work: Work<'_>| {
        barrier.wait();
        let start = Instant::now();
        (0..TIMES).for_each(|_| work());
        (start, Instant::now())
    };
    let times: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = work.iter().map(|work| scope.spawn(move || run(*work))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let starts = || times.iter().map(|(start, _)| *start);
    let ends = || times.iter().map(|(_, end)| *end);
    let whole = ends().max()? - starts().min()?;
    let common = ends().min()?.saturating_duration_since(starts().max()?);
    (common * 10 > whole * 9).then(|| whole.as_nanos() as f64 / (2 * TIMES) as f64)
}

/// Two threads at once: ratios to one thread alone that does the same; 1 is perfect scaling. The best round counts, since
/// only there each thread had a processor all the time.
fn scaling() {
    let shared = shared(2);
    let places = [BASE + 0x1000, BASE + 0x4000, BASE + 0x10_1000];
    let handles = places.map(|address| shared.lock_by_address(address).unwrap());
    let lock = |n: usize| {
        shared.lock_by_handle(handles[n]).unwrap();
        shared.unlock(handles[n]).unwrap();
    };
    let words: [Alone; 2] = Default::default();
    let increment = |n: usize| {
        words[n].0.fetch_add(1, Ordering::AcqRel);
        words[n].0.fetch_sub(1, Ordering::AcqRel);
    };
    let groups: [(&str, [Work<'_>; 2]); 4] = [
        ("atomic increments of two words", [&|| increment(0), &|| increment(1)]),
        ("locks, two modules", [&|| lock(0), &|| lock(2)]),
        ("locks, neighbours in one module", [&|| lock(0), &|| lock(1)]),
        ("locks, one section", [&|| lock(0), &|| lock(0)]),
    ];
    let mut best = [[f64::INFINITY; 2]; 4];
    for _ in 0..ROUNDS {
        for ((_, work), [one, two]) in groups.iter().zip(&mut best) {
            *one = together(&work[..1]).map_or(*one, |time| one.min(time));
            *two = together(work).map_or(*two, |time| two.min(time));
        }
    }
    println!("\nThe thread-safe form: two threads at once by handle, as each sees it ({} processors)", processors());
    for ((name, _), [one, two]) in groups.iter().zip(best) {
        println!("  {name:<58} {two:>9.2} ns  {:>7.2} x one thread alone", two / one);
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bookkeeping of the first lock of a section of many pages and of its last unlock, for each page.
fn first_lock(pages: u32) -> Row<'static> {
    let mut paging = Paging::default();
    let sections = [NewSection { va: 0x1000, span: pages << 12, pageable: true }];
    let load_map = [PageRun::at(BASE + 0x1000, u64::from(pages))];
    let kind = ImageKind::Driver;
    let new = NewImage {
        name: "big.sys",
        kind,
        base: BASE,
        size_bytes: (pages + 1) << 12,
        sections: &sections,
        load_map: &load_map,
    };
    paging.load(&new).unwrap();
    let handle = lock_address(&mut paging, BASE + 0x1000);
    paging.unlock(handle, Va::NULL).unwrap();
    Row::new(format!("lock at count 0 and unlock, for each of {pages} pages"), u64::from(pages), move |_| {
        lock_handle(&mut paging, handle);
        black_box(paging.unlock(handle, Va::NULL).unwrap());
    })
}

fn main() {
    let word = AtomicU64::new(0);
    let sizes = [1, 200, 5_000];
    let mut rows = increments(&word);
    rows.extend(sizes.map(|modules| by_handle(modules, true)));
    rows.extend(sizes.map(|modules| by_handle(modules, false)));
    rows.extend(sizes.map(by_address));
    table("The pure machine: one lock or unlock (mean of both), 20 sections a module", &mut rows);

    let mut rows = increments(&word);
    rows.extend(sizes.map(|modules| shared_by_handle(modules, true)));
    rows.extend(sizes.map(|modules| shared_by_handle(modules, false)));
    rows.extend(sizes.map(shared_by_address));
    table("The thread-safe form: one lock or unlock (mean of both)", &mut rows);
    scaling();

    let mut rows = increments(&word);
    rows.extend([1, 16, 256, 4_096].map(first_lock));
    table("The pure machine: pinning and unpinning, without the reads", &mut rows);
    println!();
}

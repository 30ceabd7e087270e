//! The costs that matter, each beside what it is measured against. `cargo bench -p memory --bench memory` prints one line for each;
//! names of parts as arguments run only these.
//!
//! Each time is the best of many rounds, so that a busy machine disturbs it little; ratios compare figures of one run.
// UNSAFETY: mapping a file, to compare with mlock, is unsafe because someone else could truncate the file.
#![expect(unsafe_code, reason = "see UNSAFETY")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::fs::File;
use std::hint::black_box;
use std::time::Duration;

use engine::Mmu;
use memory::{Backing, Memory, MemoryConfig, PageIn, PagingFileConfig, Protection, Region, TrimReason};
use nt_types::{PAGE_SIZE, Va};
use section_paging::PageRun;

const PAGE: usize = PAGE_SIZE as usize;

/// The best of many rounds of what `round` measures, for each of its `count` operations, in nanoseconds.
fn best(count: usize, mut round: impl FnMut() -> Duration) -> f64 {
    let time = (0..50).map(|_| round()).min().unwrap_or_default();
    time.as_nanos() as f64 / count as f64
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = now();
    work();
    now().saturating_sub(start)
}

/// Time that this thread has been running, in the host's kernel too: what others do meanwhile does not count.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// A memory with `pages` written pages of paged pool.
fn with_pool(config: MemoryConfig, pages: u64) -> (Memory, Va) {
    let mut memory = Memory::new(config).expect("a paging file");
    let pool = memory.allocate(Region::PagedPool, pages, Backing::Pageable, Protection::READ_WRITE).expect("frames");
    memory.begin_page_in_runs([PageRun::at(pool, pages)]).expect("frames");
    touch(&mut memory, pool, pages);
    (memory, pool)
}

/// Writes a different number into each page.
fn touch(memory: &mut Memory, va: Va, pages: u64) {
    for page in 0..pages {
        memory.write_u64(va + page * PAGE_SIZE, page * 0x9E37_79B9_7F4A_7C15 + 1).expect("resident");
    }
}

fn accesses() {
    let (mut memory, pool) = with_pool(MemoryConfig::default(), 256);
    let addresses: Vec<u64> = (0..4096u64).map(|i| pool.0 + (i * 7919 * 8) % (256 * PAGE_SIZE)).collect();
    let mut plain = vec![0u64; 256 * PAGE / 8];
    let load = best(4096, || timed(|| addresses.iter().for_each(|&a| assert!(memory.load::<8>(a).is_ok()))));
    let store = best(4096, || timed(|| addresses.iter().for_each(|&a| assert!(memory.store(a, [1; 8]).is_ok()))));
    let native =
        best(4096, || timed(|| addresses.iter().for_each(|&a| plain[((a - pool.0) / 8) as usize] += black_box(1))));
    println!("load of 8 bytes      {load:7.2} ns");
    println!("store of 8 bytes     {store:7.2} ns   native read-modify-write of the same range {native:.2} ns");
    let mut fork = memory.fork();
    let frozen = best(4096, || timed(|| addresses.iter().for_each(|&a| assert!(fork.load::<8>(a).is_ok()))));
    println!("load of a shared page{frozen:7.2} ns");
    let copy =
        best(256, || timed(|| (0..256).for_each(|_| memory.copy(pool.0 + PAGE_SIZE, pool.0, PAGE).expect("resident"))));
    let (mut to, from) = (vec![0u8; PAGE], vec![1u8; PAGE]);
    let native = best(256, || timed(|| (0..256).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from)))));
    println!("copy of 4 KiB        {copy:7.0} ns   memcpy {native:.0} ns   ratio {:.2}", copy / native);
}

fn soft_page_in() {
    let (mut memory, pool) = with_pool(MemoryConfig { transition_stay: true, ..MemoryConfig::default() }, 1000);
    let soft = best(1000, || {
        memory.trim(TrimReason::Command);
        timed(|| (0..1000).for_each(|i| assert_eq!(memory.begin_page_in(pool + i * PAGE_SIZE), Ok(PageIn::Soft))))
    });
    println!("soft page-in         {soft:7.0} ns   at most 600");
}

fn hard_page_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pages");
    let config = MemoryConfig { paging_file: PagingFileConfig::File(path.clone()), ..MemoryConfig::default() };
    let (mut memory, pool) = with_pool(config, 1000);
    let mut page_in = |order: fn(u64) -> u64| {
        best(1000, || {
            memory.trim(TrimReason::Command);
            timed(|| {
                for page in (0..1000).map(order) {
                    let Ok(PageIn::Hard(ticket)) = memory.begin_page_in(pool + page * PAGE_SIZE) else {
                        panic!("the page is out")
                    };
                    memory.finish(ticket).expect("readable");
                }
            })
        })
    };
    let (hard, ascending) = (page_in(|page| page * 919 % 1000), page_in(|page| page));
    let file = File::open(path).expect("the paging file");
    let mut buffer = vec![0; PAGE];
    let bare = best(1000, || timed(|| (1..=1000).for_each(|block| pread(&file, &mut buffer, block * PAGE_SIZE))));
    println!(
        "hard page-in         {hard:7.0} ns   bare pread of 4 KiB {bare:.0} ns   ratio {:.2}, at most 3",
        hard / bare
    );
    println!("the same in the order of the file {ascending:7.0} ns   ratio {:.2}", ascending / bare);
}

#[cfg(unix)]
fn pread(file: &File, buffer: &mut [u8], offset: u64) {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset).expect("a block");
    black_box(buffer);
}

#[cfg(not(unix))]
fn pread(_: &File, buffer: &mut [u8], _: u64) {
    // The host locks the paging file against other readers: the ratio is no use there.
    black_box(buffer);
}

fn forks() {
    let (mut memory, pool) = with_pool(MemoryConfig::default(), 2000);
    let first = best(1, || {
        touch(&mut memory, pool, 2000);
        let mut fork = None;
        let time = timed(|| fork = Some(memory.fork()));
        drop(fork);
        time
    });
    println!("fork, all 2000 pages written before  {:7.1} us   at most 30", first / 1000.0);
    let again = best(1, || {
        touch(&mut memory, pool, 10);
        let mut fork = None;
        let time = timed(|| fork = Some(memory.fork()));
        drop(fork);
        time
    });
    println!("fork, 10 pages written before        {:7.1} us   at most 30", again / 1000.0);
    let written = best(1000, || {
        let mut fork = memory.fork();
        timed(|| touch(&mut fork, pool, 1000))
    });
    let plain = best(1000, || timed(|| touch(&mut memory, pool, 1000)));
    println!("page written after a fork            {written:7.0} ns   at most 500 (without a fork {plain:.0})");
    let mut chain = memory.fork();
    let deep = best(100, || {
        timed(|| {
            for round in 0..100 {
                chain = chain.fork();
                touch(&mut chain, pool + (round * 20) * PAGE_SIZE, 20);
            }
        })
    });
    println!("fork of a fork, 20 pages written each{:7.1} us", deep / 1000.0);
    fork_memory(&mut memory, pool);
}

/// What 200 forks that write 10 pages each add to the resident set of this process.
fn fork_memory(memory: &mut Memory, pool: Va) {
    let Some(before) = resident_bytes() else { return println!("fork memory: unknown on this host") };
    let forks: Vec<Memory> = (0..200)
        .map(|_| {
            let mut fork = memory.fork();
            touch(&mut fork, pool, 10);
            fork
        })
        .collect();
    let after = resident_bytes().unwrap_or(before);
    let each = (after - before) / forks.len() as u64 / 1024;
    println!("memory of a fork that wrote 10 pages {each:7} KiB  at most {}", 64 + 40);
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * PAGE_SIZE)
}

/// Pages of a section in `first_lock`.
const LOCK_SIZES: [u64; 4] = [1, 16, 256, 4096];

/// Each round locks the same 16 MiB in pieces of each size, so that all sizes find the host's caches equally cold and its
/// noise falls on all alike; the best round of each size counts.
fn first_lock() {
    let (mut memory, pool) = with_pool(MemoryConfig::default(), 4096);
    let mut rounds = [[Duration::MAX; 2]; LOCK_SIZES.len()];
    for _ in 0..30 {
        for ([locked, mapped], pages) in rounds.iter_mut().zip(LOCK_SIZES) {
            memory.trim(TrimReason::Command);
            let runs = (0..4096 / pages).map(|index| PageRun::at(pool + index * pages * PAGE_SIZE, pages));
            *locked = timed(|| runs.for_each(|run| lock(&mut memory, run))).min(*locked);
            *mapped = mlock(pages as usize, 4096 / pages as usize).unwrap_or_default().min(*mapped);
        }
    }
    let per_page = |time: Duration| time.as_nanos() as f64 / 4096.0;
    for ([locked, mapped], pages) in rounds.map(|round| round.map(per_page)).into_iter().zip(LOCK_SIZES) {
        print!("first lock of {pages:4} absent pages {locked:7.0} ns a page   ");
        match mapped {
            0.0 => println!("mlock refused by this host"),
            _ => println!("mlock of a mapping {mapped:.0} ns   ratio {:.2}", locked / mapped),
        }
    }
    let costs = rounds.map(|[locked, _]| per_page(locked));
    println!(
        "dearest against cheapest {:.2}, without the single page {:.2}   at most 1.20",
        spread(&costs),
        spread(&costs[1..])
    );
    memory.trim(TrimReason::Command);
    let before = memory.counters();
    lock(&mut memory, PageRun::at(pool, 4096));
    let (pages, reads) = (memory.counters().pages_read - before.pages_read, memory.counters().reads - before.reads);
    println!("pages a read         {:7}      at least 16", pages / reads);
}

fn lock(memory: &mut Memory, run: PageRun) {
    for ticket in memory.begin_page_in_runs([run]).expect("frames").tickets {
        memory.finish(ticket).expect("readable");
    }
}

fn spread(costs: &[f64]) -> f64 {
    let (low, high) = costs.iter().fold((f64::MAX, 0f64), |(low, high), &cost| (low.min(cost), high.max(cost)));
    high / low
}

/// The same number of pages of a file in the host's cache, mapped and locked, so often; `None` if the host refuses. Each
/// mapping is new, so none of its pages is in the page tables.
fn mlock(pages: usize, repeat: usize) -> Option<Duration> {
    let file = tempfile::tempfile().expect("a file");
    file.set_len((pages * PAGE) as u64).expect("space");
    let mut total = Duration::ZERO;
    for _ in 0..repeat {
        // SAFETY: the file is anonymous: nobody else can truncate it.
        let mapping = unsafe { memmap2::Mmap::map(&file) }.expect("a mapping");
        let mut refused = false;
        total += timed(|| refused = mapping.lock().is_err());
        if refused {
            return None;
        }
    }
    Some(total)
}

fn main() {
    let parts: [(&str, fn()); 5] = [
        ("accesses", accesses),
        ("soft", soft_page_in),
        ("hard", hard_page_in),
        ("forks", forks),
        ("lock", first_lock),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            part();
        }
    }
}

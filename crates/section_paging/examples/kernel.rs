//! A kernel in miniature: processors lock and unlock a section at the same time while a trimmer takes every page that may
//! leave. `cargo run -p section_paging --example kernel`
//!
//! A kernel brings a lock of its own ([`Monitor`]) and its way to fetch pages ([`Host`]); the feature `std` is not needed.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use nt_types::Va;
use section_paging::sync::{Host, Monitor, Platform, SharedPaging};
use section_paging::{Config, ImageKind, NewImage, NewSection, PageRun, Paging, Runs};

const BASE: Va = Va(0xFFFF_F800_0010_0000);
const PAGE_SECTION: Va = Va(BASE.0 + 0x2000);
/// Pages of the image: headers, .text, and three of PAGE.
const PAGES: usize = 5;
const ROUNDS: u32 = 2_000;

/// The kernel's primitives: an atomic word, and a lock that spins.
struct Primitives;

impl Platform for Primitives {
    type Word = AtomicU64;
    type Monitor = SpinLocked<Paging>;
}

/// Who waits looks again and again, so that nobody has to be woken. A kernel would put the thread to sleep instead.
struct SpinLocked<T>(Mutex<T>);

impl<T: Send> Monitor<T> for SpinLocked<T> {
    fn new(value: T) -> Self {
        SpinLocked(Mutex::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        loop {
            if let Ok(mut value) = self.0.try_lock() {
                return f(&mut value);
            }
            spin_loop();
        }
    }

    fn wait_until<R>(&self, mut f: impl FnMut(&mut T) -> Option<R>) -> R {
        loop {
            if let Some(result) = self.with(&mut f) {
                return result;
            }
            thread::yield_now();
        }
    }

    fn wake_all(&self) {}
}

/// The page tables, and the disk behind them.
struct Memory {
    present: [AtomicBool; PAGES],
    reads: AtomicU32,
}

impl Memory {
    fn is_present(&self, page: u64) -> bool {
        self.present[(page - BASE.page()) as usize].load(Ordering::Acquire)
    }

    fn set_present(&self, page: u64, present: bool) {
        self.present[(page - BASE.page()) as usize].store(present, Ordering::Release);
    }
}

impl Host for Memory {
    type Error = ();

    fn page_in(&self, pages: &Runs) -> Result<(), ()> {
        for page in pages.pages().filter(|page| !self.is_present(*page)) {
            thread::yield_now(); // The disk takes its time; other processors run.
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.set_present(page, true);
        }
        Ok(())
    }

    fn flush_queued_dpcs(&self) {}
}

/// A processor: what the driver does at each open and close.
fn processor(kernel: &SharedPaging<Memory, Primitives>) {
    let handle = kernel.lock_by_address(PAGE_SECTION).expect("the section is there");
    let is_present = |page| kernel.host().is_present(page);
    for _ in 0..ROUNDS {
        assert!((2..PAGES as u64).all(|page| is_present(BASE.page() + page)), "locked pages are in memory");
        kernel.unlock(handle).expect("it is locked");
        thread::yield_now(); // The port is closed for a while.
        kernel.lock_by_handle(handle).expect("the handle is valid at any count");
    }
    kernel.unlock(handle).expect("it is locked");
}

/// Evicts whatever may leave, until told to stop; how many pages did.
fn trimmer(kernel: &SharedPaging<Memory, Primitives>, stop: &AtomicBool) -> u32 {
    let mut evicted = 0;
    while !stop.load(Ordering::Relaxed) {
        for page in (0..PAGES as u64).map(|page| BASE.page() + page) {
            let present = kernel.host().is_present(page);
            evicted += u32::from(present && kernel.evict(page, || kernel.host().set_present(page, false)));
        }
        thread::yield_now();
    }
    evicted
}

fn main() {
    let present = std::array::from_fn(|page| AtomicBool::new(page < 2));
    let memory = Memory { present, reads: AtomicU32::new(0) };
    let kernel = SharedPaging::<Memory, Primitives>::on_platform(Config::default(), memory);
    let image = kernel.load(&NewImage {
        name: "serial.sys",
        kind: ImageKind::Driver,
        base: BASE,
        size_bytes: (PAGES * 0x1000) as u32,
        sections: &[
            NewSection { va: 0x1000, span: 0x1000, pageable: false },
            NewSection { va: 0x2000, span: 0x2800, pageable: true },
        ],
        load_map: &[PageRun::at(PAGE_SECTION, 3)],
    });
    let image = image.expect("the layout is sound");

    let stop = AtomicBool::new(false);
    let evicted = thread::scope(|scope| {
        let trimmer = scope.spawn(|| trimmer(&kernel, &stop));
        let processors = [(); 2].map(|()| scope.spawn(|| processor(&kernel)));
        processors.into_iter().for_each(|processor| processor.join().expect("no page was missing"));
        stop.store(true, Ordering::Relaxed);
        trimmer.join().expect("it only evicts")
    });
    let reads = kernel.host().reads.load(Ordering::Relaxed);
    println!("2 processors, {ROUNDS} unlocks and locks each: {evicted} pages evicted, {reads} read");
    assert!(kernel.inspect(|paging| paging.locked(image)).is_empty(), "locks and unlocks balance");
}

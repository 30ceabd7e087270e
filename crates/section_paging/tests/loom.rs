//! The thread-safe form under the model checker loom: every execution that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p section_paging --test loom --release`
#![cfg(loom)]

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use nt_types::Va;
use section_paging::sync::{Error, Host, Monitor, Platform, SharedPaging, Word};
use section_paging::{
    Config, Failure, Finding, ImageId, ImageKind, NewImage, NewSection, PageRun, Paging, Reason, Runs,
};

const BASE: Va = Va(0xFFFF_F800_0010_0000);
/// .text is page 1, PAGEA pages 2 and 3, PAGEB pages 3 and 4.
const PAGES: usize = 5;
const PAGEA: Va = Va(BASE.0 + 0x2000);
const PAGEB: Va = Va(BASE.0 + 0x3800);

struct Loom;

impl Platform for Loom {
    type Word = LoomWord;
    type Monitor = LoomMonitor;
}

struct LoomWord(AtomicU64);

impl Word for LoomWord {
    fn new(value: u64) -> Self {
        LoomWord(AtomicU64::new(value))
    }

    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn exchange(&self, old: u64, new: u64) -> bool {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn swap(&self, new: u64) -> u64 {
        self.0.swap(new, Ordering::AcqRel)
    }
}

struct LoomMonitor {
    paging: Mutex<Paging>,
    changed: Condvar,
}

impl Monitor<Paging> for LoomMonitor {
    fn new(paging: Paging) -> Self {
        LoomMonitor { paging: Mutex::new(paging), changed: Condvar::new() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Paging) -> R) -> R {
        f(&mut self.paging.lock().unwrap())
    }

    fn wait_until<R>(&self, mut f: impl FnMut(&mut Paging) -> Option<R>) -> R {
        let mut paging = self.paging.lock().unwrap();
        loop {
            if let Some(result) = f(&mut paging) {
                return result;
            }
            paging = self.changed.wait(paging).unwrap();
        }
    }

    fn wake_all(&self) {
        self.changed.notify_all();
    }
}

/// Pages are flags without any ordering of their own: who sees them late has no right to.
struct Memory {
    resident: [AtomicBool; PAGES],
    reads: AtomicU32,
    /// The first read fails.
    fails: bool,
    findings: Mutex<Vec<u8>>,
}

impl Memory {
    fn is_resident(&self, page: usize) -> bool {
        self.resident[page].load(Ordering::Relaxed)
    }
}

impl Host for Memory {
    type Error = ();

    fn page_in(&self, pages: &Runs) -> Result<(), ()> {
        if self.reads.fetch_add(1, Ordering::Relaxed) == 0 && self.fails {
            return Err(());
        }
        pages.pages().for_each(|page| self.resident[(page - BASE.page()) as usize].store(true, Ordering::Relaxed));
        Ok(())
    }

    fn flush_queued_dpcs(&self) {}

    fn report(&self, finding: Finding) {
        self.findings.lock().unwrap().push(finding.number());
    }
}

type Shared = SharedPaging<Memory, Loom>;

fn machine(fails: bool) -> (Arc<Shared>, ImageId) {
    let memory = Memory {
        resident: std::array::from_fn(|page| AtomicBool::new(page < 2)),
        reads: AtomicU32::new(0),
        fails,
        findings: Mutex::new(Vec::new()),
    };
    let shared = Shared::on_platform(Config::default(), memory);
    let section = |va, span, pageable| NewSection { va, span, pageable };
    let sections = [section(0x1000, 0x1000, false), section(0x2000, 0x1800, true), section(0x3800, 0x1000, true)];
    let load_map = [PageRun::at(PAGEA, 3)];
    let size_bytes = PAGES as u32 * 0x1000;
    let image = shared
        .load(&NewImage {
            name: "a.sys",
            kind: ImageKind::Driver,
            base: BASE,
            size_bytes,
            sections: &sections,
            load_map: &load_map,
        })
        .unwrap();
    (Arc::new(shared), image)
}

fn evict(shared: &Shared, page: u64) {
    shared.evict(BASE.page() + page, || shared.host().resident[page as usize].store(false, Ordering::Relaxed));
}

fn count(shared: &Shared, image: ImageId, index: u16) -> u32 {
    shared.inspect(|paging| paging.section(section_paging::SectionId { image, index }).unwrap().count)
}

fn held(shared: &Shared, pages: &[usize]) {
    pages.iter().for_each(|page| assert!(shared.host().is_resident(*page), "page {page} is out under a lock"));
}

/// R97, D20, D21: two first locks at once, and one more by handle while the second caller still waits: one transition, all
/// return with every page resident, all are counted.
#[test]
fn two_first_locks() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let other = shared.clone();
        let second = thread::spawn(move || {
            let handle = other.lock_by_address(PAGEA).unwrap();
            held(&other, &[2, 3]);
            handle
        });
        let first = shared.lock_by_address(PAGEA).unwrap();
        held(&shared, &[2, 3]);
        shared.lock_by_handle(first).unwrap();
        assert_eq!(second.join().unwrap(), first);
        assert_eq!(count(&shared, image, 1), 3);
        assert_eq!(shared.host().reads.load(Ordering::Relaxed), 1);
    });
}

/// R97: who locks on the fast path sees the pages that another caller brought in.
#[test]
fn fast_lock_sees_the_pages() {
    loom::model(|| {
        let (shared, _) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        shared.unlock(handle).unwrap();
        let other = shared.clone();
        let locker = thread::spawn(move || {
            other.lock_by_handle(handle).unwrap();
            held(&other, &[2, 3]);
        });
        evict(&shared, 2);
        shared.lock_by_handle(handle).unwrap();
        held(&shared, &[2, 3]);
        locker.join().unwrap();
    });
}

/// Section 12: who evicts sees what was written under a lock that has ended.
#[test]
fn eviction_sees_what_was_written() {
    loom::model(|| {
        let (shared, _) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        shared.unlock(handle).unwrap();
        let content = Arc::new(AtomicU32::new(0));
        let (other, written) = (shared.clone(), content.clone());
        let writer = thread::spawn(move || {
            other.lock_by_handle(handle).unwrap();
            written.store(1, Ordering::Relaxed);
            other.unlock(handle).unwrap();
        });
        let reads = |shared: &Shared| shared.host().reads.load(Ordering::Relaxed);
        let mut saved = None;
        shared.evict(BASE.page() + 2, || saved = Some((content.load(Ordering::Relaxed), reads(&shared))));
        writer.join().unwrap();
        // If the writer did not have to bring the page in again, its lock came before the eviction.
        assert!(saved.is_none_or(|(content, before)| content == 1 || reads(&shared) > before));
    });
}

/// R12, R15, D23: one thread locks and unlocks by handle, another unlocks, a third evicts: nothing held ever leaves.
#[test]
fn lock_by_handle_against_eviction() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        let (locker, evictor) = (shared.clone(), shared.clone());
        let locker = thread::spawn(move || {
            locker.lock_by_handle(handle).unwrap();
            held(&locker, &[2, 3]);
            locker.unlock(handle).unwrap();
        });
        let evictor = thread::spawn(move || evict(&evictor, 2));
        held(&shared, &[2, 3]);
        shared.unlock(handle).unwrap();
        locker.join().unwrap();
        evictor.join().unwrap();
        evict(&shared, 2);
        assert!(!shared.host().is_resident(2), "an unlocked page can be evicted");
        assert_eq!(count(&shared, image, 1), 0);
    });
}

/// D22: a page shared by two sections stays while one of them is locked.
#[test]
fn edge_page_against_eviction() {
    loom::model(|| {
        let (shared, _) = machine(false);
        let a = shared.lock_by_address(PAGEA).unwrap();
        shared.unlock(a).unwrap();
        let (locker, evictor) = (shared.clone(), shared.clone());
        let locker = thread::spawn(move || {
            locker.lock_by_address(PAGEB).unwrap();
            held(&locker, &[3, 4]);
        });
        let evictor = thread::spawn(move || evict(&evictor, 3));
        shared.lock_by_handle(a).unwrap();
        held(&shared, &[2, 3]);
        shared.unlock(a).unwrap();
        locker.join().unwrap();
        evictor.join().unwrap();
        held(&shared, &[3, 4]);
    });
}

/// D23: of two unlocks of one lock exactly one succeeds.
#[test]
fn double_unlock() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        let other = shared.clone();
        let second = thread::spawn(move || other.unlock(handle));
        let results = [shared.unlock(handle), second.join().unwrap()];
        let failed: Vec<_> = results.iter().filter_map(|result| result.err()).collect();
        assert!(matches!(failed[..], [Failure { reason: Reason::CountZero, .. }]), "{failed:?}");
        assert_eq!(count(&shared, image, 1), 0);
    });
}

/// D26: the first read fails: one caller is told, the other starts over and has its lock.
#[test]
fn failed_read_with_a_waiter() {
    loom::model(|| {
        let (shared, image) = machine(true);
        let other = shared.clone();
        let second = thread::spawn(move || other.lock_by_address(PAGEA));
        let results = [shared.lock_by_address(PAGEA), second.join().unwrap()];
        assert_eq!(results.iter().filter(|result| **result == Err(Error::PageIn(()))).count(), 1);
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        held(&shared, &[2, 3]);
        assert_eq!(count(&shared, image, 1), 1);
    });
}

/// D29, K05, K20: unload against a lock by handle: the lock is complete and reported, or finds the handle stale.
#[test]
fn unload_against_a_lock() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        shared.unlock(handle).unwrap();
        evict(&shared, 2);
        let other = shared.clone();
        let locker = thread::spawn(move || other.lock_by_handle(handle));
        let leaked = shared.unload(image).unwrap();
        let locked = locker.join().unwrap();
        assert!(matches!(locked, Ok(()) | Err(Error::Failure(Failure { reason: Reason::StaleHandle, .. }))));
        assert_eq!(leaked.page_count(), if locked.is_ok() { 2 } else { 0 });
        assert_eq!(shared.host().findings.lock().unwrap().contains(&5), locked.is_ok());
        assert_eq!(shared.unlock(handle).unwrap_err().reason, Reason::StaleHandle);
    });
}

/// D29: once an unload has begun, a lock that starts finds the handle stale, also while an older one is still inside.
#[test]
fn late_lock_during_an_unload() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        shared.unlock(handle).unwrap();
        evict(&shared, 2);
        let other = shared.clone();
        let locker = thread::spawn(move || {
            let inside = other.lock_by_handle(handle).is_ok();
            let unloading = other.host().findings.lock().unwrap().contains(&20);
            let late = other.lock_by_handle(handle).is_ok();
            assert!(!unloading || !late);
            u64::from(inside) + u64::from(late)
        });
        let leaked = shared.unload(image).unwrap();
        let locks = locker.join().unwrap();
        assert_eq!(leaked.page_count(), if locks > 0 { 2 } else { 0 });
    });
}

/// D29: unload sleeps until the last of two lockers, one of which waits for the other, has left.
#[test]
fn unload_waits_for_a_waiter() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (shared, image) = machine(false);
        let lockers = [shared.clone(), shared.clone()];
        let lockers = lockers.map(|shared| thread::spawn(move || shared.lock_by_address(PAGEA).is_ok()));
        let leaked = shared.unload(image).unwrap();
        let locked = lockers.map(|locker| locker.join().unwrap());
        assert_eq!(leaked.page_count(), if locked.contains(&true) { 2 } else { 0 });
    });
}

/// D13: a lock that meets the discard is counted or fails; the unlocks that balance it succeed.
#[test]
fn discard_against_locks() {
    loom::model(|| {
        let (shared, image) = machine(false);
        let handle = shared.lock_by_address(PAGEA).unwrap();
        let other = shared.clone();
        let locker = thread::spawn(move || other.lock_by_handle(handle));
        shared.discard(image, &[1], &[]);
        let locked = locker.join().unwrap().is_ok();
        assert!(shared.lock_by_handle(handle).is_err());
        assert_eq!(count(&shared, image, 1), 1 + u32::from(locked));
        (0..1 + u32::from(locked)).for_each(|_| shared.unlock(handle).unwrap());
        assert_eq!(shared.unlock(handle).unwrap_err().reason, Reason::CountZero);
    });
}

/// D36, D38: page-entire, reset and eviction at once: after the reset the nonpageable page is there to stay.
#[test]
fn page_entire_against_reset() {
    loom::model(|| {
        let (shared, _) = machine(false);
        shared.page_entire(BASE, false);
        evict(&shared, 1);
        let (paging, evictor) = (shared.clone(), shared.clone());
        let evictor = thread::spawn(move || evict(&evictor, 1));
        let reset = thread::spawn(move || {
            paging.reset(BASE, false).unwrap();
            held(&paging, &[0, 1]);
        });
        assert_eq!(shared.page_entire(Va::NULL, false), Va::NULL);
        reset.join().unwrap();
        evictor.join().unwrap();
        held(&shared, &[0, 1]);
    });
}

/// D38: both whole-driver routines end, in either order.
#[test]
fn whole_driver_routines_exclude_each_other() {
    loom::model(|| {
        let (shared, image) = machine(false);
        shared.page_entire(BASE, false);
        let other = shared.clone();
        let reset = thread::spawn(move || other.reset(BASE, false).unwrap());
        assert_eq!(shared.page_entire(BASE, false), BASE);
        reset.join().unwrap();
        shared.inspect(|paging| assert_eq!(paging.image(image).unwrap().calls, 0));
        shared.reset(BASE, false).unwrap();
        held(&shared, &[0, 1]);
    });
}

//! The thread-safe form on real threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use nt_types::Va;
use section_paging::sync::{Error, Host, SharedPaging, Threads};
use section_paging::{
    Config, Failure, Finding, Handle, ImageId, ImageKind, NewImage, NewSection, PageRun, Reason, Runs, SectionId,
};

const BASE: Va = Va(0xFFFF_F800_0010_0000);
const PAGES: u64 = 8;
/// .text, then three sections that share their edge pages: 2-4, 4-6, 6-7.
const SECTIONS: [(u32, u32); 4] = [(0x1000, 0x1000), (0x2000, 0x2800), (0x4800, 0x2000), (0x6800, 0x1800)];

type BeforeRead = dyn Fn(&Runs) -> Result<(), ()> + Send + Sync;

/// Pages are numbers: a page with an even one is out; each page-in and each eviction counts one up.
struct Memory {
    pages: BTreeMap<u64, AtomicU32>,
    findings: Mutex<Vec<Finding>>,
    /// What `page_in` does first.
    before_read: Box<BeforeRead>,
}

impl Memory {
    fn new(before_read: impl Fn(&Runs) -> Result<(), ()> + Send + Sync + 'static) -> Self {
        let pages = (0..PAGES).map(|page| (BASE.page() + page, AtomicU32::new(u32::from(page < 2)))).collect();
        Memory { pages, findings: Mutex::new(Vec::new()), before_read: Box::new(before_read) }
    }

    fn is_resident(&self, page: u64) -> bool {
        self.pages[&page].load(Ordering::Relaxed) % 2 == 1
    }

    /// Brings the page in, or out, if it is not there already.
    fn turn(&self, page: u64, resident: bool) {
        let parity = u32::from(resident);
        let turn = |value: u32| (value % 2 != parity).then_some(value + 1);
        let _unchanged = self.pages[&page].fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn);
    }
}

impl Host for Memory {
    type Error = ();

    fn page_in(&self, pages: &Runs) -> Result<(), ()> {
        (self.before_read)(pages)?;
        pages.pages().for_each(|page| self.turn(page, true));
        Ok(())
    }

    fn flush_queued_dpcs(&self) {}

    fn report(&self, finding: Finding) {
        self.findings.lock().unwrap().push(finding);
    }
}

fn machine(memory: Memory) -> (SharedPaging<Memory, Threads>, ImageId) {
    let shared = SharedPaging::new(Config::default(), memory);
    let sections = SECTIONS.map(|(va, span)| NewSection { va, span, pageable: va > 0x1000 });
    let load_map = [PageRun::at(BASE + 0x2000, 6)];
    let size_bytes = (PAGES as u32) << 12;
    let new = NewImage {
        name: "a.sys",
        kind: ImageKind::Driver,
        base: BASE,
        size_bytes,
        sections: &sections,
        load_map: &load_map,
    };
    let image = shared.load(&new).unwrap();
    (shared, image)
}

fn section_pages(index: usize) -> impl Iterator<Item = u64> {
    let (va, span) = SECTIONS[index];
    (u64::from(va) >> 12..=u64::from(va + span - 1) >> 12).map(|page| BASE.page() + page)
}

fn address(index: usize) -> Va {
    BASE + u64::from(SECTIONS[index].0)
}

fn count(shared: &SharedPaging<Memory, Threads>, image: ImageId, index: u16) -> u32 {
    shared.inspect(|paging| paging.section(SectionId { image, index }).unwrap().count)
}

/// R97, D20, D21, D22: threads lock and unlock overlapping sections by address and by handle, others evict and page the
/// driver as a whole: whoever holds a section finds its pages, and the counts are exact.
#[test]
fn stress() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 20_000;
    let (shared, image) = machine(Memory::new(|_| Ok(())));
    let done = AtomicBool::new(false);
    let worker = |seed: u64| {
        let mut random = seed;
        let mut held: Vec<(usize, Handle)> = Vec::new();
        for _ in 0..CALLS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (choice, index) = ((random >> 33) % 8, 1 + (random >> 40) as usize % 3);
            match held.last().copied() {
                Some((_, handle)) if choice < 4 => {
                    held.pop();
                    shared.unlock(handle).unwrap();
                }
                Some((index, handle)) if choice < 6 => {
                    shared.lock_by_handle(handle).unwrap();
                    held.push((index, handle));
                }
                _ => held.push((index, shared.lock_by_address(address(index)).unwrap())),
            }
            for (index, _) in &held {
                assert!(section_pages(*index).all(|page| shared.host().is_resident(page)));
            }
        }
        held.into_iter().for_each(|(_, handle)| shared.unlock(handle).unwrap());
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || worker(seed))).collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                (0..PAGES).map(|page| BASE.page() + page).for_each(|page| {
                    shared.evict(page, || shared.host().turn(page, false));
                });
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(shared.page_entire(BASE, false), BASE);
                shared.reset(BASE, false).unwrap();
            }
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert!((0..4).all(|index| count(&shared, image, index) == 0));
    let leaked = shared.unload(image).unwrap();
    assert!(leaked.is_empty());
}

/// R96, D21: two sections come in at the same time: each read waits for the other.
#[test]
fn different_sections_come_in_in_parallel() {
    let both = Barrier::new(2);
    let (shared, _) = machine(Memory::new(move |_| {
        both.wait();
        Ok(())
    }));
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        thread::scope(|scope| {
            scope.spawn(|| shared.lock_by_address(address(1)).unwrap());
            scope.spawn(|| shared.lock_by_address(address(3)).unwrap());
        });
        done.send(()).unwrap();
    });
    assert!(finished.recv_timeout(Duration::from_secs(60)).is_ok(), "one read keeps the other out");
}

/// R95, R97: a second locker does not return while the first one reads; one read serves both.
#[test]
fn second_locker_sleeps_until_the_pages_are_in() {
    let (release, held_back) = mpsc::channel::<()>();
    let held_back = Mutex::new(held_back);
    let (started, reading) = mpsc::channel();
    let (shared, image) = machine(Memory::new(move |_| {
        started.send(()).unwrap();
        held_back.lock().unwrap().recv().unwrap();
        Ok(())
    }));
    let returned = AtomicU32::new(0);
    thread::scope(|scope| {
        let lock = || {
            shared.lock_by_address(address(1)).unwrap();
            assert!(section_pages(1).all(|page| shared.host().is_resident(page)));
            returned.fetch_add(1, Ordering::SeqCst);
        };
        scope.spawn(lock);
        reading.recv().unwrap();
        scope.spawn(lock);
        while shared.inspect(|paging| paging.image(image).unwrap().calls) < 2 {
            thread::yield_now();
        }
        assert_eq!(returned.load(Ordering::SeqCst), 0);
        release.send(()).unwrap();
    });
    assert_eq!(count(&shared, image, 1), 2);
    assert!(reading.try_recv().is_err(), "one read");
}

/// D26: whoever needed the page is told; nothing partial stays behind; the next lock succeeds.
#[test]
fn failed_read() {
    let fails = AtomicBool::new(true);
    let (shared, image) =
        machine(Memory::new(move |_| if fails.swap(false, Ordering::Relaxed) { Err(()) } else { Ok(()) }));
    let error = shared.lock_by_address(address(1)).unwrap_err();
    assert_eq!(error, Error::PageIn(()));
    assert_eq!(count(&shared, image, 1), 0);
    assert!(shared.evict(BASE.page() + 3, || ()));
    assert!(shared.lock_by_address(address(1)).is_ok());
}

/// R15, R101, D23: unlocked pages can be evicted, locked ones not; a lock after that brings them in again.
#[test]
fn eviction_takes_unlocked_pages_only() {
    let (shared, _) = machine(Memory::new(|_| Ok(())));
    let handle = shared.lock_by_address(address(1)).unwrap();
    let page = BASE.page() + 3;
    let evict = || shared.evict(page, || shared.host().turn(page, false));
    assert!(!evict());
    shared.lock_by_handle(handle).unwrap();
    shared.unlock(handle).unwrap();
    assert!(!evict());
    shared.unlock(handle).unwrap();
    assert!(evict());
    shared.lock_by_handle(handle).unwrap();
    assert!(shared.host().is_resident(page) && !evict());
    assert!(!shared.evict(BASE.page() + 1, || ()), "not pageable");
}

/// D16, D25, D30: the failures are those of the pure machine, on the fast path and beside it.
#[test]
fn failures() {
    let config = Config { count_limit: 2.try_into().unwrap(), ..Config::default() };
    let shared = SharedPaging::new(config, Memory::new(|_| Ok(())));
    let sections = SECTIONS.map(|(va, span)| NewSection { va, span, pageable: true });
    let new = NewImage {
        name: "a.sys",
        kind: ImageKind::Driver,
        base: BASE,
        size_bytes: 0x8000,
        sections: &sections,
        load_map: &[],
    };
    let image = shared.load(&new).unwrap();
    let reason = |result: Result<(), Failure>| result.unwrap_err().reason;
    let lock_reason = |handle| match shared.lock_by_handle(handle) {
        Err(Error::Failure(failure)) => failure.reason,
        other => panic!("{other:?}"),
    };
    let handle = shared.lock_by_address(address(1)).unwrap();
    shared.lock_by_handle(handle).unwrap();
    assert_eq!(lock_reason(handle), Reason::CountOverflow);
    assert_eq!(count(&shared, image, 1), 2);
    shared.unlock(handle).unwrap();
    shared.unlock(handle).unwrap();
    assert_eq!(reason(shared.unlock(handle)), Reason::CountZero);
    let unknown = Handle::from_value(handle.value() + 16);
    assert_eq!((reason(shared.unlock(unknown)), lock_reason(unknown)), (Reason::UnknownHandle, Reason::UnknownHandle));
    shared.lock_by_handle(handle).unwrap();
    shared.discard(image, &[1], &[]);
    assert_eq!(lock_reason(handle), Reason::Discarded);
    shared.unlock(handle).unwrap();
    assert_eq!(reason(shared.unlock(handle)), Reason::CountZero);
    shared.unload(image).unwrap();
    assert_eq!((reason(shared.unlock(handle)), lock_reason(handle)), (Reason::StaleHandle, Reason::StaleHandle));
}

/// K01, K05, K18, K20, D28: findings go to the host, with the exact count.
#[test]
fn findings_are_reported() {
    let (shared, image) = machine(Memory::new(|_| Ok(())));
    let handle = shared.lock_by_address(address(0)).unwrap();
    shared.lock_by_address(address(0)).unwrap();
    (0..3).for_each(|_| shared.lock_by_handle(handle).unwrap());
    shared.page_entire(Va::NULL, false);
    shared.unload(image).unwrap();
    let findings = shared.host().findings.lock().unwrap();
    assert_eq!(findings.iter().map(Finding::number).collect::<Vec<_>>(), [1, 1, 18, 28, 5]);
    assert!(matches!(&findings[4], Finding::UnloadWithLocks { locked, .. } if locked[0].count == 5));
}

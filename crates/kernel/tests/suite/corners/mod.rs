//! The ten positive corner cases that every release must pass (SAMPLES.md section 3), asked for by drivers.

mod everywhere;

use devices::Bus;
use kernel::{Action, EventKind, Options, Routine};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::{PAGE_SIZE, Va};

use crate::probe::{PAGED_PAGES, Probe};
use crate::sample::{IOCTL, Lab, Setup};

const LOCK: &str = "MmLockPagableDataSection";
const LOCK_BY_HANDLE: &str = "MmLockPagableSectionByHandle";
const UNLOCK: &str = "MmUnlockPagableImageSection";
const PAGE_ENTIRE: &str = "MmPageEntireDriver";
const RESET: &str = "MmResetDriverPaging";

fn trimming(trim: TrimPolicy) -> Probe {
    Probe::new(Options::default(), MemoryConfig { trim, ..MemoryConfig::default() })
}

fn paged_pages(probe: &Probe) -> Vec<Va> {
    (0..PAGED_PAGES).map(|page| probe.paged() + page * PAGE_SIZE).collect()
}

fn resident(probe: &Probe) -> usize {
    paged_pages(probe).into_iter().filter(|page| probe.is_resident(*page)).count()
}

/// R14: lock by handle at count 0 with the section out: the count is 1 and all pages are in.
#[test]
fn corner_1_lock_by_handle_at_count_zero() {
    let mut probe = trimming(TrimPolicy::AtOnce);
    let page = probe.paged();
    let handle = probe.service(LOCK, [page.0, 0]);
    probe.service(UNLOCK, [handle, 0]);
    assert_eq!((probe.count(page), resident(&probe)), (0, 0));
    probe.service(LOCK_BY_HANDLE, [handle, 0]);
    assert_eq!((probe.count(page), resident(&probe)), (1, PAGED_PAGES as usize));
}

/// R12: frames run short, everything that may leave does, and a locked section stays as it is.
#[test]
fn corner_2_a_locked_section_stays_under_frame_pressure() {
    const FRAMES: u32 = 256;
    let memory = MemoryConfig { frames: FRAMES, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), memory);
    let page = probe.paged();
    probe.service(LOCK, [page.0, 0]);
    let content: Vec<Vec<u8>> = paged_pages(&probe).iter().map(|page| read(&probe, *page)).collect();
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let (paged_pool, bytes) = (1, u64::from(FRAMES) * PAGE_SIZE);
    let block = Va(probe.ask("ExAllocatePoolWithTag", &[paged_pool, bytes, tag]).expect("there are addresses"));
    probe.ask("RtlFillMemory", &[block.0, bytes, 7]).expect("others make room");
    let counters = probe.machine.memory.counters();
    assert!(counters.pages_evicted > 50, "there was pressure: {counters:?}");
    assert_eq!(resident(&probe), PAGED_PAGES as usize);
    let after: Vec<Vec<u8>> = paged_pages(&probe).iter().map(|page| read(&probe, *page)).collect();
    assert_eq!(after, content);
}

fn read(probe: &Probe, page: Va) -> Vec<u8> {
    let mut bytes = vec![0; PAGE_SIZE as usize];
    probe.machine.memory.peek(page, &mut bytes).expect("it has content");
    bytes
}

/// D23, R101: the last unlock evicts nothing: under `trim=never` the section is still there.
#[test]
fn corner_3_unlock_itself_evicts_nothing() {
    let mut probe = trimming(TrimPolicy::Never);
    let page = probe.paged();
    let handle = probe.service(LOCK, [page.0, 0]);
    probe.service(UNLOCK, [handle, 0]);
    assert_eq!((probe.count(page), resident(&probe)), (0, PAGED_PAGES as usize));
}

/// R61, D14: with paging disabled page-entire gives the base, flushes no DPC and makes nothing pageable; locks and the
/// bug check for one unlock too many still work.
#[test]
fn corner_4_page_entire_with_paging_disabled() {
    let memory = MemoryConfig { paging_enabled: false, trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
    let mut lab = Lab::with(Options::default(), memory.clone(), Bus::new());
    let base = lab.load("beep/beep").expect("the base comes back, which DriverEntry checks");
    let file = lab.open(base).expect("it opens");
    lab.close(file).expect("it pages itself again");
    lab.evict_all();
    for section in [".text", ".data", "PAGE"] {
        assert!(lab.is_whole(base, section), "{section}");
    }
    let paged = lab.events(|event| matches!(event.kind, EventKind::DriverPaged { .. }).then_some(()));
    assert!(paged.is_empty());
    let mut probe = Probe::new(Options::default(), memory);
    let page = probe.paged();
    let handle = probe.service(LOCK, [page.0, 0]);
    assert_eq!(probe.count(page), 1);
    probe.service(UNLOCK, [handle, 0]);
    let unlock = probe.export(UNLOCK);
    let check = crate::sample::bug_check(&probe.call(0, unlock, [handle, 0]).expect_err("it is not locked"));
    assert_eq!((check.code.0, check.parameters[0], check.parameters[2]), (0x1A, 0x1010, 6));
}

/// D37: an address in no image: NULL and K28, and nothing else.
#[test]
fn corner_5_page_entire_of_no_image() {
    let mut probe = Probe::plain();
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let pool = probe.ask("ExAllocatePoolWithTag", &[0, 64, tag]).expect("there is pool");
    for address in [pool, 0, 0x1000, u64::MAX] {
        assert_eq!(probe.service(PAGE_ENTIRE, [address, 0]), 0, "{address:#x}");
        probe.service(RESET, [address, 0]);
    }
    assert!(probe.codes().iter().all(|code| *code == "K28") && !probe.codes().is_empty());
}

/// R124: a DPC that was queued before page-entire has run when the last close has paged the driver; there is none after.
/// See `whole_driver` for DPCs that have to wait on another processor, and for one that comes after.
#[test]
fn corner_6_queued_dpcs_have_run() {
    for slice_steps in 1..=30 {
        let options = Options { processors: 2, slice_steps, ..Options::default() };
        let memory = MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
        let mut lab = Lab::with(options, memory, Bus::new());
        let base = lab.load("beep/beep").expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let vector = lab.machine.connected_interrupts().first().expect("it is connected").vector;
        lab.machine.spurious_interrupt(vector);
        lab.act(Action::Close { file }).expect("no bug check");
        let order = lab.events(|event| match event.kind {
            EventKind::DpcQueued { .. } => Some("queued"),
            EventKind::Left { what: Routine::Dpc, .. } => Some("ran"),
            EventKind::DriverPaged { .. } => Some("paged"),
            _ => None,
        });
        assert_eq!(order, ["paged", "queued", "ran", "paged"], "{slice_steps}");
    }
}

/// D34: reset with the override clear and an interrupt connected is K04, a warning, and has no effect.
#[test]
fn corner_7_reset_with_an_interrupt_and_no_override() {
    let mut probe = Probe::plain();
    let (routine, object) = (probe.nothing(), probe.data());
    let connect = [object.0, routine.0, 0, 0, 4, 5, 5, 0, 1, 1, 0];
    assert_eq!(probe.ask("IoConnectInterrupt", &connect).expect("it is connected"), 0);
    let before = (resident(&probe), probe.counts());
    probe.service(RESET, [object.0, 0]);
    assert_eq!((resident(&probe), probe.counts()), before);
    let found: Vec<_> = probe
        .machine
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Found(finding) => Some((finding.kind.code(), finding.kind.severity())),
            _ => None,
        })
        .collect();
    assert_eq!(found, [("K04", kernel::Severity::Warning)]);
}

/// D32: the last unlock while the override is set makes `.text` eligible; the driver itself gives the lock back in Unload.
#[test]
fn corner_8_last_unlock_under_override() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load("beep/beep-locked").expect("the driver starts");
    let text = lab.pages(base, ".text");
    let eligible = |lab: &Lab| text.iter().filter(|page| lab.machine.memory.paging().is_eligible(page.0 >> 12)).count();
    assert_eq!((lab.count(base, ".text"), eligible(&lab)), (1, 0));
    lab.unload(base).expect("its Unload runs in pages that leave and come back");
    let unlocked = lab.events(|event| match event.kind {
        EventKind::SectionUnlocked { count, .. } => Some((count, event.step)),
        _ => None,
    });
    let [_, (0, step)] = unlocked[..] else { panic!("{unlocked:?}") };
    let left = lab.events(|event| match &event.kind {
        EventKind::Trimmed { pages, .. } if event.step >= step => Some(pages.clone()),
        _ => None,
    });
    assert!(text.iter().all(|page| left.concat().contains(page)), "{left:?}");
}

/// D21: two first locks of one section at once: one transition, count 2.
#[test]
fn corner_9_two_first_locks_at_once() {
    for slice_steps in 1..=16 {
        let options = Options { processors: 2, slice_steps, ..Options::default() };
        let mut probe = Probe::new(options, MemoryConfig::default());
        let (lock, page) = (probe.export(LOCK), probe.paged());
        let calls = [probe.begin(0, lock, [page.0, 0]), probe.begin(0, lock, [page.0, 0])];
        let handles = calls.map(|call| probe.finish(call).expect("the lock succeeds"));
        assert_eq!((handles[0], probe.count(page)), (handles[1], 2), "{slice_steps}");
        let counters = probe.machine.memory.counters();
        assert_eq!((counters.reads, counters.pages_read), (1, PAGED_PAGES), "{slice_steps}: one transition");
    }
}

/// D5, D6: the same seed gives the same schedule, the same events and the same bug check, byte for byte.
#[test]
fn corner_10_same_seed_same_schedule_same_bug_check() {
    let run = |seed: u64| {
        let options = Options { processors: 2, slice_steps: 7, seed, ..Options::default() };
        let memory = MemoryConfig { trim: TrimPolicy::AtOnce, seed, ..MemoryConfig::default() };
        let mut lab = Lab::with(options, memory, Bus::new());
        let base = lab.load("broken/x18-locks-the-other-section").expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let stop = lab.ioctl(file, IOCTL, 0).expect_err("it locks one section and runs another");
        (format!("{:?}", lab.machine.events), format!("{stop:?}"))
    };
    for seed in [0, 1, 0xDEAD_BEEF] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

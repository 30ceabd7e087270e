//! The six routines, called by guest code (BEHAVIOUR.md sections 4 to 7 and 9).

use kernel::{EventKind, Options, Verifier};
use memory::{MemoryConfig, TrimReason};
use nt_types::PAGE_SIZE;

use crate::probe::{PAGED_PAGES, Probe};
use crate::sample::{Lab, Setup, bug_check};

const DISPATCH: u8 = 2;

/// R11, R14, R15, D19, D20: one handle for the whole section, exact counts, no page leaves while it is locked.
#[test]
fn r15_locks_count_and_the_whole_section_stays() {
    let mut probe = Probe::plain();
    let (reader, first) = (probe.reader(), probe.paged());
    let last = first + (PAGED_PAGES * PAGE_SIZE - 1);
    let handle = probe.service("MmLockPagableDataSection", [last.0, 0]);
    assert!(section_paging::Handle::RANGE.contains(&handle));
    assert_eq!(probe.service("MmLockPagableDataSection", [first.0, 0]), handle);
    probe.service("MmLockPagableSectionByHandle", [handle, 0]);
    assert_eq!(probe.count(first), 3);
    for page in [first, last] {
        probe.call(DISPATCH, reader, [page.0, 0]).expect("the section is locked");
    }
    for count in [2, 1, 0] {
        probe.service("MmUnlockPagableImageSection", [handle, 0]);
        assert_eq!(probe.count(first), count);
    }
    let stop = probe.call(DISPATCH, reader, [first.0, 0]).expect_err("it left before the raise");
    assert_eq!(bug_check(&stop).code.0, 0xD1);
}

/// D21, R97: two processors lock the same section at once; neither returns before every page is there.
#[test]
fn d21_a_second_locker_waits_for_the_first() {
    let options = Options { processors: 2, slice_steps: 3, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let (lock, page) = (probe.export("MmLockPagableDataSection"), probe.paged());
    let requests = [probe.begin(0, lock, [page.0, 0]), probe.begin(0, lock, [page.0, 0])];
    let handles = requests.map(|request| probe.finish(request).expect("the lock succeeds"));
    assert_eq!(handles[0], handles[1]);
    assert_eq!(probe.count(page), 2);
    let locked: Vec<(u64, usize)> = probe
        .machine
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::SectionLocked { .. }))
        .map(|event| (event.time_ns, event.processor))
        .collect();
    let read_ns = Options::default().page_read_ns;
    assert_eq!(locked.len(), 2);
    assert!(locked.iter().all(|(time_ns, _)| *time_ns >= read_ns), "{locked:?}");
    assert!((0..PAGED_PAGES).all(|index| probe.is_resident(page + index * PAGE_SIZE)));
}

/// D31, D32, D33, D36: paged as a whole, brought back as a whole; a locked section stays.
#[test]
fn d36_reset_brings_back_what_the_load_map_does_not_hold() {
    let mut probe = Probe::plain();
    let (data, paged) = (probe.data(), probe.paged());
    let handle = probe.service("MmLockPagableDataSection", [paged.0, 0]);
    assert_eq!(probe.service("MmPageEntireDriver", [data.0, 0]), probe.base.0);
    assert!(probe.is_resident(data), "D33: the call itself evicts nothing");
    probe.machine.evict(&[data, paged], TrimReason::Command);
    assert!(!probe.is_resident(data), "D31");
    assert!(probe.is_resident(paged), "D32");
    probe.service("MmUnlockPagableImageSection", [handle, 0]);
    probe.machine.evict(&[paged], TrimReason::Command);
    probe.service("MmResetDriverPaging", [data.0, 0]);
    assert!(probe.is_resident(data), "D36");
    assert!(!probe.is_resident(paged), "pageable sections are not brought in");
    probe.machine.evict(&[data], TrimReason::Command);
    assert!(probe.is_resident(data));
}

/// R26, R123: neither nests; one reset undoes any number of page-entire calls.
#[test]
fn r26_page_entire_does_not_nest() {
    let mut probe = Probe::plain();
    let data = probe.data();
    for _ in 0..2 {
        probe.service("MmPageEntireDriver", [data.0, 0]);
    }
    probe.service("MmResetDriverPaging", [data.0, 0]);
    probe.service("MmResetDriverPaging", [data.0, 0]);
    probe.machine.evict(&[data], TrimReason::Command);
    assert!(probe.is_resident(data));
}

/// D37, K28: an address in no module.
#[test]
fn d37_no_module() {
    let mut probe = Probe::plain();
    assert_eq!(probe.service("MmPageEntireDriver", [0x1000, 0]), 0);
    assert_eq!(probe.codes(), ["K28"]);
}

/// D39: with the verifier the IRQL comes first, and nothing has changed.
#[test]
fn d39_irql_rule_with_the_verifier() {
    let names = ["MmLockPagableDataSection", "MmLockPagableSectionByHandle", "MmUnlockPagableImageSection"];
    for name in names.into_iter().chain(["MmPageEntireDriver", "MmResetDriverPaging"]) {
        let mut probe = Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default());
        let (routine, page) = (probe.export(name), probe.paged());
        let check = bug_check(&probe.call(DISPATCH, routine, [page.0, 0]).expect_err("the rule is broken"));
        let [rule, _, p3, p4] = check.parameters;
        assert_eq!((check.code.0, rule, p3, p4), (0xC4, 0x0002_0019, 0, 0), "{name}");
        assert_eq!(probe.count(page), 0);
    }
}

/// D40: without it the call goes as far as it can: a page that is out is 0xD3, a locked section is locked again.
#[test]
fn d40_irql_rule_without_the_verifier() {
    let mut probe = Probe::plain();
    let (routine, page) = (probe.export("MmLockPagableDataSection"), probe.paged());
    let check = bug_check(&probe.call(DISPATCH, routine, [page.0, 0]).expect_err("the page is out"));
    assert_eq!((check.code.0, check.parameters), (0xD3, [page.0, 2, 0, routine.0]));
    assert!(probe.codes().contains(&"K02"));

    let mut probe = Probe::plain();
    probe.service("MmLockPagableDataSection", [page.0, 0]);
    probe.call(DISPATCH, routine, [page.0, 0]).expect("nothing has to come in");
    assert_eq!(probe.count(page), 2);
    assert!(probe.codes().contains(&"K02"));
}

/// D40: a lock that would have to wait at `DISPATCH_LEVEL` is 0xB8.
#[test]
fn d40_waiting_at_dispatch_level_is_0xb8() {
    let options = Options { processors: 2, slice_steps: 3, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let (lock, page) = (probe.export("MmLockPagableDataSection"), probe.paged());
    probe.begin(0, lock, [page.0, 0]);
    let late = probe.begin(DISPATCH, lock, [page.0, 0]);
    let check = bug_check(&probe.finish(late).expect_err("another first lock is in progress"));
    assert_eq!((check.code.0, check.parameters[1], check.parameters[3]), (0xB8, 0, 0));
}

/// R17, D28: unload with a lock is K05, and the pages are lost.
#[test]
fn d28_unload_with_a_lock_leaks() {
    let mut probe = Probe::plain();
    let page = probe.paged();
    probe.service("MmLockPagableDataSection", [page.0, 0]);
    let base = probe.base;
    let request = probe.machine.unload_driver(base).expect("the unload begins");
    assert_eq!(probe.finish(request).expect("no bug check"), PAGED_PAGES);
    assert!(probe.codes().contains(&"K05"));
    assert!(probe.machine.modules().driver_at(base).is_none());
}

/// R180, R184, D48: each trigger trims and counts, also at `DISPATCH_LEVEL` already.
#[test]
fn r184_every_trigger_is_counted() {
    let mut probe = Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default());
    let lock = probe.data();
    let rows = |probe: &Probe| probe.machine.verifier_counters().rows().map(|(_, count)| count);
    let acquire = probe.export("KeAcquireSpinLockAtDpcLevel");
    probe.call(DISPATCH, acquire, [lock.0, 0]).expect("the lock is free");
    assert_eq!(rows(&probe)[..4], [1, 1, 0, 2]);
    let raise = probe.export("KfRaiseIrql");
    probe.call(0, raise, [1, 0]).expect("to APC_LEVEL");
    assert_eq!(rows(&probe)[..4], [2, 1, 0, 2], "nothing is trimmed below DISPATCH_LEVEL");
    probe.call(0, raise, [5, 0]).expect("to a device's level");
    assert_eq!(rows(&probe)[..4], [3, 1, 0, 3]);
}

/// R184, R185: pool that drivers ask for, under the documented labels.
#[test]
fn r185_pool_is_counted() {
    let mut probe = Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default());
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    probe.ask("ExAllocatePoolWithTag", &[0, 16, tag]).expect("there is memory");
    probe.ask("ExAllocatePool", &[0, 16]).expect("there is memory");
    probe.ask("ExAllocatePoolWithTag", &[0, 1 << 40, tag]).expect("it fails, and no more");
    let rows = probe.machine.verifier_counters().rows();
    let expected = [
        ("RaiseIrqls", 0),
        ("AcquireSpinLocks", 0),
        ("Synch Executions", 0),
        ("Trims", 0),
        ("Pool Allocations Attempted", 3),
        ("Pool Allocations Succeeded", 2),
        ("Pool Allocations Succeeded SpecialPool", 0),
        ("Pool Allocations With NO TAG", 1),
        ("Pool Allocations Failed", 1),
        ("Resource Allocations Failed Deliberately", 0),
    ];
    assert_eq!(rows, expected);
}

/// R28, K19: one thread pages the driver while another is between its reset and its connection; one after the other is
/// what the driver should do.
#[test]
fn r28_page_entire_while_another_thread_opens() {
    for (at_once, expected) in [(true, vec!["K19"]), (false, vec![])] {
        let options = Options { processors: 2, slice_steps: 1, ..Options::default() };
        let mut probe = Probe::new(options, MemoryConfig::default());
        let (data, reset, page) =
            (probe.data(), probe.export("MmResetDriverPaging"), probe.export("MmPageEntireDriver"));
        let open = probe.begin(0, reset, [data.0, 0]);
        if !at_once {
            probe.finish(open).expect("the open ends");
        }
        let close = probe.begin(0, page, [data.0, 0]);
        for request in [open, close] {
            probe.finish(request).expect("a finding is no bug check");
        }
        assert_eq!(probe.codes(), expected);
    }
}

/// A DPC that one processor has queued and not run yet; then a call of MmPageEntireDriver on the other.
fn page_entire_with_a_queued_dpc() -> (Probe, kernel::RequestId) {
    let options = Options { processors: 2, slice_steps: 1, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let (dpc, nothing) = (probe.data() + 0x100, probe.nothing());
    probe.ask("KeInitializeDpc", &[dpc.0, nothing.0, 0]).expect("the DPC is there");
    let insert = probe.export("KeInsertQueueDpc");
    probe.begin(DISPATCH, insert, [dpc.0, 0]);
    let queued = |probe: &Probe| probe.machine.events.iter().any(|e| matches!(e.kind, EventKind::DpcQueued { .. }));
    while !queued(&probe) {
        probe.step();
    }
    let arguments = [probe.data().0];
    let page = probe.begin_service("MmPageEntireDriver", &arguments);
    (probe, page)
}

/// R124: the DPCs that were queued before have run when MmPageEntireDriver returns.
#[test]
fn r124_page_entire_waits_for_queued_dpcs() {
    let (mut probe, page) = page_entire_with_a_queued_dpc();
    assert_eq!(probe.dpcs().len(), 0, "it is queued, and nothing more");
    assert_eq!(probe.finish(page).expect("it ends"), probe.base.0);
    assert_eq!(probe.dpcs().len(), 1);
    let order: Vec<bool> = probe
        .machine
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Left { what: kernel::Routine::Dpc, .. } => Some(true),
            EventKind::DriverPaged { .. } => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(order, [true, false], "the DPC has returned, then the driver is paged");
}

/// R28, K19, D38: an open that begins while MmPageEntireDriver waits for a DPC.
#[test]
fn r28_an_open_begins_while_the_driver_is_being_paged() {
    let (mut probe, page) = page_entire_with_a_queued_dpc();
    let arguments = [probe.data().0];
    probe.step();
    let reset = probe.begin_service("MmResetDriverPaging", &arguments);
    for request in [page, reset] {
        probe.finish(request).expect("a finding is no bug check");
    }
    assert_eq!(probe.codes(), ["K19"]);
}

/// D29: the unload waits for a first lock that is in progress, K20; the lock that it completes is K05.
#[test]
fn d29_unload_during_a_lock() {
    let mut probe =
        Probe::new(Options { processors: 2, slice_steps: 3, ..Options::default() }, MemoryConfig::default());
    let (lock, page) = (probe.export("MmLockPagableDataSection"), probe.paged());
    let locker = probe.begin(0, lock, [page.0, 0]);
    probe.pass_us(1);
    let unload = probe.machine.unload_driver(probe.base).expect("the unload begins");
    // The thread comes back to code that may be gone.
    let _end = probe.finish(unload);
    let codes = probe.codes();
    assert!(codes.contains(&"K20") && codes.contains(&"K05"), "{codes:?}");
    assert!(probe.machine.now_ns() >= Options::default().page_read_ns, "it waited for the read");
    assert_eq!(probe.answered(&[locker]), [false]);
}

/// D10, R59: INIT is there until the last queued Reinitialize routine, itself in INIT, has returned; then it goes.
#[test]
fn d10_init_stays_for_reinitialize() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load("init/init").expect("its Reinitialize routine is there each time");
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
    let discarded = |event: &kernel::Event| matches!(event.kind, EventKind::Discarded { pages: 1.., .. });
    assert_eq!(lab.machine.events.iter().filter(|event| discarded(event)).count(), 1);
    let file = lab.open(base).expect("it opens");
    const CALLS: u32 = 0x22_2000;
    let action = kernel::Action::Ioctl { file, code: CALLS, input: vec![0; 4], output_length: 4 };
    let answer = lab.act(action).expect("it runs").expect("it ends");
    let calls = u16::from_le_bytes([answer.output[0], answer.output[1]]);
    assert!(calls > 1, "the routine queued itself again: {calls}");
}

/// K06: a driver's routine that ends with a jump to the export leaves the kernel as its caller, which is not foreign.
#[test]
fn k06_a_jump_as_the_last_act_is_no_foreign_call() {
    let mut probe = Probe::plain();
    let (lock, page) = (probe.export("MmLockPagableDataSection"), probe.paged());
    let request = probe.machine.call_routine("jump", lock, &[page.0]).expect("a thread is made");
    probe.finish(request).expect("the lock succeeds");
    assert_eq!(probe.count(page), 1);
    let found = probe.machine.events.iter().any(|event| matches!(event.kind, EventKind::Found(_)));
    assert!(!found, "nothing is wrong with it");
}

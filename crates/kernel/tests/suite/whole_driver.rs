//! Paging a whole driver, called by its own code (BEHAVIOUR.md sections 2.2 and 6).

use kernel::{EventKind, Options, RequestId, Routine};
use memory::{Absence, MemoryConfig, PageState, TrimPolicy, TrimReason};
use nt_types::{Irql, Va};

use crate::probe::Probe;
use crate::sample::bug_check;

const APC: u8 = 1;
const DISPATCH: u8 = 2;
const PAGE_ENTIRE: &str = "MmPageEntireDriver";
const RESET: &str = "MmResetDriverPaging";

/// What the table of D31 says of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Page {
    /// In memory, and may leave.
    Eligible,
    /// In memory, and stays.
    Stays,
    Out,
    Gone,
}
use Page::{Eligible, Gone, Out, Stays};

fn state(probe: &Probe, page: Va) -> Page {
    match probe.machine.memory.page_state(page) {
        PageState::Resident { eligible: true, .. } => Eligible,
        PageState::Resident { eligible: false, .. } => Stays,
        PageState::Out { .. } => Out,
        PageState::Absent(Absence::Discarded) => Gone,
        other => panic!("{page}: {other:?}"),
    }
}

/// A row: the page, how it comes to be as it is before; then before, after page-entire, after a later trim, after reset.
struct Row {
    what: &'static str,
    page: fn(&Probe) -> Va,
    prepare: fn(&mut Probe),
    states: [Page; 4],
}

fn trim(probe: &mut Probe) {
    let pages = probe.machine.memory.eligible();
    probe.machine.evict(&pages, TrimReason::Command);
}

fn bring_in(probe: &mut Probe) {
    let (reader, page) = (probe.reader(), probe.paged());
    probe.call(0, reader, [page.0, 0]).expect("it comes in");
}

fn lock(probe: &mut Probe, page: Va) {
    probe.service("MmLockPagableDataSection", [page.0, 0]);
}

const ROWS: [Row; 8] = [
    Row {
        what: "not in the load map, in memory, no pins",
        page: Probe::data,
        prepare: |_| (),
        states: [Stays, Eligible, Out, Stays],
    },
    Row {
        what: "the headers, likewise",
        page: |probe| probe.base,
        prepare: |_| (),
        states: [Stays, Eligible, Out, Stays],
    },
    Row {
        what: "not in the load map, pinned",
        page: Probe::data,
        prepare: |probe| lock(probe, probe.data()),
        states: [Stays, Stays, Stays, Stays],
    },
    Row {
        what: "not in the load map, out by an earlier override",
        page: Probe::data,
        prepare: |probe| {
            let data = probe.data();
            probe.service(PAGE_ENTIRE, [data.0, 0]);
            trim(probe);
        },
        states: [Out, Out, Out, Stays],
    },
    Row {
        what: "load map, in memory, no pins",
        page: Probe::paged,
        prepare: bring_in,
        states: [Eligible, Eligible, Out, Out],
    },
    Row { what: "load map, out", page: Probe::paged, prepare: |_| (), states: [Out, Out, Out, Out] },
    Row {
        what: "load map, pinned",
        page: Probe::paged,
        prepare: |probe| lock(probe, probe.paged()),
        states: [Stays, Stays, Stays, Stays],
    },
    Row { what: "discarded", page: Probe::init, prepare: |_| (), states: [Gone, Gone, Gone, Gone] },
];

/// D31, D33, D36, R121, R131, R133: the table, row by row.
#[test]
fn d31_the_table_row_by_row() {
    for Row { what, page, prepare, states: [before, paged, trimmed, reset] } in ROWS {
        let mut probe = Probe::plain();
        let page = page(&probe);
        prepare(&mut probe);
        assert_eq!(state(&probe, page), before, "{what}: before");
        // DriverEntry's section is gone, and names the driver all the same (D12).
        let (init, count) = (probe.init(), probe.counts());
        assert_eq!(probe.service(PAGE_ENTIRE, [init.0, 0]), probe.base.0);
        assert_eq!(state(&probe, page), paged, "{what}: after page-entire");
        trim(&mut probe);
        assert_eq!(state(&probe, page), trimmed, "{what}: after a trim");
        probe.service(RESET, [init.0, 0]);
        assert_eq!(state(&probe, page), reset, "{what}: after reset");
        assert_eq!(probe.counts(), count, "{what}: neither call changes a count (D32)");
        trim(&mut probe);
        let after = if reset == Eligible { Out } else { reset };
        assert_eq!(state(&probe, page), after, "{what}: after another trim");
    }
}

/// R123, R26, section 12: reset after any number of page-entire calls equals never having called them.
#[test]
fn r123_one_reset_undoes_any_number() {
    for calls in 0..4 {
        let mut probe = Probe::plain();
        bring_in(&mut probe);
        let (data, text, paged) = (probe.data(), probe.text(), probe.paged());
        let look = |probe: &Probe| [data, text, probe.base].map(|page| state(probe, page));
        let before = (look(&probe), state(&probe, paged));
        for _ in 0..calls {
            assert_eq!(probe.service(PAGE_ENTIRE, [data.0, 0]), probe.base.0);
        }
        probe.service(RESET, [data.0, 0]);
        assert_eq!((look(&probe), state(&probe, paged)), before, "{calls} calls");
        assert!(probe.codes().is_empty(), "{calls} calls: {:?}", probe.codes());
    }
}

/// D32: a lock outlasts page-entire; when the last one goes while the override is set, the pages become eligible then,
/// .data included.
#[test]
fn d32_the_last_unlock_under_override_makes_pages_eligible() {
    let mut probe = Probe::plain();
    let data = probe.data();
    let handle = probe.service("MmLockPagableDataSection", [data.0, 0]);
    probe.service("MmLockPagableSectionByHandle", [handle, 0]);
    probe.service(PAGE_ENTIRE, [data.0, 0]);
    for expected in [Stays, Eligible] {
        probe.service("MmUnlockPagableImageSection", [handle, 0]);
        assert_eq!(state(&probe, data), expected);
    }
    trim(&mut probe);
    assert_eq!(state(&probe, data), Out);
    assert_eq!(probe.codes(), ["K01"], "the lock was taken before the override (D17)");
}

/// D17: under an override a lock of .data is a lock of what is pageable: no K01.
#[test]
fn d17_under_an_override_every_section_is_pageable() {
    let mut probe = Probe::plain();
    let data = probe.data();
    probe.service(PAGE_ENTIRE, [data.0, 0]);
    trim(&mut probe);
    lock(&mut probe, data);
    assert_eq!(state(&probe, data), Stays);
    assert!(probe.codes().is_empty());
}

/// D36, R132: reset adds no pins and is no lock: another page-entire, and everything may leave again.
#[test]
fn d36_reset_is_no_lock() {
    let mut probe = Probe::plain();
    let data = probe.data();
    for _ in 0..3 {
        probe.service(PAGE_ENTIRE, [data.0, 0]);
        trim(&mut probe);
        assert_eq!(state(&probe, data), Out);
        probe.service(RESET, [data.0, 0]);
        assert_eq!(state(&probe, data), Stays);
    }
    assert_eq!(probe.counts(), [0, 0]);
}

/// D36: content comes back as it was written under the override.
#[test]
fn d36_what_was_written_under_the_override_survives() {
    let mut probe = Probe::plain();
    let data = probe.data();
    probe.service(PAGE_ENTIRE, [data.0, 0]);
    probe.machine.write_u64(data, 0x1122_3344_5566_7788).expect("it is in memory");
    trim(&mut probe);
    probe.service(RESET, [data.0, 0]);
    assert_eq!(probe.machine.read_u64(data).expect("it is in memory"), 0x1122_3344_5566_7788);
}

/// Two processors, one of them held at DISPATCH_LEVEL by a spin lock until the test lets it go.
struct Held {
    probe: Probe,
    lock: Va,
    holder: RequestId,
    /// The processor that is held.
    processor: u64,
    blocks: u64,
}

/// Offset of the lock, and of each DPC, in a block of nonpaged pool.
const DPCS: u64 = 0x100;

impl Held {
    fn new(processors: usize) -> Held {
        Held::with(processors, MemoryConfig::default())
    }

    fn with(processors: usize, config: MemoryConfig) -> Held {
        let options = Options { processors, slice_steps: 1, ..Options::default() };
        let mut probe = Probe::new(options, config);
        let tag = u64::from(u32::from_le_bytes(*b"Test"));
        let block = probe.ask("ExAllocatePoolWithTag", &[0, 0x400, tag]).expect("there is pool");
        let lock = Va(block);
        probe.machine.write_u64(lock, 1).expect("it is nonpaged");
        let acquire = probe.export("KeAcquireSpinLockAtDpcLevel");
        let holder = probe.begin(DISPATCH, acquire, [block, 0]);
        probe.pass_us(1);
        let raised = probe.machine.events.iter().rev().find_map(|event| match event.kind {
            EventKind::IrqlRaised { to: Irql::DISPATCH, .. } => Some(event.processor as u64),
            _ => None,
        });
        let processor = raised.expect("one processor spins");
        Held { probe, lock, holder, processor, blocks: block + DPCS }
    }

    /// Queues a DPC to the held processor.
    fn queue_dpc(&mut self, index: u64) -> Va {
        let (dpc, routine) = (self.blocks + 0x80 * index, self.probe.nothing());
        self.probe.ask("KeInitializeDpc", &[dpc, routine.0, 0]).expect("it is nonpaged");
        self.probe.ask("KeSetTargetProcessorDpc", &[dpc, self.processor]).expect("there is such a processor");
        assert_eq!(self.probe.ask("KeInsertQueueDpc", &[dpc, 0, 0]).expect("it is queued"), 1);
        Va(dpc)
    }

    fn let_go(&mut self) {
        self.probe.machine.write_u64(self.lock, 0).expect("it is nonpaged");
        self.probe.finish(self.holder).expect("it has the lock");
    }

    /// What the routines did, in order.
    fn order(&self) -> Vec<&'static str> {
        let told = |event: &kernel::Event| match event.kind {
            EventKind::DpcQueued { .. } => Some("queued"),
            EventKind::Left { what: Routine::Dpc, .. } => Some("ran"),
            EventKind::DriverPaged { .. } => Some("paged"),
            _ => None,
        };
        self.probe.machine.events.iter().filter_map(told).collect()
    }
}

/// R120, R124, D35: page-entire, at APC_LEVEL too, waits for the DPCs that were queued before it on every processor; only
/// then does anything become pageable.
#[test]
fn r124_dpcs_queued_before_are_flushed_first() {
    for irql in [0, APC] {
        let mut held = Held::new(2);
        held.queue_dpc(0);
        let (page_entire, data) = (held.probe.export(PAGE_ENTIRE), held.probe.data());
        let call = held.probe.begin(irql, page_entire, [data.0, 0]);
        held.probe.pass_us(20);
        assert_eq!(held.probe.answered(&[call]), [false], "IRQL {irql}");
        assert_eq!(state(&held.probe, data), Stays, "IRQL {irql}: nothing is pageable yet");
        held.let_go();
        assert_eq!(held.probe.finish(call).map(|_| ()).map_err(|stop| format!("{stop:?}")), Ok(()));
        assert_eq!(held.order(), ["queued", "ran", "paged"], "IRQL {irql}");
        assert_eq!(state(&held.probe, data), Eligible, "IRQL {irql}");
        assert!(held.probe.codes().is_empty(), "IRQL {irql}: {:?}", held.probe.codes());
    }
}

/// R124, D35: a DPC that is queued after the flush is not waited for. The hazard is real: its routine may be out when it
/// runs, which is 0xD1.
#[test]
fn r124_a_dpc_queued_after_is_not_waited_for() {
    for (trim, ends_well) in [(TrimPolicy::Pressure, true), (TrimPolicy::OnRaise, false)] {
        let mut held = Held::with(3, MemoryConfig { trim, ..MemoryConfig::default() });
        let (page_entire, data) = (held.probe.export(PAGE_ENTIRE), held.probe.data());
        held.probe.call(0, page_entire, [data.0, 0]).expect("no DPC is queued");
        held.queue_dpc(0);
        assert_eq!(held.order(), ["paged", "queued"]);
        held.probe.machine.write_u64(held.lock, 0).expect("it is nonpaged");
        let end = held.probe.finish(held.holder);
        if ends_well {
            held.probe.pass_us(10);
            assert_eq!((end.is_ok(), held.order()), (true, vec!["paged", "queued", "ran"]));
        } else {
            assert_eq!(bug_check(&end.expect_err("the code of the driver is out")).code.0, 0xD1);
        }
    }
}

/// D38: page-entire and reset of one image exclude each other: the one that comes second goes on when the first has ended.
#[test]
fn d38_page_entire_and_reset_exclude_each_other() {
    let mut held = Held::new(3);
    held.queue_dpc(0);
    let (page_entire, reset, data) = (held.probe.export(PAGE_ENTIRE), held.probe.export(RESET), held.probe.data());
    let first = held.probe.begin(0, page_entire, [data.0, 0]);
    held.probe.pass_us(10);
    let second = held.probe.begin(0, reset, [data.0, 0]);
    held.probe.pass_us(10);
    assert_eq!(held.probe.answered(&[first, second]), [false, false]);
    held.let_go();
    for call in [first, second] {
        held.probe.finish(call).expect("it ends");
    }
    assert_eq!(state(&held.probe, data), Stays, "the reset came last");
}

/// R60, R61, D14, R47: with DisablePagingExecutive in the registry nothing is pageable; page-entire returns the base and
/// flushes no DPC, reset does nothing, and locks count with all their bug checks.
#[test]
fn r61_disable_paging_executive_in_the_registry() {
    let mut registry = kernel::Registry::default();
    let text = "['HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management']\n\
                DisablePagingExecutive = 1\n";
    registry.load(text.as_bytes()).expect("the registry file is right");
    let mut probe = Probe::new(Options { registry, ..Options::default() }, MemoryConfig::default());
    let (data, paged) = (probe.data(), probe.paged());
    assert_eq!((state(&probe, data), state(&probe, paged), state(&probe, probe.init())), (Stays, Stays, Gone));
    assert_eq!(probe.service(PAGE_ENTIRE, [data.0, 0]), probe.base.0);
    trim(&mut probe);
    assert_eq!((state(&probe, data), state(&probe, paged)), (Stays, Stays));
    let told = |event: &kernel::Event| matches!(event.kind, EventKind::DriverPaged { .. });
    assert!(!probe.machine.events.iter().any(told), "nothing was overridden");
    probe.service(RESET, [data.0, 0]);
    let handle = probe.service("MmLockPagableDataSection", [paged.0, 0]);
    assert_eq!(probe.count(paged), 1);
    probe.service("MmUnlockPagableImageSection", [handle, 0]);
    let unlock = probe.export("MmUnlockPagableImageSection");
    let check = bug_check(&probe.call(0, unlock, [handle, 0]).expect_err("it is not locked"));
    assert_eq!((check.code.0, check.parameters[..3].to_vec()), (0x1A, vec![0x1010, handle, 6]));
}

/// R60: the value is 0, of another type, or missing: paging is as ever.
#[test]
fn r60_other_values_change_nothing() {
    for value in ["DisablePagingExecutive = 0", "DisablePagingExecutive = 'yes'", "LargeSystemCache = 1"] {
        let mut registry = kernel::Registry::default();
        let key = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
        registry.load(format!("['{key}']\n{value}\n").as_bytes()).expect("the registry file is right");
        let probe = Probe::new(Options { registry, ..Options::default() }, MemoryConfig::default());
        assert_eq!(state(&probe, probe.paged()), Out, "{value}");
    }
}

/// R61: under DisablePagingExecutive page-entire does not wait for a DPC that is queued.
#[test]
fn r61_no_flush_while_paging_is_disabled() {
    let mut held = Held::with(2, MemoryConfig { paging_enabled: false, ..MemoryConfig::default() });
    held.queue_dpc(0);
    let (page_entire, data) = (held.probe.export(PAGE_ENTIRE), held.probe.data());
    assert_eq!(held.probe.call(0, page_entire, [data.0, 0]).expect("it does not wait"), held.probe.base.0);
    assert_eq!(held.order(), ["queued"]);
}

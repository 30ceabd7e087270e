//! G5: a driver that leaves memory as a whole while nobody has it open (R23 to R29); one that never comes back; one with
//! locks that outlast it.

use kernel::{EventKind, FindingKind, Routine};
use memory::{Absence, PageState};
use nt_types::{PAGE_SIZE, Va};

use super::{both, code};
use crate::sample::{Lab, Setup};

/// Interrupts in the low half, DPCs in the high half.
fn beeps(n: u32) -> u32 {
    n | n << 16
}

fn started(path: &str) -> (Lab, Va) {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load(path).expect("the driver starts");
    (lab, base)
}

/// The pages of the image that are in the state.
fn in_state(lab: &Lab, base: Va, which: impl Fn(PageState) -> bool) -> usize {
    let size = lab.machine.modules().driver_at(base).expect("it is loaded").size;
    let pages = (0..size.div_ceil(PAGE_SIZE)).map(|page| base + page * PAGE_SIZE);
    pages.filter(|page| which(lab.machine.memory.page_state(*page))).count()
}

fn resident_pages(lab: &Lab, base: Va) -> usize {
    in_state(lab, base, |state| matches!(state, PageState::Resident { .. }))
}

fn interrupt(lab: &mut Lab) {
    let vector = lab.machine.connected_interrupts().first().expect("it is connected").vector;
    lab.machine.spurious_interrupt(vector);
    lab.pass_ms(1).expect("no bug check");
}

/// R25, R27: while it is open every page of .text and .data is in memory and stays there; PAGE is pageable as ever.
#[test]
fn g5_r27_open_the_resident_sections_stay_and_page_stays_pageable() {
    for path in ["beep/beep", "beep/beep-a80"] {
        let (mut lab, base) = started(path);
        let file = lab.open(base).expect("it opens");
        lab.ask(file, code(0), 0).expect("PAGE came in for that");
        lab.evict_all();
        for section in [".text", ".data"] {
            assert!(lab.is_whole(base, section), "{path}: {section}");
        }
        // Aligned to 128 bytes PAGE has no page of its own.
        let page = lab.pages(base, "PAGE")[0];
        assert_eq!(lab.is_resident(page), path.ends_with("a80"), "{path}");
        interrupt(&mut lab);
        assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), beeps(1), "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R23, D31: while it is closed no page has to stay, .text, .data and the headers included; what .data holds survives.
#[test]
fn g5_r23_closed_the_whole_driver_may_be_out() {
    for path in both("beep/beep") {
        let (mut lab, base) = started(&path);
        for opens in 1..=3 {
            lab.evict_all();
            assert_eq!(resident_pages(&lab, base), 0, "{path}: discarded pages are gone, the others out");
            let file = lab.open(base).expect("it comes back");
            interrupt(&mut lab);
            assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), beeps(opens), "{path}");
            lab.close(file).expect("no bug check");
        }
        lab.unload(base).expect("no bug check");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// D12: DriverEntry was discarded, and its address still names the driver for both routines.
#[test]
fn g5_d12_the_address_of_a_discarded_driver_entry_is_valid() {
    let (mut lab, base) = started("beep/beep");
    let entry = lab.machine.modules().driver_at(base).expect("it is loaded").entry;
    assert_eq!(lab.machine.memory.page_state(entry), PageState::Absent(Absence::Discarded));
    let paged = |lab: &Lab| lab.events(|event| matches!(event.kind, EventKind::DriverPaged { .. }).then_some(())).len();
    let reset =
        |lab: &Lab| lab.events(|event| matches!(event.kind, EventKind::DriverPagingReset { .. }).then_some(())).len();
    assert_eq!((paged(&lab), reset(&lab)), (1, 0), "DriverEntry pages the driver first of all");
    let file = lab.open(base).expect("it opens");
    assert_eq!((paged(&lab), reset(&lab)), (1, 1));
    lab.close(file).expect("no bug check");
    assert_eq!((paged(&lab), reset(&lab)), (2, 1));
    assert!(lab.codes().is_empty(), "no K28: {:?}", lab.codes());
}

/// R26: each call made twice is as good as made once.
#[test]
fn g5_r26_both_calls_twice_are_harmless() {
    let (mut lab, base) = started("beep/beep");
    let file = lab.open(base).expect("it opens");
    lab.ask(file, code(1), 0).expect("from now on twice");
    lab.close(file).expect("no bug check");
    lab.evict_all();
    assert_eq!(resident_pages(&lab, base), 0);
    let file = lab.open(base).expect("one reset undoes two calls");
    lab.evict_all();
    assert!(lab.is_whole(base, ".text") && lab.is_whole(base, ".data"));
    interrupt(&mut lab);
    assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), beeps(1));
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

/// R25, R136: on open reset comes before the connection, on close the disconnection before page-entire: no K03, no K04.
#[test]
fn g5_r25_the_interrupt_is_connected_only_while_the_driver_is_in_memory() {
    let (mut lab, base) = started("beep/beep");
    let file = lab.open(base).expect("it opens");
    interrupt(&mut lab);
    lab.close(file).expect("no bug check");
    let order = lab.events(|event| match event.kind {
        EventKind::DriverPagingReset { .. } => Some("reset"),
        EventKind::InterruptConnected { .. } => Some("connect"),
        EventKind::Entered { what: Routine::Isr { .. }, .. } => Some("interrupt"),
        EventKind::InterruptDisconnected { .. } => Some("disconnect"),
        EventKind::DriverPaged { .. } => Some("page"),
        _ => None,
    });
    assert_eq!(order, ["page", "reset", "connect", "interrupt", "disconnect", "page"]);
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

/// R29: G5b: after page-entire in DriverEntry the null driver never comes back as a whole; its dispatch routines run from
/// wherever they are, and .data survives.
#[test]
fn g5_r29_null_runs_entirely_paged() {
    for path in both("null/null") {
        let (mut lab, base) = started(&path);
        let file = lab.open(base).expect("it opens");
        for written in 1..=3 {
            lab.evict_all();
            assert_eq!(resident_pages(&lab, base), 0, "{path}");
            let write = kernel::Action::Write { file, data: vec![0; 100], offset: 0 };
            lab.act(write).expect("no bug check");
            lab.evict_all();
            assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), 100 * written, "{path}");
        }
        let back = lab.events(|event| match event.kind {
            EventKind::PagedIn { page, hard: true } if lab.section_name(page) == ".data" => Some(event.irql.level()),
            EventKind::DriverPagingReset { .. } => Some(99),
            _ => None,
        });
        assert!(path.ends_with("a80") || back.len() >= 3 && back.iter().all(|irql| *irql == 0), "{path}: {back:?}");
        lab.close(file).and_then(|()| lab.unload(base)).expect("no bug check");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// D32, D17: G5c: sections that are locked before page-entire stay through it and through reset, .text included, whose
/// lock is K01 because nothing made it pageable yet.
#[test]
fn g5_d32_locked_sections_stay_through_page_entire_and_reset() {
    for path in both("beep/beep-locked") {
        let (mut lab, base) = started(&path);
        let whole = |lab: &Lab| lab.is_whole(base, ".text") && lab.is_whole(base, "PAGELOCK");
        let locked = |lab: &Lab| [lab.count(base, ".text"), lab.count(base, "PAGELOCK")];
        for _ in 0..2 {
            lab.evict_all();
            assert!(whole(&lab) && resident_pages(&lab, base) < in_state(&lab, base, |_| true), "{path}: closed");
            assert_eq!(locked(&lab), [1, 1], "{path}");
            let file = lab.open(base).expect("it opens");
            lab.evict_all();
            assert!(whole(&lab), "{path}: open");
            interrupt(&mut lab);
            lab.close(file).expect("no bug check");
        }
        assert_eq!(locked(&lab), [1, 1], "{path}: neither call changes a count");
        lab.unload(base).expect("no bug check");
        let found = lab.findings();
        let [finding] = found.as_slice() else { panic!("{path}: {found:?}") };
        assert!(matches!(finding.kind, FindingKind::K01LockNonpageable { .. }), "{path}");
    }
}

//! G1: the section is locked while a port is open (R200 to R202, R25).

use kernel::{Action, EventKind};
use memory::TrimReason;
use nt_types::{Irql, NtStatus, Va};

use super::{both, open, with_ports};
use crate::sample::{Lab, Setup};

const BY_ADDRESS: &str = "MmLockPagableDataSection";
const BY_HANDLE: &str = "MmLockPagableSectionByHandle";

/// R15, R201: the count of PAGESER is the number of open ports; PAGESRP0 is never locked.
#[test]
fn g1_r15_the_count_is_the_number_of_open_ports() {
    for path in both("serial/serial") {
        let (mut lab, base, _) = with_ports(Setup::TRIMMED, &path, 2);
        let mut counts = vec![lab.count(base, "PAGESER")];
        let files = [0, 1].map(|index| {
            let file = open(&mut lab, base, index);
            counts.push(lab.count(base, "PAGESER"));
            file
        });
        for file in files {
            lab.close(file).expect("no bug check");
            counts.push(lab.count(base, "PAGESER"));
        }
        assert_eq!(counts, [0, 1, 2, 1, 0], "{path}");
        assert!(lab.counts(lab.section_id(base, "PAGESRP0")).is_empty(), "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R13, R14: the first open of any port locks by address; the handle that it got is good for every later one, also after
/// the count was zero.
#[test]
fn g1_r14_the_handle_stays_good_after_the_last_close() {
    let (mut lab, base, _) = with_ports(Setup::TRIMMED, "serial/serial", 2);
    let first = open(&mut lab, base, 0);
    lab.close(first).expect("no bug check");
    let second = open(&mut lab, base, 1);
    let third = open(&mut lab, base, 0);
    assert_eq!(lab.count(base, "PAGESER"), 2);
    lab.close(second).and_then(|()| lab.close(third)).expect("no bug check");
    assert_eq!(lab.locks(lab.section_id(base, "PAGESER")), [BY_ADDRESS, BY_HANDLE, BY_HANDLE]);
}

/// R202: two processors open two ports at the same time, and close them. The driver takes one after the other, so only the
/// first open locks by address, however the processors take turns.
#[test]
fn g1_r202_opens_and_closes_are_serialised() {
    for slice_steps in (1..40).step_by(3) {
        let setup = Setup { processors: 2, slice_steps, ..Setup::TRIMMED };
        let (mut lab, base, _) = with_ports(setup, "serial/serial", 2);
        let names = lab.machine.openable_names(base);
        let opens = [0, 1].map(|index| lab.start_on(index, Action::Open { name: names[index].clone() }));
        let files = opens.map(|open| Va(lab.finish(open).expect("no bug check").expect("it ends").information));
        assert_eq!(lab.count(base, "PAGESER"), 2, "{slice_steps}");
        let closes = [0, 1].map(|index| lab.start_on(index, Action::Close { file: files[index] }));
        for close in closes {
            lab.finish(close).expect("no bug check").expect("it ends");
        }
        assert_eq!(lab.count(base, "PAGESER"), 0, "{slice_steps}");
        assert_eq!(lab.locks(lab.section_id(base, "PAGESER")), [BY_ADDRESS, BY_HANDLE], "{slice_steps}");
        assert!(lab.codes().is_empty(), "{slice_steps}: {:?}", lab.codes());
    }
}

/// R5, R12: while a port is open the code of PAGESER goes on at DISPATCH_LEVEL, and no page of it faults.
#[test]
fn g1_r12_code_of_the_section_runs_at_dispatch_level_while_a_port_is_open() {
    for path in both("serial/serial") {
        let (mut lab, base, _) = with_ports(Setup::TRIMMED, &path, 1);
        let file = open(&mut lab, base, 0);
        let opened = lab.machine.events.iter().len();
        lab.act(Action::Write { file, data: b"looped".to_vec(), offset: 0 }).expect("no bug check");
        let read = lab.act(Action::Read { file, length: 6, offset: 0 }).expect("no bug check").expect("it ends");
        assert_eq!(read.output, b"looped", "{path}");
        let pages = lab.pages(base, "PAGESER");
        let mut raised = 0;
        for event in lab.machine.events.iter().skip(opened) {
            match &event.kind {
                EventKind::IrqlRaised { to, .. } if lab.section_name(event.place) == "PAGESER" => {
                    raised += u32::from(*to >= Irql::DISPATCH);
                }
                EventKind::PagedIn { page, .. } => assert!(!pages.contains(page), "{path}: {event:?}"),
                _ => {}
            }
        }
        assert!(raised > 0, "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R14, R15: after the last close the section can leave memory, and the next open brings all of it back.
#[test]
fn g1_r15_closed_the_section_leaves_and_the_next_open_brings_it_back() {
    for path in both("serial/serial") {
        let (mut lab, base, _) = with_ports(Setup { trim: memory::TrimPolicy::OnRaise, ..Setup::TRIMMED }, &path, 1);
        let file = open(&mut lab, base, 0);
        lab.evict(base, "PAGESER");
        assert!(lab.is_whole(base, "PAGESER"), "{path}: locked");
        lab.close(file).expect("no bug check");
        lab.evict_all();
        // An edge page that the section shares with one that stays is not pageable (R43 a).
        let eligible = lab
            .pages(base, "PAGESER")
            .into_iter()
            .filter(|page| lab.machine.memory.paging().page(page.0 >> 12).is_some_and(|page| page.in_load_map));
        let eligible: Vec<_> = eligible.collect();
        assert!(eligible.len() >= 2 && eligible.iter().all(|page| !lab.is_resident(*page)), "{path}");
        open(&mut lab, base, 0);
        assert!(lab.is_whole(base, "PAGESER"), "{path}");
    }
}

/// D23: a routine of PAGESER unlocks the section that it runs in. At once it leaves, the next instruction faults and the
/// routine goes on.
#[test]
fn g1_d23_code_may_unlock_the_section_it_runs_in() {
    let (mut lab, base, _) = with_ports(Setup::TRIMMED, "serial/serial-unlock-inside", 1);
    let file = open(&mut lab, base, 0);
    lab.close(file).expect("no bug check");
    assert_eq!(lab.count(base, "PAGESER"), 0);
    let events: Vec<&kernel::Event> = lab.machine.events.iter().collect();
    let unlock = events.iter().position(|event| matches!(event.kind, EventKind::SectionUnlocked { count: 0, .. }));
    let unlock = unlock.expect("the last close unlocks");
    let here = events[unlock].place.page_down();
    assert_eq!(lab.section_name(here), "PAGESER");
    let left = |event: &&kernel::Event| matches!(&event.kind, EventKind::Trimmed { pages, reason: TrimReason::Eligible } if pages.contains(&here));
    assert!(events[unlock..].iter().any(left));
    let back = |event: &&kernel::Event| matches!(event.kind, EventKind::PagedIn { page, hard: true } if page == here);
    assert!(events[unlock..].iter().any(back));
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

/// R16: a read that is still queued is cancelled by the close, before the section is unlocked: no K08.
#[test]
fn g1_r16_close_drains_before_it_unlocks() {
    let (mut lab, base, _) = with_ports(Setup::TRIMMED, "serial/serial", 1);
    let file = open(&mut lab, base, 0);
    let read = lab.start(Action::Read { file, length: 1, offset: 0 });
    lab.pass_ms(1).expect("the read waits");
    assert_eq!(lab.machine.answer_of(read), None);
    lab.close(file).expect("no bug check");
    assert_eq!(status_of(&lab, read), Some(NtStatus::CANCELLED));
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

fn status_of(lab: &Lab, request: kernel::RequestId) -> Option<NtStatus> {
    lab.machine.answer_of(request).map(|answer| answer.status)
}

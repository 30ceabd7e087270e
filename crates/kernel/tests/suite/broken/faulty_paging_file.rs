//! X24: good drivers, and a read from the paging file that fails. No driver is at fault, and none sees a status: the run ends
//! with 0x7A in the form of D46.

use kernel::{Action, EventKind, Machine, Options, Stop, Thread, ThreadState, WaitOn};
use memory::{InjectedFault, Injection, MemoryConfig};
use nt_types::{NtStatus, Va};

use crate::probe::Probe;
use crate::sample::{IOCTL, Lab, Setup, bug_check};

const STATUS: NtStatus = NtStatus(0xC000_009C);

/// The next read from the paging file ends with [`STATUS`].
const FAULT: Injection = Injection { number: 1, fault: InjectedFault::ReadStatus(STATUS) };

/// 0x7A (page-table entry, status, its contents, address): the address, whose page is still out.
fn failed_page(machine: &Machine, stop: &Stop) -> Va {
    let check = bug_check(stop);
    let [entry, status, contents, address] = check.parameters;
    assert_eq!((check.code.0, status), (0x7A, u64::from(STATUS.0)));
    let (entry_address, entry_now) = machine.memory.pte(Va(address));
    assert_eq!((entry, contents), (entry_address, entry_now), "the entry of the page");
    Va(address)
}

/// (a) A page is touched.
#[test]
fn x24_a_read_fails_during_a_fault() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load("mixer/mixer").expect("it starts");
    let file = lab.open(base).expect("it opens");
    lab.machine.memory.inject(FAULT);
    let stop = lab.ioctl(file, IOCTL, 3).expect_err("the dispatch routine is out");
    let address = failed_page(&lab.machine, &stop);
    assert_eq!(lab.machine.modules().section_name(address).as_deref(), Some("PAGE"));
    assert!(lab.codes().is_empty());
}

/// (b) The first lock of a section, for which a second locker waits: neither returns, and no count is ever seen.
#[test]
fn x24_a_read_fails_during_a_first_lock_that_another_waits_for() {
    let options = Options { processors: 2, slice_steps: 3, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let arguments = [probe.paged().0];
    let lockers = [(); 2].map(|()| probe.begin_service("MmLockPagableDataSection", &arguments));
    probe.pass_us(1);
    let waits = |on: fn(&WaitOn) -> bool| {
        let waiting = |thread: &&Thread| matches!(&thread.state, ThreadState::Waiting { wait, .. } if on(&wait.on));
        probe.machine.threads().filter(waiting).count()
    };
    assert_eq!(waits(|on| matches!(on, WaitOn::PageReads(_))), 1, "one reads");
    assert_eq!(waits(|on| matches!(on, WaitOn::Paging(_))), 1, "the other waits for it");
    probe.machine.memory.inject(FAULT);
    let stop = probe.finish(lockers[1]).expect_err("the read fails");
    let address = failed_page(&probe.machine, &stop);
    assert_eq!(address.page_down(), probe.paged());
    assert_eq!((probe.answered(&lockers), probe.count(address)), (vec![false, false], 0));
}

/// (c) MmResetDriverPaging brings the driver back.
#[test]
fn x24_a_read_fails_during_a_reset() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load("beep/beep").expect("it starts");
    let file = lab.open(base).expect("it opens");
    lab.close(file).expect("it closes, and its pages leave");
    let name = lab.name(base);
    lab.start(Action::Open { name });
    let in_reset = |lab: &Lab| lab.machine.threads().any(|thread| is_in_reset(lab, thread));
    for _ in 0..100 {
        if in_reset(&lab) {
            break;
        }
        lab.pass_ns(50_000).expect("the dispatch routine comes in");
    }
    assert!(in_reset(&lab));
    lab.machine.memory.inject(FAULT);
    let stop = lab.pass_ms(1).expect_err("the read fails");
    let address = failed_page(&lab.machine, &stop);
    assert!(lab.machine.modules().driver_at(address).is_some());
    let resets = lab.machine.events.iter().filter(|event| matches!(event.kind, EventKind::DriverPagingReset { .. }));
    assert_eq!(resets.count(), 1, "that of the open before");
}

fn is_in_reset(lab: &Lab, thread: &Thread) -> bool {
    let service = thread.frames.last().and_then(|frame| lab.machine.kernel_images().routine_name(frame.service));
    service == Some("MmResetDriverPaging")
}

//! The machinery itself fails while a driver uses it (issue of the paging file, frames, unload): nothing is lost silently,
//! and each case ends in the documented bug check or in a clear error.

use std::io::ErrorKind;

use devices::Bus;
use kernel::{Cause, EventKind, Options, Stop, StopKind};
use memory::{
    InPageCause, InjectedFault, Injection, MemoryConfig, PagingFileConfig, Region, TrimPolicy, TrimReason, WriteError,
};
use nt_types::{NtStatus, PAGE_SIZE, Va};

use crate::probe::{PAGED_PAGES, Probe};
use crate::sample::{Lab, bug_check};

const LOCK: &str = "MmLockPagableDataSection";
const UNLOCK: &str = "MmUnlockPagableImageSection";
const PAGE_ENTIRE: &str = "MmPageEntireDriver";
const RESET: &str = "MmResetDriverPaging";

/// Statuses that a failed read is documented to have (D46).
const STATUSES: [u32; 6] = [0xC000_009A, 0xC000_009C, 0xC000_009D, 0xC000_016A, 0xC000_0185, 0xC000_000E];

fn fail_next_read(probe: &mut Probe, fault: InjectedFault) {
    probe.machine.memory.inject(Injection { number: 1, fault });
}

/// What a read of the page ends in.
type Use = fn(&mut Probe) -> Result<u64, Box<Stop>>;

/// The ways in which a driver asks for a page that is out: a touch, a lock, a reset.
const USES: [(&str, Use); 3] = [
    ("fault", |probe| {
        let (reader, page) = (probe.reader(), probe.paged());
        probe.call(0, reader, [page.0, 0])
    }),
    ("lock", |probe| {
        let (lock, page) = (probe.export(LOCK), probe.paged());
        probe.call(0, lock, [page.0, 0])
    }),
    ("reset", |probe| {
        let (reset, data) = (probe.export(RESET), probe.data());
        probe.call(0, reset, [data.0, 0])
    }),
];

/// The probe with its data out, as after page-entire.
fn all_out(config: MemoryConfig) -> Probe {
    let mut probe = Probe::new(Options::default(), config);
    let data = probe.data();
    probe.service(PAGE_ENTIRE, [data.0, 0]);
    probe.machine.evict(&[data], TrimReason::Command);
    probe
}

/// D26, D46, R103, R168, R171: a read that fails in a fault, a first lock or a reset is 0x7A: the address of the page-table
/// entry, the status, the entry, and the address. No lock is counted.
#[test]
fn d26_a_failed_read_is_0x7a_whoever_needs_the_page() {
    for (what, use_page) in USES {
        for status in STATUSES {
            let mut probe = all_out(MemoryConfig::default());
            let page = if what == "reset" { probe.data() } else { probe.paged() };
            let (entry, contents) = probe.machine.memory.pte(page);
            fail_next_read(&mut probe, InjectedFault::ReadStatus(NtStatus(status)));
            let check = bug_check(&use_page(&mut probe).expect_err("the page cannot be read"));
            let expected = [entry, u64::from(status), contents, page.0];
            assert_eq!((check.code.0, check.parameters), (0x7A, expected), "{what}");
            assert!(entry > 4, "P1 is never a lock type");
            assert_eq!(probe.counts(), [0, 0], "{what}: no partial lock");
        }
    }
}

/// D46: what the host reports has a documented status: a short read, an I/O error.
#[test]
fn d46_short_reads_and_io_errors_are_0x7a() {
    let faults = [
        (InjectedFault::ShortRead, InPageCause::ShortRead, 0xC000_009C),
        (InjectedFault::ReadIo(ErrorKind::Other), InPageCause::Io(ErrorKind::Other), 0xC000_0185),
    ];
    for (what, use_page) in USES {
        for (fault, cause, status) in faults {
            let mut probe = all_out(MemoryConfig::default());
            fail_next_read(&mut probe, fault);
            let stop = use_page(&mut probe).expect_err("the page cannot be read");
            let check = bug_check(&stop);
            assert_eq!((check.code.0, check.parameters[1]), (0x7A, status), "{what}");
            let StopKind::BugCheck(_, Cause::InPage { error, .. }) = stop.kind else { panic!("{what}") };
            assert_eq!(error.cause, cause, "{what}");
        }
    }
}

/// D46: a checksum mismatch is 0x1A/0x3f: the offset in the paging file, the checksum found and the one expected.
#[test]
fn d46_a_wrong_byte_is_0x1a_0x3f() {
    for (what, use_page) in USES {
        let mut probe = all_out(MemoryConfig::default());
        fail_next_read(&mut probe, InjectedFault::BitFlip);
        let check = bug_check(&use_page(&mut probe).expect_err("a byte is wrong"));
        let [subtype, offset, found, expected] = check.parameters;
        assert_eq!((check.code.0, subtype, offset % PAGE_SIZE), (0x1A, 0x3F, 0), "{what}");
        assert_ne!(found, expected, "{what}");
    }
}

/// D26, X24: a first lock whose read fails has a waiter: neither returns, and the count stays 0.
#[test]
fn d26_the_waiter_of_a_lock_that_fails_never_returns() {
    for slice_steps in 1..=12 {
        let options = Options { processors: 2, slice_steps, ..Options::default() };
        let mut probe = Probe::new(options, MemoryConfig::default());
        let (lock, page) = (probe.export(LOCK), probe.paged());
        fail_next_read(&mut probe, InjectedFault::ReadStatus(NtStatus::IO_DEVICE_ERROR));
        let calls = [probe.begin(0, lock, [page.0, 0]), probe.begin(0, lock, [page.0, 0])];
        let stop = probe.finish(calls[0]).expect_err("the page cannot be read");
        assert_eq!(bug_check(&stop).code.0, 0x7A, "{slice_steps}");
        assert_eq!((probe.answered(&calls), probe.count(page)), (vec![false, false], 0), "{slice_steps}");
    }
}

/// R168: no exception handler of a driver ever sees a failed page-in; the run ends there.
#[test]
fn r168_a_failed_page_in_is_no_exception() {
    let mut probe = all_out(MemoryConfig::default());
    fail_next_read(&mut probe, InjectedFault::ShortRead);
    let (page, text) = (probe.paged(), probe.text());
    let stop = probe.ask("RtlCopyMemory", &[page.0, text.0, 8]);
    assert_eq!(bug_check(&stop.expect_err("the page cannot be read")).code.0, 0x7A);
    assert!(!probe.machine.events.iter().any(|event| matches!(event.kind, EventKind::Exception { .. })));
}

/// D27: no frame is free and nothing may leave: a fault and a first lock end in 0x7A, 0xC000009A, and no lock counts.
#[test]
fn d27_no_frame_for_a_fault_or_a_lock_is_0x7a() {
    for what in ["fault", "lock"] {
        let mut probe = Probe::new(Options::default(), MemoryConfig { frames: 512, ..MemoryConfig::default() });
        let (page, routine) = (probe.paged(), if what == "fault" { probe.reader() } else { probe.export(LOCK) });
        let call = probe.begin(0, routine, [page.0, 0]);
        let (backing, protection) = (memory::Backing::Resident, memory::Protection::READ_WRITE);
        while probe.machine.memory.allocate(Region::NonpagedPool, 1, backing, protection).is_ok() {}
        let check = bug_check(&probe.finish(call).expect_err("there is no frame"));
        assert_eq!((check.code.0, check.parameters[1]), (0x7A, 0xC000_009A), "{what}");
        assert_eq!(probe.counts(), [0, 0], "{what}");
    }
}

/// The same where pages leave because a driver raises its IRQL, or because frames run short: the page stays, and the run ends
/// with what the host said.
#[test]
fn a_write_that_fails_at_a_raise_or_under_pressure_loses_nothing() {
    for (trim, frames) in [(TrimPolicy::OnRaise, 4096), (TrimPolicy::Pressure, 512)] {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            let config = MemoryConfig { trim, frames, ..MemoryConfig::default() };
            let mut probe = Probe::new(Options::default(), config);
            let (writer, page) = (probe.writer(), probe.paged());
            probe.call(0, writer, [page.0, 0]).expect("it comes in");
            let mut before = [0; 64];
            probe.machine.memory.peek(page, &mut before).expect("it is in memory");
            for number in 1..=64 {
                probe.machine.memory.inject(Injection { number, fault: InjectedFault::WriteIo(kind) });
            }
            let outcome = match trim {
                TrimPolicy::OnRaise => probe.ask("KfRaiseIrql", &[2]),
                _ => {
                    let block = paged_pool(&mut probe);
                    probe.ask("RtlFillMemory", &[block, 1024 * PAGE_SIZE, 1])
                }
            };
            let stop = outcome.expect_err("a page cannot leave");
            assert!(
                matches!(stop.kind, StopKind::PagingFile(WriteError::Io(found)) if found == kind),
                "{:?}",
                stop.kind
            );
            let mut after = [0; 64];
            probe.machine.memory.peek(page, &mut after).expect("it is still there");
            assert_eq!((after, probe.is_resident(page)), (before, true), "{trim:?}");
        }
    }
}

/// 4 MiB of it.
fn paged_pool(probe: &mut Probe) -> u64 {
    probe.ask("ExAllocatePoolWithTag", &[1, 1024 * PAGE_SIZE, 1]).expect("there are addresses")
}

/// A page that the host does not take stays in memory, with its content, and the run ends with what the host said: at
/// the last unlock.
#[test]
fn a_write_that_fails_ends_the_run_and_loses_nothing() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let config = MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
        let mut probe = Probe::new(Options::default(), config);
        let (writer, page) = (probe.writer(), probe.paged());
        let handle = probe.service(LOCK, [page.0, 0]);
        probe.call(2, writer, [page.0, 0]).expect("it is locked");
        let mut before = [0; 64];
        probe.machine.memory.peek(page, &mut before).expect("it is in memory");
        probe.machine.memory.inject(Injection { number: 1, fault: InjectedFault::WriteIo(kind) });
        let unlock = probe.export(UNLOCK);
        let stop = probe.call(0, unlock, [handle, 0]).expect_err("the page cannot leave");
        assert!(matches!(stop.kind, StopKind::PagingFile(WriteError::Io(found)) if found == kind), "{:?}", stop.kind);
        let mut after = [0; 64];
        probe.machine.memory.peek(page, &mut after).expect("it is still there");
        assert_eq!((after, probe.is_resident(page)), (before, true));
    }
}

/// The paging file has its largest size: the run ends with that size, and the pages that did not fit are still there.
#[test]
fn a_full_paging_file_ends_the_run() {
    let config = MemoryConfig { paging_file_pages: 3, trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
    let mut lab = Lab::with(Options::default(), config, Bus::new());
    let stop = lab.load("beep/beep").expect_err("it has more than three pages");
    assert!(matches!(stop.kind, StopKind::PagingFile(WriteError::Full { pages: 3 })), "{:?}", stop.kind);
}

/// D27, R104: pins that exceed the frame budget end the run with 0x7A, 0xC000009A, and the budget.
#[test]
fn d27_a_lock_that_does_not_fit_is_0x7a() {
    const FRAMES: u32 = 512;
    let mut probe = Probe::new(Options::default(), MemoryConfig { frames: FRAMES, ..MemoryConfig::default() });
    let (lock, page) = (probe.export(LOCK), probe.paged());
    let call = probe.begin(0, lock, [page.0, 0]);
    // One frame is left, and the section has two pages.
    while probe.machine.memory.counters().frames_used < FRAMES - 1 {
        let (backing, protection) = (memory::Backing::Resident, memory::Protection::READ_WRITE);
        probe.machine.memory.allocate(Region::NonpagedPool, 1, backing, protection).expect("there is room");
    }
    let stop = probe.finish(call).expect_err("two pages do not fit");
    let check = bug_check(&stop);
    assert_eq!((check.code.0, check.parameters[1]), (0x7A, 0xC000_009A));
    let StopKind::BugCheck(_, Cause::InPage { error, .. }) = stop.kind else { panic!("{:?}", stop.kind) };
    let InPageCause::NoFrames(none) = error.cause else { panic!("{error}") };
    assert_eq!((none.budget, probe.count(page)), (FRAMES, 0));
}

/// D6: a call that reads more than memory holds starts over for each page, and gets one page further each time: a character is
/// looked for in a string as long as all frames together.
#[test]
fn d6_a_string_longer_than_memory_is_read_to_its_end() {
    const FRAMES: u32 = 256;
    let config = MemoryConfig { frames: FRAMES, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), config);
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let bytes = u64::from(FRAMES) * PAGE_SIZE;
    let block = probe.ask("ExAllocatePoolWithTag", &[1, bytes, tag]).expect("there are addresses");
    probe.ask("RtlFillMemory", &[block, bytes - 1, 0x41]).expect("it goes on piece by piece");
    assert_eq!(probe.ask("strchr", &[block, 0x42]).expect("it gets on"), 0);
    assert!(probe.machine.memory.counters().frames_used <= FRAMES);
}

/// D6: comparing two strings that memory does not hold at one time goes on page by page: each page comes in once, so that the
/// work grows with the length of the strings and not with its square.
#[test]
fn d6_comparing_strings_longer_than_memory_takes_each_page_once() {
    const FRAMES: u32 = 256;
    let config = MemoryConfig { frames: FRAMES, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), config);
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let bytes = 2 * u64::from(FRAMES) * PAGE_SIZE;
    let block = probe.ask("ExAllocatePoolWithTag", &[1, 2 * bytes, tag]).expect("there are addresses");
    probe.ask("RtlFillMemory", &[block, 2 * bytes, 0x41]).expect("it gets on");
    let [last_of_first, last_of_second] = [block + bytes - 2, block + 2 * bytes - 2];
    probe.ask("RtlFillMemory", &[last_of_first, 2, 0]).expect("it gets on");
    probe.ask("RtlFillMemory", &[last_of_second, 2, 0]).expect("it gets on");
    let (first, second, pages) = (block, block + bytes, 2 * bytes / PAGE_SIZE);
    let equal = [
        ("strcmp", vec![first, second]),
        ("_wcsicmp", vec![first, second]),
        ("RtlCompareUnicodeStrings", vec![first, bytes / 2 - 1, second, bytes / 2 - 1, 1]),
    ];
    for (name, arguments) in equal {
        let before = probe.machine.memory.counters().pages_read;
        assert_eq!(probe.ask(name, &arguments).expect("it gets on"), 0, "{name}");
        let read = probe.machine.memory.counters().pages_read - before;
        assert!((pages / 2..=pages + pages / 8).contains(&read), "{name}: {read} of {pages} pages");
    }
    assert_eq!(probe.ask("wcslen", &[second]).expect("it gets on"), bytes / 2 - 1);
    let longer = [first, bytes / 2 - 1, second, bytes / 2 - 3, 0];
    assert_eq!(probe.ask("RtlCompareUnicodeStrings", &longer).expect("it gets on") as i32, 2);
}

/// D27: what one call writes at the same time does not fit: pages come in and push each other out without end, which is bug
/// check 0x7A and not an endless loop.
#[test]
fn d27_thrashing_without_end_is_0x7a() {
    const FRAMES: u32 = 256;
    let config = MemoryConfig { frames: FRAMES, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), config);
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let bytes = u64::from(FRAMES) * PAGE_SIZE;
    let block = probe.ask("ExAllocatePoolWithTag", &[1, 2 * bytes, tag]).expect("there are addresses");
    probe.ask("RtlFillMemory", &[block, bytes - 1, 0x41]).expect("it goes on piece by piece");
    // The string is as long as all frames together, and the copy is written as a whole.
    let stop = probe.ask("strcpy", &[block + bytes, block]).expect_err("it does not fit");
    let check = bug_check(&stop);
    assert_eq!((check.code.0, check.parameters[1]), (0x7A, 0xC000_009A), "{:?}", stop.kind);
}

/// Filling, copying and comparing more than memory holds goes on piece by piece, with the right result, overlapping or not.
#[test]
fn d6_work_on_more_than_memory_holds_gets_on() {
    const FRAMES: u32 = 256;
    let config = MemoryConfig { frames: FRAMES, trim: TrimPolicy::Pressure, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options::default(), config);
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let bytes = 2 * u64::from(FRAMES) * PAGE_SIZE;
    let block = probe.ask("ExAllocatePoolWithTag", &[1, bytes, tag]).expect("there are addresses");
    let (half, odd) = (bytes / 2, 12_345);
    probe.ask("RtlFillMemory", &[block, bytes, 1]).expect("it gets on");
    probe.ask("RtlFillMemory", &[block, half, 2]).expect("it gets on");
    assert_eq!(probe.ask("RtlCompareMemory", &[block, block + half, half]).expect("it gets on"), 0);
    // 2 2 2 2 1 1 1 1 becomes 2 2 2 2 2 1 1 1, and back to 2 2 2 2 1 1 1 1.
    probe.ask("RtlMoveMemory", &[block + odd, block, bytes - odd]).expect("it gets on");
    assert_eq!(border(&mut probe, block, bytes), half + odd, "forwards");
    probe.ask("RtlMoveMemory", &[block, block + odd, bytes - odd]).expect("it gets on");
    assert_eq!(border(&mut probe, block, bytes), half, "backwards");
    assert_eq!(probe.ask("RtlCompareMemory", &[block, block + 1, half]).expect("it gets on"), half - 1);
    assert_eq!(probe.ask("memcmp", &[block, block + half, 1]).expect("it is there") as i32, 1);
}

/// Where the twos end, by halving.
fn border(probe: &mut Probe, block: u64, bytes: u64) -> u64 {
    let (mut twos, mut ones) = (0, bytes - 1);
    while ones - twos > 1 {
        let middle = twos + (ones - twos) / 2;
        let mut byte = [0];
        probe.machine.memory.peek(Va(block + middle), &mut byte).expect("it has content");
        if byte[0] == 2 { twos = middle } else { ones = middle }
    }
    ones
}

/// D6: a page is on its way in for one thread while another one unlocks its section and the page leaves again: the first
/// gets it all the same, with what was written.
#[test]
fn d6_page_in_while_the_section_is_being_unlocked() {
    for slice_steps in 1..=10 {
        let options = Options { processors: 2, slice_steps, page_read_ns: 50, ..Options::default() };
        let config = MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
        let mut probe = Probe::new(options, config);
        let (page, writer, reader) = (probe.paged(), probe.writer(), probe.reader());
        let (lock, unlock) = (probe.export(LOCK), probe.export(UNLOCK));
        let handle = probe.call(0, lock, [page.0, 0]).expect("it is there");
        probe.call(0, writer, [page.0, 0]).expect("it is locked");
        for _ in 0..10 {
            let calls = [
                probe.begin(0, unlock, [handle, 0]),
                probe.begin(0, reader, [page.0 + PAGE_SIZE, 0]),
                probe.begin(0, reader, [page.0, 0]),
            ];
            for call in calls {
                probe.finish(call).expect("the page comes back");
            }
            probe.call(0, lock, [page.0, 0]).expect("it comes back whole");
            assert!((0..PAGED_PAGES).all(|index| probe.is_resident(page + index * PAGE_SIZE)), "{slice_steps}");
        }
        assert_eq!(probe.count(page), 1, "{slice_steps}");
    }
}

/// D6, D29: the image goes while a thread of its own waits for one of its pages. The read ends, the image is gone, and the
/// access is judged again: the address belongs to an unloaded driver.
#[test]
fn d6_the_image_is_unloaded_while_a_page_is_on_its_way() {
    for slice_steps in 1..=10 {
        let options = Options { processors: 2, slice_steps, ..Options::default() };
        let mut probe = Probe::new(options, MemoryConfig::default());
        let (page, copy) = (probe.paged(), probe.export("RtlCompareMemory"));
        // A thread that executes no code of the driver: what it waits for is data.
        let reading = probe.machine.call_routine("reader", copy, &[page.0, page.0, 8]).expect("a thread is made");
        probe.pass_us(1);
        assert_eq!(probe.answered(&[reading]), [false]);
        let unload = probe.machine.unload_driver(probe.base).expect("the unload begins");
        probe.finish(unload).expect("nobody is inside the memory manager");
        let check = bug_check(&probe.finish(reading).expect_err("the image is gone"));
        // In the kernel's range the instruction is in a module, so it stays 0x50 (R167).
        assert_eq!((check.code.0, check.parameters[0]), (0x50, page.0), "{slice_steps}");
        assert!(probe.machine.modules().unloaded_at(page).is_some());
    }
}

/// D6, D45: protections change while the page is on its way: the access is judged again by what it finds.
#[test]
fn d6_protections_change_while_a_page_is_on_its_way() {
    let mut probe = Probe::plain();
    let (page, writer) = (probe.paged(), probe.writer());
    let writing = probe.begin(0, writer, [page.0, 0]);
    probe.pass_us(1);
    assert_eq!(probe.answered(&[writing]), [false], "it waits for the page");
    probe.machine.memory.protect(page, 1, memory::Protection::READ);
    let check = bug_check(&probe.finish(writing).expect_err("it is read-only by now"));
    assert_eq!((check.code.0, check.parameters[0]), (0xBE, page.0));
}

/// D6: the page arrives and leaves before the thread that asked for it goes on, again and again; it asks again each time.
#[test]
fn d6_the_page_leaves_again_before_the_thread_goes_on() {
    let mut probe = Probe::plain();
    let (page, reader) = (probe.paged(), probe.reader());
    let reading = probe.begin(0, reader, [page.0, 0]);
    let mut arrivals = 0;
    while arrivals < 5 {
        probe.step();
        if probe.is_resident(page) {
            assert_eq!(probe.answered(&[reading]), [false]);
            probe.machine.evict(&[page], TrimReason::Command);
            arrivals += 1;
        }
    }
    probe.finish(reading).expect("in the end it has the page");
    assert_eq!(probe.machine.memory.counters().reads, 6);
}

/// The paging file is damaged from outside between two runs of the driver's code: 0x1A/0x3f or 0x7A, never a wrong byte.
#[test]
#[cfg_attr(windows, ignore = "the host keeps others away from the file")]
fn d46_a_paging_file_damaged_from_outside() {
    for (damage, code) in [(true, 0x1A), (false, 0x7A)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pages");
        let config = MemoryConfig { paging_file: PagingFileConfig::File(path.clone()), ..MemoryConfig::default() };
        let mut probe = Probe::new(Options::default(), config);
        let mut bytes = std::fs::read(&path).expect("it is a file");
        if damage {
            let place = bytes.iter().rposition(|byte| *byte == 0xC3).expect("PAGEX is in it");
            bytes[place] = 0x90;
            std::fs::write(&path, &bytes).expect("it can be written");
        } else {
            std::fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(100)).expect("it is cut");
        }
        let (lock, page) = (probe.export(LOCK), probe.paged());
        let check = bug_check(&probe.call(0, lock, [page.0, 0]).expect_err("the content is not what was written"));
        assert_eq!(check.code.0, code);
    }
}

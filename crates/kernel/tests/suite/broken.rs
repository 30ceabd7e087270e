//! The broken drivers, each with the diagnosis that its file promises, and their repaired twins, which run clean.

use crate::sample::{IOCTL, Lab, Setup, bug_check};
use kernel::{Action, FindingKind, Stop};
use nt_types::Va;

const NEVER: Setup = Setup::NEVER;
const TRIMMED: Setup = Setup::TRIMMED;
const VERIFIED: Setup = Setup::VERIFIED;

/// The bug check of a row: code, the section that the first parameter lies in, the second and the third parameter.
type Check = (u32, &'static str, u64, u64);

/// Driver, machine, bug check, codes of the findings.
type Row = (&'static str, Setup, Option<Check>, &'static [&'static str]);

/// Drivers that need no more than: open, one control code, close, unload.
const ROWS: &[Row] = &[
    ("x01-spin-lock-in-page", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x01-spin-lock-in-page", VERIFIED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x01-spin-lock-in-page", NEVER, None, &["K13", "K26"]),
    ("x02-inlined-helper", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x02-inlined-helper", NEVER, None, &["K13", "K26"]),
    ("x03-helper-in-paged-file", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &[]),
    ("x03-helper-in-paged-file", NEVER, None, &["K13"]),
    ("x04-inlined-raise", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x04-inlined-raise", VERIFIED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x05-dpc-reads-pagedata", TRIMMED, Some((0xD1, "PAGEDATA", 2, 0)), &[]),
    ("x05-dpc-reads-pagedata", NEVER, None, &["K13"]),
    ("x05-dpc-writes-pagedata", TRIMMED, Some((0xD1, "PAGEDATA", 2, 1)), &[]),
    ("x06-init-at-dispatch", NEVER, Some((0xD1, "INIT", 2, 8)), &["K12"]),
    ("x07-apc-raises", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K26"]),
    ("x07-apc-raises", NEVER, None, &["K13", "K26"]),
    ("x09-set-event-wait", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K14"]),
    ("x09-release-mutex-wait", TRIMMED, Some((0xD1, "PAGE", 2, 8)), &["K14"]),
    ("x10-lock-leak", TRIMMED, None, &["K05"]),
    ("x15-timer-in-pagedata", NEVER, None, &["K11", "K13"]),
    ("x17-locks-a-thunk", TRIMMED, Some((0xD1, "PAGEX17", 2, 8)), &["K01"]),
    ("x17-locks-a-thunk", NEVER, None, &["K01", "K13"]),
    ("x18-locks-the-other-section", TRIMMED, Some((0xD1, "PAGEB", 2, 8)), &[]),
    ("x18-locks-the-other-section", NEVER, None, &["K13"]),
    ("x22-completion-in-page", NEVER, None, &["K21"]),
    ("x22-work-item-in-paged-pool", NEVER, None, &["K22"]),
    ("x26-lock-and-fail", NEVER, None, &["K05"]),
    // INIT is not pageable by name, so the lock itself is K01 too.
    ("x30-locked-init", NEVER, None, &["K01", "K25"]),
    ("x31-mixed-section", TRIMMED, None, &[]),
];

/// The repaired twins of the same drivers.
const TWINS: &[&str] = &[
    "x01-spin-lock-in-page",
    "x02-inlined-helper",
    "x03-helper-in-paged-file",
    "x05-dpc-reads-pagedata",
    "x05-dpc-writes-pagedata",
    "x06-init-after-discard",
    "x06-init-after-discard-shared",
    "x06-init-at-dispatch",
    "x06-init-data",
    "x07-apc-raises",
    "x09-release-mutex-wait",
    "x09-set-event-wait",
    "x10-lock-leak",
    "x11-unlock-twice",
    "x13-lock-in-dpc",
    "x14-lock-of-nothing",
    "x15-timer-in-pagedata",
    "x17-locks-a-thunk",
    "x18-locks-the-other-section",
    "x20-unlock-with-pended-irp",
    "x21-unload-with-timer",
    "x22-completion-in-page",
    "x22-work-item-in-paged-pool",
    "x26-lock-and-fail",
    "x27-handle-is-no-pointer",
    "x30-locked-init",
    "x31-mixed-section",
];

/// The life of a driver of the table.
fn exercise(lab: &mut Lab, name: &str) -> Result<(), Box<Stop>> {
    let base = lab.load(&format!("broken/{name}"))?;
    if lab.machine.modules().driver_at(base).is_none() {
        return Ok(());
    }
    let file = lab.open(base)?;
    lab.ioctl(file, IOCTL, 0)?;
    lab.close(file)?;
    lab.unload(base)
}

/// The bug check that the life of a driver ends with.
fn ends(lab: &mut Lab, name: &str) -> (u32, [u64; 4]) {
    let stop = exercise(lab, name).expect_err("the run ends with a bug check");
    let check = bug_check(&stop);
    (check.code.0, check.parameters)
}

fn section(lab: &Lab, address: u64) -> String {
    lab.machine.modules().section_name(Va(address)).unwrap_or_default()
}

#[test]
fn each_broken_driver_gets_the_diagnosis_of_its_file() {
    for (name, setup, expected, codes) in ROWS {
        let mut lab = Lab::new(*setup);
        let end = exercise(&mut lab, name);
        let check = end.as_ref().err().map(|stop| bug_check(stop));
        let found = check.map(|check| {
            let [p1, p2, p3, _] = check.parameters;
            (check.code.0, section(&lab, p1), p2, p3)
        });
        let expected = expected.map(|(code, section, p2, p3)| (code, section.to_owned(), p2, p3));
        assert_eq!(found, expected, "{name}, {setup:?}");
        assert_eq!(lab.codes().into_iter().collect::<Vec<_>>(), *codes, "{name}, {setup:?}");
    }
}

#[test]
fn each_repaired_twin_runs_clean() {
    for name in TWINS {
        for setup in [TRIMMED, NEVER, VERIFIED] {
            let mut lab = Lab::new(setup);
            let end = exercise(&mut lab, &format!("{name}-fixed"));
            assert!(end.is_ok(), "{name}, {setup:?}: {:?}", end.map_err(|stop| stop.kind));
            assert!(lab.codes().is_empty(), "{name}, {setup:?}: {:?}", lab.codes());
        }
    }
}

/// R164: running absent code is 0xD1 with the instruction as first and last parameter.
#[test]
fn x01_names_the_instruction_after_the_call() {
    let (code, [p1, .., p4]) = ends(&mut Lab::new(TRIMMED), "x01-spin-lock-in-page");
    assert_eq!((code, p1), (0xD1, p4));
}

/// D12, D44: discarded bytes at or below `APC_LEVEL` are 0x50, fourth parameter 0.
#[test]
fn x06_touches_what_was_discarded() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, p2, p3, p4]) = ends(&mut lab, "x06-init-after-discard");
    assert_eq!((code, p2, p3, p4), (0x50, 0x10, p1, 0));
    assert_eq!(section(&lab, p1), "INIT");
    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, p2, p3, p4]) = ends(&mut lab, "x06-init-data");
    assert_eq!((code, p2, p4), (0x50, 0, 0));
    assert_eq!((section(&lab, p1).as_str(), section(&lab, p3).as_str()), ("INIT", ".text"));
    assert!(lab.codes().contains("K12"));
}

/// D11: on a kept page the discarded bytes are poison, and running them is a breakpoint as well as K12.
#[test]
fn x06_runs_poison_on_a_kept_page() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [exception, address, ..]) = ends(&mut lab, "x06-init-after-discard-shared");
    assert_eq!((code, exception as u32), (0x1E, 0x8000_0003));
    let found = lab.findings().into_iter().find_map(|finding| match finding.kind {
        FindingKind::K12InitUseAfterDiscard { address } => Some((address, finding.place.instruction)),
        _ => None,
    });
    assert_eq!(found, Some((Va(address), Va(address))));
}

/// D23: reason 6, COUNT_ZERO.
#[test]
fn x11_unlocks_what_is_not_locked() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, handle, reason, caller]) = ends(&mut lab, "x11-unlock-twice");
    assert_eq!((code, p1, reason), (0x1A, 0x1010, 6));
    assert!(section_paging::Handle::RANGE.contains(&handle));
    assert_eq!(section(&lab, caller), ".text");
}

/// D19: a handle dies with its image, reason 5, for lock and unlock.
#[test]
#[ignore = "needs IoGetDeviceObjectPointer"]
fn x12_uses_a_handle_of_an_image_that_is_gone() {
    for (code, subtype) in [(IOCTL + 4, 0x1234), (IOCTL + 8, 0x1010)] {
        let mut lab = Lab::new(TRIMMED);
        let owner = lab.load("broken/owner").expect("the owner starts");
        let user = lab.load("broken/x12-stale-handle").expect("the driver starts");
        let file = lab.open(user).expect("it opens");
        lab.ioctl(file, IOCTL, 0).expect("it keeps the handle");
        lab.unload(owner).expect("the owner goes");
        lab.load("broken/owner").expect("the owner comes again");
        let stop = lab.ioctl(file, code, 0).expect_err("the handle is dead");
        let check = bug_check(&stop);
        assert_eq!((check.code.0, check.parameters[0], check.parameters[2]), (0x1A, subtype, 5));
        assert!(lab.codes().contains("K06"), "{:?}", lab.codes());
    }
}

/// D39: the verifier stops before anything changes. D40: else K02, and 0xD3 where a page is out.
#[test]
fn x13_locks_at_dispatch_level() {
    let mut lab = Lab::new(VERIFIED);
    let (code, [rule, text, p3, p4]) = ends(&mut lab, "x13-lock-in-dpc");
    assert_eq!((code, rule, p3, p4), (0xC4, 0x0002_0019, 0, 0));
    let bytes = lab.machine.read_bytes(Va(text), 27).expect("the text is there");
    assert_eq!(String::from_utf8_lossy(&bytes), "MmLockPagableSectionByHandl");
    assert!(!lab.codes().contains("K02"));

    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, irql, read, service]) = ends(&mut lab, "x13-lock-in-dpc");
    assert_eq!((code, irql, read, section(&lab, p1).as_str()), (0xD3, 2, 0, "PAGEX13"));
    assert_eq!(lab.machine.kernel_images().routine_name(Va(service)), Some("MmLockPagableSectionByHandle"));
    assert!(lab.codes().contains("K02"));

    let mut lab = Lab::new(NEVER);
    exercise(&mut lab, "x13-lock-in-dpc").expect("nothing is out");
    assert!(lab.codes().contains("K02"));
}

/// D16: which reason, and for what.
#[test]
fn x14_locks_what_is_no_section() {
    for (input, reason) in [(0, 3), (1, 1), (2, 2), (3, 4)] {
        let mut lab = Lab::new(TRIMMED);
        let base = lab.load("broken/x14-lock-of-nothing").expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let stop = lab.ioctl(file, IOCTL, input).expect_err("it is no section");
        let check = bug_check(&stop);
        assert_eq!((check.code.0, check.parameters[0], check.parameters[2]), (0x1A, 0x1234, reason));
    }
}

/// R163, R181: the kernel touches a timer that left memory.
#[test]
fn x15_has_a_timer_that_leaves() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, irql, access, instruction]) = ends(&mut lab, "x15-timer-in-pagedata");
    assert_eq!((code, irql, section(&lab, p1).as_str()), (0xD3, 2, "PAGEDATA"));
    assert!(access <= 1);
    assert!(lab.machine.kernel_images().routine_name(Va(instruction)).is_some());
    assert!(lab.codes().contains("K11"));

    let mut lab = Lab::new(VERIFIED);
    let (code, [subcode, object, ..]) = ends(&mut lab, "x15-timer-in-pagedata");
    assert_eq!((code, subcode, section(&lab, object).as_str()), (0xC4, 0xE1, "PAGEDATA"));
}

/// R16: the last close unlocks, and the request completes later with code of that section.
#[test]
fn x20_unlocks_while_a_read_is_queued() {
    let mut lab = Lab::new(TRIMMED);
    let base = lab.load("broken/x20-unlock-with-pended-irp").expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    lab.start(Action::Read { file, length: 1, offset: 0 });
    lab.pass_ms(1).expect("the read waits");
    let end = lab.close(file).and_then(|()| lab.pass_ms(20));
    let check = bug_check(&end.expect_err("the section is out"));
    let [p1, irql, access, p4] = check.parameters;
    assert_eq!((check.code.0, irql, access, p4), (0xD1, 2, 8, p1));
    assert!(lab.codes().contains("K08"), "{:?}", lab.codes());
}

/// D30, R162 (3), R167: what comes back for an unloaded driver.
#[test]
fn x21_leaves_something_behind() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [p1, irql, access, _]) = ends(&mut lab, "x21-unload-with-timer");
    assert_eq!((code, irql), (0xD4, 2));
    assert!(access <= 1);
    assert!(lab.machine.modules().unloaded_at(Va(p1)).is_some());

    let mut lab = Lab::new(TRIMMED);
    let stop = open_close_unload(&mut lab, "x21-unload-with-work-item").expect_err("the routine is gone");
    let check = bug_check(&stop);
    let [p1, p2, p3, p4] = check.parameters;
    assert_eq!((check.code.0, p2, p3, p4), (0xCE, 0, p1, 0));
    assert!(lab.machine.modules().unloaded_at(Va(p1)).is_some());

    let mut lab = Lab::new(TRIMMED);
    open_close_unload(&mut lab, "x21-unload-with-work-item-fixed").expect("it waits for its work item");
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

fn open_close_unload(lab: &mut Lab, name: &str) -> Result<(), Box<Stop>> {
    let base = lab.load(&format!("broken/{name}"))?;
    let file = lab.open(base)?;
    lab.close(file)?;
    lab.unload(base)
}

/// 0xC9/0x227 and 0xC4/0x131 with the verifier.
#[test]
fn x22_hands_out_what_is_pageable() {
    let mut lab = Lab::new(VERIFIED);
    let (code, [subcode, routine, irp, _]) = ends(&mut lab, "x22-completion-in-page");
    assert_eq!((code, subcode, section(&lab, routine).as_str()), (0xC9, 0x227, "PAGE"));
    assert_ne!(irp, 0);
    assert!(lab.codes().contains("K21"));

    let (code, [subcode, item, p3, p4]) = ends(&mut Lab::new(VERIFIED), "x22-work-item-in-paged-pool");
    assert_eq!((code, subcode, p3, p4), (0xC4, 0x131, 0, 0));
    assert!((memory::Region::PagedPool.base()..memory::Region::KernelStack.base()).contains(&Va(item)));
}

/// D18, D24: the count does not know whose lock it is.
#[test]
#[ignore = "needs IoGetDeviceObjectPointer"]
fn x25_unlocks_what_another_locked() {
    let mut lab = Lab::new(TRIMMED);
    let owner = lab.load("broken/owner").expect("the owner starts");
    let other = lab.load("broken/x25-foreign-unlock").expect("the driver starts");
    let owned = lab.open(owner).expect("it opens and locks");
    let file = lab.open(other).expect("it opens");
    lab.ioctl(file, IOCTL, 0).expect("a foreign unlock is no error");
    assert!(lab.codes().contains("K06"), "{:?}", lab.codes());
    let check = bug_check(&lab.close(owned).expect_err("the owner's own unlock fails"));
    assert_eq!((check.code.0, check.parameters[0], check.parameters[2]), (0x1A, 0x1010, 6));
}

/// D19: K07, and then 0x50 with the handle as address.
#[test]
fn x27_reads_through_a_handle() {
    let mut lab = Lab::new(TRIMMED);
    let (code, [handle, p2, p3, p4]) = ends(&mut lab, "x27-handle-is-no-pointer");
    assert_eq!((code, p2, p4), (0x50, 0, 2));
    assert!(section_paging::Handle::RANGE.contains(&handle));
    assert_eq!(section(&lab, p3), ".text");
    assert!(lab.codes().contains("K07"));
}

/// R57, D28: a driver that fails to start is unmapped without Unload, and what it locked is lost.
#[test]
fn x26_fails_to_start_with_a_lock() {
    let mut lab = Lab::new(TRIMMED);
    let base = lab.load("broken/x26-lock-and-fail").expect("no bug check");
    assert!(lab.machine.modules().driver_at(base).is_none());
    let unload =
        |event: &kernel::Event| matches!(event.kind, kernel::EventKind::Entered { what: kernel::Routine::Unload, .. });
    assert!(!lab.machine.events.iter().any(unload));
    let leaked = lab.machine.events.iter().find_map(|event| match event.kind {
        kernel::EventKind::Unloaded { leaked_pages, .. } => Some(leaked_pages),
        _ => None,
    });
    assert!(leaked.is_some_and(|pages| pages > 0), "{leaked:?}");
}

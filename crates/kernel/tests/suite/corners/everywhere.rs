//! The corner cases on real images, at both section alignments, on 1, 2 and 4 processors, whatever leaves and when.

use kernel::{EventKind, RequestId, Routine};
use memory::TrimPolicy;
use nt_types::{PAGE_SIZE, Va};

use super::{LOCK, LOCK_BY_HANDLE, PAGE_ENTIRE, RESET, UNLOCK};
use crate::sample::{Lab, Setup, bug_check};

/// Calls a service in a thread of nobody's.
fn call(lab: &mut Lab, name: &str, argument: u64) -> u64 {
    let request = begin(lab, name, argument);
    lab.finish(request).expect("no bug check").expect("it returns").information
}

fn begin(lab: &mut Lab, name: &str, argument: u64) -> RequestId {
    let service = lab.machine.kernel_images().export("ntoskrnl.exe", name).expect("it is one");
    lab.machine.call_routine("corner", service, &[argument]).expect("a thread is made")
}

fn start_of(lab: &Lab, base: Va, name: &str) -> u64 {
    let driver = lab.machine.modules().driver_at(base).expect("the driver is loaded");
    let section = driver.image.sections().iter().find(|section| section.name() == name).expect("it has the section");
    base.0 + u64::from(section.rva.0)
}

/// Each combination: a driver at this alignment, a machine, and what to say of it.
fn everywhere(driver: &str, mut try_it: impl FnMut(&str, Setup, &str)) {
    for path in [driver.to_owned(), format!("{driver}-a80")] {
        for processors in [1, 2, 4] {
            for setup in [Setup::NEVER, Setup::TRIMMED, Setup::VERIFIED] {
                let what = format!("{path}, {processors} processors, {:?}", setup.trim);
                try_it(&path, Setup { processors, slice_steps: 3, ..setup }, &what);
            }
        }
    }
}

/// Cases 1, 2, 3, 5, 8 and 9.
#[test]
fn corners_of_sections_everywhere() {
    everywhere("stress/stress", |path, setup, what| {
        let mut lab = Lab::new(setup);
        let base = lab.load(path).expect("the driver starts");
        corners_of(&mut lab, base, setup.trim, what);
    });
}

/// R61, D14: paging is disabled.
#[test]
fn corner_4_everywhere() {
    everywhere("beep/beep", |path, setup, what| {
        let mut lab = Lab::paging_disabled(setup);
        let base = lab.load(path).expect("the base comes back, which DriverEntry checks");
        let file = lab.open(base).expect("it opens");
        lab.close(file).expect("it pages itself again");
        lab.evict_all();
        let text = start_of(&lab, base, ".text");
        assert_eq!(call(&mut lab, PAGE_ENTIRE, text), base.0, "{what}");
        assert!([".text", ".data", "PAGE"].iter().all(|section| lab.is_whole(base, section)), "{what}");
        let paged = lab.events(|event| matches!(event.kind, EventKind::DriverPaged { .. }).then_some(()));
        assert!(paged.is_empty(), "{what}");
        let page = start_of(&lab, base, "PAGE");
        let handle = call(&mut lab, LOCK, page);
        assert_eq!(lab.count(base, "PAGE"), 1, "{what}");
        call(&mut lab, UNLOCK, handle);
        let again = begin(&mut lab, UNLOCK, handle);
        let check = bug_check(&lab.finish(again).expect_err("it is not locked"));
        assert_eq!((check.code.0, check.parameters[..3].to_vec()), (0x1A, vec![0x1010, handle, 6]), "{what}");
    });
}

/// R124: what was queued before page-entire has run when it is in force.
#[test]
fn corner_6_everywhere() {
    everywhere("beep/beep", |path, setup, what| {
        let mut lab = Lab::new(setup);
        let base = lab.load(path).expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        let vector = lab.machine.connected_interrupts().first().expect("it is connected").vector;
        lab.machine.spurious_interrupt(vector);
        lab.close(file).expect("no bug check");
        let order = lab.events(|event| match event.kind {
            EventKind::DpcQueued { .. } => Some("queued"),
            EventKind::Left { what: Routine::Dpc, .. } => Some("ran"),
            EventKind::DriverPaged { .. } => Some("paged"),
            _ => None,
        });
        assert_eq!(order, ["paged", "queued", "ran", "paged"], "{what}");
    });
}

/// D34: reset with the override clear and an interrupt connected is a warning and does nothing.
#[test]
fn corner_7_everywhere() {
    everywhere("beep/beep", |path, setup, what| {
        let mut lab = Lab::new(setup);
        let base = lab.load(path).expect("the driver starts");
        lab.open(base).expect("it resets, then connects");
        assert!(lab.codes().is_empty(), "{what}: {:?}", lab.codes());
        let state = |lab: &Lab| {
            [".text", ".data", "PAGE"].map(|section| (lab.count(base, section), lab.is_whole(base, section)))
        };
        let (before, text) = (state(&lab), start_of(&lab, base, ".text"));
        call(&mut lab, RESET, text);
        assert_eq!(state(&lab), before, "{what}");
        let found: Vec<_> =
            lab.findings().iter().map(|finding| (finding.kind.code(), finding.kind.severity())).collect();
        assert_eq!(found, [("K04", kernel::Severity::Warning)], "{what}");
    });
}

/// D5, D6: the same seed gives the same events and the same bug check, byte for byte.
#[test]
fn corner_10_everywhere() {
    everywhere("stress/stress", |path, setup, what| {
        let run = || {
            let mut lab = Lab::new(setup);
            let base = lab.load(path).expect("the driver starts");
            let page = start_of(&lab, base, "PAGESTR1");
            let locks = [begin(&mut lab, LOCK, page), begin(&mut lab, LOCK, page)];
            let [handle, _] =
                locks.map(|lock| lab.finish(lock).expect("no bug check").expect("it returns").information);
            let unlocks = [handle; 3].map(|handle| begin(&mut lab, UNLOCK, handle));
            let ends = unlocks.map(|unlock| lab.finish(unlock));
            let stop = ends.into_iter().find_map(Result::err).expect("one unlock is too many");
            assert_eq!(bug_check(&stop).parameters[..3], [0x1010, handle, 6], "{what}");
            (format!("{:?}", lab.machine.events), format!("{stop:?}"))
        };
        assert_eq!(run(), run(), "{what}");
    });
}

fn corners_of(lab: &mut Lab, base: Va, trim: TrimPolicy, what: &str) {
    const SECTION: &str = "PAGESTR1";
    let (page, text) = (start_of(lab, base, SECTION), start_of(lab, base, ".text"));
    let handle = call(lab, LOCK, page);
    assert_eq!((lab.count(base, SECTION), lab.is_whole(base, SECTION)), (1, true), "{what}");
    call(lab, UNLOCK, handle);
    let left_at_once = trim == TrimPolicy::AtOnce;
    assert_eq!((lab.count(base, SECTION), lab.is_whole(base, SECTION)), (0, !left_at_once), "3: {what}");
    lab.evict_all();
    assert!(!lab.is_whole(base, SECTION), "{what}");
    call(lab, LOCK_BY_HANDLE, handle);
    assert_eq!((lab.count(base, SECTION), lab.is_whole(base, SECTION)), (1, true), "1: {what}");
    lab.evict_all();
    assert!(lab.is_whole(base, SECTION), "2: {what}");
    call(lab, UNLOCK, handle);
    lab.evict_all();

    let first_locks = [page, page + PAGE_SIZE].map(|address| begin(lab, LOCK, address));
    let handles = first_locks.map(|lock| lab.finish(lock).expect("no bug check").expect("it returns").information);
    assert_eq!((handles, lab.count(base, SECTION)), ([handle, handle], 2), "9: {what}");
    assert!(lab.is_whole(base, SECTION), "9: {what}");
    for handle in handles {
        call(lab, UNLOCK, handle);
    }

    assert_eq!(call(lab, PAGE_ENTIRE, 0), 0, "5: {what}");
    assert_eq!(call(lab, PAGE_ENTIRE, text), base.0, "{what}");
    let handle = call(lab, LOCK, text);
    lab.evict_all();
    assert!(lab.is_whole(base, ".text"), "8: {what}");
    call(lab, UNLOCK, handle);
    lab.evict_all();
    assert!(!lab.is_whole(base, ".text"), "8: {what}");
    call(lab, RESET, text);
    assert!(lab.is_whole(base, ".text"), "8: {what}");
}

//! What an image shows, what it does not, and what a finding then takes for granted.

use audit::{Assumption, Finding, FindingKind, LeftBy};
use driver_image::Image;
use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{self, Routine, Section, Source, Step};
use crate::common;
use crate::crafted::{Assembler, Data, Places, R8, RCX, image};

fn findings(image: &Image) -> Vec<Finding> {
    audit::audit(image, &[]).expect("it can be laid out").findings
}

fn one_place(_: &Places) -> Data {
    Data::default().zeros(8).clone()
}

/// `mov eax, 0c0000001h`
const FAILS: [u8; 5] = [0xb8, 0x01, 0x00, 0x00, 0xc0];

/// A driver whose entry point locks `PAGE`, keeps the handle, and goes on with `then` after comparing it with NULL.
fn locks(then: impl Fn(&mut Assembler)) -> Image {
    image("ntoskrnl.exe", &["MmLockPagableDataSection"], one_place, |places| {
        let mut entry = places.entry();
        entry.lea(RCX, places.page).call(places.slots[0]).keep_and_test(places.data);
        then(&mut entry);
        entry
    })
}

/// K05: where the handle is NULL, nothing is locked. Where it is not, a failure leaves a lock.
#[test]
fn k05_a_lock_that_failed_is_none() {
    let when_null = locks(|entry| _ = entry.code(&[0x75, 0x05]).code(&FAILS)); // jne over it
    assert_eq!(findings(&when_null), []);
    let when_locked = locks(|entry| _ = entry.code(&[0x74, 0x05]).code(&FAILS)); // je over it
    let kinds: Vec<FindingKind> = findings(&when_locked).into_iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::UnloadWithLocks { section: "PAGE".into(), left_by: LeftBy::Entry }]);
}

/// K21: a completion routine in a section that nobody locks.
#[test]
fn k21_a_completion_routine_in_pageable_code() {
    let image = image("ntoskrnl.exe", &["IoSetCompletionRoutineEx"], one_place, |places| {
        let mut entry = places.entry();
        entry.lea(R8, places.page).call(places.slots[0]);
        entry
    });
    let found: Vec<_> = findings(&image).into_iter().map(|finding| (finding.kind, finding.assumes)).collect();
    assert_eq!(found, [(FindingKind::Completion { section: "PAGE".into() }, None)]);
}

/// K13: a request for a device control may come at DISPATCH_LEVEL, and code that it calls may be out then.
#[test]
fn k13_a_request_is_assumed_to_come_at_dispatch_level() {
    let (audit, symbols) = common::audit(&common::drivers().join("broken/x01-spin-lock-in-page.sys"));
    let found = audit.findings.iter().filter(|finding| finding.assumes == Some(Assumption::AtDispatch));
    let places: Vec<String> = found.map(|finding| common::name(&symbols, finding.at)).collect();
    assert_eq!(places, ["X01DeviceControl"]);
}

/// Writes what leads to a call, or to the label instead.
type Leads = fn(&mut Routine<'_>, CodeLabel) -> Result<(), IcedError>;

/// A driver with one dispatch routine for all requests. It calls a routine of `PAGE` where this leads on.
fn dispatches(section: Section, leads: Leads) -> Source {
    dispatches_with(&[], section, leads, |a| a.ret())
}

/// The same with these imports, and `called` as the routine of `PAGE`.
fn dispatches_with(imports: &[&'static str], section: Section, leads: Leads, called: Step) -> Source {
    let entry = Source::new(imports).text(move |a| {
        a.address(rax, section, 1)?;
        a.mov(qword_ptr(rcx + rdx * 8 + 0x70), rax)?;
        a.ret()
    });
    let dispatch = move |a: &mut Routine<'_>| {
        let mut end = a.create_label();
        a.sub(rsp, 0x28)?;
        a.mov(rsi, qword_ptr(rdx + 0xb8))?;
        leads(a, end)?;
        a.routine(Section::Page, 0)?;
        a.set_label(&mut end)?;
        a.add(rsp, 0x28)?;
        a.ret()
    };
    entry.page(called).routine(Section::Text, dispatch).routine(Section::Page, dispatch)
}

fn is_possible(source: &Source) -> bool {
    let findings = assembled::audit(source).findings;
    assert!(findings.iter().all(|finding| finding.assumes == Some(Assumption::AtDispatch)), "{findings:?}");
    !findings.is_empty()
}

/// K13: PnP and system control requests come at PASSIVE_LEVEL, device controls need not. Compilers compare the major
/// function in several ways.
#[test]
fn k13_requests_that_come_at_passive_level_only() {
    let cases: [(bool, Leads); 6] = [
        (true, |_, _| Ok(())),
        (false, |a, end| {
            a.cmp(byte_ptr(rsi), 0x1b)?;
            a.jne(end)
        }),
        (true, |a, end| {
            a.cmp(byte_ptr(rsi), 0x0e)?;
            a.jne(end)
        }),
        (true, |a, end| {
            a.cmp(byte_ptr(rsi), 0x1b)?;
            a.je(end)
        }),
        (false, |a, end| {
            a.movzx(eax, byte_ptr(rsi))?;
            a.sub(eax, 0x0e)?;
            a.je(end)?;
            a.sub(eax, 9)?;
            a.jne(end)
        }),
        (false, |a, end| {
            a.movzx(eax, byte_ptr(rsi))?;
            a.sub(eax, 2)?;
            a.cmp(eax, 0x19)?;
            a.jne(end)
        }),
    ];
    for (index, (possible, leads)) in cases.into_iter().enumerate() {
        assert_eq!(is_possible(&dispatches(Section::Text, leads)), possible, "case {index}");
    }
}

/// K13: a driver whose dispatch routine is pageable does not expect it to be called at DISPATCH_LEVEL.
#[test]
fn k13_a_pageable_dispatch_routine() {
    assert!(!is_possible(&dispatches(Section::Page, |_, _| Ok(()))));
}

/// Imports that show the level.
const WAITS: [&str; 4] = ["KeWaitForSingleObject", "ExAcquireFastMutex", "IoBuildDeviceIoControlRequest", "KeSetEvent"];

/// `KeWaitForSingleObject(.., Timeout)`: with a time-out of NULL, or with another.
fn wait(a: &mut Routine<'_>, timeout: i32) -> Result<(), IcedError> {
    match timeout {
        // As compilers write a zero in few bytes.
        0 => a.and(qword_ptr(rsp + 0x20), 0)?,
        _ => {
            a.lea(rax, qword_ptr(rsp + timeout))?;
            a.mov(qword_ptr(rsp + 0x20), rax)?;
        }
    }
    a.import("KeWaitForSingleObject")
}

/// K13: who waits for as long as it takes, or calls what is allowed below DISPATCH_LEVEL only, was not called at it.
#[test]
fn k13_what_a_request_did_before_shows_its_level() {
    let cases: [(bool, Leads); 6] = [
        (false, |a, _| wait(a, 0)),
        (true, |a, _| wait(a, 0x28)),
        (false, |a, _| a.import("ExAcquireFastMutex")),
        (false, |a, _| a.import("IoBuildDeviceIoControlRequest")),
        (true, |a, _| a.import("KeSetEvent")),
        // On one of two ways only.
        (true, |a, _| {
            let mut over = a.create_label();
            a.test(eax, eax)?;
            a.je(over)?;
            wait(a, 0)?;
            a.set_label(&mut over)
        }),
    ];
    for (index, (possible, leads)) in cases.into_iter().enumerate() {
        let source = dispatches_with(&WAITS, Section::Text, leads, |a| a.ret());
        assert_eq!(is_possible(&source), possible, "case {index}");
    }
}

/// K13: nor was it called at DISPATCH_LEVEL if it is about to wait, in the pageable routine or after that.
#[test]
fn k13_what_a_request_does_later_shows_its_level() {
    let called: [(bool, Step); 3] = [
        (false, |a| {
            let mut over = a.create_label();
            a.sub(rsp, 0x28)?;
            a.test(eax, eax)?;
            a.je(over)?;
            wait(a, 0)?;
            a.set_label(&mut over)?;
            a.add(rsp, 0x28)?;
            a.ret()
        }),
        (true, |a| {
            a.sub(rsp, 0x28)?;
            a.import("KeSetEvent")?;
            a.add(rsp, 0x28)?;
            a.ret()
        }),
        // It may be called at DISPATCH_LEVEL as long as it does not come to this.
        (true, |a| {
            let mut over = a.create_label();
            a.sub(rsp, 0x28)?;
            a.test(eax, eax)?;
            a.je(over)?;
            a.import("IoBuildDeviceIoControlRequest")?;
            a.set_label(&mut over)?;
            a.add(rsp, 0x28)?;
            a.ret()
        }),
    ];
    for (index, (possible, page)) in called.into_iter().enumerate() {
        let source = dispatches_with(&WAITS, Section::Text, |_, _| Ok(()), page);
        assert_eq!(is_possible(&source), possible, "case {index}");
    }
    let after = |import: &'static str| {
        let driver = Source::new(&WAITS).text(|a| {
            a.address(rax, Section::Text, 1)?;
            a.mov(qword_ptr(rcx + 0xe0), rax)?;
            a.ret()
        });
        let driver = driver.text(move |a| {
            a.sub(rsp, 0x28)?;
            a.routine(Section::Page, 0)?;
            a.import(import)?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        is_possible(&driver.page(|a| a.ret()))
    };
    assert!(!after("ExAcquireFastMutex") && after("KeSetEvent"));
}

/// K13: a completion routine is called at DISPATCH_LEVEL whatever it does later; one that has waited was not.
#[test]
fn k13_what_a_completion_routine_does_shows_less() {
    let imports = ["IoSetCompletionRoutineEx", "ExAcquireFastMutex"];
    let completes = |before: bool| {
        let driver = Source::new(&imports).text(|a| {
            a.sub(rsp, 0x28)?;
            a.address(r8, Section::Text, 1)?;
            a.import("IoSetCompletionRoutineEx")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        let driver = driver.text(move |a| {
            a.sub(rsp, 0x28)?;
            if before {
                a.import("ExAcquireFastMutex")?;
            }
            a.routine(Section::Page, 0)?;
            a.import("ExAcquireFastMutex")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        is_possible(&driver.page(|a| a.ret()))
    };
    assert!(completes(false) && !completes(true));
}

/// K21: a section that the routine for `\Callback\PowerState` locks is locked in the completion routine of a power request, not
/// in that of another.
#[test]
fn k21_a_section_that_is_locked_for_power_requests() {
    let imports = ["IoSetCompletionRoutineEx", "ExRegisterCallback", "MmLockPagableDataSection"];
    let driver = |dispatch: i32| {
        let source = Source::new(&imports).text(move |a| {
            a.sub(rsp, 0x28)?;
            a.address(rax, Section::Text, 1)?;
            a.mov(qword_ptr(rcx + dispatch), rax)?;
            a.address(rdx, Section::Text, 2)?;
            a.import("ExRegisterCallback")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        let source = source.text(|a| {
            a.sub(rsp, 0x28)?;
            a.address(r8, Section::Page, 0)?;
            a.import("IoSetCompletionRoutineEx")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        let source = source.text(|a| {
            a.sub(rsp, 0x28)?;
            a.address(rcx, Section::Page, 0)?;
            a.import("MmLockPagableDataSection")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        assembled::audit(&source.page(|a| a.ret())).findings.len()
    };
    assert_eq!((driver(0x70 + 8 * 0x16), driver(0x70 + 8 * 0x0e)), (0, 1));
}

/// K21: a section that DriverEntry locks and only Unload unlocks is locked when the completion routine runs. Where another
/// routine unlocks it, it may not be.
#[test]
fn k21_a_section_that_is_locked_for_life() {
    let imports = ["IoSetCompletionRoutineEx", "MmLockPagableDataSection", "MmUnlockPagableImageSection"];
    let driver = |unload: i32| {
        let entry = move |a: &mut Routine<'_>| {
            a.sub(rsp, 0x28)?;
            a.address(rax, Section::Text, 1)?;
            a.mov(qword_ptr(rcx + unload), rax)?;
            a.address(rcx, Section::Page, 0)?;
            a.import("MmLockPagableDataSection")?;
            a.address(r8, Section::Page, 0)?;
            a.import("IoSetCompletionRoutineEx")?;
            a.add(rsp, 0x28)?;
            a.ret()
        };
        let source = Source::new(&imports).text(entry).text(|a| {
            a.sub(rsp, 0x28)?;
            a.import("MmUnlockPagableImageSection")?;
            a.add(rsp, 0x28)?;
            a.ret()
        });
        let found = assembled::audit(&source.page(|a| a.ret())).findings;
        found.into_iter().map(|finding| (finding.kind, finding.assumes)).collect::<Vec<_>>()
    };
    assert_eq!(driver(0x68), []);
    let page = || "PAGE".to_owned();
    let possible = (FindingKind::Completion { section: page() }, Some(Assumption::NotLocked { section: page() }));
    assert_eq!(driver(0x70), [possible], "a dispatch routine");
}

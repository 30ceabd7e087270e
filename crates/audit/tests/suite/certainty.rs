//! What an image shows, what it does not, and what a finding then takes for granted.

use audit::{Assumption, Finding, FindingKind, LeftBy};
use driver_image::Image;
use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{self, Routine, Section, Source};
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
    let entry = Source::new(&[]).text(move |a| {
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
    entry.page(|a| a.ret()).routine(Section::Text, dispatch).routine(Section::Page, dispatch)
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

//! What one routine stores in a device extension and another finds there, and handles of locks that nobody keeps.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{PROBE, Routine, Section, Source, Step, findings, probed};

/// DRIVER_OBJECT: AddDevice is a field of its extension.
const DRIVER_EXTENSION: i32 = 0x30;
const UNLOAD: i32 = 0x68;
const MAJOR_FUNCTION: i32 = 0x70;
/// A field of the device extension.
const KEPT: i32 = 0x58;

const IMPORTS: [&str; 7] = [
    "IoCreateDevice",
    "KeInitializeDpc",
    "MmLockPagableDataSection",
    "MmUnlockPagableImageSection",
    "MmLockPagableSectionByHandle",
    "ExAllocatePool",
    PROBE,
];

fn entry(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.address(rax, Section::Text, 1)?;
    a.mov(rdx, qword_ptr(rcx + DRIVER_EXTENSION))?;
    a.mov(qword_ptr(rdx + 8), rax)?;
    a.address(rax, Section::Text, 2)?;
    a.mov(qword_ptr(rcx + MAJOR_FUNCTION), rax)?;
    a.mov(qword_ptr(rcx + UNLOAD), rax)?;
    a.ret()
}

/// IoCreateDevice with an extension of so many bytes; the extension comes in rbx.
fn create(a: &mut Routine<'_>, bytes: u32) -> Result<(), IcedError> {
    a.sub(rsp, 0x68)?;
    a.lea(rax, qword_ptr(rsp + 0x48))?;
    a.mov(qword_ptr(rsp + 0x30), rax)?;
    a.mov(edx, bytes)?;
    a.import("IoCreateDevice")?;
    a.mov(rcx, qword_ptr(rsp + 0x48))?;
    a.mov(rbx, qword_ptr(rcx + 0x40))
}

/// AddDevice stores a routine, and names a DPC whose context is the extension.
fn add_device(a: &mut Routine<'_>) -> Result<(), IcedError> {
    create(a, 0x100)?;
    a.address(rax, Section::Page, 0)?;
    a.mov(qword_ptr(rbx + KEPT), rax)?;
    a.lea(rcx, qword_ptr(rbx + 0x10))?;
    a.address(rdx, Section::Text, 3)?;
    a.mov(r8, rbx)?;
    a.import("KeInitializeDpc")?;
    a.add(rsp, 0x68)?;
    a.ret()
}

/// The DPC calls what AddDevice stored.
fn dpc(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.sub(rsp, 0x28)?;
    a.call(qword_ptr(rdx + KEPT))?;
    a.add(rsp, 0x28)?;
    a.ret()
}

fn stored_and_called(others: u32) -> Source {
    let dispatch = move |a: &mut Routine<'_>| {
        create(a, others)?;
        a.add(rsp, 0x68)?;
        a.ret()
    };
    Source::new(&IMPORTS).text(entry).text(add_device).text(dispatch).text(dpc).page(|a| a.ret())
}

/// K13: a pageable routine whose address AddDevice keeps in the device extension is called by a DPC.
#[test]
fn k13_a_routine_kept_in_a_device_extension() {
    assert_eq!(findings(&stored_and_called(0x100)), [".text 3: PageableCode"]);
    assert!(findings(&stored_and_called(0x80)).is_empty(), "another kind of device may have something else there");
}

/// The dispatch routine finds it by way of the device object.
#[test]
fn k13_a_routine_called_through_the_device_object() {
    let source = Source::new(&[&IMPORTS[..], &["KeRaiseIrqlToDpcLevel"]].concat())
        .text(entry)
        .text(add_device)
        .text(|a| {
            a.sub(rsp, 0x28)?;
            a.mov(rbx, rcx)?;
            a.import("KeRaiseIrqlToDpcLevel")?;
            a.mov(rax, qword_ptr(rbx + 0x40))?;
            a.call(qword_ptr(rax + KEPT))?;
            a.add(rsp, 0x28)?;
            a.ret()
        })
        .text(|a| a.ret())
        .page(|a| a.ret());
    assert_eq!(findings(&source), [".text 2: PageableCode"]);
}

/// A create that locks `PAGE` by address, and does as `kept` says with the handle if `ExAllocatePool` succeeds, and as
/// `failed` says if it does not.
fn create_locks(kept: Step, failed: Step) -> Source {
    Source::new(&IMPORTS)
        .text(entry)
        .text(|a| a.ret())
        .text(move |a| {
            let (mut none, mut end) = (a.create_label(), a.create_label());
            a.sub(rsp, 0x28)?;
            a.address(rcx, Section::Page, 0)?;
            a.import("MmLockPagableDataSection")?;
            a.mov(rbx, rax)?;
            a.import("ExAllocatePool")?;
            a.test(rax, rax)?;
            a.je(none)?;
            kept(a)?;
            a.xor(eax, eax)?;
            a.jmp(end)?;
            a.set_label(&mut none)?;
            failed(a)?;
            a.mov(eax, 0xc000_009au32)?;
            a.set_label(&mut end)?;
            a.add(rsp, 0x28)?;
            a.ret()
        })
        .page(|a| a.ret())
}

fn stores(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.mov(qword_ptr(rax), rbx)
}

fn unlocks(a: &mut Routine<'_>) -> Result<(), IcedError> {
    a.mov(rcx, rbx)?;
    a.import("MmUnlockPagableImageSection")
}

fn nothing(_: &mut Routine<'_>) -> Result<(), IcedError> {
    Ok(())
}

/// K05: where one way keeps the handle and one that fails does not, the lock of the latter stays for ever.
#[test]
fn k05_a_way_that_fails_forgets_the_handle() {
    let left = [".text 2: UnloadWithLocks"];
    assert_eq!(findings(&create_locks(stores, nothing)), left);
    assert_eq!(findings(&create_locks(unlocks, nothing)), left);
    for failed in [unlocks, stores] {
        assert!(findings(&create_locks(stores, failed)).is_empty(), "the handle is kept, or the lock undone");
    }
    assert_eq!(findings(&create_locks(nothing, nothing)), left, "nobody unlocks, and the driver can be unloaded");
}

/// Handles that go where they are not followed count as kept.
#[test]
fn k05_a_handle_that_is_handed_over_is_kept() {
    let hands_over: [Step; 4] = [
        |a| {
            a.mov(rdx, rbx)?;
            a.routine(Section::Text, 1)
        },
        |a| {
            a.mov(qword_ptr(rsp + 0x20), rbx)?;
            a.lea(rcx, qword_ptr(rsp + 0x20))?;
            a.routine(Section::Text, 1)
        },
        |a| {
            a.mov(qword_ptr(rsp + 0x20), rbx)?;
            a.movups(xmm0, xmmword_ptr(rsp + 0x20))?;
            a.movups(xmmword_ptr(rsi), xmm0)
        },
        |a| a.xchg(qword_ptr(rsi), rbx),
    ];
    for failed in hands_over {
        assert!(findings(&create_locks(stores, failed)).is_empty());
    }
}

/// What was written for the tests is read as meant: the DPC runs at DISPATCH_LEVEL.
#[test]
fn a_probe_tells_the_level() {
    let source = Source::new(&IMPORTS).text(entry).text(add_device).text(|a| a.ret()).text(|a| {
        a.sub(rsp, 0x28)?;
        a.probe()?;
        a.add(rsp, 0x28)?;
        a.ret()
    });
    assert_eq!(probed(&source), [2]);
}

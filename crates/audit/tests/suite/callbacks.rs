//! Routines that drivers hand to the system: what they are called as, and at which levels.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use crate::assembled::{Routine, Section, Source, Step, audit, findings, is_virtual_miniport};

/// Where a structure lies on the stack, and another one.
const STRUCTURE: i32 = 0x60;
const OTHER: i32 = 0x160;

/// A driver whose entry point does this; its other routines only return.
fn driver(import: &'static str, step: impl Fn(&mut Routine<'_>) -> Result<(), IcedError> + 'static) -> Source {
    let source = Source::new(&[import]).text(move |a| {
        a.sub(rsp, 0x208)?;
        step(a)?;
        a.import(import)?;
        a.add(rsp, 0x208)?;
        a.ret()
    });
    (0..16).fold(source, |source, _| source.text(|a| a.ret()))
}

/// Numbers of routines, what they are and from where to where their IRQL goes.
fn entries(source: &Source) -> Vec<String> {
    let text = source.build().sections()[0].rva.0;
    let known = audit(source).entries.into_iter().filter(|entry| entry.role != "routine");
    let mut named: Vec<(u32, String)> = known
        .map(|entry| ((entry.routine.0 - text) / 0x100, format!("{} {}-{}", entry.role, entry.irql.0, entry.irql.1)))
        .filter(|(number, _)| *number > 0)
        .collect();
    named.sort();
    named.into_iter().map(|(number, role)| format!("{number} {role}")).collect()
}

fn parameter(number: u8) -> Option<AsmRegister64> {
    [rcx, rdx, r8, r9].get(usize::from(number) - 1).copied()
}

/// Passes the address of a routine.
fn pass(a: &mut Routine<'_>, number: u8, routine: usize) -> Result<(), IcedError> {
    match parameter(number) {
        Some(register) => a.address(register, Section::Text, routine),
        None => {
            a.address(rax, Section::Text, routine)?;
            a.mov(qword_ptr(rsp + (i32::from(number) - 1) * 8), rax)
        }
    }
}

/// Puts the addresses of routines 1, 2 and so on into a structure on the stack, at these offsets.
fn fill(a: &mut Routine<'_>, structure: i32, offsets: &[i32]) -> Result<(), IcedError> {
    for (index, offset) in offsets.iter().enumerate() {
        a.address(rax, Section::Text, index + 1)?;
        a.mov(qword_ptr(rsp + structure + *offset), rax)?;
    }
    Ok(())
}

#[test]
fn routines_in_parameters() {
    let cases: [(&str, u8, &str); 32] = [
        ("CmRegisterCallback", 1, "callback routine 0-0"),
        ("CmRegisterCallbackEx", 1, "callback routine 0-0"),
        ("EtwRegister", 2, "callback routine 0-0"),
        ("ExAllocateTimer", 1, "DPC routine 2-2"),
        ("ExRegisterCallback", 2, "callback routine 0-2"),
        ("IoConnectInterrupt", 2, "interrupt service routine 3-15"),
        ("IoInitializeTimer", 2, "`IoTimer` routine 2-2"),
        ("IoQueueWorkItem", 2, "work item routine 0-0"),
        ("IoRegisterContainerNotification", 2, "callback routine 0-1"),
        ("IoRegisterPlugPlayNotification", 5, "callback routine 0-0"),
        ("KeInitializeDpc", 2, "DPC routine 2-2"),
        ("KeInitializeThreadedDpc", 2, "DPC routine 0-2"),
        ("KeIpiGenericCall", 1, "`IpiBroadcast` routine 14-14"),
        ("KeRegisterBugCheckCallback", 2, "bug check callback routine 15-15"),
        ("KeRegisterBugCheckReasonCallback", 2, "bug check callback routine 15-15"),
        ("KeRegisterNmiCallback", 1, "bug check callback routine 15-15"),
        ("KeSynchronizeExecution", 2, "`SynchCritSection` routine 3-15"),
        ("NdisMRegisterUnloadHandler", 2, "`Unload` routine 0-0"),
        ("NdisMSynchronizeWithInterrupt", 2, "`SynchCritSection` routine 3-15"),
        ("NdisMSynchronizeWithInterruptEx", 3, "`SynchCritSection` routine 3-15"),
        ("NdisMInitializeTimer", 3, "DPC routine 2-2"),
        ("NdisQueueIoWorkItem", 2, "work item routine 0-0"),
        ("PcAddAdapterDevice", 3, "callback routine 0-0"),
        ("PcInitializeAdapterDriver", 3, "`AddDevice` routine 0-0"),
        ("PcRegisterIoTimeout", 2, "`IoTimer` routine 2-2"),
        ("PoRegisterPowerSettingCallback", 3, "callback routine 0-0"),
        ("PoRequestPowerIrp", 4, "callback routine 0-2"),
        ("PsCreateSystemThread", 6, "thread routine 0-0"),
        ("PsSetCreateProcessNotifyRoutineEx2", 2, "callback routine 0-0"),
        ("PsSetCreateThreadNotifyRoutine", 1, "callback routine 0-1"),
        ("PsSetLoadImageNotifyRoutine", 1, "callback routine 0-0"),
        ("StorPortSynchronizeAccess", 2, "`SynchCritSection` routine 3-15"),
    ];
    for (import, number, role) in cases {
        assert_eq!(entries(&driver(import, move |a| pass(a, number, 1))), [format!("1 {role}")], "{import}");
    }
}

#[test]
fn routines_in_structures() {
    let cases: [(&str, u8, &[i32], &[&str]); 12] = [
        ("IoConnectInterruptEx", 1, &[0x18], &["interrupt service routine 3-15"]),
        // Message-based, with what is used where the device has a line.
        (
            "IoConnectInterruptEx",
            1,
            &[0x18, 0x38],
            &["interrupt service routine 3-15", "interrupt service routine 3-15"],
        ),
        ("NdisAllocateTimerObject", 2, &[0x08], &["DPC routine 2-2"]),
        (
            "NdisMRegisterMiniport",
            2,
            &[0x20, 0x28, 0x30, 0x38, 0x58],
            &[
                "callback routine 0-0",
                "DPC routine 2-2",
                "callback routine 0-0",
                "interrupt service routine 3-15",
                "callback routine 0-2",
            ],
        ),
        (
            "NdisMRegisterInterruptEx",
            3,
            &[0x08, 0x10, 0x30, 0x38],
            &["interrupt service routine 3-15", "DPC routine 2-2", "interrupt service routine 3-15", "DPC routine 2-2"],
        ),
        (
            "NdisIMRegisterLayeredMiniport",
            2,
            &[0x30, 0x58, 0x78],
            &["callback routine 0-0", "callback routine 0-2", "callback routine 0-2"],
        ),
        ("NdisMRegisterDevice", 4, &[0x00, 0x70], &["dispatch routine 0-0", "dispatch routine 0-2"]),
        ("NdisRegisterProtocol", 3, &[0x38, 0x68], &["callback routine 0-2", "callback routine 0-2"]),
        ("NdisMRegisterScatterGatherDma", 2, &[0x10], &["callback routine 2-2"]),
        ("NdisRegisterProtocolDriver", 2, &[0x28, 0x68], &["callback routine 0-0", "callback routine 0-2"]),
        (
            "StorPortInitialize",
            3,
            &[0x10, 0x18, 0x28, 0x80],
            &[
                "`HwStorStartIo` routine 2-15",
                "interrupt service routine 3-15",
                "callback routine 2-2",
                "callback routine 2-2",
            ],
        ),
        ("WmiSystemControl", 1, &[0x10, 0x38], &["callback routine 0-0", "callback routine 0-0"]),
    ];
    for (import, number, offsets, roles) in cases {
        let source = driver(import, move |a| {
            fill(a, STRUCTURE, offsets)?;
            a.lea(parameter(number).expect("a register"), qword_ptr(rsp + STRUCTURE))
        });
        let expected: Vec<String> = roles.iter().enumerate().map(|(n, role)| format!("{} {role}", n + 1)).collect();
        assert_eq!(entries(&source), expected, "{import}");
    }
}

#[test]
fn routines_in_a_structure_that_another_one_names() {
    let cases: [(&str, u8, i32, &[i32], &str); 4] = [
        ("NdisRegisterDeviceEx", 2, 0x18, &[0x00, 0xd8], "dispatch routine 0-0"),
        ("NdisRegisterDeviceEx", 2, 0x18, &[0x70, 0x78], "dispatch routine 0-2"),
        ("ObRegisterCallbacks", 1, 0x20, &[0x10, 0x18], "callback routine 0-0"),
        ("WskRegister", 1, 0x08, &[0x08], "callback routine 0-2"),
    ];
    for (import, number, pointer, offsets, role) in cases {
        let source = driver(import, move |a| {
            fill(a, OTHER, offsets)?;
            a.lea(rax, qword_ptr(rsp + OTHER))?;
            a.mov(qword_ptr(rsp + STRUCTURE + pointer), rax)?;
            a.lea(parameter(number).expect("a register"), qword_ptr(rsp + STRUCTURE))
        });
        let expected: Vec<String> = (1..=offsets.len()).map(|number| format!("{number} {role}")).collect();
        assert_eq!(entries(&source), expected, "{import}");
    }
}

/// Virtual miniports have HwStorFreeAdapterResources: their HwStorStartIo comes at any level up to DISPATCH_LEVEL.
#[test]
fn virtual_miniports_of_storport() {
    let initialise: Step = |a| {
        fill(a, STRUCTURE, &[0x10, 0x88])?;
        a.lea(r8, qword_ptr(rsp + STRUCTURE))
    };
    let on_stack = driver("StorPortInitialize", initialise);
    let in_image = driver("StorPortInitialize", |a| a.data(r8, 0)).pointer(0x10, 1).pointer(0x88, 2);
    for source in [on_stack, in_image] {
        let expected = ["1 callback routine 0-2", "2 `HwStorFreeAdapterResources` routine 0-15"];
        assert_eq!(entries(&source), expected);
        assert!(is_virtual_miniport(&source));
    }
    let physical = driver("StorPortInitialize", |a| a.data(r8, 0)).pointer(0x10, 1);
    assert_eq!(entries(&physical), ["1 `HwStorStartIo` routine 2-15"]);
    assert!(!is_virtual_miniport(&physical));
}

/// StorPortNotification stands for several routines of storport.h, ScsiPortNotification for some of srb.h.
#[test]
fn timers_and_dpcs_of_miniports() {
    let cases: [(&str, u32, u8, &str); 5] = [
        ("ScsiPortNotification", 4, 3, "`SynchCritSection` routine 3-15"),
        ("ScsiPortNotification", 6, 3, "timer routine of a miniport 2-15"),
        ("StorPortNotification", 6, 3, "timer routine of a miniport 2-15"),
        ("StorPortNotification", 0x1000, 3, "callback routine 0-0"),
        ("StorPortNotification", 0x1001, 4, "DPC routine 2-2"),
    ];
    for (import, kind, number, role) in cases {
        let source = driver(import, move |a| {
            a.mov(ecx, kind)?;
            pass(a, number, 1)
        });
        assert_eq!(entries(&source), [format!("1 {role}")]);
    }
}

/// A KSDEVICE_DESCRIPTOR with a dispatch table, one filter, and one pin.
#[test]
fn descriptors_of_avstream() {
    let source = driver("KsInitializeDriver", |a| a.data(r8, 0))
        .place(0x00, 0x20)
        .number(0x08, 1)
        .place(0x10, 0x18)
        .place(0x18, 0xa0)
        .pointer(0x20, 1) // Add
        .pointer(0x20 + 0x60, 2) // SetPower
        .place(0xa0, 0xe0)
        .number(0xa0 + 0x20, 1)
        .number(0xa0 + 0x24, 0x100)
        .place(0xa0 + 0x28, 0x120)
        .pointer(0xe0, 3) // Create
        .pointer(0xe0 + 0x10, 4) // Process
        .place(0x120, 0x140)
        .pointer(0x140 + 0x08, 5) // Close
        .pointer(0x140 + 0x10, 6); // Process
    let expected = [
        "1 callback routine 0-0",
        "2 callback routine 0-2",
        "3 callback routine 0-0",
        "4 callback routine 0-2",
        "5 callback routine 0-0",
        "6 callback routine 0-2",
    ];
    assert_eq!(entries(&source), expected);
    let filter = driver("KsCreateFilterFactory", |a| a.data(rdx, 0)).place(0, 0x40).pointer(0x40 + 0x10, 1);
    assert_eq!(entries(&filter), ["1 callback routine 0-2"]);
    let filter = driver("BdaCreateFilterFactory", |a| a.data(rdx, 0)).place(0, 0x40).pointer(0x40 + 0x10, 1);
    assert_eq!(entries(&filter), ["1 callback routine 0-2"]);
}

/// IInterruptSync::RegisterServiceRoutine and CallSynchronizedRoutine of the object that PcNewInterruptSync has just made, which
/// lies in a variable or in the object of the miniport.
#[test]
fn routines_of_an_interrupt_sync_object() {
    let made = |place: fn() -> AsmMemoryOperand, between: Step| {
        let source = Source::new(&["PcNewInterruptSync"]).text(move |a| {
            a.mov(rbx, rcx)?;
            a.sub(rsp, 0x48)?;
            a.lea(rcx, place())?;
            a.import("PcNewInterruptSync")?;
            between(a)?;
            for (method, routine) in [(0x38, 1), (0x18, 2)] {
                a.mov(rcx, place())?;
                a.address(rdx, Section::Text, routine)?;
                a.mov(rax, qword_ptr(rcx))?;
                a.call(qword_ptr(rax + method))?;
            }
            a.add(rsp, 0x48)?;
            a.ret()
        });
        entries(&(0..4).fold(source, |source, _| source.text(|a| a.ret())))
    };
    let of_object = || qword_ptr(rbx + 0x30);
    let both = ["1 interrupt service routine 3-15", "2 `SynchCritSection` routine 3-15"];
    assert_eq!(made(|| qword_ptr(rsp + 0x40), |_| Ok(())), both);
    assert_eq!(made(of_object, |_| Ok(())), both);
    let none: [String; 0] = [];
    assert_eq!(made(of_object, |a| a.mov(qword_ptr(rbx + 0x30), rax)), none, "another object is stored");
    assert_eq!(made(of_object, |a| a.routine(Section::Text, 3)), none, "another routine may store another");
}

/// Code without optimisation keeps its parameters above the return address, where no callee writes that has the address of a
/// variable.
#[test]
fn a_driver_object_that_lies_above_the_return_address() {
    let source = Source::new(&["RtlInitUnicodeString"]).text(|a| {
        a.mov(qword_ptr(rsp + 8), rcx)?;
        a.sub(rsp, 0x38)?;
        a.lea(rcx, qword_ptr(rsp + 0x20))?;
        a.import("RtlInitUnicodeString")?;
        a.lea(rcx, qword_ptr(rsp + 0x20))?;
        a.routine(Section::Text, 2)?;
        a.mov(rax, qword_ptr(rsp + 0x40))?;
        a.address(rcx, Section::Text, 1)?;
        a.mov(qword_ptr(rax + 0x68), rcx)?;
        a.add(rsp, 0x38)?;
        a.ret()
    });
    let source = source.text(|a| a.ret()).text(|a| a.ret());
    assert_eq!(entries(&source), ["1 `Unload` routine 0-0"]);
}

/// K13: a bug check callback runs at HIGH_LEVEL.
#[test]
fn k13_a_bug_check_callback_in_pageable_code() {
    let source = driver("KeRegisterBugCheckCallback", |a| a.address(rdx, Section::Page, 0)).page(|a| a.ret());
    assert_eq!(findings(&source), ["PAGE 0: PageableCode"]);
}

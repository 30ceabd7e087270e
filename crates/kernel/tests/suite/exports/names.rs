//! Names, handles and objects; files by name.

use nt_types::Va;
use nt_types::layout::{driver_object, irp};

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// ddi: IoCreateSymbolicLink, ZwOpenSymbolicLinkObject, IoDeleteSymbolicLink.
#[test]
fn symbolic_links_lead_somewhere() {
    let mut probe = Probe::plain();
    let (link, target) =
        (probe.unicode(probe.place(0), "\\DosDevices\\X"), probe.unicode(probe.place(1), "\\Device\\X"));
    let (slot, text) = (probe.place(2), probe.place(3));
    for create in ["IoCreateSymbolicLink", "IoCreateUnprotectedSymbolicLink"] {
        assert_eq!(probe.ask(create, &[link, target]).expect("it returns"), 0, "{create}");
        check_status!(probe, "IoCreateSymbolicLink", [link, target] => OBJECT_NAME_COLLISION);
        let attributes = probe.attributes(probe.place(4), "\\??\\x", 0x40);
        check_status!(probe, "ZwOpenSymbolicLinkObject", [slot, 1, attributes] => SUCCESS);
        let handle = probe.word(slot);
        let buffer = probe.ask("ExAllocatePool", &[0, 64]).expect("there is memory");
        probe.set_word(text, 64 << 16);
        probe.set_word(text + 8, buffer);
        check_status!(probe, "ZwQuerySymbolicLinkObject", [handle, text, slot] => SUCCESS);
        assert_eq!(probe.text_at(text), "\\Device\\X");
        check_status!(probe, "ZwMakeTemporaryObject", [handle] => SUCCESS);
        check_status!(probe, "ZwClose", [handle] => SUCCESS);
        check_status!(probe, "ZwClose", [handle] => INVALID_HANDLE);
        check_status!(probe, "IoDeleteSymbolicLink", [link] => SUCCESS);
        check_status!(probe, "IoDeleteSymbolicLink", [link] => OBJECT_NAME_NOT_FOUND);
    }
}

/// ddi: ZwOpenEvent, IoCreateNotificationEvent, ZwSetEvent, ZwDuplicateObject, NtClose, ObCloseHandle.
#[test]
fn events_by_name_and_handle() {
    let mut probe = Probe::plain();
    let (slot, before) = (probe.place(0), probe.place(1));
    let attributes = probe.attributes(probe.place(2), "\\BaseNamedObjects\\E", 0);
    check_status!(probe, "ZwOpenEvent", [slot, 0, attributes] => OBJECT_NAME_NOT_FOUND);
    let name = probe.unicode(probe.place(4), "\\BaseNamedObjects\\E");
    let event = probe.ask("IoCreateNotificationEvent", &[name, slot]).expect("there is memory");
    check!(probe, "IoCreateSynchronizationEvent", [name, slot] => event);
    check_status!(probe, "ZwOpenEvent", [slot, 0, attributes] => SUCCESS);
    let handle = probe.word(slot);
    check!(probe, "KeReadStateEvent", [event] => 1);
    check_status!(probe, "ZwResetEvent", [handle, before] => SUCCESS);
    assert_eq!(probe.half(before), 1);
    check_status!(probe, "ZwSetEvent", [handle, before] => SUCCESS);
    assert_eq!(probe.half(before), 0);
    check_status!(probe, "ZwWaitForSingleObject", [handle, 0, 0] => SUCCESS);
    check_status!(probe, "ZwClearEvent", [handle] => SUCCESS);
    check!(probe, "KeReadStateEvent", [event] => 0);
    check_status!(probe, "ZwDuplicateObject", [u64::MAX, handle, u64::MAX, slot, 0, 0, 2] => SUCCESS);
    let copy = probe.word(slot);
    check_status!(probe, "NtClose", [handle] => SUCCESS);
    check_status!(probe, "ZwSetEvent", [copy, 0] => SUCCESS);
    check_status!(probe, "ObCloseHandle", [copy, 0] => SUCCESS);
    assert!(
        probe.refused("ZwDuplicateObject", &[u64::MAX, u64::MAX, u64::MAX, slot, 0, 0, 1]).contains("CLOSE_SOURCE")
    );
}

/// ddi: ObReferenceObjectByPointer, ObOpenObjectByPointer, ObQueryNameString.
#[test]
fn objects_are_referenced() {
    let mut probe = Probe::plain();
    let (device, driver, slot) = (probe.device(), probe.driver(), probe.place(0));
    let kind = |name: &str, probe: &mut Probe| {
        let variable = probe.machine.kernel_images().export("ntoskrnl.exe", name).expect("it is exported");
        probe.word(variable.0)
    };
    let (devices, drivers) = (kind("IoDeviceObjectType", &mut probe), kind("IoDriverObjectType", &mut probe));
    check_status!(probe, "ObReferenceObjectByPointer", [device, 0, devices, 0] => SUCCESS);
    check_status!(probe, "ObReferenceObjectByPointer", [device, 0, drivers, 0] => OBJECT_TYPE_MISMATCH);
    check_status!(probe, "ObOpenObjectByPointer", [device, 0x200, 0, 0, devices, 0, slot] => SUCCESS);
    for name in [
        "ObfReferenceObject",
        "ObfReferenceObjectWithTag",
        "ObfDereferenceObject",
        "ObfDereferenceObjectWithTag",
        "ObDereferenceObjectDeferDelete",
        "ObMakeTemporaryObject",
    ] {
        probe.ask(name, &[device, 0]).expect("it returns");
    }
    let information = probe.place(1);
    check_status!(probe, "ObQueryNameString", [driver, information, 4, slot] => INFO_LENGTH_MISMATCH);
    check_status!(probe, "ObQueryNameString", [driver, information, 0x60, slot] => SUCCESS);
    assert_eq!(probe.text_at(information), "\\Driver\\probe");
    let name = probe.unicode(probe.place(4), "\\Driver\\probe");
    let by_name = [name, 0, 0, 0, drivers, 0, 0, slot];
    check_status!(probe, "ObReferenceObjectByName", by_name => SUCCESS);
    assert_eq!(probe.word(slot), driver);
}

/// ddi: IoGetDeviceObjectPointer, ZwOpenFile, IoCreateFile: each is a request to create at the device's driver.
#[test]
fn devices_are_opened_by_name() {
    for (name, arguments) in [
        ("IoGetDeviceObjectPointer", &["name", "access", "slot", "slot"][..]),
        ("ZwOpenFile", &["slot", "access", "attributes", "status", "zero", "zero"]),
        ("IoCreateFile", &["slot", "access", "attributes", "status", "zero", "zero", "zero", "open", "zero"]),
    ] {
        let mut probe = Probe::plain();
        let driver = probe.driver();
        // The driver's own routines stay those that refuse: STATUS_INVALID_DEVICE_REQUEST.
        let device = probe.unicode(probe.place(0), "\\Device\\Y");
        let (slot, status) = (probe.place(1), probe.place(2));
        check_status!(probe, "IoCreateDevice", [driver, 0, device, 0x22, 0, 0, slot] => SUCCESS);
        let attributes = probe.attributes(probe.place(4), "\\Device\\Y", 0);
        let values: Vec<u64> = arguments
            .iter()
            .map(|argument| match *argument {
                "name" => device,
                "access" => 0x8000_0000,
                "slot" => slot,
                "attributes" => attributes,
                "status" => status,
                "open" => 1,
                _ => 0,
            })
            .collect();
        assert_eq!(probe.ask(name, &values).expect("it returns") as u32, 0xC000_0010, "{name}");
    }
}

/// ddi: IoGetAttachedDevice, IoRegisterDriverReinitialization, IoInitializeIrp, PoCallDriver and the cancel spin lock.
#[test]
fn requests_and_drivers() {
    let mut probe = Probe::plain();
    let (device, driver, recorder) = (probe.device(), probe.driver(), probe.recorder().0);
    check!(probe, "IoGetAttachedDevice", [device] => device);
    check!(probe, "IoGetAttachedDeviceReference", [device] => device);
    let extension = probe.word(driver_object::DRIVER_EXTENSION.at(Va(driver)).0);
    for (count, name) in (1..).zip(["IoRegisterDriverReinitialization", "IoRegisterBootDriverReinitialization"]) {
        probe.ask(name, &[driver, recorder, 0]).expect("it returns");
        assert_eq!(probe.half(extension + 0x10), count, "{name}");
    }
    let request = probe.ask("ExAllocatePool", &[0, 0x200]).expect("there is memory");
    probe.ask("IoInitializeIrp", &[request, 0x160, 2]).expect("it returns");
    assert_eq!(probe.bytes(irp::STACK_COUNT.at(Va(request)).0, 2), [2, 3]);
    probe.ask("PoStartNextPowerIrp", &[request]).expect("it returns");
    probe.record_returning(0x103);
    check_status!(probe, "PoCallDriver", [device, request] => PENDING);
    assert_eq!(probe.recorded().1[..2], [device, request]);
    let slot = probe.place(0);
    let acquire = probe.export("IoAcquireCancelSpinLock");
    probe.call(1, acquire, [slot, 0]).expect("it returns");
    assert_eq!(probe.bytes(slot, 1), [1]);
    let release = probe.export("IoReleaseCancelSpinLock");
    probe.call(2, release, [0, 0]).expect("it returns");
    check_flag!(probe, "IoCancelIrp", [request] => false);
}

/// ddi: MmGetSystemRoutineAddress: exports by name, NULL for what there is not.
#[test]
fn routines_by_name() {
    let mut probe = Probe::plain();
    let name = probe.unicode(probe.place(0), "KeSetEvent");
    let known = probe.export("KeSetEvent").0;
    check!(probe, "MmGetSystemRoutineAddress", [name] => known);
    let name = probe.unicode(probe.place(0), "NoSuchRoutine");
    check!(probe, "MmGetSystemRoutineAddress", [name] => 0);
}

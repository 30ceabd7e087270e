//! What the system tells about itself, processes, memory of the process, tokens.

use nt_types::Va;

use super::{check, check_flag, check_status};
use crate::probe::Probe;

const CURRENT: u64 = u64::MAX;

/// ddi: ZwQuerySystemInformation, for each class that is modelled.
#[test]
fn the_system_describes_itself() {
    let mut probe = Probe::plain();
    let (buffer, result) = (probe.place(0), probe.place(20));
    let large = probe.ask("ExAllocatePoolWithTag", &[0, 0x4000, 1]).expect("there is memory");
    for (class, size) in [(0, 0x40), (1, 12), (3, 0x30), (35, 2), (103, 8)] {
        check_status!(probe, "ZwQuerySystemInformation", [class, buffer, size - 1, result] => INFO_LENGTH_MISMATCH);
        assert_eq!(u64::from(probe.half(result)), size);
        check_status!(probe, "NtQuerySystemInformation", [class, buffer, size, result] => SUCCESS);
    }
    check_status!(probe, "ZwQuerySystemInformation", [0, buffer, 0x40, 0] => SUCCESS);
    assert_eq!((probe.half(buffer + 8), probe.half(buffer + 0x38) & 0xFF), (4096, 1));
    check_status!(probe, "ZwQuerySystemInformation", [11, large, 0x4000, result] => SUCCESS);
    let base = probe.base.0;
    assert_eq!(probe.half(large), 4, "ntoskrnl.exe, hal.dll, wmilib.sys and the probe");
    assert_eq!(probe.word(large + 8 + 3 * 0x128 + 0x10), base);
    let offset = u64::from(probe.half(large + 8 + 3 * 0x128 + 0x24) >> 16);
    assert_eq!(probe.bytes(large + 8 + 3 * 0x128 + 0x28 + offset, 10), b"probe.sys\0");
    check_status!(probe, "ZwQuerySystemInformation", [5, large, 0x4000, result] => SUCCESS);
    let system = large + u64::from(probe.half(large));
    assert_eq!((probe.word(system + 0x50), probe.text_at(system + 0x38)), (4, "System".to_owned()));
    for name in ["ZwQuerySystemInformation", "ZwSetSystemInformation"] {
        assert!(Probe::plain().refused(name, &[16, buffer, 64, result]).contains("16"), "{name}");
    }
    assert!(Probe::plain().refused("ZwPowerInformation", &[4, 0, 0, 0, 0]).contains('4'));
}

/// ddi: ZwOpenProcess, ZwQueryInformationProcess.
#[test]
fn there_is_one_process() {
    let mut probe = Probe::plain();
    let [slot, client, buffer, result] = [0, 1, 2, 3].map(|index| probe.place(index));
    probe.set_word(client, 100);
    check_status!(probe, "ZwOpenProcess", [slot, 0, 0, client] => INVALID_CID);
    check_status!(probe, "ZwOpenProcess", [slot, 0, 0, 0] => INVALID_PARAMETER_MIX);
    probe.set_word(client, 4);
    check_status!(probe, "ZwOpenProcess", [slot, 0, 0, client] => SUCCESS);
    let handle = probe.word(slot);
    check_status!(probe, "ZwQueryInformationProcess", [handle, 0, buffer, 8, result] => INFO_LENGTH_MISMATCH);
    check_status!(probe, "NtQueryInformationProcess", [handle, 0, buffer, 0x30, result] => SUCCESS);
    assert_eq!((probe.word(buffer + 0x20), probe.half(result)), (4, 0x30));
    for class in [26, 27, 43] {
        check_status!(probe, "ZwQueryInformationProcess", [CURRENT, class, buffer, 0x40, 0] => SUCCESS);
    }
    check_status!(probe, "ZwTerminateProcess", [0x5550, 0] => INVALID_HANDLE);
    assert!(probe.refused("ZwTerminateProcess", &[handle, 0]).contains("system process"));
    let mut probe = Probe::plain();
    let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
    let name = probe.ask("PsGetProcessImageFileName", &[process]).expect("it has a name");
    assert_eq!(probe.bytes(name, 7), b"System\0");
    check!(probe, "PsGetProcessSectionBaseAddress", [process] => 0);
    check!(probe, "PsGetProcessInheritedFromUniqueProcessId", [process] => 0);
    let token = probe.ask("PsReferencePrimaryToken", &[process]).expect("it has a token");
    probe.ask("PsDereferencePrimaryToken", &[token]).expect("it is referenced");
    check!(probe, "PsReferencePrimaryToken", [process] => token);
}

/// ddi: ZwOpenProcessTokenEx, ZwQueryInformationToken, SeQueryInformationToken: the local system.
#[test]
fn the_token_is_the_local_systems() {
    let mut probe = Probe::plain();
    let [slot, buffer, result] = [0, 1, 2].map(|index| probe.place(index));
    let sid = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    check_status!(probe, "ZwOpenProcessToken", [CURRENT, 8, slot] => SUCCESS);
    check_status!(probe, "ZwOpenProcessTokenEx", [CURRENT, 8, 0x200, slot] => SUCCESS);
    check_status!(probe, "ZwOpenThreadTokenEx", [CURRENT - 1, 8, 1, 0x200, slot] => NO_TOKEN);
    let token = probe.word(slot);
    check_status!(probe, "ZwQueryInformationToken", [token, 1, buffer, 4, result] => BUFFER_TOO_SMALL);
    check_status!(probe, "ZwQueryInformationToken", [token, 1, buffer, 0x40, result] => SUCCESS);
    let at = probe.word(buffer);
    assert_eq!((at, probe.bytes(at, 12)), (buffer + 16, sid.to_vec()));
    check_status!(probe, "ObReferenceObjectByHandle", [token, 0, 0, 0, slot, 0] => SUCCESS);
    let body = probe.word(slot);
    check_status!(probe, "SeQueryInformationToken", [body, 1, slot] => SUCCESS);
    let user = probe.word(slot);
    let at = probe.word(user);
    assert_eq!(probe.bytes(at, 12), sid);
    check_status!(probe, "SeQueryInformationToken", [body, 12, slot] => SUCCESS);
    assert_eq!(probe.half(slot), 0);
    assert!(probe.refused("ZwQueryInformationToken", &[token, 2, buffer, 0x40, result]).contains('2'));
}

/// ddi: ZwAllocateVirtualMemory and its kin.
#[test]
fn memory_of_the_process() {
    let mut probe = Probe::plain();
    let [base, size, old, buffer] = [0, 1, 2, 3].map(|index| probe.place(index));
    probe.set_word(size, 0x1800);
    check_status!(probe, "ZwAllocateVirtualMemory", [CURRENT, base, 0, size, 0x3000, 1] => INVALID_PAGE_PROTECTION);
    check_status!(probe, "ZwAllocateVirtualMemory", [CURRENT, base, 0, size, 0x3000, 4] => SUCCESS);
    let address = probe.word(base);
    assert_eq!(probe.word(size), 0x2000);
    probe.set_word(address, 1);
    check_status!(probe, "ZwProtectVirtualMemory", [CURRENT, base, size, 2, old] => SUCCESS);
    assert_eq!(probe.half(old), 4);
    assert!(probe.machine.write_u64(Va(address), 1).is_err(), "it is read-only");
    check_status!(probe, "ZwLockVirtualMemory", [CURRENT, base, size, 1] => SUCCESS);
    check_status!(probe, "ZwQueryVirtualMemory", [CURRENT, address + 0x1000, 0, buffer, 0x30, old] => SUCCESS);
    assert_eq!([0, 8, 24].map(|offset| probe.word(buffer + offset)), [address + 0x1000, address, 0x1000]);
    assert_eq!([0x10, 0x20, 0x24].map(|offset| probe.half(buffer + offset)), [4, 0x1000, 2]);
    probe.set_word(size, 0);
    check_status!(probe, "ZwFreeVirtualMemory", [CURRENT, base, size, 0x8000] => SUCCESS);
    probe.set_word(size, 0);
    check_status!(probe, "ZwFreeVirtualMemory", [CURRENT, base, size, 0x8000] => MEMORY_NOT_ALLOCATED);
    check_status!(probe, "ZwProtectVirtualMemory", [CURRENT, base, size, 2, old] => CONFLICTING_ADDRESSES);
    check_status!(probe, "ZwQueryVirtualMemory", [CURRENT, address, 0, buffer, 0x30, 0] => SUCCESS);
    assert_eq!(probe.half(buffer + 0x20), 0x1_0000, "free");
    assert!(probe.refused("ZwFreeVirtualMemory", &[CURRENT, base, size, 0x4000]).contains("0x4000"));
}

/// ddi: MmCopyMemory: as far as there is memory, and never a bug check.
#[test]
fn copies_stop_where_memory_ends() {
    let mut probe = Probe::plain();
    let [target, source, count] = [0, 1, 2].map(|index| probe.place(index));
    probe.set_bytes(source, b"data");
    check_status!(probe, "MmCopyMemory", [target, source, 4, 2, count] => SUCCESS);
    assert_eq!((probe.bytes(target, 4), probe.word(count)), (b"data".to_vec(), 4));
    assert_eq!(probe.ask("MmCopyMemory", &[target, 0x1000, 4, 2, count]).expect("it fails"), 0xC000_0141);
    assert_eq!(probe.word(count), 0);
    let physical = probe.ask("MmGetPhysicalAddress", &[source]).expect("it is resident");
    check_status!(probe, "MmCopyMemory", [target + 8, physical, 4, 1, count] => SUCCESS);
    assert_eq!(probe.bytes(target + 8, 4), b"data");
    assert_eq!(probe.ask("MmCopyMemory", &[target, 0xFFFF_FFFF_F000, 4, 1, count]).expect("it fails"), 0xC000_0141);
    check_status!(probe, "MmCopyMemory", [target, source, 4, 3, count] => INVALID_PARAMETER);
    let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
    check_status!(probe, "MmCopyVirtualMemory", [process, source, process, target, 4, 0, count] => SUCCESS);
    check_status!(probe, "MmCopyVirtualMemory", [process, 0x1000, process, target, 4, 0, count] => PARTIAL_COPY);
}

/// ddi: ObRegisterCallbacks, CmRegisterCallbackEx: while routines are registered, what they would see is refused.
#[test]
fn watched_operations_are_refused() {
    let mut probe = Probe::plain();
    let [registration, operations, slot, client] = [0, 2, 3, 4].map(|index| probe.place(index));
    check!(probe, "ObGetFilterVersion", [] => 0x100);
    let kinds = probe.machine.kernel_images().export("ntoskrnl.exe", "PsProcessType").expect("it is exported");
    probe.set_word(registration, 0x100 | 1 << 16);
    probe.unicode(registration + 8, "321000");
    probe.set_word(registration + 32, operations);
    probe.set_word(operations, kinds.0);
    check_status!(probe, "ObRegisterCallbacks", [registration, slot] => SUCCESS);
    check_status!(probe, "ObRegisterCallbacks", [registration, client] => FLT_INSTANCE_ALTITUDE_COLLISION);
    probe.set_word(client, 4);
    assert!(probe.refused("ZwOpenProcess", &[client + 8, 0, 0, client]).contains("ObRegisterCallbacks"));
    let mut probe = Probe::plain();
    probe.set_word(registration, 0x100 | 1 << 16);
    probe.unicode(registration + 8, "321000");
    probe.set_word(registration + 32, operations);
    probe.set_word(operations, kinds.0);
    check_status!(probe, "ObRegisterCallbacks", [registration, slot] => SUCCESS);
    let handle = probe.word(slot);
    probe.ask("ObUnRegisterCallbacks", &[handle]).expect("it is registered");
    probe.set_word(registration, 0x200 | 1 << 16);
    check_status!(probe, "ObRegisterCallbacks", [registration, slot] => INVALID_PARAMETER);
}

#[test]
fn a_watched_registry_is_refused() {
    let mut probe = Probe::plain();
    let [altitude, cookie, slot] = [0, 1, 2].map(|index| probe.place(index));
    probe.ask("CmGetCallbackVersion", &[slot, slot + 8]).expect("it is known");
    assert_eq!(probe.half(slot), 1);
    let altitude = probe.unicode(altitude, "380000");
    let recorder = probe.recorder().0;
    check_status!(probe, "CmRegisterCallbackEx", [recorder, altitude, 0, 0, cookie, 0] => SUCCESS);
    check_status!(probe, "CmRegisterCallbackEx", [recorder, altitude, 0, 0, slot, 0] => FLT_INSTANCE_ALTITUDE_COLLISION);
    check_status!(probe, "CmRegisterCallback", [recorder, 0, slot] => SUCCESS);
    for place in [cookie, slot] {
        let issued = probe.word(place);
        check_status!(probe, "CmUnRegisterCallback", [issued] => SUCCESS);
        check_status!(probe, "CmUnRegisterCallback", [issued] => INVALID_PARAMETER);
    }
    let attributes = probe.attributes(probe.place(3), "\\Registry\\Machine", 0);
    check_status!(probe, "ZwOpenKey", [slot, 0, attributes] => SUCCESS);
    check_status!(probe, "CmRegisterCallback", [recorder, 0, cookie] => SUCCESS);
    assert!(probe.refused("ZwOpenKey", &[slot, 0, attributes]).contains("CmRegisterCallback"));
}

/// ddi: ZwCreateDirectoryObject, ZwOpenDirectoryObject.
#[test]
fn directories_of_the_name_space() {
    let mut probe = Probe::plain();
    let slot = probe.place(0);
    let system = probe.attributes(probe.place(1), "\\Device", 0);
    check_status!(probe, "ZwOpenDirectoryObject", [slot, 0, system] => SUCCESS);
    let own = probe.attributes(probe.place(1), "\\Device\\Mine", 0);
    check_status!(probe, "ZwOpenDirectoryObject", [slot, 0, own] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "ZwCreateDirectoryObject", [slot, 0, own] => SUCCESS);
    check_status!(probe, "ZwCreateDirectoryObject", [slot, 0, own] => OBJECT_NAME_COLLISION);
    let again = probe.attributes(probe.place(1), "\\device\\mine", 0x80);
    check_status!(probe, "ZwCreateDirectoryObject", [slot, 0, again] => OBJECT_NAME_EXISTS);
    let handle = probe.word(slot);
    check_status!(probe, "ObReferenceObjectByHandle", [handle, 0, 0, 0, slot, 0] => SUCCESS);
}

/// ddi: IoGetStackLimits, ExSetTimerResolution, ZwYieldExecution and other questions with one answer here.
#[test]
fn plain_questions() {
    let mut probe = Probe::plain();
    let [low, high] = [0, 1].map(|index| probe.place(index));
    probe.ask("IoGetStackLimits", &[low, high]).expect("there is a stack");
    assert_eq!(probe.word(high) - probe.word(low), 0x6000);
    let left = probe.ask("IoGetRemainingStackSize", &[]).expect("there is a stack");
    assert!((0x4000..0x6000).contains(&left), "{left:#x}");
    let (recorder, before) = (probe.recorder().0, probe.recorded().0);
    probe.record_returning(7);
    check_status!(probe, "KeExpandKernelStackAndCallout", [recorder, 0x55, 0x2000] => SUCCESS);
    assert_eq!((probe.recorded().0, probe.recorded().1[0]), (before + 1, 0x55));
    assert!(probe.refused("KeExpandKernelStackAndCallout", &[recorder, 0, 0x6000]).contains("0x6000"));
    let mut probe = Probe::plain();
    let top = probe.ask("IoGetInitialStack", &[]).expect("there is a stack");
    assert_eq!(top % 0x1000, 0);
    check!(probe, "ExSetTimerResolution", [10_000, 1] => 156_250);
    probe.ask("ExQueryTimerResolution", &[low, high, high]).expect("it is known");
    assert_eq!(probe.half(low), 156_250);
    probe.ask("KeFlushEntireTb", &[1, 1]).expect("nothing to do");
    check_flag!(probe, "KeInvalidateAllCaches", [] => true);
    check!(probe, "ZwYieldExecution", [] => 0x4000_0024);
    check_flag!(probe, "IoSetThreadHardErrorMode", [0] => true);
    let (thread, device) = (probe.place(2), probe.place(3));
    check!(probe, "IoGetDeviceToVerify", [thread] => 0);
    probe.ask("IoSetDeviceToVerify", &[thread, device]).expect("it is kept");
    check!(probe, "IoGetDeviceToVerify", [thread] => device);
    let request = probe.place(4);
    probe.set_word(nt_types::layout::irp::TAIL_OVERLAY_THREAD.at(Va(request)).0, thread);
    probe.ask("IoSetHardErrorOrVerifyDevice", &[request, request]).expect("it is kept");
    check!(probe, "IoGetDeviceToVerify", [thread] => request);
    assert!(probe.refused("IoRaiseHardError", &[request, 0, 0]).contains("nobody"));
}

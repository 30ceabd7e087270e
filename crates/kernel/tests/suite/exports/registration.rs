//! Registrations that nothing answers here: event tracing, bug check callbacks; access checks; threads by identifier.

use nt_types::NtStatus;

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// ddi: EtwRegister, EtwWrite, EtwEventEnabled, without a session.
#[test]
fn event_providers_without_a_session() {
    let mut probe = Probe::plain();
    let (guid, slot) = (probe.place(0), probe.place(1));
    check_status!(probe, "EtwRegister", [guid, 0, 0, slot] => SUCCESS);
    let handle = probe.word(slot);
    check_flag!(probe, "EtwEventEnabled", [handle, guid] => false);
    check_flag!(probe, "EtwProviderEnabled", [handle, 4, 1] => false);
    for (name, rest) in [
        ("EtwWrite", &[guid, 0, 0, 0][..]),
        ("EtwWriteTransfer", &[guid, 0, 0, 0, 0]),
        ("EtwSetInformation", &[2, guid, 4]),
    ] {
        let arguments = |handle| std::iter::once(handle).chain(rest.iter().copied()).collect::<Vec<u64>>();
        assert_eq!(probe.ask(name, &arguments(handle)).expect("it returns"), 0, "{name}");
        let unknown = probe.ask(name, &arguments(77)).expect("it returns") as u32;
        assert_eq!(unknown, NtStatus::INVALID_HANDLE.0, "{name}");
    }
    check_status!(probe, "EtwUnregister", [handle] => SUCCESS);
    check_status!(probe, "EtwUnregister", [handle] => INVALID_HANDLE);
}

/// ddi: KeRegisterBugCheckCallback, KeRegisterBugCheckReasonCallback.
#[test]
fn bug_check_callbacks_are_registered_once() {
    let mut probe = Probe::plain();
    let (record, recorder) = (probe.place(0), probe.recorder().0);
    for (register, arguments, deregister) in [
        ("KeRegisterBugCheckCallback", vec![record, recorder, 0, 0, 0], "KeDeregisterBugCheckCallback"),
        ("KeRegisterBugCheckReasonCallback", vec![record, recorder, 1, 0], "KeDeregisterBugCheckReasonCallback"),
    ] {
        for expected in [1, 0] {
            assert_eq!(probe.ask(register, &arguments).expect("it returns") as u8, expected, "{register}");
        }
        for expected in [1, 0] {
            assert_eq!(probe.ask(deregister, &[record]).expect("it returns") as u8, expected, "{deregister}");
        }
    }
}

/// ddi: SeAccessCheck, IoGetFileObjectGenericMapping, SeValidSecurityDescriptor.
#[test]
fn kernel_mode_is_granted_everything() {
    let mut probe = Probe::plain();
    let [descriptor, granted, status, relative] = [0, 1, 2, 3].map(|index| probe.place(index));
    let mapping = probe.ask("IoGetFileObjectGenericMapping", &[]).expect("it returns");
    check!(probe, "IoGetFileObjectGenericMapping", [] => mapping);
    assert_eq!(probe.half(mapping), 0x0012_0089);
    let check = |desired, mode| [descriptor, 0, 0, desired, 2, 0, mapping, mode, granted, status];
    for (desired, expected) in [(0x8000_0000, 0x0012_008B), (0x1, 0x3), (0x0200_0000, 0x001F_01FF)] {
        check_flag!(probe, "SeAccessCheck", check(desired, 0) => true);
        assert_eq!((probe.half(granted), probe.half(status)), (expected, 0));
    }
    check_status!(probe, "RtlCreateSecurityDescriptor", [descriptor, 1] => SUCCESS);
    check_flag!(probe, "SeValidSecurityDescriptor", [40, descriptor] => false);
    probe.set_word(granted, 0x40);
    check_status!(probe, "RtlAbsoluteToSelfRelativeSD", [descriptor, relative, granted] => SUCCESS);
    check_flag!(probe, "SeValidSecurityDescriptor", [20, relative] => true);
    check_flag!(probe, "SeValidSecurityDescriptor", [19, relative] => false);
    assert!(probe.refused("SeAccessCheck", &check(1, 1)).contains("UserMode"));
}

/// ddi: PsLookupThreadByThreadId, IoSetTopLevelIrp; what refuses threads of programs.
#[test]
fn threads_by_identifier() {
    let mut probe = Probe::plain();
    let slot = probe.place(0);
    let id = probe.ask("PsGetCurrentThreadId", &[]).expect("it returns");
    check_status!(probe, "PsLookupThreadByThreadId", [3, slot] => INVALID_PARAMETER);
    check_status!(probe, "PsLookupThreadByThreadId", [id, slot] => SUCCESS);
    let thread = probe.word(slot);
    check!(probe, "PsGetThreadId", [thread] => id);
    check_flag!(probe, "PsIsThreadTerminating", [thread] => true);
    probe.ask("IoSetTopLevelIrp", &[slot]).expect("it returns");
    check!(probe, "IoGetTopLevelIrp", [] => 0);
    assert!(probe.refused("RtlCreateUserThread", &[0; 10]).contains("programs"));
}

/// Questions that have one answer on this machine.
#[test]
fn more_plain_questions() {
    let mut probe = Probe::plain();
    let [dpc, number, text] = [0, 1, 2].map(|index| probe.place(index));
    check!(probe, "KeQueryHighestNodeNumber", [] => 0);
    check_flag!(probe, "KeIsExecutingDpc", [] => false);
    probe.ask("KeFlushIoBuffers", &[0, 1, 1]).expect("it returns");
    let time = probe.ask("KeQueryUnbiasedInterruptTime", &[]).expect("it returns");
    assert!(probe.ask("KeQueryInterruptTime", &[]).expect("it returns") >= time);
    let recorder = probe.recorder().0;
    probe.ask("KeInitializeDpc", &[dpc, recorder, 0]).expect("it returns");
    check_status!(probe, "KeSetTargetProcessorDpcEx", [dpc, number] => SUCCESS);
    probe.set_bytes(number, &[0, 0, 9]);
    check_status!(probe, "KeSetTargetProcessorDpcEx", [dpc, number] => INVALID_PARAMETER);
    probe.set_bytes(text, &[b'a', 0, b'B', 0]);
    let order = probe.ask("RtlCompareUnicodeStrings", &[text, 2, text, 1, 0]).expect("it returns") as i32;
    assert!(order > 0);
    check!(probe, "RtlCompareUnicodeStrings", [text, 1, text, 1, 1] => 0);
    for name in ["IoVolumeDeviceToDosName", "RtlVolumeDeviceToDosName"] {
        let status = probe.ask(name, &[dpc, text]).expect("it returns") as u32;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND.0, "{name}");
    }
}

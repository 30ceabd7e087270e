//! Requests by handle, and requests that are sent on.

use nt_types::layout::{device_object, file_object, io_security_context, io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use super::{check, check_status, raw};
use crate::probe::Probe;

const SYNCHRONOUS: u64 = 0x20;

/// A named device whose driver completes everything at once with success, and a handle of it. Its place 29 holds the
/// handle.
fn opened(options: u64) -> (Probe, u64, u64) {
    let mut probe = Probe::plain();
    let first = probe.device();
    probe.ask("IoDeleteDevice", &[first]).expect("it exists");
    let driver = probe.driver();
    let name = probe.unicode(probe.place(27), "\\Device\\Probe");
    let slot = probe.place(29);
    check_status!(probe, "IoCreateDevice", [driver, 0, name, 0x22, 0, 0, slot] => SUCCESS);
    let device = probe.word(slot);
    let attributes = probe.attributes(probe.place(28), "\\Device\\Probe", 0);
    let status = probe.place(26);
    let create = [slot, 0x0012_0089, attributes, status, 0, 0x80, 3, 1, options, 0, 0];
    let opening = probe.begin_service("ZwCreateFile", &create);
    probe.pass_us(10);
    let request = last_request(&mut probe);
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0);
    let context = probe.word(sl::PARAMETERS_CREATE_SECURITY_CONTEXT.at(Va(stack)).0);
    assert_eq!(probe.half(io_security_context::DESIRED_ACCESS.at(Va(context)).0), 0x0012_0089);
    complete(&mut probe, request, NtStatus::SUCCESS, &[]);
    assert_eq!(NtStatus(probe.finish(opening).expect("it opens") as u32), NtStatus::SUCCESS);
    let handle = probe.word(slot);
    (probe, device, handle)
}

/// The request that the recorder got last.
fn last_request(probe: &mut Probe) -> u64 {
    probe.recorded().1[1]
}

fn complete(probe: &mut Probe, request: u64, status: NtStatus, output: &[u8]) {
    let buffer = probe.word(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(Va(request)).0);
    if !output.is_empty() {
        probe.set_bytes(buffer, output);
    }
    probe.machine.write_u32(irp::IO_STATUS_STATUS.at(Va(request)), status.0).expect("it can be written");
    probe.set_word(irp::IO_STATUS_INFORMATION.at(Va(request)).0, output.len() as u64);
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is complete");
}

fn object(probe: &mut Probe, handle: u64) -> u64 {
    let slot = probe.place(25);
    check_status!(probe, "ObReferenceObjectByHandle", [handle, 0, 0, 0, slot, 0] => SUCCESS);
    probe.word(slot)
}

/// ddi: ZwReadFile, ZwWriteFile on a synchronous file: the caller waits, the position moves on.
#[test]
fn a_synchronous_file_has_a_position() {
    for (name, output) in
        [("ZwReadFile", &b"1234"[..]), ("NtReadFile", b"1234"), ("ZwWriteFile", b""), ("NtWriteFile", b"")]
    {
        let (mut probe, device, handle) = opened(SYNCHRONOUS);
        probe.machine.write_u32(device_object::FLAGS.at(Va(device)), c::DO_BUFFERED_IO).expect("it can be written");
        let (status, buffer) = (probe.place(0), probe.place(1));
        let file = object(&mut probe, handle);
        probe.record_returning(raw(NtStatus::PENDING));
        let call = probe.begin_service(name, &[handle, 0, 0, 0, status, buffer, 4, 0, 0]);
        probe.pass_us(10);
        assert_eq!(probe.answered(&[call]), [false]);
        let request = last_request(&mut probe);
        complete(&mut probe, request, NtStatus::SUCCESS, output);
        assert_eq!(probe.finish(call).expect("it returns"), 0, "{name}");
        assert_eq!(&probe.bytes(buffer, 4)[..output.len()], output);
        assert_eq!(probe.word(file_object::CURRENT_BYTE_OFFSET.at(Va(file)).0), output.len() as u64);
    }
}

/// On another file the caller goes on, and the event tells when the request is complete.
#[test]
fn an_asynchronous_file_does_not_wait() {
    let (mut probe, _, handle) = opened(0);
    let [status, input, output, slot] = [0, 1, 2, 3].map(|index| probe.place(index));
    check_status!(probe, "ZwCreateEvent", [slot, 0, 0, 0, 1] => SUCCESS);
    let event = probe.word(slot);
    probe.record_returning(raw(NtStatus::PENDING));
    for name in ["ZwDeviceIoControlFile", "NtDeviceIoControlFile", "ZwFsControlFile"] {
        let arguments = [handle, event, 0, 0, status, 0x22_2000, input, 4, output, 8];
        assert_eq!(probe.ask(name, &arguments).expect("it returns"), raw(NtStatus::PENDING), "{name}");
        let body = object(&mut probe, event);
        check!(probe, "KeReadStateEvent", [body] => 0);
        let request = last_request(&mut probe);
        complete(&mut probe, request, NtStatus::SUCCESS, b"out");
        check!(probe, "KeReadStateEvent", [body] => 1);
        assert_eq!((probe.half(status), probe.bytes(output, 3)), (0, b"out".to_vec()));
    }
    assert!(probe.refused("ZwDeviceIoControlFile", &[handle, 0, 1, 0, status, 0, 0, 0, 0, 0]).contains("ApcRoutine"));
}

/// ddi: ZwQueryInformationFile, ZwSetInformationFile: the driver answers, but for the position.
#[test]
fn information_about_a_file() {
    for (name, major) in [
        ("ZwQueryInformationFile", c::IRP_MJ_QUERY_INFORMATION),
        ("NtQueryInformationFile", c::IRP_MJ_QUERY_INFORMATION),
        ("ZwSetInformationFile", c::IRP_MJ_SET_INFORMATION),
        ("NtSetInformationFile", c::IRP_MJ_SET_INFORMATION),
        ("ZwQueryVolumeInformationFile", c::IRP_MJ_QUERY_VOLUME_INFORMATION),
    ] {
        let (mut probe, _, handle) = opened(SYNCHRONOUS);
        let (status, buffer) = (probe.place(0), probe.place(1));
        probe.record_returning(raw(NtStatus::PENDING));
        let call = probe.begin_service(name, &[handle, status, buffer, 8, 5]);
        probe.pass_us(10);
        let request = last_request(&mut probe);
        let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0);
        assert_eq!(u32::from(probe.bytes(stack, 1)[0]), major);
        assert_eq!(probe.half(sl::PARAMETERS_QUERY_FILE_FILE_INFORMATION_CLASS.at(Va(stack)).0), 5);
        complete(&mut probe, request, NtStatus::INVALID_PARAMETER, &[]);
        assert_eq!(probe.finish(call).expect("it returns"), raw(NtStatus::INVALID_PARAMETER), "{name}");
    }
    let (mut probe, _, handle) = opened(SYNCHRONOUS);
    let (status, buffer) = (probe.place(0), probe.place(1));
    probe.set_word(buffer, 0x1234);
    check_status!(probe, "ZwSetInformationFile", [handle, status, buffer, 8, 14] => SUCCESS);
    probe.set_word(buffer, 0);
    check_status!(probe, "ZwQueryInformationFile", [handle, status, buffer, 8, 14] => SUCCESS);
    assert_eq!(probe.word(buffer), 0x1234);
    check_status!(probe, "ZwQueryInformationFile", [handle, status, buffer, 4, 14] => INFO_LENGTH_MISMATCH);
    check_status!(probe, "ZwQueryVolumeInformationFile", [handle, status, buffer, 8, 4] => SUCCESS);
    assert_eq!(probe.half(buffer), 0x22, "the type of the device");
    check_status!(probe, "ZwQueryInformationFile", [0x7770, status, buffer, 8, 14] => INVALID_HANDLE);
}

/// ddi: ZwQueryDirectoryFile, ZwFlushBuffersFile.
#[test]
fn directories_and_flushes() {
    let (mut probe, _, handle) = opened(SYNCHRONOUS);
    let (status, buffer) = (probe.place(0), probe.place(1));
    probe.record_returning(raw(NtStatus::PENDING));
    let directory = [handle, 0, 0, 0, status, buffer, 64, 1, 1, 0, 1];
    for (name, arguments, first) in
        [("ZwQueryDirectoryFile", &directory[..], [12, 1, 3]), ("ZwFlushBuffersFile", &[handle, status], [9, 0, 0])]
    {
        let call = probe.begin_service(name, arguments);
        probe.pass_us(10);
        let request = last_request(&mut probe);
        let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0);
        assert_eq!(probe.bytes(stack, 3), first, "{name}");
        complete(&mut probe, request, NtStatus::NO_MORE_FILES, &[]);
        assert_eq!(probe.finish(call).expect("it returns"), raw(NtStatus::NO_MORE_FILES));
    }
}

/// No file of the host is a file here.
#[test]
fn there_are_no_files_of_the_host() {
    let mut probe = Probe::plain();
    let [slot, status] = [0, 1].map(|index| probe.place(index));
    for name in [
        "\\??\\C:\\Windows\\win.ini",
        "\\SystemRoot\\x",
        "/etc/passwd",
        "\\??\\UNC\\server\\share",
        "\\Device\\HarddiskVolume1\\x",
    ] {
        let attributes = probe.attributes(probe.place(2), name, 0);
        let create = [slot, 0, attributes, status, 0, 0, 0, 3, 0, 0, 0];
        check_status!(probe, "ZwCreateFile", create => OBJECT_NAME_NOT_FOUND);
        let hinted: Vec<u64> = create.iter().copied().chain([0; 5]).collect();
        assert_eq!(
            probe.ask("IoCreateFileSpecifyDeviceObjectHint", &hinted).expect("it returns"),
            raw(NtStatus::OBJECT_NAME_NOT_FOUND)
        );
        check_status!(probe, "ZwDeleteFile", [attributes] => OBJECT_NAME_NOT_FOUND);
    }
}

/// ddi: IoForwardIrpSynchronously. IopForwardedIrp is the completion routine behind it.
#[test]
fn a_request_is_sent_on_and_waited_for() {
    let mut probe = Probe::plain();
    let device = probe.device();
    let request = probe.ask("IoAllocateIrp", &[2, 0]).expect("there is memory");
    let stack = irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0;
    let location = irp::CURRENT_LOCATION.at(Va(request));
    let current = probe.word(stack) - sl::SIZEOF;
    probe.set_word(stack, current);
    probe.machine.write_u8(location, 2).expect("it can be written");
    probe.record_returning(raw(NtStatus::PENDING));
    let call = probe.begin_service("IoForwardIrpSynchronously", &[device, request]);
    probe.pass_us(10);
    assert_eq!((probe.answered(&[call]), probe.recorded().1[..2].to_vec()), (vec![false], vec![device, request]));
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is complete");
    assert_eq!(probe.finish(call).expect("it returns") as u8, 1);
    assert_eq!(probe.word(stack), current, "the request is the caller's again");
    probe.machine.write_u8(location, 1).expect("it can be written");
    check!(probe, "IoForwardIrpSynchronously", [device, request] => 0);
}

/// ddi: IoIsOperationSynchronous.
#[test]
fn synchronous_operations_are_known() {
    let mut probe = Probe::plain();
    let request = probe.ask("IoAllocateIrp", &[1, 0]).expect("there is memory");
    let flags = irp::FLAGS.at(Va(request));
    for (value, expected) in [
        (0, 0),
        (c::IRP_SYNCHRONOUS_API, 1),
        (c::IRP_PAGING_IO, 0),
        (c::IRP_PAGING_IO | c::IRP_SYNCHRONOUS_PAGING_IO, 1),
    ] {
        probe.machine.write_u32(flags, value).expect("it can be written");
        check!(probe, "IoIsOperationSynchronous", [request] => expected);
    }
}

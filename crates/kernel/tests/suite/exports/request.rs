//! Requests that drivers let the I/O manager build, and remove locks.

use nt_types::constants as c;
use nt_types::layout::{device_object, io_remove_lock_common_block as lock_block, io_stack_location as sl, irp};
use nt_types::{NtStatus, Va};

use super::{check_status, raw};
use crate::probe::Probe;

const METHOD_BUFFERED_CODE: u64 = 0x22_2000;
const METHOD_OUT_DIRECT_CODE: u64 = 0x22_2002;
const METHOD_NEITHER_CODE: u64 = 0x22_2003;

struct Places {
    device: u64,
    event: u64,
    status: u64,
    buffer: u64,
}

fn places(probe: &mut Probe) -> Places {
    let device = probe.device();
    let [event, status, buffer] = [0, 1, 2].map(|index| probe.place(index));
    probe.ask("KeInitializeEvent", &[event, 0, 0]).expect("it is initialised");
    Places { device, event, status, buffer }
}

/// Sends a request to the recorder, then completes it with `information`.
fn send_and_complete(probe: &mut Probe, device: u64, request: u64, output: &[u8]) {
    probe.record_returning(raw(NtStatus::PENDING));
    check_status!(probe, "IofCallDriver", [device, request] => PENDING);
    assert_eq!(probe.recorded().1[..2], [device, request]);
    let buffer = probe.word(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(Va(request)).0);
    if !output.is_empty() {
        probe.set_bytes(buffer, output);
    }
    probe.set_word(irp::IO_STATUS_INFORMATION.at(Va(request)).0, output.len() as u64);
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is complete");
}

/// ddi: IoBuildDeviceIoControlRequest: input goes in a system buffer, output comes back, the event is set, the request goes.
#[test]
fn a_buffered_device_control_comes_back() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    probe.set_bytes(at.buffer, b"in");
    let build = [METHOD_BUFFERED_CODE, at.device, at.buffer, 2, at.buffer, 8, 0, at.event, at.status];
    let request = probe.ask("IoBuildDeviceIoControlRequest", &build).expect("it is built");
    let system = probe.word(irp::ASSOCIATED_IRP_SYSTEM_BUFFER.at(Va(request)).0);
    assert_eq!(probe.bytes(system, 2), b"in");
    send_and_complete(&mut probe, at.device, request, b"answer");
    assert_eq!(probe.bytes(at.buffer, 7), b"answer\0");
    assert_eq!((probe.half(at.status), probe.word(at.status + 8)), (0, 6));
    assert_eq!(probe.ask("KeReadStateEvent", &[at.event]).expect("it is an event"), 1);
    assert!(probe.ask("ExFreePool", &[request]).is_err(), "the request is gone");
}

#[test]
fn a_direct_device_control_has_locked_pages() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    let build = [METHOD_OUT_DIRECT_CODE, at.device, at.buffer, 2, at.buffer, 8, 1, at.event, at.status];
    let request = probe.ask("IoBuildDeviceIoControlRequest", &build).expect("it is built");
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF;
    assert_eq!(u32::from(probe.bytes(stack, 1)[0]), c::IRP_MJ_INTERNAL_DEVICE_CONTROL);
    let list = probe.word(irp::MDL_ADDRESS.at(Va(request)).0);
    assert_ne!(probe.half(list + 10) & c::MDL_PAGES_LOCKED, 0);
    send_and_complete(&mut probe, at.device, request, b"");
    assert_eq!(probe.ask("KeReadStateEvent", &[at.event]).expect("it is an event"), 1);
}

#[test]
fn a_device_control_of_neither_passes_the_pointers() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    let build = [METHOD_NEITHER_CODE, at.device, 0x1111, 2, 0x2222, 8, 0, at.event, at.status];
    let request = probe.ask("IoBuildDeviceIoControlRequest", &build).expect("it is built");
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF;
    let input = sl::PARAMETERS_DEVICE_IO_CONTROL_TYPE3_INPUT_BUFFER.at(Va(stack)).0;
    assert_eq!((probe.word(input), probe.word(irp::USER_BUFFER.at(Va(request)).0)), (0x1111, 0x2222));
}

/// ddi: IoBuildSynchronousFsdRequest, for a device with DO_BUFFERED_IO and one with DO_DIRECT_IO.
#[test]
fn a_synchronous_read_comes_back() {
    for (flag, output) in [(c::DO_BUFFERED_IO, &b"data"[..]), (c::DO_DIRECT_IO, b"")] {
        let mut probe = Probe::plain();
        let at = places(&mut probe);
        probe.machine.write_u32(device_object::FLAGS.at(Va(at.device)), flag).expect("it can be written");
        let offset = probe.place(3);
        probe.set_word(offset, 0x1000);
        let read = u64::from(c::IRP_MJ_READ);
        let build = [read, at.device, at.buffer, 16, offset, at.event, at.status];
        let request = probe.ask("IoBuildSynchronousFsdRequest", &build).expect("it is built");
        let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF;
        assert_eq!(probe.half(sl::PARAMETERS_READ_LENGTH.at(Va(stack)).0), 16);
        assert_eq!(probe.word(sl::PARAMETERS_READ_BYTE_OFFSET.at(Va(stack)).0), 0x1000);
        send_and_complete(&mut probe, at.device, request, output);
        assert_eq!(&probe.bytes(at.buffer, 4)[..output.len()], output);
    }
}

/// ddi: IoBuildAsynchronousFsdRequest: the driver keeps the request. ddi: IoReuseIrp.
#[test]
fn an_asynchronous_request_stays_the_drivers() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    let flush = u64::from(c::IRP_MJ_FLUSH_BUFFERS);
    let build = [flush, at.device, 0, 0, 0, at.status];
    let request = probe.ask("IoBuildAsynchronousFsdRequest", &build).expect("it is built");
    send_and_complete(&mut probe, at.device, request, b"");
    probe.ask("IoReuseIrp", &[request, raw(NtStatus::NOT_SUPPORTED)]).expect("it exists");
    assert_eq!(probe.half(irp::IO_STATUS_STATUS.at(Va(request)).0), NtStatus::NOT_SUPPORTED.0);
    probe.ask("IoFreeIrp", &[request]).expect("it exists");
}

/// A built request that completes at `DISPATCH_LEVEL` goes back by way of a system thread: its buffers may be out.
#[test]
fn a_request_completed_at_dispatch_level_comes_back_later() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    let build = [METHOD_BUFFERED_CODE, at.device, 0, 0, at.buffer, 8, 0, at.event, at.status];
    let request = probe.ask("IoBuildDeviceIoControlRequest", &build).expect("it is built");
    probe.record_returning(raw(NtStatus::PENDING));
    check_status!(probe, "IofCallDriver", [at.device, request] => PENDING);
    let complete = probe.export("IofCompleteRequest");
    probe.call(2, complete, [request, 0]).expect("it is complete");
    probe.pass_us(100);
    assert_eq!(probe.ask("KeReadStateEvent", &[at.event]).expect("IopFinishRequest has set it"), 1);
}

/// ddi: IoAcquireRemoveLock, IoReleaseRemoveLockAndWait.
#[test]
fn a_remove_lock_waits_for_all_others() {
    let mut probe = Probe::plain();
    let lock = probe.place(0);
    probe.ask("IoInitializeRemoveLockEx", &[lock, 0, 0, 0, 0x20]).expect("it is initialised");
    for _ in 0..2 {
        check_status!(probe, "IoAcquireRemoveLockEx", [lock, 0, 0, 0, 0x20] => SUCCESS);
    }
    let waiter = probe.begin_service("IoReleaseRemoveLockAndWaitEx", &[lock, 0, 0x20]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[waiter]), [false]);
    check_status!(probe, "IoAcquireRemoveLockEx", [lock, 0, 0, 0, 0x20] => DELETE_PENDING);
    probe.ask("IoReleaseRemoveLockEx", &[lock, 0, 0x20]).expect("it is held");
    probe.finish(waiter).expect("nobody holds it");
    assert_eq!(probe.half(lock_block::IO_COUNT.at(Va(lock)).0), 0);
}

/// ddi: IoSetCompletionRoutine, IofCompleteRequest: STATUS_MORE_PROCESSING_REQUIRED stops the completion; completed again it
/// goes on with the routines above.
#[test]
fn a_completion_routine_stops_the_completion_and_resumes_it() {
    let mut probe = Probe::plain();
    let at = places(&mut probe);
    let build = [METHOD_BUFFERED_CODE, at.device, 0, 0, at.buffer, 8, 0, at.event, at.status];
    let request = probe.ask("IoBuildDeviceIoControlRequest", &build).expect("it is built");
    let next = Va(probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF);
    let recorder = probe.recorder().0;
    probe.set_word(sl::COMPLETION_ROUTINE.at(next).0, recorder);
    probe.set_word(sl::CONTEXT.at(next).0, 0x77);
    let on_all = c::SL_INVOKE_ON_SUCCESS | c::SL_INVOKE_ON_ERROR | c::SL_INVOKE_ON_CANCEL;
    probe.set_bytes(sl::CONTROL.at(next).0, &[on_all as u8]);
    probe.record_returning(raw(NtStatus::PENDING));
    check_status!(probe, "IofCallDriver", [at.device, request] => PENDING);
    probe.record_returning(raw(NtStatus::MORE_PROCESSING_REQUIRED));
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is stopped");
    let (calls, arguments) = probe.recorded();
    assert_eq!((calls, arguments[1..3].to_vec()), (2, vec![request, 0x77]), "dispatch routine, completion routine");
    assert_eq!(probe.ask("KeReadStateEvent", &[at.event]).expect("it is an event"), 0, "the request is not back");
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it goes on");
    assert_eq!(probe.recorded().0, 2, "no routine is called twice");
    assert_eq!(probe.ask("KeReadStateEvent", &[at.event]).expect("it is an event"), 1);
}

/// ddi: IoSetCompletionRoutineEx: the device stays until the routine has returned, by way of IopUnloadSafeCompletion.
#[test]
fn a_completion_routine_keeps_its_device() {
    let mut probe = Probe::plain();
    let (recorder, device) = (probe.recorder().0, probe.device());
    let request = probe.ask("IoAllocateIrp", &[2, 0]).expect("there is memory");
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF;
    check_status!(probe, "IoSetCompletionRoutineEx", [device, request, recorder, 0x77, 1, 0, 1] => SUCCESS);
    let invoke = (c::SL_INVOKE_ON_SUCCESS | c::SL_INVOKE_ON_CANCEL) as u8;
    assert_eq!(probe.bytes(sl::CONTROL.at(Va(stack)).0, 1), [invoke]);
    assert_eq!(probe.word(sl::COMPLETION_ROUTINE.at(Va(stack)).0), probe.export("IopUnloadSafeCompletion").0);
    probe.ask("IoDeleteDevice", &[device]).expect("it is deleted");
    assert_eq!(probe.half(device) & 0xFFFF, c::IO_TYPE_DEVICE, "it is kept");
    let before = probe.recorded().0;
    probe.set_bytes(irp::CURRENT_LOCATION.at(Va(request)).0, &[2]);
    probe.set_word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0, stack);
    probe.record_returning(raw(NtStatus::MORE_PROCESSING_REQUIRED));
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is completed");
    let (calls, [_, given, context, ..]) = probe.recorded();
    assert_eq!((calls, given, context), (before + 1, request, 0x77));
}

//! Device queues, StartIo, cancel-safe queues.

use nt_types::Va;
use nt_types::layout::{device_object, driver_object, io_csq, irp, kdevice_queue, kdevice_queue_entry as entry};

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// ddi: KeInsertDeviceQueue, KeRemoveDeviceQueue and their kin.
#[test]
fn device_queues_keep_order_and_keys() {
    let mut probe = Probe::plain();
    let [queue, first, second, third] = [0, 1, 2, 3].map(|index| probe.place(index));
    probe.ask("KeInitializeDeviceQueue", &[queue]).expect("it is initialised");
    assert_eq!(probe.half(queue), 20 | (kdevice_queue::SIZEOF as u32) << 16);
    check!(probe, "KeRemoveByKeyDeviceQueueIfBusy", [queue, 0] => 0);
    check_flag!(probe, "KeInsertDeviceQueue", [queue, first] => false);
    check_flag!(probe, "KeInsertByKeyDeviceQueue", [queue, second, 9] => true);
    check_flag!(probe, "KeInsertByKeyDeviceQueue", [queue, third, 5] => true);
    check!(probe, "KeRemoveByKeyDeviceQueue", [queue, 6] => second);
    check_flag!(probe, "KeInsertByKeyDeviceQueue", [queue, second, 9] => true);
    check!(probe, "KeRemoveByKeyDeviceQueueIfBusy", [queue, 10] => third);
    check_flag!(probe, "KeRemoveEntryDeviceQueue", [queue, second] => true);
    check_flag!(probe, "KeRemoveEntryDeviceQueue", [queue, second] => false);
    check!(probe, "KeRemoveDeviceQueue", [queue] => 0);
    check_flag!(probe, "KeInsertDeviceQueue", [queue, first] => false);
    assert_eq!(probe.bytes(entry::INSERTED.at(Va(first)).0, 1), [0]);
}

/// ddi: IoStartPacket, IoStartNextPacket.
#[test]
fn packets_start_one_after_the_other() {
    let mut probe = Probe::plain();
    let (device, driver, recorder) = (probe.device(), probe.driver(), probe.recorder().0);
    probe.set_word(driver_object::DRIVER_START_IO.at(Va(driver)).0, recorder);
    let [first, second] = [0; 2].map(|_| probe.ask("IoAllocateIrp", &[1, 0]).expect("there is memory"));
    let current = device_object::CURRENT_IRP.at(Va(device)).0;
    probe.ask("IoStartPacket", &[device, first, 0, 0]).expect("it starts");
    assert_eq!((probe.word(current), probe.recorded().1[1]), (first, first));
    probe.ask("IoStartPacket", &[device, second, 0, 0]).expect("it is queued");
    assert_eq!((probe.word(current), probe.recorded().0), (first, 1));
    probe.ask("IoStartNextPacket", &[device, 0]).expect("it starts");
    assert_eq!((probe.word(current), probe.recorded().1[..2].to_vec()), (second, vec![device, second]));
    probe.ask("IoStartNextPacketByKey", &[device, 0, 0]).expect("none is left");
    assert_eq!((probe.word(current), probe.recorded().0), (0, 2));
}

/// ddi: IoSetStartIoAttributes: with DeferredStartIo the next request starts when StartIo has returned. IoStartNextPacket
/// stands for a StartIo that asks for the next one at once; with it at once, and without end, the stack would be used up.
#[test]
fn start_io_is_deferred_while_it_runs() {
    let mut probe = Probe::plain();
    let (device, driver) = (probe.device(), probe.driver());
    let next = probe.export("IoStartNextPacket").0;
    probe.set_word(driver_object::DRIVER_START_IO.at(Va(driver)).0, next);
    probe.ask("IoSetStartIoAttributes", &[device, 1, 1]).expect("they are set");
    let [first, second] = [0; 2].map(|_| probe.ask("IoAllocateIrp", &[1, 0]).expect("there is memory"));
    let current = device_object::CURRENT_IRP.at(Va(device)).0;
    let (queue, nothing) = (device_object::DEVICE_QUEUE.at(Va(device)).0, probe.nothing().0);
    check_flag!(probe, "KeInsertDeviceQueue", [queue, second + 0x40] => false);
    let entry = irp::TAIL_OVERLAY_DEVICE_QUEUE_ENTRY.at(Va(first)).0;
    check_flag!(probe, "KeInsertDeviceQueue", [queue, entry] => true);
    probe.set_word(irp::CANCEL_ROUTINE.at(Va(first)).0, nothing);
    probe.ask("IoStartNextPacket", &[device, 1]).expect("it starts, and the deferred call finds none left");
    assert_eq!((probe.word(current), probe.word(irp::CANCEL_ROUTINE.at(Va(first)).0)), (0, 0));
    check_flag!(probe, "KeInsertDeviceQueue", [queue, entry] => false);
}

/// ddi: IoCsqInsertIrp, IoCsqRemoveIrp: lock, insert and unlock are calls of the driver's routines; the recorder stands for
/// each of them.
#[test]
fn a_cancel_safe_queue_calls_its_routines() {
    let mut probe = Probe::plain();
    let (csq, context, recorder) = (probe.place(0), probe.place(1), probe.recorder().0);
    let routines = [csq, recorder, recorder, recorder, recorder, recorder, recorder];
    check_status!(probe, "IoCsqInitialize", routines => SUCCESS);
    assert_eq!(probe.word(io_csq::CSQ_COMPLETE_CANCELED_IRP.at(Va(csq)).0), recorder);
    let request = sent_request(&mut probe);
    probe.ask("IoCsqInsertIrp", &[csq, request, context]).expect("it is inserted");
    assert_eq!(probe.recorded().0, 3, "lock, insert, unlock");
    let cancel = irp::CANCEL_ROUTINE.at(Va(request)).0;
    assert_eq!(probe.word(cancel), probe.export("IopCsqCancelRoutine").0);
    check!(probe, "IoCsqRemoveIrp", [csq, context] => request);
    assert_eq!((probe.recorded().0, probe.word(cancel)), (6, 0));
    check!(probe, "IoCsqRemoveIrp", [csq, context] => 0);
    check!(probe, "IoCsqRemoveNextIrp", [csq, 0] => 0);
}

/// A cancelled request leaves the queue by way of the driver's CsqCompleteCanceledIrp.
#[test]
fn a_cancel_safe_queue_completes_cancelled_requests() {
    let mut probe = Probe::plain();
    let (csq, recorder, nothing) = (probe.place(0), probe.recorder().0, probe.nothing().0);
    let routines = [csq, nothing, nothing, nothing, nothing, nothing, recorder];
    check_status!(probe, "IoCsqInitializeEx", routines => SUCCESS);
    let request = sent_request(&mut probe);
    probe.ask("IoCsqInsertIrpEx", &[csq, request, 0, 0]).expect("it is inserted");
    check_flag!(probe, "IoCancelIrp", [request] => true);
    let (calls, arguments) = probe.recorded();
    assert_eq!((calls, &arguments[..2]), (1, &[csq, request][..]));
    probe.ask("IoCsqInsertIrpEx", &[csq, request, 0, 0]).expect("it is cancelled already");
    assert_eq!(probe.recorded().0, 2);
}

/// A request whose current stack location is a driver's.
fn sent_request(probe: &mut Probe) -> u64 {
    let request = probe.ask("IoAllocateIrp", &[1, 0]).expect("there is memory");
    let stack = irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0;
    let location = probe.word(stack) - nt_types::layout::io_stack_location::SIZEOF;
    probe.set_word(stack, location);
    request
}

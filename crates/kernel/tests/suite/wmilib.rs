//! WMI requests to a driver that answers them with `wmilib.sys` (ddi: WmiSystemControl).

use nt_types::layout::{io_stack_location as sl, irp};
use nt_types::{NtStatus, Va};

use crate::probe::Probe;

const ENABLE_EVENTS: u8 = 4;
const QUERY_ALL_DATA: u8 = 0;
const NO_WMI: u8 = 0x20;

/// Where the test keeps things in the probe's data.
const CONTEXT: u64 = 0x0;
const LIST: u64 = 0x40;
const GUID: u64 = 0x80;
const OTHER_GUID: u64 = 0x90;
const DISPOSITION: u64 = 0xA0;

/// A probe with one block registered, and a request of this minor function about the block of `guid`.
fn asked(minor: u8, provider: Va, guid: u64) -> (Probe, Va) {
    let mut probe = Probe::plain();
    let data = probe.data();
    let request = Va(probe.ask("IoAllocateIrp", &[1, 0]).expect("a request is made"));
    let m = &mut probe.machine;
    let stack = Va(m.read_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request)).unwrap() - sl::SIZEOF);
    m.write_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request), stack.0).unwrap();
    m.write_u8(irp::CURRENT_LOCATION.at(request), 1).unwrap();
    m.write_u8(sl::MINOR_FUNCTION.at(stack), minor).unwrap();
    m.write_u64(sl::PARAMETERS_WMI_PROVIDER_ID.at(stack), provider.0).unwrap();
    m.write_u64(sl::PARAMETERS_WMI_DATA_PATH.at(stack), data.0 + guid).unwrap();
    m.write_u32(data + CONTEXT, 1).unwrap();
    m.write_u64(data + CONTEXT + 8, data.0 + LIST).unwrap();
    m.write_u64(data + LIST, data.0 + GUID).unwrap();
    m.write_u64(data + GUID, 0x1122_3344_5566_7788).unwrap();
    (probe, request)
}

const DEVICE: Va = Va(0x1000);

/// Calls WmiSystemControl: its status, and what it says of the request.
fn control(probe: &mut Probe, request: Va) -> (NtStatus, u32) {
    let data = probe.data();
    let arguments = [data.0 + CONTEXT, DEVICE.0, request.0, data.0 + DISPOSITION];
    let status = probe.ask("WmiSystemControl", &arguments).expect("it is answered");
    (NtStatus(status as u32), probe.machine.read_u32(data + DISPOSITION).unwrap())
}

#[test]
fn a_request_that_is_not_for_wmi_is_the_drivers() {
    let (mut probe, request) = asked(NO_WMI, DEVICE, GUID);
    assert_eq!(control(&mut probe, request), (NtStatus::SUCCESS, 2));
}

#[test]
fn a_request_for_another_device_is_forwarded() {
    let (mut probe, request) = asked(ENABLE_EVENTS, Va(0x2000), GUID);
    assert_eq!(control(&mut probe, request), (NtStatus::SUCCESS, 3));
}

#[test]
fn an_unknown_block_is_not_found() {
    let (mut probe, request) = asked(ENABLE_EVENTS, DEVICE, OTHER_GUID);
    assert_eq!(control(&mut probe, request), (NtStatus::WMI_GUID_NOT_FOUND, 1));
    let status = probe.machine.read_u32(irp::IO_STATUS_STATUS.at(request)).unwrap();
    assert_eq!(NtStatus(status), NtStatus::WMI_GUID_NOT_FOUND);
}

/// Without a routine for it, switching events on is done by doing nothing (docs: kernel/irp-mn-enable-events).
#[test]
fn a_driver_without_function_control_succeeds() {
    let (mut probe, request) = asked(ENABLE_EVENTS, DEVICE, GUID);
    assert_eq!(control(&mut probe, request), (NtStatus::SUCCESS, 1));
}

/// The driver's routine has the request, and what it returns is returned.
#[test]
fn function_control_is_called() {
    let (mut probe, request) = asked(ENABLE_EVENTS, DEVICE, GUID);
    let (data, routine) = (probe.data(), probe.export("WmiCompleteRequest"));
    probe.machine.write_u64(data + CONTEXT + 0x38, routine.0).unwrap();
    // WmiCompleteRequest itself as the callback: it is passed device, request, the block's index as status, and 0 bytes.
    assert_eq!(control(&mut probe, request), (NtStatus::SUCCESS, 0));
    assert_eq!(probe.machine.read_u8(irp::CURRENT_LOCATION.at(request)).unwrap(), 2, "it is complete");
}

/// Data is not modelled, and the report says so.
#[test]
fn a_query_for_data_is_refused() {
    let (mut probe, request) = asked(QUERY_ALL_DATA, DEVICE, GUID);
    let data = probe.data();
    let arguments = [data.0 + CONTEXT, DEVICE.0, request.0, data.0 + DISPOSITION];
    let stop = probe.ask("WmiSystemControl", &arguments).expect_err("it is refused");
    assert!(format!("{:?}", stop.kind).contains("minor function 0x0"), "{:?}", stop.kind);
}

/// The data of an event is freed though nobody wants it (ddi: WmiFireEvent).
#[test]
fn an_event_gives_its_data_back() {
    let mut probe = Probe::plain();
    let data = probe.data();
    let block = Va(probe.ask("ExAllocatePoolWithTag", &[0, 16, 0x6174_6144]).expect("it is allocated"));
    let status = probe.ask("WmiFireEvent", &[DEVICE.0, data.0 + GUID, 0, 16, block.0]).expect("it is answered");
    assert_eq!(NtStatus(status as u32), NtStatus::UNSUCCESSFUL);
    let next = probe.ask("ExAllocatePoolWithTag", &[0, 16, 0x6174_6144]).expect("it is allocated");
    assert_eq!(Va(next), block, "the last freed is used first");
}

/// Nothing describes the hardware of a machine with Plug and Play firmware (D: no documentation says more).
#[test]
fn no_hardware_is_described() {
    let mut probe = Probe::plain();
    let status = probe.ask("IoQueryDeviceDescription", &[0; 8]).expect("it is answered");
    assert_eq!(NtStatus(status as u32), NtStatus::OBJECT_NAME_NOT_FOUND);
}

//! WMI requests to a driver that answers them with `wmilib.sys` (ddi: WmiSystemControl).

use nt_types::layout::{
    io_stack_location as sl, irp, wmireginfow, wnode_all_data as all, wnode_header as header,
    wnode_single_instance as single, wnode_too_small as too_small,
};
use nt_types::{NtStatus, Va, constants as c};

use crate::probe::Probe;

const ENABLE_EVENTS: u8 = 4;
const NO_WMI: u8 = 0x20;

/// Where the test keeps things in the probe's data.
const CONTEXT: u64 = 0x0;
const LIST: u64 = 0x40;
const GUID: u64 = 0x80;
const OTHER_GUID: u64 = 0x90;
const DISPOSITION: u64 = 0xA0;
/// The WNODE of the request.
const WNODE: u64 = 0x100;
const WNODE_BYTES: u32 = 0x80;

// WMILIB_CONTEXT.
const QUERY_REG_INFO: u64 = 0x10;
const QUERY_DATA_BLOCK: u64 = 0x18;

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
    m.write_u32(data + LIST + 8, 2).unwrap();
    m.write_u32(sl::PARAMETERS_WMI_BUFFER_SIZE.at(stack), WNODE_BYTES).unwrap();
    m.write_u64(sl::PARAMETERS_WMI_BUFFER.at(stack), data.0 + WNODE).unwrap();
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

/// The request's size and status, as they are when it is complete.
fn end(probe: &mut Probe, request: Va) -> (NtStatus, u64) {
    let m = &mut probe.machine;
    let status = m.read_u32(irp::IO_STATUS_STATUS.at(request)).unwrap();
    (NtStatus(status), m.read_u64(irp::IO_STATUS_INFORMATION.at(request)).unwrap())
}

/// docs: kernel/irp-mn-query-all-data: the driver gets room for lengths and data; each instance begins at a multiple of 8.
#[test]
fn all_instances_are_described_by_offset_and_length() {
    let (mut probe, request) = asked(c::IRP_MN_QUERY_ALL_DATA as u8, DEVICE, GUID);
    let data = probe.data();
    probe.record_returning(NtStatus::PENDING.0.into());
    let routine = probe.recorder();
    probe.machine.write_u64(data + CONTEXT + QUERY_DATA_BLOCK, routine.0).unwrap();
    assert_eq!(control(&mut probe, request), (NtStatus::PENDING, 0));
    // Device, request, index of the block, first instance, number of instances.
    let (_, recorded) = probe.recorded();
    assert_eq!((recorded[0], recorded[2], recorded[3], recorded[4]), (DEVICE.0, 0, 0, 2));
    let lengths = all::OFFSET_INSTANCE_DATA_AND_LENGTH.at(data + WNODE);
    let m = &mut probe.machine;
    assert_eq!(m.read_u32(all::DATA_BLOCK_OFFSET.at(data + WNODE)).unwrap(), 0x50);
    m.write_u32(lengths, 5).unwrap();
    m.write_u32(lengths + 4, 3).unwrap();
    let status = probe.ask("WmiCompleteRequest", &[DEVICE.0, request.0, 0, 11, 0]).expect("it is answered");
    assert_eq!(NtStatus(status as u32), NtStatus::SUCCESS);
    assert_eq!(end(&mut probe, request), (NtStatus::SUCCESS, 0x5B));
    let described = [0, 4, 8, 12].map(|offset| probe.machine.read_u32(lengths + offset).unwrap());
    assert_eq!(described, [0x50, 5, 0x58, 3]);
    assert_eq!(probe.machine.read_u32(header::BUFFER_SIZE.at(data + WNODE)).unwrap(), 0x5B);
}

/// ddi: WmiCompleteRequest: STATUS_BUFFER_TOO_SMALL makes a WNODE_TOO_SMALL with the whole size, and success.
#[test]
fn a_buffer_that_is_too_small_is_told_the_size() {
    let (mut probe, request) = asked(c::IRP_MN_QUERY_SINGLE_INSTANCE as u8, DEVICE, GUID);
    let wnode = probe.data() + WNODE;
    probe.machine.write_u32(single::DATA_BLOCK_OFFSET.at(wnode), 0x40).unwrap();
    let small = u64::from(NtStatus::BUFFER_TOO_SMALL.0);
    let status = probe.ask("WmiCompleteRequest", &[DEVICE.0, request.0, small, 0x100, 0]).expect("it is answered");
    assert_eq!(NtStatus(status as u32), NtStatus::SUCCESS);
    assert_eq!(end(&mut probe, request), (NtStatus::SUCCESS, too_small::SIZEOF));
    assert_eq!(probe.machine.read_u32(too_small::SIZE_NEEDED.at(wnode)).unwrap(), 0x140);
    assert_eq!(probe.machine.read_u32(header::FLAGS.at(wnode)).unwrap() & 0x20, 0x20);
}

/// docs: kernel/irp-mn-change-single-instance, ddi: WMI_EXECUTE_METHOD_CALLBACK: what a driver without the routine answers.
#[test]
fn a_driver_without_a_routine_has_documented_answers() {
    let answers = [
        (c::IRP_MN_CHANGE_SINGLE_INSTANCE, NtStatus::WMI_READ_ONLY),
        (c::IRP_MN_CHANGE_SINGLE_ITEM, NtStatus::WMI_READ_ONLY),
        (c::IRP_MN_EXECUTE_METHOD, NtStatus::INVALID_DEVICE_REQUEST),
    ];
    for (minor, status) in answers {
        let (mut probe, request) = asked(minor as u8, DEVICE, GUID);
        assert_eq!(control(&mut probe, request), (status, 1), "{minor:#x}");
    }
}

/// An index beyond the registered instances never reaches the driver, nor does data that its buffer does not hold.
#[test]
fn instances_and_sizes_are_checked() {
    for (minor, index, size, status) in [
        (c::IRP_MN_QUERY_SINGLE_INSTANCE, 2, 0, NtStatus::WMI_INSTANCE_NOT_FOUND),
        (c::IRP_MN_EXECUTE_METHOD, 0, 0xFFFF_FFFF, NtStatus::WMI_SET_FAILURE),
    ] {
        let (mut probe, request) = asked(minor as u8, DEVICE, GUID);
        let (data, routine) = (probe.data(), probe.recorder());
        let m = &mut probe.machine;
        for field in [QUERY_DATA_BLOCK, 0x30] {
            m.write_u64(data + CONTEXT + field, routine.0).unwrap();
        }
        m.write_u32(single::INSTANCE_INDEX.at(data + WNODE), index).unwrap();
        m.write_u32(nt_types::layout::wnode_method_item::SIZE_DATA_BLOCK.at(data + WNODE), size).unwrap();
        assert_eq!(control(&mut probe, request), (status, 1), "{minor:#x}");
    }
}

/// docs: kernel/irp-mn-reginfo-ex: the blocks with their flags; too small a buffer gets the size needed.
#[test]
fn a_registration_lists_the_blocks() {
    let needed = wmireginfow::SIZEOF as u32 + 0x20 + 2 * 2;
    for (size, status, information) in
        [(WNODE_BYTES, NtStatus::SUCCESS, u64::from(needed)), (needed - 1, NtStatus::BUFFER_TOO_SMALL, 4)]
    {
        let (mut probe, request) = asked(c::IRP_MN_REGINFO_EX as u8, DEVICE, GUID);
        let (data, routine) = (probe.data(), probe.recorder());
        let m = &mut probe.machine;
        let stack = Va(m.read_u64(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(request)).unwrap());
        m.write_u32(sl::PARAMETERS_WMI_BUFFER_SIZE.at(stack), size).unwrap();
        m.write_u64(data + CONTEXT + QUERY_REG_INFO, routine.0).unwrap();
        m.write_u32(data + LIST + 12, 0x1).unwrap();
        assert_eq!(control(&mut probe, request), (status, 1));
        assert_eq!(end(&mut probe, request), (status, information));
        let first = probe.machine.read_u32(data + WNODE).unwrap();
        assert_eq!(first, needed, "the size, either way");
        if status.is_success() {
            let block = wmireginfow::WMI_REG_GUID.at(data + WNODE);
            assert_eq!(probe.machine.read_u64(block).unwrap(), 0x1122_3344_5566_7788);
            let described = [16, 20].map(|offset| probe.machine.read_u32(block + offset).unwrap());
            assert_eq!(described, [0x1, 2], "flags and instances");
        }
    }
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

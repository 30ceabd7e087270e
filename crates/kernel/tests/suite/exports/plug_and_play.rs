//! What the Plug and Play manager tells about a device: properties, keys, interfaces, notification.

use devices::{Bus, SerialLine, Uart16550};
use kernel::Options;
use memory::MemoryConfig;
use nt_types::layout::irp;
use nt_types::{NtStatus, Va, constants as c};

use super::check_status;
use crate::probe::Probe;

const GUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// A probe with a serial port, and the physical device object of that.
fn with_port() -> (Probe, u64) {
    let mut bus = Bus::new();
    let port = Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let mut probe = Probe::on(bus, Options::default(), MemoryConfig::default());
    let recorder = probe.recorder().0;
    let extension = probe.word(probe.driver() + 0x30);
    probe.set_word(extension + 8, recorder);
    let request = probe.machine.add_device(probe.base, port).expect("the device is made");
    let device = probe.finish(request).expect("AddDevice returns");
    assert_eq!(probe.recorded().1[1], device);
    (probe, device)
}

/// ddi: IoGetDeviceProperty.
#[test]
fn a_device_has_properties() {
    let (mut probe, device) = with_port();
    let (buffer, result) = (probe.place(0), probe.place(4));
    let own = probe.device();
    check_status!(probe, "IoGetDeviceProperty", [own, 0, 0, 0, result] => INVALID_DEVICE_REQUEST);
    check_status!(probe, "IoGetDeviceProperty", [device, 0, 4, buffer, result] => BUFFER_TOO_SMALL);
    assert_eq!(probe.half(result), 2 * "Communications Port\0".len() as u32);
    for property in [1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 19] {
        check_status!(probe, "IoGetDeviceProperty", [device, property, 0x200, buffer, result] => SUCCESS);
    }
    check_status!(probe, "IoGetDeviceProperty", [device, 13, 4, buffer, result] => SUCCESS);
    assert_eq!((probe.half(buffer), probe.half(result)), (c::ISA, 4));
    check_status!(probe, "IoGetDeviceProperty", [device, 10, 0x200, buffer, result] => OBJECT_NAME_NOT_FOUND);
    assert!(probe.refused("IoGetDeviceProperty", &[device, 99, 0, 0, result]).contains("99"));
}

/// ddi: IoOpenDeviceRegistryKey: the hardware key tells the name that the class installer gave the port.
#[test]
fn a_device_has_registry_keys() {
    let (mut probe, device) = with_port();
    let (slot, name, buffer) = (probe.place(0), probe.place(1), probe.place(2));
    check_status!(probe, "IoOpenDeviceRegistryKey", [device, 3, 0, slot] => INVALID_PARAMETER);
    check_status!(probe, "IoOpenDeviceRegistryKey", [device, 2, 0, slot] => SUCCESS);
    check_status!(probe, "IoOpenDeviceRegistryKey", [device, 1, 0, slot] => SUCCESS);
    let (key, name) = (probe.word(slot), probe.unicode(name, "PortName"));
    let partial = u64::from(c::KEY_VALUE_PARTIAL_INFORMATION);
    check_status!(probe, "ZwQueryValueKey", [key, name, partial, buffer, 0x40, slot] => SUCCESS);
    assert_eq!(probe.bytes(buffer + 12, 8), [b'C', 0, b'O', 0, b'M', 0, b'1', 0]);
    assert!(probe.refused("IoOpenDeviceRegistryKey", &[device, 5, 0, slot]).contains("HWPROFILE"));
}

/// ddi: IoRegisterDeviceInterface, IoSetDeviceInterfaceState, IoGetDeviceInterfaces.
#[test]
fn interfaces_are_links_while_they_are_enabled() {
    let (mut probe, device) = with_port();
    let [guid, link, slot, other, alias] = [0, 1, 2, 3, 4].map(|index| probe.place(index));
    probe.set_bytes(guid, &GUID);
    let own = probe.device();
    check_status!(probe, "IoRegisterDeviceInterface", [own, guid, 0, link] => INVALID_DEVICE_REQUEST);
    check_status!(probe, "IoRegisterDeviceInterface", [device, guid, 0, link] => SUCCESS);
    let name = probe.text_at(link);
    assert_eq!(name, "\\??\\ACPI#PNP0501#1#{04030201-0605-0807-090a-0b0c0d0e0f10}");
    check_status!(probe, "IoSetDeviceInterfaceState", [link, 0] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "IoGetDeviceInterfaces", [guid, 0, 0, slot] => SUCCESS);
    let list = probe.word(slot);
    assert_eq!(probe.bytes(list, 2), [0, 0], "no enabled interface");
    check_status!(probe, "IoSetDeviceInterfaceState", [link, 1] => SUCCESS);
    check_status!(probe, "IoSetDeviceInterfaceState", [link, 1] => OBJECT_NAME_EXISTS);
    check_status!(probe, "IoGetDeviceInterfaces", [guid, device, 0, slot] => SUCCESS);
    let list = probe.word(slot);
    let expected: Vec<u8> = name.encode_utf16().chain([0, 0]).flat_map(u16::to_le_bytes).collect();
    assert_eq!(probe.bytes(list, expected.len() as u64), expected);
    check_status!(probe, "IoOpenDeviceInterfaceRegistryKey", [link, 0, slot] => SUCCESS);
    probe.set_bytes(other, &GUID.map(|byte| byte + 1));
    check_status!(probe, "IoGetDeviceInterfaceAlias", [link, other, alias] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "IoRegisterDeviceInterface", [device, other, 0, alias] => SUCCESS);
    let expected = probe.text_at(alias);
    check_status!(probe, "IoGetDeviceInterfaceAlias", [link, other, alias] => SUCCESS);
    assert_eq!(probe.text_at(alias), expected);
}

/// ddi: IoRegisterPlugPlayNotification: interfaces of the class that arrive, and those that are there already.
#[test]
fn watchers_of_a_class_are_told() {
    let (mut probe, device) = with_port();
    let [guid, link, entry] = [0, 1, 2].map(|index| probe.place(index));
    let (driver, recorder) = (probe.driver(), probe.recorder().0);
    probe.set_bytes(guid, &GUID);
    let before = probe.recorded().0;
    check_status!(probe, "IoRegisterDeviceInterface", [device, guid, 0, link] => SUCCESS);
    check_status!(probe, "IoRegisterPlugPlayNotification", [2, 1, guid, driver, recorder, 0x44, entry] => SUCCESS);
    probe.pass_us(10);
    assert_eq!(probe.recorded().0, before);
    check_status!(probe, "IoSetDeviceInterfaceState", [link, 1] => SUCCESS);
    probe.pass_us(10);
    let (calls, [notification, context, ..]) = probe.recorded();
    assert_eq!((calls, context), (before + 1, 0x44));
    assert_eq!(probe.bytes(notification + 20, 16), GUID);
    let (string, expected) = (probe.word(notification + 40), probe.text_at(link));
    assert_eq!(probe.text_at(string), expected);
    for unregister in ["IoUnregisterPlugPlayNotification", "IoUnregisterPlugPlayNotificationEx"] {
        let handle = probe.word(entry);
        assert_eq!(probe.ask(unregister, &[handle]).expect("it is registered"), 0);
        check_status!(probe, "IoRegisterPlugPlayNotification", [2, 1, guid, driver, recorder, 0, entry] => SUCCESS);
        probe.pass_us(10);
    }
    assert_eq!(probe.recorded().0, before + 3, "the enabled interface is told at each registration");
    assert!(probe.refused("IoRegisterPlugPlayNotification", &[9, 0, 0, 0, 0, 0, entry]).contains('9'));
}

/// ddi: IoReportTargetDeviceChange, without anybody who registered for the device.
#[test]
fn custom_events_reach_nobody() {
    let (mut probe, device) = with_port();
    let (event, recorder) = (probe.place(0), probe.recorder().0);
    let before = probe.recorded().0;
    check_status!(probe, "IoReportTargetDeviceChange", [device, event] => SUCCESS);
    check_status!(probe, "IoReportTargetDeviceChangeAsynchronous", [device, event, recorder, 9] => PENDING);
    probe.pass_us(10);
    assert_eq!((probe.recorded().0, probe.recorded().1[0]), (before + 1, 9));
    check_status!(probe, "IoReportTargetDeviceChange", [event, event] => INVALID_DEVICE_REQUEST);
}

/// ddi: IoInvalidateDeviceRelations, IoInvalidateDeviceState: the stack is asked, by way of IopQueryDevice.
#[test]
fn an_invalidated_device_is_asked_again() {
    for (name, arguments, minor) in [
        ("IoInvalidateDeviceRelations", 0, c::IRP_MN_QUERY_DEVICE_RELATIONS),
        ("IoInvalidateDeviceState", 0, c::IRP_MN_QUERY_PNP_DEVICE_STATE),
    ] {
        let mut probe = Probe::plain();
        let device = probe.device();
        probe.ask(name, &[device, arguments]).expect("it is queued");
        probe.pass_us(10);
        assert_eq!((probe.recorded().0, probe.recorded().1[0]), (1, device));
        let mut sent = probe.machine.events.iter().filter_map(|event| match event.kind {
            kernel::EventKind::IrpSent { minor, .. } => Some(u32::from(minor)),
            _ => None,
        });
        assert_eq!(sent.next_back(), Some(minor));
    }
    let mut probe = Probe::plain();
    let device = probe.device();
    probe.ask("IoInvalidateDeviceRelations", &[device, u64::from(c::POWER_RELATIONS)]).expect("nothing is asked");
    probe.pass_us(10);
    assert_eq!(probe.recorded().0, 0);
    assert!(probe.refused("IoRequestDeviceEject", &[device]).contains("ejected"));
}

/// docs: kernel/handling-an-irp-mn-surprise-removal-request: a device that says that it failed is removed by surprise.
#[test]
fn a_device_that_failed_is_removed_by_surprise() {
    let mut probe = Probe::plain();
    let device = probe.device();
    probe.ask("IoInvalidateDeviceState", &[device]).expect("it is queued");
    probe.pass_us(10);
    let request = probe.recorded().1[1];
    probe.machine.write_u32(irp::IO_STATUS_STATUS.at(Va(request)), NtStatus::SUCCESS.0).expect("it can be written");
    probe.set_word(irp::IO_STATUS_INFORMATION.at(Va(request)).0, c::PNP_DEVICE_FAILED.into());
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is completed");
    probe.pass_us(10);
    let minors: Vec<u32> = probe
        .machine
        .events
        .iter()
        .filter_map(|event| match event.kind {
            kernel::EventKind::IrpSent { minor, .. } => Some(minor.into()),
            _ => None,
        })
        .collect();
    assert_eq!(minors, [c::IRP_MN_QUERY_PNP_DEVICE_STATE, c::IRP_MN_SURPRISE_REMOVAL]);
}

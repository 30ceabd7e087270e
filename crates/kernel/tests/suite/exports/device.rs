//! Stacks of devices, extensions of drivers, WMI, shutdown.

use nt_types::layout::{device_object, file_object};
use nt_types::{Va, constants as c};

use super::{check, check_status};
use crate::probe::Probe;

/// ddi: IoAttachDeviceToDeviceStackSafe, IoGetLowerDeviceObject, IoGetDeviceAttachmentBaseRef.
#[test]
fn devices_in_a_stack_find_each_other() {
    let mut probe = Probe::plain();
    let [lower, middle, upper] = [0; 3].map(|_| probe.device());
    let slot = probe.place(0);
    check_status!(probe, "IoAttachDeviceToDeviceStackSafe", [middle, lower, slot] => SUCCESS);
    assert_eq!(probe.word(slot), lower);
    check!(probe, "IoAttachDeviceToDeviceStack", [upper, lower] => middle);
    check!(probe, "IoGetLowerDeviceObject", [upper] => middle);
    check!(probe, "IoGetLowerDeviceObject", [lower] => 0);
    check!(probe, "IoGetDeviceAttachmentBaseRef", [upper] => lower);
    let file = probe.place(1);
    probe.set_word(file_object::DEVICE_OBJECT.at(Va(file)).0, lower);
    check!(probe, "IoGetRelatedDeviceObject", [file] => upper);
    check!(probe, "IoGetBaseFileSystemDeviceObject", [file] => lower);
    probe.ask("IoDetachDevice", &[middle]).expect("it is attached");
    check!(probe, "IoGetLowerDeviceObject", [upper] => 0);
}

/// ddi: IoAttachDevice, by name.
#[test]
fn a_device_attaches_by_name() {
    let mut probe = Probe::plain();
    let (upper, slot) = (probe.device(), probe.place(0));
    let name = probe.unicode(probe.place(1), "\\Device\\Named");
    check_status!(probe, "IoAttachDevice", [upper, name, slot] => OBJECT_NAME_NOT_FOUND);
    let driver = probe.driver();
    check_status!(probe, "IoCreateDevice", [driver, 0, name, 0x22, 0, 0, slot] => SUCCESS);
    let named = probe.word(slot);
    check_status!(probe, "IoAttachDevice", [upper, name, slot] => SUCCESS);
    assert_eq!((probe.word(slot), probe.word(device_object::ATTACHED_DEVICE.at(Va(named)).0)), (named, upper));
}

/// ddi: IoEnumerateDeviceObjectList.
#[test]
fn devices_of_a_driver_are_listed() {
    let mut probe = Probe::plain();
    let (driver, list, count) = (probe.driver(), probe.place(0), probe.place(1));
    let devices = [0; 2].map(|_| probe.device());
    check_status!(probe, "IoEnumerateDeviceObjectList", [driver, list, 8, count] => BUFFER_TOO_SMALL);
    assert_eq!(probe.half(count), 2);
    check_status!(probe, "IoEnumerateDeviceObjectList", [driver, list, 16, count] => SUCCESS);
    assert_eq!([probe.word(list + 8), probe.word(list)], devices);
}

/// ddi: IoAllocateDriverObjectExtension, IoGetDriverObjectExtension.
#[test]
fn driver_objects_have_extensions() {
    let mut probe = Probe::plain();
    let (driver, slot) = (probe.driver(), probe.place(0));
    check!(probe, "IoGetDriverObjectExtension", [driver, 5] => 0);
    check_status!(probe, "IoAllocateDriverObjectExtension", [driver, 5, 0x20, slot] => SUCCESS);
    let extension = probe.word(slot);
    check!(probe, "IoGetDriverObjectExtension", [driver, 5] => extension);
    check!(probe, "IoGetDriverObjectExtension", [driver, 6] => 0);
    check_status!(probe, "IoAllocateDriverObjectExtension", [driver, 5, 0x20, slot] => OBJECT_NAME_COLLISION);
}

/// ddi: IoWMIRegistrationControl and its kin, on a machine without a WMI service.
#[test]
fn wmi_without_a_service() {
    let mut probe = Probe::plain();
    let (device, guid) = (probe.device(), probe.place(0));
    check_status!(probe, "IoWMIRegistrationControl", [device, 2] => INVALID_PARAMETER);
    check_status!(probe, "IoWMIRegistrationControl", [device, 1] => SUCCESS);
    check_status!(probe, "IoWMIRegistrationControl", [device, 3] => SUCCESS);
    check_status!(probe, "IoWMIRegistrationControl", [device, 2] => SUCCESS);
    let routine = probe.recorder().0;
    check_status!(probe, "IoWMIRegistrationControl", [routine, 0x8001_0001] => SUCCESS);
    check_status!(probe, "IoWMIRegistrationControl", [routine, 0x8001_0002] => SUCCESS);
    check_status!(probe, "IoWMIWriteEvent", [guid] => UNSUCCESSFUL);
    check_status!(probe, "IoWMIOpenBlock", [guid, 0, guid] => WMI_GUID_NOT_FOUND);
    check!(probe, "IoWMIDeviceObjectToProviderId", [device] => device & 0xFFFF_FFFF);
    for (name, arguments) in [("IoWMIQueryAllData", [0; 3]), ("IoWMISetNotificationCallback", [0; 3])] {
        assert!(Probe::plain().refused(name, &arguments).contains("not opened"));
    }
}

/// ddi: IoRegisterShutdownNotification, IoRegisterFsRegistrationChange.
#[test]
fn registrations_for_what_does_not_happen() {
    let mut probe = Probe::plain();
    let (device, driver, recorder) = (probe.device(), probe.driver(), probe.recorder().0);
    let flags = device_object::FLAGS.at(Va(device)).0;
    for register in ["IoRegisterShutdownNotification", "IoRegisterLastChanceShutdownNotification"] {
        assert_eq!(probe.ask(register, &[device]).expect("it registers"), 0);
        assert_ne!(probe.half(flags) & c::DO_SHUTDOWN_REGISTERED, 0);
        probe.ask("IoUnregisterShutdownNotification", &[device]).expect("it is registered");
        assert_eq!(probe.half(flags) & c::DO_SHUTDOWN_REGISTERED, 0);
    }
    check_status!(probe, "IoRegisterFsRegistrationChange", [driver, recorder] => SUCCESS);
    check_status!(probe, "IoRegisterFsRegistrationChange", [driver, recorder] => DEVICE_ALREADY_ATTACHED);
    probe.ask("IoUnregisterFsRegistrationChange", &[driver, recorder]).expect("it is registered");
    check_status!(probe, "IoRegisterFsRegistrationChange", [driver, recorder] => SUCCESS);
}

/// ddi: IoGetConfigurationInformation: one structure, which drivers count in.
#[test]
fn the_configuration_is_one_for_all() {
    let mut probe = Probe::plain();
    let first = probe.ask("IoGetConfigurationInformation", &[]).expect("it exists");
    check!(probe, "IoGetConfigurationInformation", [] => first);
    assert_eq!(probe.half(first), 0);
}

//! The power manager.

use nt_types::layout::{io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use super::{check, check_status, raw};
use crate::probe::Probe;

/// ddi: PoRequestPowerIrp: the stack gets the request on a system thread; the completion routine gets its status block.
#[test]
fn a_power_request_reaches_the_stack_and_comes_back() {
    let mut probe = Probe::plain();
    let (device, recorder) = (probe.device(), probe.recorder().0);
    probe.record_returning(raw(NtStatus::PENDING));
    check_status!(probe, "PoRequestPowerIrp", [device, 9, 1, 0, 0, 0] => INVALID_PARAMETER_2);
    let set = u64::from(c::IRP_MN_SET_POWER);
    let (d0, slot) = (u64::from(c::POWER_DEVICE_D0), probe.place(0));
    check_status!(probe, "PoRequestPowerIrp", [device, set, d0, recorder, 0x55, slot] => PENDING);
    probe.pass_us(10);
    let request = probe.word(slot);
    assert_eq!(probe.recorded().1[..2], [device, request]);
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0);
    assert_eq!(probe.half(sl::PARAMETERS_POWER_STATE.at(Va(stack)).0), c::POWER_DEVICE_D0);
    assert_eq!(probe.half(sl::PARAMETERS_POWER_TYPE.at(Va(stack)).0), c::DEVICE_POWER_STATE);
    check!(probe, "PoGetSystemWake", [request] => 0);
    probe.ask("PoSetSystemWake", &[request]).expect("nothing happens");
    probe.ask("IofCompleteRequest", &[request, 0]).expect("it is complete");
    let (calls, arguments) = probe.recorded();
    assert_eq!((calls, arguments), (2, [device, set, d0, 0x55, irp::IO_STATUS.at(Va(request)).0]));
}

/// ddi: PoSetPowerState returns the state before; the others answer for a machine that does not sleep.
#[test]
fn power_states_are_kept() {
    let mut probe = Probe::plain();
    let device = probe.device();
    check!(probe, "PoSetPowerState", [device, 1, 1] => 0);
    check!(probe, "PoSetPowerState", [device, 1, 4] => 1);
    let handle = probe.ask("PoRegisterSystemState", &[0, 1]).expect("there is memory");
    check!(probe, "PoRegisterSystemState", [handle, 2] => handle);
    probe.ask("PoSetSystemState", &[1]).expect("nothing happens");
    probe.ask("PoUnregisterSystemState", &[handle]).expect("it is registered");
    probe.ask("PoSetHiberRange", &[0, 0, 0, 0, 0]).expect("nothing happens");
    check!(probe, "PoRegisterDeviceForIdleDetection", [device, 0, 0, 4] => 0);
    let idle = probe.ask("PoRegisterDeviceForIdleDetection", &[device, 60, 60, 4]).expect("there is memory");
    probe.machine.write_u32(Va(idle), 7).expect("it can be written");
    probe.ask("PoSetDeviceBusyEx", &[idle]).expect("it is a counter");
    assert_eq!(probe.half(idle), 0);
    assert!(probe.refused("PoSetPowerState", &[device, 0, 1]).contains("`Type` 0"));
}

/// ddi: PoRegisterPowerSettingCallback: the callback is told the current value.
#[test]
fn power_settings_are_told_once() {
    let mut probe = Probe::plain();
    let (device, recorder, guid, slot) = (probe.device(), probe.recorder().0, probe.place(0), probe.place(1));
    let monitor = [0x15, 0x10, 0x73, 0x02, 0x10, 0x45, 0x26, 0x45, 0x99, 0xE6, 0xE5, 0xA1, 0x7E, 0xBD, 0x1A, 0xEA];
    probe.set_bytes(guid, &monitor);
    check_status!(probe, "PoRegisterPowerSettingCallback", [device, guid, recorder, 0x66, slot] => SUCCESS);
    probe.pass_us(10);
    let (calls, [name, value, length, context, _]) = probe.recorded();
    assert_eq!((calls, length, context, probe.half(value)), (1, 4, 0x66, 1));
    assert_eq!(probe.bytes(name, 16), monitor);
    let handle = probe.word(slot);
    check_status!(probe, "PoUnregisterPowerSettingCallback", [handle] => SUCCESS);
    check_status!(probe, "PoUnregisterPowerSettingCallback", [handle] => INVALID_PARAMETER);
}

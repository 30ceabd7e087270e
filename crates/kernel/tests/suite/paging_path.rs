//! K23: the read, write and power routines of every driver in a stack that a paging file lies on (R8, R19).

use nt_types::layout::{driver_object, io_stack_location as sl, irp};
use nt_types::{NtStatus, Va, constants as c};

use crate::exports::{check_status, raw};
use crate::probe::Probe;

/// `DeviceUsageTypePaging` and `DeviceUsageTypeHibernation`.
const PAGING: u32 = 1;
const HIBERNATION: u32 = 2;

/// The probe's driver above, another driver below; all their dispatch routines are the recorder.
struct Stack {
    probe: Probe,
    drivers: [u64; 2],
    devices: [u64; 2],
}

impl Stack {
    fn new() -> Stack {
        let mut probe = Probe::plain();
        let (upper, recorder, slot) = (probe.device(), probe.recorder().0, probe.place(0));
        let name = probe.unicode(probe.place(2), "\\Driver\\Below");
        check_status!(probe, "IoCreateDriver", [name, recorder] => SUCCESS);
        let below = probe.recorded().1[0];
        for major in 0..28 {
            probe.set_word(driver_object::MAJOR_FUNCTION.element(major, 8).at(Va(below)).0, recorder);
        }
        check_status!(probe, "IoCreateDevice", [below, 0, 0, 0x22, 0, 0, slot] => SUCCESS);
        let lower = probe.word(slot);
        assert_eq!(probe.ask("IoAttachDeviceToDeviceStack", &[upper, lower]).expect("it is attached"), lower);
        let own = probe.driver();
        Stack { probe, drivers: [own, below], devices: [upper, lower] }
    }

    /// Makes a routine of a driver pageable.
    fn pageable(&mut self, driver: usize, major: u32) {
        let routine = self.probe.paged().0;
        let entry = driver_object::MAJOR_FUNCTION.element(major, 8).at(Va(self.drivers[driver]));
        self.probe.set_word(entry.0, routine);
    }

    /// Tells the stack of a file that comes or goes; the driver on top completes the notification with this status.
    fn tell(&mut self, kind: u32, in_path: bool, status: NtStatus) {
        let probe = &mut self.probe;
        let request = probe.ask("IoAllocateIrp", &[2, 0]).expect("there is memory");
        let stack = Va(probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF);
        probe.set_bytes(stack.0, &[c::IRP_MJ_PNP as u8, c::IRP_MN_DEVICE_USAGE_NOTIFICATION as u8]);
        probe.set_bytes(sl::PARAMETERS_USAGE_NOTIFICATION_IN_PATH.at(stack).0, &[in_path.into()]);
        probe.set_bytes(sl::PARAMETERS_USAGE_NOTIFICATION_TYPE.at(stack).0, &kind.to_le_bytes());
        probe.record_returning(raw(NtStatus::PENDING));
        check_status!(probe, "IofCallDriver", [self.devices[0], request] => PENDING);
        assert!(!probe.codes().contains(&"K23"), "the drivers have not agreed");
        probe.set_bytes(irp::IO_STATUS_STATUS.at(Va(request)).0, &status.0.to_le_bytes());
        probe.ask("IofCompleteRequest", &[request, 0]).expect("it is complete");
    }

    fn found(&self) -> usize {
        self.probe.codes().iter().filter(|code| **code == "K23").count()
    }
}

/// R8, R19: above and below, for each of the three kinds of request; other routines of these drivers may be pageable.
#[test]
fn k23_r8_r19_every_driver_of_the_stack() {
    for driver in [0, 1] {
        for major in [c::IRP_MJ_READ, c::IRP_MJ_WRITE, c::IRP_MJ_POWER, c::IRP_MJ_CREATE, c::IRP_MJ_DEVICE_CONTROL] {
            let mut stack = Stack::new();
            stack.pageable(driver, major);
            stack.tell(PAGING, true, NtStatus::SUCCESS);
            let in_path = matches!(major, c::IRP_MJ_READ | c::IRP_MJ_WRITE | c::IRP_MJ_POWER);
            assert_eq!(stack.found(), usize::from(in_path), "driver {driver}, major function {major}");
        }
    }
}

/// A lock does not help: the routine must not depend on it.
#[test]
fn k23_a_locked_section_counts_too() {
    let mut stack = Stack::new();
    stack.pageable(0, c::IRP_MJ_READ);
    let section = stack.probe.paged().0;
    stack.probe.ask("MmLockPagableDataSection", &[section]).expect("it is locked");
    stack.tell(PAGING, true, NtStatus::SUCCESS);
    assert_eq!((stack.found(), stack.probe.count(Va(section))), (1, 1));
}

/// A file that a driver refuses, or that is no paging file, puts nobody in the paging path.
#[test]
fn k23_only_where_a_paging_file_is() {
    for (kind, status) in [(PAGING, NtStatus::DEVICE_NOT_READY), (HIBERNATION, NtStatus::SUCCESS)] {
        let mut stack = Stack::new();
        stack.pageable(1, c::IRP_MJ_READ);
        stack.tell(kind, true, status);
        assert_eq!(stack.found(), 0, "{kind}, {status}");
    }
}

/// R8: what is attached above a device of the paging path is in it as long as a paging file is there.
#[test]
fn k23_r8_a_driver_that_is_attached_later() {
    for gone in [false, true] {
        let mut stack = Stack::new();
        stack.tell(PAGING, true, NtStatus::SUCCESS);
        if gone {
            stack.tell(PAGING, false, NtStatus::SUCCESS);
        }
        stack.pageable(1, c::IRP_MJ_WRITE);
        let slot = stack.probe.place(1);
        check_status!(stack.probe, "IoCreateDevice", [stack.drivers[1], 0, 0, 0x22, 0, 0, slot] => SUCCESS);
        let (filter, lower) = (stack.probe.word(slot), stack.devices[1]);
        stack.probe.ask("IoAttachDeviceToDeviceStack", &[filter, lower]).expect("it is attached");
        assert_eq!(stack.found(), usize::from(!gone));
    }
}

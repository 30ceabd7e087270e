//! Work items, the error log, timers of devices.

use kernel::EventKind;
use nt_types::NtStatus;

use super::{check, check_status};
use crate::probe::Probe;

/// ddi: IoQueueWorkItem, IoQueueWorkItemEx.
#[test]
fn work_items_run_on_a_system_thread() {
    for (queue, arguments) in [("IoQueueWorkItem", 2), ("IoQueueWorkItemEx", 3)] {
        let mut probe = Probe::plain();
        let (device, recorder) = (probe.device(), probe.recorder().0);
        let item = probe.ask("IoAllocateWorkItem", &[device]).expect("there is memory");
        probe.ask(queue, &[item, recorder, 1, 0x77]).expect("it is queued");
        probe.pass_us(10);
        assert_eq!(probe.recorded().1[..arguments], [device, 0x77, item][..arguments]);
        probe.ask("IoFreeWorkItem", &[item]).expect("it is not queued");
        assert!(probe.refused("IoFreeWorkItem", &[probe_place(&probe)]).contains("no item"));
    }
}

fn probe_place(probe: &Probe) -> u64 {
    probe.place(5)
}

/// ddi: IoInitializeWorkItem: in memory of the driver.
#[test]
fn work_items_in_memory_of_the_driver() {
    let mut probe = Probe::plain();
    let (device, recorder, item) = (probe.device(), probe.recorder().0, probe.place(0));
    assert!(probe.ask("IoSizeofWorkItem", &[]).expect("it is known") <= 0x80);
    probe.ask("IoInitializeWorkItem", &[device, item]).expect("it is initialised");
    probe.ask("IoQueueWorkItem", &[item, recorder, 1, 1]).expect("it is queued");
    probe.pass_us(10);
    assert_eq!(probe.recorded().0, 1);
    probe.ask("IoUninitializeWorkItem", &[item]).expect("it is not queued");
}

/// ddi: IoAllocateErrorLogEntry, IoWriteErrorLogEntry.
#[test]
fn the_error_log_takes_entries() {
    let mut probe = Probe::plain();
    let device = probe.device();
    check!(probe, "IoAllocateErrorLogEntry", [device, 8] => 0);
    check!(probe, "IoAllocateErrorLogEntry", [device, 255] => 0);
    let entry = probe.ask("IoAllocateErrorLogEntry", &[device, 0x30]).expect("there is memory");
    probe.set_word(entry + 0x10, u64::from(NtStatus::NO_MEMORY.0) << 32);
    probe.ask("IoWriteErrorLogEntry", &[entry]).expect("it is written");
    let logged =
        |event: &kernel::Event| matches!(event.kind, EventKind::ErrorLogged { status: NtStatus::NO_MEMORY, .. });
    assert!(probe.machine.events.iter().any(logged));
    let entry = probe.ask("IoAllocateErrorLogEntry", &[device, 0x30]).expect("there is memory");
    probe.ask("IoFreeErrorLogEntry", &[entry]).expect("it is an entry");
}

/// ddi: IoInitializeTimer: the routine is called once a second while the timer runs.
#[test]
fn a_device_timer_ticks_once_a_second() {
    let mut probe = Probe::plain();
    let (device, recorder) = (probe.device(), probe.recorder().0);
    assert!(probe.refused("IoStartTimer", &[device]).contains("without a timer"));
    let mut probe = Probe::plain();
    let again = probe.device();
    assert_eq!(device, again);
    check_status!(probe, "IoInitializeTimer", [device, recorder, 5] => SUCCESS);
    probe.ask("IoStartTimer", &[device]).expect("it has a timer");
    probe.pass_us(2_500_000);
    let (calls, arguments) = probe.recorded();
    assert_eq!((calls, &arguments[..2]), (2, &[device, 5][..]), "IopTimerDispatch has called it");
    probe.ask("IoStopTimer", &[device]).expect("it has a timer");
    probe.pass_us(2_000_000);
    assert_eq!(probe.recorded().0, 2);
}

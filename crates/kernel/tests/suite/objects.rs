//! Dispatcher objects, timers, DPCs and pool, called by guest code.

use kernel::Options;
use memory::MemoryConfig;
use nt_types::{NtStatus, Va};

use crate::probe::Probe;
use crate::sample::bug_check;

const EXECUTIVE: u64 = 0;
const KERNEL_MODE: u64 = 0;
const SYNCHRONIZATION_EVENT: u64 = 1;
const WAIT_ALL: u64 = 0;
const WAIT_ANY: u64 = 1;

/// A relative time in the form of timers and timeouts.
fn relative_us(time_us: i64) -> u64 {
    (-time_us * 10) as u64
}

/// An object in the probe's data.
fn object(probe: &Probe, index: u64) -> u64 {
    probe.data().0 + 0x80 * index
}

fn events(probe: &mut Probe, count: u64) -> Vec<u64> {
    let objects: Vec<u64> = (0..count).map(|index| object(probe, index)).collect();
    for event in &objects {
        probe.ask("KeInitializeEvent", &[*event, SYNCHRONIZATION_EVENT, 0]).expect("it is initialised");
    }
    objects
}

fn wait(event: u64, timeout: Va) -> [u64; 5] {
    [event, EXECUTIVE, KERNEL_MODE, 0, timeout.0]
}

/// A synchronisation event lets go one waiter at a time, the oldest first (ddi: KeSetEvent).
#[test]
fn waiters_go_on_in_the_order_they_came() {
    let mut probe = Probe::plain();
    let event = events(&mut probe, 1)[0];
    let mut waiters = Vec::new();
    for _ in 0..3 {
        waiters.push(probe.begin_service("KeWaitForSingleObject", &wait(event, Va::NULL)));
        probe.pass_us(10);
    }
    for done in 1..=3 {
        probe.ask("KeSetEvent", &[event, 0, 0]).expect("it is set");
        probe.pass_us(10);
        let expected: Vec<bool> = (0..3).map(|index| index < done).collect();
        assert_eq!(probe.answered(&waiters), expected);
    }
}

/// A wait that nothing ends gives up at its time.
#[test]
fn a_wait_times_out() {
    let mut probe = Probe::plain();
    let event = events(&mut probe, 1)[0];
    let timeout = Va(object(&probe, 1));
    probe.machine.write_u64(timeout, relative_us(1_000)).expect("the probe's data can be written");
    let before = probe.machine.now_ns();
    let status = probe.ask("KeWaitForSingleObject", &wait(event, timeout)).expect("the wait ends");
    assert_eq!(NtStatus(status as u32), NtStatus::TIMEOUT);
    let waited = probe.machine.now_ns() - before;
    assert!((1_000_000..1_100_000).contains(&waited), "{waited} ns");
}

/// One of several, and all of several (ddi: KeWaitForMultipleObjects).
#[test]
fn a_wait_for_several_objects() {
    for (kind, after_one) in [(WAIT_ANY, true), (WAIT_ALL, false)] {
        let mut probe = Probe::plain();
        let objects = events(&mut probe, 2);
        let list = Va(object(&probe, 4));
        for (index, event) in (0..).zip(&objects) {
            probe.machine.write_u64(list + 8 * index, *event).expect("the probe's data can be written");
        }
        let arguments = [2, list.0, kind, EXECUTIVE, KERNEL_MODE, 0, 0, 0];
        let waiter = probe.begin_service("KeWaitForMultipleObjects", &arguments);
        probe.pass_us(10);
        probe.ask("KeSetEvent", &[objects[1], 0, 0]).expect("it is set");
        probe.pass_us(10);
        assert_eq!(probe.answered(&[waiter]), [after_one]);
        if after_one {
            assert_eq!(probe.finish(waiter).expect("it ended"), 1, "the index of the object");
            continue;
        }
        probe.ask("KeSetEvent", &[objects[0], 0, 0]).expect("it is set");
        assert_eq!(probe.finish(waiter).expect("both are set"), 0);
    }
}

/// A semaphore does not go beyond its limit: the release raises `STATUS_SEMAPHORE_LIMIT_EXCEEDED`.
#[test]
fn a_semaphore_has_a_limit() {
    let mut probe = Probe::plain();
    let semaphore = object(&probe, 0);
    probe.ask("KeInitializeSemaphore", &[semaphore, 1, 2]).expect("it is initialised");
    assert_eq!(probe.ask("KeReleaseSemaphore", &[semaphore, 0, 1, 0]).expect("there is room"), 1);
    let stop = probe.ask("KeReleaseSemaphore", &[semaphore, 0, 1, 0]).expect_err("it is full");
    assert_eq!(bug_check(&stop).parameters[0] as u32, 0xC000_0047);
}

/// A relative timer signals at its time; setting and cancelling say whether it was set.
#[test]
fn a_timer_expires_once_and_can_be_cancelled() {
    let mut probe = Probe::plain();
    let timer = object(&probe, 0);
    probe.ask("KeInitializeTimer", &[timer]).expect("it is initialised");
    let before = probe.machine.now_ns();
    let set = [timer, relative_us(500), 0];
    assert_eq!(probe.ask("KeSetTimer", &set).expect("it is set"), 0);
    assert_eq!(probe.ask("KeSetTimer", &set).expect("it is set again"), 1);
    probe.ask("KeWaitForSingleObject", &wait(timer, Va::NULL)).expect("it expires");
    let waited = probe.machine.now_ns() - before;
    assert!((500_000..600_000).contains(&waited), "{waited} ns");
    assert_eq!(probe.ask("KeCancelTimer", &[timer]).expect("it is not set"), 0);
    probe.ask("KeSetTimer", &set).expect("it is set");
    assert_eq!(probe.ask("KeCancelTimer", &[timer]).expect("it is set"), 1);
    assert_eq!(probe.ask("KeReadStateTimer", &[timer]).expect("it can be read"), 0);
    probe.pass_us(1_000);
    assert_eq!(probe.ask("KeReadStateTimer", &[timer]).expect("it can be read"), 0);
}

/// A periodic timer queues its DPC each time; an absolute time is system time.
#[test]
fn periodic_and_absolute_timers() {
    let mut probe = Probe::plain();
    let (timer, dpc, routine) = (object(&probe, 0), object(&probe, 1), probe.nothing());
    probe.ask("KeInitializeTimerEx", &[timer, 1]).expect("it is initialised");
    probe.ask("KeInitializeDpc", &[dpc, routine.0, 0]).expect("it is initialised");
    let due = probe.machine.system_time() + 10_000;
    let start = probe.machine.now_ns();
    probe.ask("KeSetTimerEx", &[timer, due, 2, dpc]).expect("it is set");
    probe.pass_us(6_000);
    let times: Vec<u64> = probe.dpcs().iter().map(|(time_ns, _)| (time_ns - start + 250_000) / 500_000).collect();
    assert_eq!(times, [2, 6, 10], "in units of half a millisecond");
}

/// A DPC runs at `DISPATCH_LEVEL` on its target processor, once for each time it was queued.
#[test]
fn a_dpc_runs_on_its_target_processor() {
    let mut probe = Probe::new(Options { processors: 2, ..Options::default() }, MemoryConfig::default());
    let (dpc, routine) = (object(&probe, 0), probe.nothing());
    probe.ask("KeInitializeDpc", &[dpc, routine.0, 0]).expect("it is initialised");
    for target in [1, 0] {
        probe.ask("KeSetTargetProcessorDpc", &[dpc, target]).expect("there is such a processor");
        assert_eq!(probe.ask("KeInsertQueueDpc", &[dpc, 0, 0]).expect("it is queued"), 1);
        probe.ask("KeFlushQueuedDpcs", &[]).expect("it runs");
    }
    let processors: Vec<usize> = probe.dpcs().iter().map(|(_, processor)| *processor).collect();
    assert_eq!(processors, [1, 0]);
}

/// Whoever finds a fast mutex taken waits until it is given back.
#[test]
fn a_fast_mutex_is_for_one_thread() {
    let mut probe = Probe::plain();
    let mutex = object(&probe, 0);
    probe.machine.write_u32(nt_types::layout::fast_mutex::COUNT.at(Va(mutex)), 1).expect("it is free");
    probe.ask("ExAcquireFastMutexUnsafe", &[mutex]).expect("it is free");
    assert_eq!(probe.ask("ExTryToAcquireFastMutex", &[mutex]).expect("it does not wait") as u8, 0);
    let second = probe.begin_service("ExAcquireFastMutexUnsafe", &[mutex]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[second]), [false]);
    probe.ask("ExReleaseFastMutexUnsafe", &[mutex]).expect("it is given back");
    probe.finish(second).expect("it takes the mutex");
}

/// Freeing a block twice, or with another tag, is 0xC2 (docs: debugger/bug-check-0xc2).
#[test]
fn pool_is_freed_once_and_with_its_tag() {
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    for (second_tag, twice, subtype) in [(tag, true, 0x44), (tag + 1, false, 0xA)] {
        let mut probe = Probe::plain();
        let block = probe.ask("ExAllocatePoolWithTag", &[0, 64, tag]).expect("there is memory");
        assert_ne!(block, 0);
        if twice {
            probe.ask("ExFreePoolWithTag", &[block, tag]).expect("it is a block");
        }
        let stop = probe.ask("ExFreePoolWithTag", &[block, second_tag]).expect_err("it is misused");
        let check = bug_check(&stop);
        assert_eq!((check.code.0, check.parameters[0], check.parameters[1]), (0xC2, subtype, block));
    }
}

/// A mutex belongs to the thread that took it: another may not release it (`STATUS_MUTANT_NOT_OWNED`).
#[test]
fn a_mutex_is_released_by_its_owner() {
    let mut probe = Probe::plain();
    let mutex = object(&probe, 0);
    probe.ask("KeInitializeMutex", &[mutex, 0]).expect("it is initialised");
    probe.ask("KeWaitForSingleObject", &wait(mutex, Va::NULL)).expect("it is free");
    let stop = probe.ask("KeReleaseMutex", &[mutex, 0]).expect_err("it belongs to another thread");
    assert_eq!(bug_check(&stop).parameters[0] as u32, 0xC000_0046);
}

//! Spin locks, the IRQL, processors, threads, variables of the kernel.

use kernel::Options;
use memory::MemoryConfig;
use nt_types::layout::klock_queue_handle;
use nt_types::{NtStatus, Va};

use super::{check, check_flag, check_status};
use crate::probe::Probe;
use crate::sample::bug_check;

const DISPATCH: u8 = 2;

/// Calls a routine with up to two arguments at an IRQL.
fn at(probe: &mut Probe, irql: u8, name: &str, arguments: [u64; 2]) -> u64 {
    let routine = probe.export(name);
    probe.call(irql, routine, arguments).expect("it returns")
}

/// ddi: KeAcquireSpinLock and its kin: the word is 1 while the lock is held.
#[test]
fn spin_locks_are_held_and_released() {
    let mut probe = Probe::plain();
    let lock = probe.place(0);
    probe.set_word(lock, 9);
    probe.ask("KeInitializeSpinLock", &[lock]).expect("it returns");
    for (irql, acquire, release) in [
        (0, "KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"),
        (0, "KeAcquireSpinLockForDpc", "KeReleaseSpinLockForDpc"),
        (DISPATCH, "KeAcquireSpinLockAtDpcLevel", "KeReleaseSpinLockFromDpcLevel"),
        (DISPATCH, "KeTryToAcquireSpinLockAtDpcLevel", "KeReleaseSpinLockFromDpcLevel"),
    ] {
        assert_eq!(probe.word(lock), 0, "{acquire}");
        check_flag!(probe, "KeTestSpinLock", [lock] => true);
        at(&mut probe, irql, acquire, [lock, 0]);
        assert_ne!(probe.word(lock), 0, "{acquire}");
        check_flag!(probe, "KeTestSpinLock", [lock] => false);
        assert_eq!(at(&mut probe, DISPATCH, "KeTryToAcquireSpinLockAtDpcLevel", [lock, 0]) as u8, 0);
        at(&mut probe, DISPATCH, release, [lock, 0]);
    }
    assert_eq!(probe.word(lock), 0);
}

/// ddi: KeAcquireInStackQueuedSpinLock and its kin.
#[test]
fn queued_spin_locks_keep_the_irql_in_the_handle() {
    let mut probe = Probe::plain();
    let (lock, handle) = (probe.place(0), probe.place(1));
    for (irql, acquire, release) in [
        (1, "KeAcquireInStackQueuedSpinLock", "KeReleaseInStackQueuedSpinLock"),
        (1, "KeAcquireInStackQueuedSpinLockForDpc", "KeReleaseInStackQueuedSpinLockForDpc"),
        (DISPATCH, "KeAcquireInStackQueuedSpinLockAtDpcLevel", "KeReleaseInStackQueuedSpinLockFromDpcLevel"),
    ] {
        at(&mut probe, irql, acquire, [lock, handle]);
        assert_ne!(probe.word(lock), 0, "{acquire}");
        if irql == 1 {
            assert_eq!(probe.bytes(klock_queue_handle::OLD_IRQL.at(Va(handle)).0, 1), [1]);
        }
        at(&mut probe, DISPATCH, release, [handle, 0]);
        assert_eq!(probe.word(lock), 0, "{release}");
    }
}

/// ddi: ExAcquireSpinLockExclusive, ExAcquireSpinLockShared and their kin.
#[test]
fn executive_spin_locks_count_who_shares() {
    let mut probe = Probe::plain();
    let lock = probe.place(0);
    for (irql, suffix, back) in [(0, "", ""), (DISPATCH, "AtDpcLevel", "FromDpcLevel")] {
        at(&mut probe, irql, &format!("ExAcquireSpinLockExclusive{suffix}"), [lock, 0]);
        assert_eq!(probe.half(lock), 0x8000_0000);
        at(&mut probe, DISPATCH, &format!("ExReleaseSpinLockExclusive{back}"), [lock, 0]);
        for count in 1..=2 {
            at(&mut probe, irql, &format!("ExAcquireSpinLockShared{suffix}"), [lock, 0]);
            assert_eq!(probe.half(lock), count);
        }
        for count in [1, 0] {
            at(&mut probe, DISPATCH, &format!("ExReleaseSpinLockShared{back}"), [lock, 0]);
            assert_eq!(probe.half(lock), count);
        }
    }
    // The names above, in full: "ExAcquireSpinLockExclusive", "ExAcquireSpinLockExclusiveAtDpcLevel",
    // "ExReleaseSpinLockExclusive", "ExReleaseSpinLockExclusiveFromDpcLevel", "ExAcquireSpinLockShared",
    // "ExAcquireSpinLockSharedAtDpcLevel", "ExReleaseSpinLockShared", "ExReleaseSpinLockSharedFromDpcLevel".
}

/// ddi: KeRaiseIrql, KeLowerIrql, KeGetCurrentIrql.
#[test]
fn the_irql_goes_up_and_down() {
    let mut probe = Probe::plain();
    assert_eq!(at(&mut probe, 1, "KeGetCurrentIrql", [0, 0]), 1);
    assert_eq!(at(&mut probe, 1, "KeRaiseIrqlToDpcLevel", [0, 0]) as u8, 1);
    assert_eq!(at(&mut probe, 0, "KfRaiseIrql", [5, 0]) as u8, 0);
    at(&mut probe, DISPATCH, "KeLowerIrql", [0, 0]);
    let routine = probe.export("KeGetCurrentIrql").0;
    let level = probe.ask("KeIpiGenericCall", &[routine, 0]).expect("it returns");
    assert_eq!(level, 14, "the routine runs at IPI_LEVEL");
}

/// ddi: KeQueryActiveProcessors and its kin, on two processors.
#[test]
fn processors_are_counted() {
    let mut probe = Probe::new(Options { processors: 2, ..Options::default() }, MemoryConfig::default());
    let slot = probe.place(0);
    for (name, argument, expected) in [
        ("KeQueryActiveProcessors", 0, 3),
        ("KeQueryActiveProcessorCountEx", 0xFFFF, 2),
        ("KeQueryActiveProcessorCountEx", 1, 0),
        ("KeQueryMaximumProcessorCount", 0, 2),
        ("KeQueryMaximumProcessorCountEx", 0, 2),
        ("KeQueryActiveGroupCount", 0, 1),
        ("KeQueryMaximumGroupCount", 0, 1),
        ("KeQueryGroupAffinity", 0, 3),
        ("KeQueryGroupAffinity", 1, 0),
        ("KeQueryActiveProcessorCount", slot, 2),
    ] {
        assert_eq!(probe.ask(name, &[argument]).expect("it returns"), expected, "{name}");
    }
    assert_eq!(probe.word(slot), 3);
    check_status!(probe, "KeGetProcessorNumberFromIndex", [2, slot] => INVALID_PARAMETER);
    check_status!(probe, "KeGetProcessorNumberFromIndex", [1, slot] => SUCCESS);
    assert_eq!(probe.half(slot), 1 << 16);
    check!(probe, "KeGetProcessorIndexFromNumber", [slot] => 1);
    probe.set_bytes(slot, &[1, 0]);
    check!(probe, "KeGetProcessorIndexFromNumber", [slot] => 0xFFFF_FFFF);
    let number = probe.ask("KeGetCurrentProcessorNumberEx", &[slot]).expect("it returns");
    assert_eq!(u64::from(probe.half(slot) >> 16), number);
    assert!(probe.ask("KeGetCurrentProcessorNumber", &[]).expect("it returns") < 2);
    check!(probe, "KeSetSystemAffinityThreadEx", [2] => 0);
    probe.ask("KeSetSystemAffinityThread", &[1]).expect("it returns");
    probe.ask("KeRevertToUserAffinityThread", &[]).expect("it returns");
    probe.ask("KeRevertToUserAffinityThreadEx", &[0]).expect("it returns");
    probe.set_word(slot, 2);
    probe.set_word(slot + 8, 0);
    probe.set_word(slot + 16, 9);
    probe.ask("KeSetSystemGroupAffinityThread", &[slot, slot + 16]).expect("it returns");
    assert_eq!(probe.word(slot + 16), 0, "no affinity before");
    probe.ask("KeRevertToUserGroupAffinityThread", &[slot + 16]).expect("it returns");
    assert!(probe.refused("KeIpiGenericCall", &[slot, 0]).contains("more than one processor"));
}

/// ddi: KeQueryPerformanceCounter, KeQueryInterruptTime, KeStallExecutionProcessor.
#[test]
fn time_passes() {
    let mut probe = Probe::plain();
    let slot = probe.place(0);
    let before = probe.ask("KeQueryInterruptTime", &[]).expect("it returns");
    probe.ask("KeStallExecutionProcessor", &[50]).expect("it returns");
    let after = probe.ask("KeQueryInterruptTime", &[]).expect("it returns");
    assert!((500..600).contains(&(after - before)), "{before} {after}");
    let counter = probe.ask("KeQueryPerformanceCounter", &[slot]).expect("it returns");
    assert_eq!((probe.word(slot), counter >= after), (10_000_000, true));
    probe.ask("KeQuerySystemTimePrecise", &[slot]).expect("it returns");
    assert!(probe.word(slot) > 133_485_408_000_000_000);
    check!(probe, "KeQueryTimeIncrement", [] => 156_250);
    let ticks = probe.machine.kernel_images().export("ntoskrnl.exe", "KeTickCount").expect("it is exported");
    let first = probe.word(ticks.0);
    probe.pass_us(40_000);
    assert!(probe.word(ticks.0) > first);
}

/// ddi: KeEnterCriticalRegion, KeAcquireGuardedMutex. Each call is a thread of its own, so regions end with it.
#[test]
fn regions_and_guarded_mutexes() {
    let mut probe = Probe::plain();
    for name in ["KeEnterCriticalRegion", "KeLeaveCriticalRegion", "KeEnterGuardedRegion", "KeLeaveGuardedRegion"] {
        probe.ask(name, &[]).expect("it returns");
    }
    check_flag!(probe, "KeAreApcsDisabled", [] => false);
    check_flag!(probe, "KeAreAllApcsDisabled", [] => false);
    assert_eq!(at(&mut probe, 1, "KeAreAllApcsDisabled", [0, 0]) as u8, 1);
    let mutex = probe.place(0);
    probe.ask("KeInitializeGuardedMutex", &[mutex]).expect("it returns");
    check_flag!(probe, "KeTryToAcquireGuardedMutex", [mutex] => true);
    check_flag!(probe, "KeTryToAcquireGuardedMutex", [mutex] => false);
    let waiter = probe.begin_service("KeAcquireGuardedMutex", &[mutex]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[waiter]), [false]);
    probe.ask("KeReleaseGuardedMutex", &[mutex]).expect("it is held");
    probe.finish(waiter).expect("it is free");
    let waiter = probe.begin_service("KeAcquireGuardedMutexUnsafe", &[mutex]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[waiter]), [false]);
    probe.ask("KeReleaseGuardedMutexUnsafe", &[mutex]).expect("it is held");
    probe.finish(waiter).expect("it is free");
    probe.set_bytes(mutex, &[1, 0, 0, 0]);
    at(&mut probe, 0, "ExAcquireFastMutex", [mutex, 0]);
    assert_eq!(probe.half(mutex), 0);
    at(&mut probe, 1, "ExReleaseFastMutex", [mutex, 0]);
    assert_eq!(probe.half(mutex), 1);
}

/// ddi: KePulseEvent, KeResetEvent, KeClearEvent, KeReadStateMutex, KeReadStateSemaphore, KeRemoveQueueDpc.
#[test]
fn states_of_dispatcher_objects() {
    let mut probe = Probe::plain();
    let [event, mutex, semaphore, dpc] = [0, 1, 2, 3].map(|index| probe.place(index));
    probe.ask("KeInitializeEvent", &[event, 0, 1]).expect("it returns");
    check!(probe, "KeResetEvent", [event] => 1);
    check!(probe, "KePulseEvent", [event, 0, 0] => 0);
    check!(probe, "KeReadStateEvent", [event] => 0);
    probe.ask("KeSetEvent", &[event, 0, 0]).expect("it returns");
    probe.ask("KeClearEvent", &[event]).expect("it returns");
    check!(probe, "KeReadStateEvent", [event] => 0);
    probe.ask("KeInitializeMutex", &[mutex, 0]).expect("it returns");
    check!(probe, "KeReadStateMutex", [mutex] => 1);
    probe.ask("KeInitializeSemaphore", &[semaphore, 3, 5]).expect("it returns");
    check!(probe, "KeReadStateSemaphore", [semaphore] => 3);
    let recorder = probe.recorder().0;
    probe.ask("KeInitializeDpc", &[dpc, recorder, 0]).expect("it returns");
    probe.ask("KeSetImportanceDpc", &[dpc, 2]).expect("it returns");
    check_flag!(probe, "KeRemoveQueueDpc", [dpc] => false);
}

/// ddi: KeSetImportanceDpc: a DPC of HighImportance goes to the front of the queue, others to its end. Two timers that expire
/// together queue both before either runs.
#[test]
fn an_important_dpc_runs_first() {
    for (importance, last) in [(0, 2), (1, 2), (2, 1)] {
        let mut probe = Probe::plain();
        let (recorder, time) = (probe.recorder().0, probe.place(4));
        probe.ask("KeQuerySystemTimePrecise", &[time]).expect("it returns");
        let due = probe.word(time) + 100_000;
        for (context, index) in [(1, 0), (2, 2)] {
            let (timer, dpc) = (probe.place(index), probe.place(index + 1));
            probe.ask("KeInitializeTimer", &[timer]).expect("it returns");
            probe.ask("KeInitializeDpc", &[dpc, recorder, context]).expect("it returns");
            if context == 2 {
                probe.ask("KeSetImportanceDpc", &[dpc, importance]).expect("it returns");
            }
            check!(probe, "KeSetTimer", [timer, due, dpc] => 0);
        }
        probe.pass_us(30_000);
        let (calls, arguments) = probe.recorded();
        assert_eq!((calls, arguments[1]), (2, last), "importance {importance}");
    }
}

/// ddi: PsCreateSystemThread, KeSetPriorityThread, PsGetThreadId.
#[test]
fn threads_have_names_and_priorities() {
    let mut probe = Probe::plain();
    let (slot, id, recorder) = (probe.place(0), probe.place(1), probe.recorder().0);
    check_status!(probe, "PsCreateSystemThread", [slot, 0, 0, 0, id, recorder, 0x31] => SUCCESS);
    let handle = probe.word(slot);
    check_status!(probe, "ObReferenceObjectByHandle", [handle, 0, 0, 0, slot, 0] => SUCCESS);
    let thread = probe.word(slot);
    check_status!(probe, "ZwWaitForSingleObject", [handle, 0, 0] => SUCCESS);
    assert_eq!(probe.recorded().1[0], 0x31);
    let number = probe.word(id + 8);
    check!(probe, "PsGetThreadId", [thread] => number);
    check!(probe, "PsGetThreadProcessId", [thread] => 4);
    let process = probe.ask("PsGetThreadProcess", &[thread]).expect("it returns");
    check!(probe, "IoThreadToProcess", [thread] => process);
    check!(probe, "IoGetCurrentProcess", [] => process);
    check_flag!(probe, "PsIsSystemThread", [thread] => true);
    check_flag!(probe, "IoIsSystemThread", [thread] => true);
    check!(probe, "KeSetPriorityThread", [thread, 20] => 8);
    check!(probe, "KeQueryPriorityThread", [thread] => 20);
    probe.ask("KeSetBasePriorityThread", &[thread, 1]).expect("it returns");
    check!(probe, "KeQueryPriorityThread", [thread] => 9);
    let current = probe.ask("PsGetCurrentThread", &[]).expect("it returns");
    assert_ne!((current, current), (0, thread));
    assert_ne!(probe.ask("KeGetCurrentThread", &[]).expect("it returns"), 0);
    assert_ne!(probe.ask("PsGetCurrentThreadId", &[]).expect("it returns"), 0);
    let ended = probe.begin_service("PsTerminateSystemThread", &[0]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[ended]), [false], "the thread ended instead of answering");
}

/// ddi: PsLookupProcessByProcessId and what else tells about the process.
#[test]
fn the_process_is_the_systems() {
    let mut probe = Probe::plain();
    let (slot, state, recorder) = (probe.place(0), probe.place(1), probe.recorder().0);
    check_status!(probe, "PsLookupProcessByProcessId", [5, slot] => INVALID_CID);
    check_status!(probe, "PsLookupProcessByProcessId", [4, slot] => SUCCESS);
    let process = probe.word(slot);
    check!(probe, "PsGetCurrentProcessId", [] => 4);
    check!(probe, "PsGetProcessId", [process] => 4);
    check!(probe, "PsGetProcessPeb", [process] => 0);
    check!(probe, "PsGetProcessWow64Process", [process] => 0);
    check_status!(probe, "PsGetProcessExitStatus", [process] => PENDING);
    check!(probe, "IoGetRequestorProcess", [slot] => process);
    check!(probe, "IoGetRequestorProcessId", [slot] => 4);
    check_flag!(probe, "IoIs32bitProcess", [slot] => false);
    check!(probe, "ExGetPreviousMode", [] => 0);
    for (attach, detach) in [("KeStackAttachProcess", "KeUnstackDetachProcess"), ("KeAttachProcess", "KeDetachProcess")]
    {
        probe.ask(attach, &[process, state]).expect("it returns");
        probe.ask(detach, &[state]).expect("it returns");
    }
    for (set, arguments, remove, unknown) in [
        ("PsSetCreateProcessNotifyRoutine", [recorder, 1], "", NtStatus::INVALID_PARAMETER),
        ("PsSetCreateProcessNotifyRoutineEx", [recorder, 1], "", NtStatus::INVALID_PARAMETER),
        (
            "PsSetCreateThreadNotifyRoutine",
            [recorder, 0],
            "PsRemoveCreateThreadNotifyRoutine",
            NtStatus::PROCEDURE_NOT_FOUND,
        ),
        ("PsSetLoadImageNotifyRoutine", [recorder, 0], "PsRemoveLoadImageNotifyRoutine", NtStatus::PROCEDURE_NOT_FOUND),
    ] {
        assert_eq!(probe.ask(set, &[recorder, 0]).expect("it returns"), 0, "{set}");
        let remove = if remove.is_empty() { set } else { remove };
        assert_eq!(probe.ask(remove, &arguments).expect("it returns"), 0, "{remove}");
        assert_eq!(probe.ask(remove, &arguments).expect("it returns") as u32, unknown.0, "{remove}");
    }
}

/// ddi: KeInitializeApc is not documented; what drivers do with it is: a routine that runs in a thread.
#[test]
fn an_apc_runs_in_its_thread() {
    let mut probe = Probe::plain();
    let (apc, recorder, nothing) = (probe.place(0), probe.recorder().0, probe.nothing().0);
    let event = probe.place(2);
    probe.ask("KeInitializeEvent", &[event, 0, 0]).expect("it returns");
    let waiter = probe.begin_service("KeWaitForSingleObject", &[event, 0, 0, 0, 0]);
    probe.pass_us(10);
    let thread = probe.machine.threads().last().expect("it waits").object.0;
    let initialize = [apc, thread, 0, nothing, 0, recorder, 0, 0x61];
    probe.ask("KeInitializeApc", &initialize).expect("it returns");
    check_flag!(probe, "KeInsertQueueApc", [apc, 0x62, 0x63, 0] => true);
    probe.pass_us(100);
    probe.ask("KeSetEvent", &[event, 0, 0]).expect("it returns");
    probe.finish(waiter).expect("it is set");
    assert_eq!(probe.recorded().1[..3], [0x61, 0x62, 0x63]);
}

/// Exceptions that drivers raise by routine; nobody handles them here.
#[test]
fn raised_exceptions_have_their_codes() {
    for (name, arguments, code) in [
        ("ExRaiseStatus", [0xC000_000D, 0, 0], 0xC000_000D),
        ("ExRaiseAccessViolation", [0; 3], 0xC000_0005),
        ("ExRaiseDatatypeMisalignment", [0; 3], 0x8000_0002),
        ("ProbeForRead", [0xFFFF_8000_0000_0000, 4, 1], 0xC000_0005),
        ("ProbeForWrite", [0x1001, 4, 4], 0x8000_0002),
        ("DbgBreakPoint", [0; 3], 0x8000_0003),
        ("DbgBreakPointWithStatus", [1, 0, 0], 0x8000_0003),
    ] {
        let stop = Probe::plain().ask(name, &arguments).expect_err("nobody handles it");
        assert_eq!(bug_check(&stop).parameters[0] as u32, code, "{name}");
    }
    let mut probe = Probe::plain();
    probe.ask("ProbeForRead", &[0x1_0000, 4, 1]).expect("it is an address of a program");
    probe.ask("ProbeForWrite", &[0, 0, 1]).expect("nothing to look at");
}

/// Variables of the kernel: those with a value of their own, those that name types, and those that are zero here.
#[test]
fn variables_of_the_kernel() {
    let mut probe = Probe::plain();
    let mut types = Vec::new();
    for (name, bytes, expected) in [
        ("InitSafeBootMode", 4, Some(0)),
        ("IoStatisticsLock", 8, Some(0)),
        ("KdComPortInUse", 8, Some(0)),
        ("KdDebuggerEnabled", 1, Some(0)),
        ("KdDebuggerNotPresent", 1, Some(1)),
        ("KeNumberProcessors", 1, Some(1)),
        ("MmHighestUserAddress", 8, Some(0x7FFF_FFFE_FFFF)),
        ("MmSystemRangeStart", 8, Some(0xFFFF_8000_0000_0000)),
        ("MmUserProbeAddress", 8, Some(0x7FFF_FFFF_0000)),
        ("NlsMbCodePageTag", 1, Some(0)),
        ("NlsMbOemCodePageTag", 1, Some(0)),
        ("NtBuildNumber", 4, Some(0xF000_4A61)),
        ("ExDesktopObjectType", 8, Some(0)),
        ("ExWindowStationObjectType", 8, Some(0)),
        ("IoAdapterObjectType", 8, Some(0)),
        ("IoDeviceHandlerObjectType", 8, Some(0)),
        ("LpcPortObjectType", 8, Some(0)),
        ("ExEventObjectType", 8, None),
        ("ExSemaphoreObjectType", 8, None),
        ("IoDeviceObjectType", 8, None),
        ("IoDriverObjectType", 8, None),
        ("IoFileObjectType", 8, None),
        ("MmSectionObjectType", 8, None),
        ("PsInitialSystemProcess", 8, None),
        ("PsProcessType", 8, None),
        ("PsThreadType", 8, None),
        ("SeExports", 8, None),
        ("SeTokenObjectType", 8, None),
    ] {
        let variable = probe.machine.kernel_images().export("ntoskrnl.exe", name).expect("it is exported");
        let mut value = probe.bytes(variable.0, bytes);
        value.resize(8, 0);
        let value = u64::from_le_bytes(value.try_into().expect("there are eight"));
        match expected {
            Some(expected) => assert_eq!(value, expected, "{name}"),
            None => types.push(value),
        }
    }
    let count = types.len();
    types.sort_unstable();
    types.dedup();
    assert!(types.len() == count && types[0] != 0, "each type is an object of its own");
}

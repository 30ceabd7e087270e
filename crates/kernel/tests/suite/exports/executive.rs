//! Callbacks, resources, push locks, lists.

use nt_types::Va;
use nt_types::layout::{eresource, general_lookaside_pool as pool};

use super::{check, check_flag, check_status};
use crate::probe::Probe;
use crate::sample::bug_check;

const OBJ_CASE_INSENSITIVE: u64 = 0x40;

/// ddi: ExCreateCallback, ExRegisterCallback, ExNotifyCallback, ExUnregisterCallback.
#[test]
fn a_callback_object_calls_who_registered() {
    let mut probe = Probe::plain();
    let (slot, recorder) = (probe.place(0), probe.recorder().0);
    let attributes = probe.attributes(probe.place(1), "\\Callback\\Mine", OBJ_CASE_INSENSITIVE);
    check_status!(probe, "ExCreateCallback", [slot, attributes, 0, 0] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "ExCreateCallback", [slot, attributes, 1, 0] => SUCCESS);
    let callback = probe.word(slot);
    let registration = probe.ask("ExRegisterCallback", &[callback, recorder, 7]).expect("it registers");
    assert_ne!(registration, 0);
    check!(probe, "ExRegisterCallback", [callback, recorder, 8] => 0);
    probe.ask("ExNotifyCallback", &[callback, 1, 2]).expect("it notifies");
    let (calls, arguments) = probe.recorded();
    assert_eq!((calls, &arguments[..3]), (1, &[7, 1, 2][..]));
    probe.ask("ExUnregisterCallback", &[registration]).expect("it is registered");
    probe.ask("ExNotifyCallback", &[callback, 1, 2]).expect("it notifies");
    assert_eq!(probe.recorded().0, 1);
    probe.ask("ObfDereferenceObject", &[callback]).expect("it is referenced");
    check_status!(probe, "ExCreateCallback", [slot, attributes, 0, 0] => OBJECT_NAME_NOT_FOUND);
}

/// The callback objects that the system makes exist without being created, and allow several routines.
#[test]
fn system_callbacks_exist() {
    let mut probe = Probe::plain();
    let (slot, recorder) = (probe.place(0), probe.recorder().0);
    let attributes = probe.attributes(probe.place(1), "\\Callback\\PowerState", 0);
    check_status!(probe, "ExCreateCallback", [slot, attributes, 0, 0] => SUCCESS);
    let callback = probe.word(slot);
    for _ in 0..2 {
        assert_ne!(probe.ask("ExRegisterCallback", &[callback, recorder, 0]).expect("it registers"), 0);
    }
    check_status!(probe, "ExCreateCallback", [slot, 0, 1, 0] => UNSUCCESSFUL);
}

/// ddi: ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite and their kin. Each call of the probe is a thread of
/// its own, so what one acquires no other one holds.
#[test]
fn a_resource_is_exclusive_or_shared() {
    let mut probe = Probe::plain();
    let resource = probe.place(0);
    check_status!(probe, "ExInitializeResourceLite", [resource] => SUCCESS);
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 1] => true);
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 0] => true);
    check_flag!(probe, "ExAcquireResourceExclusiveLite", [resource, 0] => false);
    assert_eq!(probe.half(eresource::ACTIVE_ENTRIES.at(Va(resource)).0), 2);
    check_flag!(probe, "ExIsResourceAcquiredExclusiveLite", [resource] => false);
    check!(probe, "ExIsResourceAcquiredSharedLite", [resource] => 0);
    let waiter = probe.begin_service("ExAcquireResourceExclusiveLite", &[resource, 1]);
    probe.pass_us(10);
    assert_eq!(probe.answered(&[waiter]), [false]);
    check!(probe, "ExGetExclusiveWaiterCount", [resource] => 1);
    check!(probe, "ExGetSharedWaiterCount", [resource] => 0);
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 0] => false);
    check_flag!(probe, "ExAcquireSharedWaitForExclusive", [resource, 0] => false);
    check_flag!(probe, "ExAcquireSharedStarveExclusive", [resource, 0] => true);
    check_status!(probe, "ExReinitializeResourceLite", [resource] => SUCCESS);
    check_flag!(probe, "ExAcquireResourceExclusiveLite", [resource, 0] => true);
    probe.ask("ExConvertExclusiveToSharedLite", &[resource]).expect("it is held");
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 0] => true);
    check_status!(probe, "ExDeleteResourceLite", [resource] => SUCCESS);
    assert!(probe.refused("ExAcquireResourceSharedLite", &[resource, 0]).contains("not initialised"));
}

#[test]
fn a_resource_within_critical_regions() {
    let mut probe = Probe::plain();
    let resource = probe.place(0);
    check_status!(probe, "ExInitializeResourceLite", [resource] => SUCCESS);
    probe.ask("ExEnterCriticalRegionAndAcquireResourceShared", &[resource]).expect("it is free");
    probe.ask("ExEnterCriticalRegionAndAcquireResourceShared", &[resource]).expect("it is shared");
    check_status!(probe, "ExReinitializeResourceLite", [resource] => SUCCESS);
    probe.ask("ExEnterCriticalRegionAndAcquireResourceExclusive", &[resource]).expect("it is free");
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 0] => false);
    let owner = probe.word(eresource::OWNER_ENTRY.at(Va(resource)).0);
    probe.ask("ExReleaseResourceForThreadLite", &[resource, owner]).expect("that thread holds it");
    check_flag!(probe, "ExAcquireResourceSharedLite", [resource, 0] => true);
}

/// Only who holds a resource releases it: 0xE3 (docs: debugger/bug-check-0xe3).
#[test]
fn a_resource_is_released_by_its_owner() {
    for name in ["ExReleaseResourceLite", "ExReleaseResourceAndLeaveCriticalRegion"] {
        let mut probe = Probe::plain();
        let resource = probe.place(0);
        check_status!(probe, "ExInitializeResourceLite", [resource] => SUCCESS);
        check_flag!(probe, "ExAcquireResourceExclusiveLite", [resource, 1] => true);
        let stop = probe.ask(name, &[resource]).expect_err("another thread holds it");
        assert_eq!((bug_check(&stop).code.0, bug_check(&stop).parameters[0]), (0xE3, resource), "{name}");
    }
}

/// ddi: ExInitializePushLock; the Exf forms are what the inline ones call.
#[test]
fn a_push_lock_is_exclusive_or_shared() {
    let mut probe = Probe::plain();
    let lock = probe.place(0);
    probe.ask("ExInitializePushLock", &[lock]).expect("it is initialised");
    for (acquire, release) in [
        ("ExAcquirePushLockSharedEx", "ExReleasePushLockSharedEx"),
        ("ExfAcquirePushLockShared", "ExfReleasePushLockShared"),
    ] {
        probe.ask(acquire, &[lock, 0]).expect("it is free");
        probe.ask(acquire, &[lock, 0]).expect("it is shared");
        for exclusive in ["ExAcquirePushLockExclusiveEx", "ExfAcquirePushLockExclusive"] {
            let waiter = probe.begin_service(exclusive, &[lock, 0]);
            probe.pass_us(10);
            assert_eq!(probe.answered(&[waiter]), [false]);
            while probe.word(lock) >= 16 {
                probe.ask(release, &[lock, 0]).expect("it is shared");
            }
            probe.finish(waiter).expect("it is free now");
            assert_eq!(probe.word(lock), 1);
            let other = if exclusive.starts_with("Exf") {
                "ExfReleasePushLockExclusive"
            } else {
                "ExReleasePushLockExclusiveEx"
            };
            probe.ask(other, &[lock, 0]).expect("it is held");
            probe.ask(acquire, &[lock, 0]).expect("it is free");
        }
        probe.ask(release, &[lock, 0]).expect("it is shared");
        probe.ask("ExfTryToWakePushLock", &[lock]).expect("nobody waits");
    }
    assert!(probe.refused("ExfReleasePushLockExclusive", &[lock]).contains("not held"));
}

/// ddi: ExAcquireRundownProtection and its kin.
#[test]
fn rundown_waits_for_references() {
    let mut probe = Probe::plain();
    let reference = probe.place(0);
    probe.ask("ExInitializeRundownProtection", &[reference]).expect("it is initialised");
    check_flag!(probe, "ExAcquireRundownProtection", [reference] => true);
    check_flag!(probe, "ExAcquireRundownProtectionEx", [reference, 2] => true);
    let waiter = probe.begin_service("ExWaitForRundownProtectionRelease", &[reference]);
    probe.pass_us(10);
    check_flag!(probe, "ExAcquireRundownProtection", [reference] => false);
    probe.ask("ExReleaseRundownProtectionEx", &[reference, 2]).expect("it is referenced");
    probe.pass_us(10);
    assert_eq!(probe.answered(&[waiter]), [false]);
    probe.ask("ExReleaseRundownProtection", &[reference]).expect("it is referenced");
    probe.finish(waiter).expect("none is left");
    probe.ask("ExRundownCompleted", &[reference]).expect("it is complete");
    check_flag!(probe, "ExAcquireRundownProtection", [reference] => false);
    probe.ask("ExReInitializeRundownProtection", &[reference]).expect("it begins anew");
    check_flag!(probe, "ExAcquireRundownProtection", [reference] => true);
}

/// ddi: ExInterlockedInsertHeadList and its kin.
#[test]
fn lists_under_a_lock() {
    let mut probe = Probe::plain();
    let [head, first, second, lock] = [0, 1, 2, 3].map(|index| probe.place(index));
    for offset in [0, 8] {
        probe.set_word(head + offset, head);
    }
    check!(probe, "ExInterlockedRemoveHeadList", [head, lock] => 0);
    check!(probe, "ExInterlockedInsertTailList", [head, second, lock] => 0);
    check!(probe, "ExInterlockedInsertHeadList", [head, first, lock] => second);
    assert_eq!([probe.word(head), probe.word(first), probe.word(second)], [first, second, head]);
    assert_eq!([probe.word(head + 8), probe.word(second + 8), probe.word(first + 8)], [second, first, head]);
    check!(probe, "ExInterlockedRemoveHeadList", [head, lock] => first);
    check!(probe, "ExInterlockedRemoveHeadList", [head, lock] => second);
    probe.set_word(head, 0);
    check!(probe, "ExInterlockedPushEntryList", [head, first, lock] => 0);
    check!(probe, "ExInterlockedPushEntryList", [head, second, lock] => first);
    check!(probe, "ExInterlockedPopEntryList", [head, lock] => second);
    check!(probe, "ExInterlockedPopEntryList", [head, lock] => first);
    check!(probe, "ExInterlockedPopEntryList", [head, lock] => 0);
    probe.set_word(head, 0xFFFF_FFFF);
    check!(probe, "ExInterlockedAddUlong", [head, 2, lock] => 0xFFFF_FFFF);
    assert_eq!(probe.word(head), 1);
    check!(probe, "ExInterlockedAddLargeInteger", [head, 0x1_0000_0000, lock] => 1);
    assert_eq!(probe.word(head), 0x1_0000_0001);
}

/// ddi: ExInterlockedPushEntrySList: the depth is in the low 16 bits of the header, which inline code reads.
#[test]
fn sequenced_lists() {
    let mut probe = Probe::plain();
    let [head, first, second] = [0, 1, 2].map(|index| probe.place(index));
    probe.set_word(head + 8, 0x1234);
    probe.ask("InitializeSListHead", &[head]).expect("it is initialised");
    check!(probe, "ExpInterlockedPopEntrySList", [head] => 0);
    check!(probe, "ExpInterlockedPushEntrySList", [head, first] => 0);
    check!(probe, "ExpInterlockedPushEntrySList", [head, second] => first);
    check!(probe, "ExQueryDepthSList", [head] => 2);
    assert_eq!(probe.word(head) & 0xFFFF, 2);
    check!(probe, "ExpInterlockedPopEntrySList", [head] => second);
    check!(probe, "ExpInterlockedFlushSList", [head] => first);
    check!(probe, "ExQueryDepthSList", [head] => 0);
    check!(probe, "ExpInterlockedPushEntrySList", [head, first] => 0);
    check!(probe, "ExInterlockedFlushSList", [head] => first);
}

/// ddi: ExInitializeNPagedLookasideList: without routines of the driver the list names those of the pool; deleting it frees
/// what it holds.
#[test]
fn lookaside_lists() {
    for (initialize, delete, kind) in [
        ("ExInitializeNPagedLookasideList", "ExDeleteNPagedLookasideList", 0),
        ("ExInitializePagedLookasideList", "ExDeletePagedLookasideList", 1),
    ] {
        let mut probe = Probe::plain();
        let (list, recorder) = (probe.place(0), probe.recorder().0);
        probe.ask(initialize, &[list, 0, 0, 0, 0x60, 0x6b61_6f4c, 0]).expect("it is initialised");
        let allocate = probe.export("ExAllocatePoolWithTag").0;
        assert_eq!(probe.word(pool::ALLOCATE.at(Va(list)).0), allocate);
        let fields = [pool::TYPE, pool::TAG, pool::SIZE].map(|field| probe.half(field.at(Va(list)).0));
        assert_eq!(fields, [kind, 0x6b61_6f4c, 0x60]);
        let block = probe.ask("ExAllocatePoolWithTag", &[0, 0x60, 1]).expect("there is memory");
        probe.ask("ExpInterlockedPushEntrySList", &[list, block]).expect("it is pushed");
        probe.ask(delete, &[list]).expect("it is emptied");
        let stop = probe.ask("ExFreePool", &[block]).expect_err("it is free already");
        assert_eq!(bug_check(&stop).code.0, 0xC2);
        let mut probe = Probe::plain();
        probe.ask(initialize, &[list, recorder, recorder, 0, 0x60, 1, 0]).expect("it is initialised");
        probe.ask("ExpInterlockedPushEntrySList", &[list, list + 0x80]).expect("it is pushed");
        probe.ask(delete, &[list]).expect("it is emptied");
        assert_eq!(probe.recorded().1[0], list + 0x80);
    }
}

/// ddi: ExInitializeLookasideListEx: the free routine gets the list, too.
#[test]
fn extended_lookaside_lists() {
    let mut probe = Probe::plain();
    let (list, recorder) = (probe.place(0), probe.recorder().0);
    let initialize = |free| [list, 0, free, 512, 0, 0x20, 1, 0];
    check_status!(probe, "ExInitializeLookasideListEx", [list, 0, 0, 0, 4, 0x20, 1, 0] => INVALID_PARAMETER_5);
    check_status!(probe, "ExInitializeLookasideListEx", initialize(recorder) => SUCCESS);
    probe.ask("ExpInterlockedPushEntrySList", &[list, list + 0x80]).expect("it is pushed");
    probe.ask("ExFlushLookasideListEx", &[list]).expect("it is emptied");
    assert_eq!(probe.recorded().1[..2], [list + 0x80, list]);
    check_status!(probe, "ExInitializeLookasideListEx", initialize(0) => SUCCESS);
    let block = probe.ask("ExpLookasideAllocateEx", &[512, 0x20, 1, list]).expect("there is memory");
    probe.ask("ExpLookasideFreeEx", &[block, list]).expect("it is a block");
    let block = probe.ask("ExpLookasideAllocateEx", &[512, 0x20, 1, list]).expect("there is memory");
    probe.ask("ExpInterlockedPushEntrySList", &[list, block]).expect("it is pushed");
    probe.ask("ExDeleteLookasideListEx", &[list]).expect("it is emptied");
    assert_eq!(bug_check(&probe.ask("ExFreePool", &[block]).expect_err("it is free")).code.0, 0xC2);
}

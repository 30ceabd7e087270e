//! K11: what the kernel uses at raised IRQL must not be pageable (R22): found where an object is made in pageable memory, and
//! where one is used in a page that may leave.

use kernel::{EventKind, FindingKind, ObjectKind, Options, Verifier};
use memory::{MemoryConfig, TrimPolicy};

use crate::probe::Probe;
use crate::sample::bug_check;

/// A call; `AT` stands for the object, `OTHER` for a second place, and `LIST` for one that holds the object's address.
type Call = (&'static str, &'static [u64]);

const AT: u64 = u64::MAX;
const OTHER: u64 = u64::MAX - 1;
const LIST: u64 = u64::MAX - 2;

/// What makes an object, and services that use it. Who releases must have acquired, on the same thread; so these only acquire.
const OBJECTS: &[(ObjectKind, Call, &[Call])] = &[
    (
        ObjectKind::Event,
        ("KeInitializeEvent", &[AT, 0, 1]),
        &[
            ("KeSetEvent", &[AT, 0, 0]),
            ("KeResetEvent", &[AT]),
            ("KeClearEvent", &[AT]),
            ("KePulseEvent", &[AT, 0, 0]),
            ("KeReadStateEvent", &[AT]),
            ("KeWaitForSingleObject", &[AT, 0, 0, 0, 0]),
            ("KeWaitForMultipleObjects", &[1, LIST, 1, 0, 0, 0, 0, 0]),
        ],
    ),
    (
        ObjectKind::Mutex,
        ("KeInitializeMutex", &[AT, 0]),
        &[("KeReadStateMutex", &[AT]), ("KeWaitForSingleObject", &[AT, 0, 0, 0, 0])],
    ),
    (
        ObjectKind::Semaphore,
        ("KeInitializeSemaphore", &[AT, 1, 2]),
        &[
            ("KeReleaseSemaphore", &[AT, 0, 1, 0]),
            ("KeReadStateSemaphore", &[AT]),
            ("KeWaitForSingleObject", &[AT, 0, 0, 0, 0]),
        ],
    ),
    (
        ObjectKind::Timer,
        ("KeInitializeTimer", &[AT]),
        &[
            ("KeSetTimer", &[AT, 0xFFFF_FFFF_FFFF_0000, 0]),
            ("KeSetTimerEx", &[AT, 0xFFFF_FFFF_FFFF_0000, 0, 0]),
            ("KeCancelTimer", &[AT]),
            ("KeReadStateTimer", &[AT]),
        ],
    ),
    (
        ObjectKind::Dpc,
        ("KeInitializeDpc", &[AT, 0, 0]),
        &[("KeRemoveQueueDpc", &[AT]), ("KeSetImportanceDpc", &[AT, 1]), ("KeSetTargetProcessorDpc", &[AT, 0])],
    ),
    (
        ObjectKind::Resource,
        ("ExInitializeResourceLite", &[AT]),
        &[
            ("ExAcquireResourceExclusiveLite", &[AT, 1]),
            ("ExAcquireResourceSharedLite", &[AT, 1]),
            ("ExIsResourceAcquiredExclusiveLite", &[AT]),
            ("ExDeleteResourceLite", &[AT]),
        ],
    ),
    (
        ObjectKind::FastMutex,
        ("KeInitializeGuardedMutex", &[AT]),
        &[("KeAcquireGuardedMutex", &[AT]), ("ExAcquireFastMutex", &[AT]), ("ExTryToAcquireFastMutex", &[AT])],
    ),
    (
        ObjectKind::SpinLock,
        ("KeInitializeSpinLock", &[AT]),
        &[
            ("KeAcquireSpinLockRaiseToDpc", &[AT]),
            ("ExAcquireSpinLockExclusive", &[AT]),
            ("ExAcquireSpinLockShared", &[AT]),
            ("KeAcquireInStackQueuedSpinLock", &[AT, OTHER]),
        ],
    ),
];

fn probe(verifier: Verifier) -> Probe {
    let options = Options { verifier, ..Options::default() };
    Probe::new(options, MemoryConfig { trim: TrimPolicy::Never, ..MemoryConfig::default() })
}

/// Where the object, the second place and the list are.
struct Places(u64, u64, u64);

fn ask(probe: &mut Probe, call: Call, at: &Places) -> Result<u64, Box<kernel::Stop>> {
    probe.ask(call.0, &arguments(call, at))
}

fn arguments((_, arguments): Call, at: &Places) -> Vec<u64> {
    let place = |argument: &u64| match *argument {
        AT => at.0,
        OTHER => at.1,
        LIST => at.2,
        other => other,
    };
    arguments.iter().map(place).collect()
}

/// The kinds and addresses of K11.
fn found(probe: &Probe) -> Vec<(ObjectKind, u64)> {
    let k11 = |event: &kernel::Event| match &event.kind {
        EventKind::Found(kernel::Finding { kind: FindingKind::K11ObjectPageable { object, what }, .. }) => {
            Some((*what, object.0))
        }
        _ => None,
    };
    probe.machine.events.iter().filter_map(k11).collect()
}

/// R22, R181: an object in paged pool or in a section of the load map is K11 where it is made, with Force IRQL Checking bug
/// check 0xC4/0xE1; in nonpaged pool it is nothing.
#[test]
fn k11_r22_objects_made_in_pageable_memory() {
    for (kind, made, _) in OBJECTS {
        for pageable in [true, false] {
            let mut plain = probe(Verifier::OFF);
            let block = plain.ask("ExAllocatePool", &[u64::from(pageable), 256]).expect("there is memory");
            let at = Places(block, 0, 0);
            ask(&mut plain, *made, &at).expect("no bug check");
            let expected = if pageable { vec![(*kind, block)] } else { Vec::new() };
            assert_eq!(found(&plain), expected, "{kind:?}");
        }
        let mut plain = probe(Verifier::OFF);
        let page = plain.paged().0;
        ask(&mut plain, *made, &Places(page, 0, 0)).expect("no bug check");
        assert_eq!(found(&plain), [(*kind, page)], "{kind:?}");

        let mut verified = probe(Verifier { verified: true, force_irql: true, ..Verifier::OFF });
        let page = verified.paged().0;
        let check = bug_check(&ask(&mut verified, *made, &Places(page, 0, 0)).expect_err("it is pageable"));
        assert_eq!((check.code.0, check.parameters[..2].to_vec()), (0xC4, vec![0xE1, page]), "{kind:?}");
    }
}

/// R22: an object in nonpaged data is fine until the driver is paged as a whole; each service that uses it then is K11.
#[test]
fn k11_r22_objects_used_in_pages_that_may_leave() {
    for (kind, made, uses) in OBJECTS {
        for used in *uses {
            let mut probe = probe(Verifier::OFF);
            let mut block = || probe.ask("ExAllocatePool", &[0, 64]).expect("there is memory");
            let (other, list) = (block(), block());
            let at = Places(probe.place(0), other, list);
            probe.set_word(at.2, at.0);
            ask(&mut probe, *made, &at).expect("no bug check");
            if used.0.contains("FastMutex") {
                // As the inline routine of the headers makes one.
                probe.set_word(at.0, 1);
            }
            let data = probe.data().0;
            probe.ask("MmPageEntireDriver", &[data]).expect("no bug check");
            assert_eq!(found(&probe), [], "{used:?}: nothing has been used");
            ask(&mut probe, *used, &at).expect("no bug check");
            assert_eq!(found(&probe), [(*kind, at.0)], "{used:?}");
        }
    }
}

/// R163: the kernel uses a timer and its DPC by itself when the time has come.
#[test]
fn k11_r22_a_timer_that_expires_in_a_page_that_may_leave() {
    let mut probe = probe(Verifier::OFF);
    let (timer, dpc, routine) = (probe.place(0), probe.place(2), probe.recorder().0);
    probe.ask("KeInitializeTimer", &[timer]).expect("no bug check");
    probe.ask("KeInitializeDpc", &[dpc, routine, 0]).expect("no bug check");
    probe.ask("KeSetTimer", &[timer, (-100_000_i64).cast_unsigned(), dpc]).expect("no bug check");
    let data = probe.data().0;
    probe.ask("MmPageEntireDriver", &[data]).expect("no bug check");
    probe.pass_us(30_000);
    assert_eq!(found(&probe), [(ObjectKind::Timer, timer), (ObjectKind::Dpc, dpc)]);
}

//! Each subcode of bug check 0xC4 that a call at a wrong IRQL or with a wrong MDL gives (BEHAVIOUR.md section 8.5): the
//! parameters whole, and the same call where it is allowed, which gives nothing.

use kernel::{Options, Stop, StopKind, Verifier};
use memory::MemoryConfig;
use nt_types::Va;
use nt_types::constants as c;
use nt_types::layout::mdl;

use crate::probe::Probe;

const PASSIVE: u8 = 0;
const APC: u8 = 1;
const DISPATCH: u8 = 2;
const DIRQL: u8 = 5;

fn probe() -> Probe {
    Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default())
}

/// The parameters of 0xC4 that this call ends in; `None` where the run goes on, or ends in something else.
fn violation(probe: &mut Probe, irql: u8, routine: &str, arguments: [u64; 2]) -> Option<[u64; 4]> {
    let export = probe.export(routine);
    parameters(&*probe.attempt(irql, export, arguments)?)
}

fn parameters(stop: &Stop) -> Option<[u64; 4]> {
    match &stop.kind {
        StopKind::BugCheck(check, _) if check.code.0 == 0xC4 => Some(check.parameters),
        _ => None,
    }
}

/// Subcode, routine, IRQL of the violation, IRQL of the neighbour, first argument, third parameter, fourth.
type Row = (u64, &'static str, u8, u8, Argument, P, P);

/// A first argument.
#[derive(Clone, Copy, Debug)]
enum Argument {
    Is(u64),
    /// Room for an object in nonpaged memory.
    Object,
    PagedPool,
    NonpagedPool,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
enum P {
    Is(u64),
    First,
    Second,
    Process,
}

const SECOND: u64 = 0x40;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (0x01, "ExAllocatePoolWithTag", DISPATCH, APC, Argument::Is(1), P::Is(1), P::Second),
    (0x02, "ExAllocatePoolWithTag", DIRQL, DISPATCH, Argument::Is(0), P::Is(0), P::Second),
    (0x11, "ExFreePool", DISPATCH, APC, Argument::PagedPool, P::Is(1), P::First),
    (0x12, "ExFreePool", DIRQL, DISPATCH, Argument::NonpagedPool, P::Is(0), P::First),
    (0x30, "KfRaiseIrql", DISPATCH, PASSIVE, Argument::Is(1), P::Is(1), P::Is(0)),
    (0x31, "KeLowerIrql", APC, DISPATCH, Argument::Is(2), P::Is(2), P::Is(0)),
    (0x32, "KeReleaseSpinLock", APC, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0x33, "ExAcquireFastMutex", DISPATCH, APC, Argument::Object, P::First, P::Is(0)),
    (0x34, "ExReleaseFastMutex", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x37, "ExAcquireResourceSharedLite", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x38, "ExReleaseResourceLite", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x39, "ExAcquireFastMutexUnsafe", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x3A, "ExReleaseFastMutexUnsafe", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x40, "KeAcquireSpinLockAtDpcLevel", APC, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0x41, "KeReleaseSpinLockFromDpcLevel", APC, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0x42, "KeAcquireSpinLockRaiseToDpc", DIRQL, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0x70, "MmProbeAndLockPages", DIRQL, DISPATCH, Argument::Object, P::First, P::Second),
    (0x71, "MmProbeAndLockProcessPages", DIRQL, DISPATCH, Argument::Object, P::First, P::Second),
    (0x72, "MmProbeAndLockSelectedPages", DIRQL, DISPATCH, Argument::Object, P::First, P::Process),
    (0x73, "MmMapIoSpace", DIRQL, DISPATCH, Argument::Is(0xFEC0_0000), P::First, P::Second),
    (0x78, "MmUnlockPages", DIRQL, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0x79, "MmUnmapLockedPages", DIRQL, DISPATCH, Argument::Object, P::First, P::Second),
    (0x7B, "MmUnmapIoSpace", DIRQL, DISPATCH, Argument::Object, P::First, P::Second),
    (0x7E, "MmAllocatePagesForMdl", DIRQL, APC, Argument::Is(0), P::Is(2), P::Is(0)),
    (0x80, "KeSetEvent", DIRQL, DISPATCH, Argument::Object, P::First, P::Is(0)),
    (0xEA, "ExAcquirePushLockExclusiveEx", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0xEB, "ExReleasePushLockSharedEx", PASSIVE, APC, Argument::Object, P::Is(0), P::First),
    (0x11A, "KeEnterCriticalRegion", DISPATCH, APC, Argument::Is(0), P::Is(0), P::Is(0)),
    (0x11B, "KeLeaveCriticalRegion", DISPATCH, APC, Argument::Is(0), P::Is(0), P::Is(0)),
];

fn first_argument(probe: &mut Probe, argument: Argument) -> u64 {
    let mut allocate = |kind| probe.ask("ExAllocatePoolWithTag", &[kind, 0x40, 0x6765_5450]).expect("there is pool");
    match argument {
        Argument::Is(value) => value,
        Argument::Object => probe.data().0,
        Argument::PagedPool => allocate(1),
        Argument::NonpagedPool => allocate(0),
    }
}

#[test]
fn r187_each_subcode_of_a_call_at_a_wrong_irql() {
    for (subcode, routine, wrong, _, argument, third, fourth) in ROWS {
        let mut probe = probe();
        let first = first_argument(&mut probe, *argument);
        let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
        let value = |p: &P| match *p {
            P::Is(value) => value,
            P::First => first,
            P::Second => SECOND,
            P::Process => process,
        };
        let expected = [*subcode, u64::from(*wrong), value(third), value(fourth)];
        let found = violation(&mut probe, *wrong, routine, [first, SECOND]);
        assert_eq!(found, Some(expected), "{routine} at {wrong}");
    }
}

/// The neighbour of each: the same call at an IRQL that is allowed. It may fail for other reasons, but not for this one.
#[test]
fn r187_the_same_calls_at_an_irql_that_is_allowed() {
    for (subcode, routine, _, right, argument, ..) in ROWS {
        let mut probe = probe();
        let first = first_argument(&mut probe, *argument);
        let found = violation(&mut probe, *right, routine, [first, SECOND]);
        assert_ne!(found.map(|parameters| parameters[0]), Some(*subcode), "{routine} at {right}");
    }
}

/// Mapping for the program is allowed up to `APC_LEVEL`, for the driver up to `DISPATCH_LEVEL`.
#[test]
fn r187_mapping_of_locked_pages() {
    let cases = [("MmMapLockedPages", 0x74, 0x75), ("MmMapLockedPagesSpecifyCache", 0x76, 0x77)];
    for (routine, of_kernel, of_user) in cases {
        for (mode, irql, subcode) in [(0, DIRQL, of_kernel), (1, DISPATCH, of_user)] {
            let mut probe = probe();
            let list = probe.data().0;
            let found = violation(&mut probe, irql, routine, [list, mode]);
            assert_eq!(found, Some([subcode, u64::from(irql), list, mode]), "{routine} in mode {mode}");
        }
    }
}

/// 0x120 to 0x122: a wait that could last, at `DISPATCH_LEVEL` or above; one with a timeout of zero is a question. Without DDI
/// compliance checking it is 0x3B.
#[test]
fn r187_waiting_raised() {
    for (irql, subcode) in [(DISPATCH, 0x121), (DIRQL, 0x120)] {
        let mut probe = probe();
        let object = probe.data().0;
        let [code, level, waited, _] =
            violation(&mut probe, irql, "KeWaitForSingleObject", [object, 0]).expect("it is a violation");
        assert_eq!([code, waited], [subcode, object]);
        assert_eq!(probe.machine.read_u8(Va(level)).expect("the level is there"), irql);
    }
    let options = Options { verifier: Verifier { ddi_compliance: false, ..Verifier::ON }, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let object = probe.data().0;
    let found = violation(&mut probe, DISPATCH, "KeWaitForSingleObject", [object, 0]);
    assert_eq!(found.map(|[subcode, irql, object, _]| [subcode, irql, object]), Some([0x3B, 2, object]));
}

/// 0x122: a timeout that is not zero, at `DISPATCH_LEVEL`. Its neighbours: one of zero there, which is a question, and the same
/// wait at `APC_LEVEL`; above `DISPATCH_LEVEL` even the question is 0x120.
#[test]
fn r187_waiting_raised_with_a_timeout() {
    const TIMEOUT: i64 = -10_000;
    let rows = [
        (DISPATCH, TIMEOUT, Some(0x122)),
        (DISPATCH, 1, Some(0x122)),
        (DISPATCH, 0, None),
        (APC, TIMEOUT, None),
        (DIRQL, TIMEOUT, Some(0x120)),
        (DIRQL, 0, Some(0x120)),
    ];
    for (irql, timeout, subcode) in rows {
        let mut probe = probe();
        let (object, place) = (probe.data().0, probe.data() + 0x800);
        probe.ask("KeInitializeEvent", &[object, 0, 0]).expect("the call succeeds");
        probe.machine.write_u64(place, timeout as u64).expect("it is there");
        let wait = probe.export("KeWaitForSingleObject");
        let found = probe.attempt_with_fifth(irql, wait, [object, 0, place.0]).and_then(|stop| parameters(&stop));
        let compared = found.map(|[code, _, waited, until]| [code, waited, until]);
        assert_eq!(compared, subcode.map(|code| [code, object, place.0]), "{timeout} at {irql}");
        if let Some([_, level, ..]) = found {
            assert_eq!(probe.machine.read_u8(Va(level)).expect("the level is there"), irql);
        }
    }
}

/// 0x123: a wait in user mode for what lies on the kernel stack, which may leave memory then.
#[test]
fn r187_waiting_in_user_mode_for_what_is_on_the_stack() {
    // The probe leaves its first argument in the third, too: an odd address makes it UserMode.
    for (base, broken) in [(memory::Region::KernelStack.base(), true), (memory::Region::NonpagedPool.base(), false)] {
        let object = base.0 + 0x1001;
        let found = violation(&mut probe(), PASSIVE, "KeWaitForSingleObject", [object, 0]);
        assert_eq!(found, broken.then_some([0x123, object, 0, 0]));
    }
}

/// 0xE6: the address in the driver is that of the call. It comes before the IRQL rules 0x1F and 0x24, which are about such
/// routines only.
#[test]
fn r187_a_zw_routine_raised() {
    let mut probe = probe();
    let found = violation(&mut probe, APC, "ZwClose", [0x1234, 0]).expect("it is a violation");
    assert_eq!(probe.machine.modules().driver_at(Va(found[1])).map(|driver| driver.base), Some(probe.base));
    assert_eq!([found[0], found[2], found[3]], [0xE6, 1, 0]);
    assert_eq!(violation(&mut self::probe(), PASSIVE, "ZwClose", [0x1234, 0]), None);
    let write = violation(&mut self::probe(), APC, "ZwWriteFile", [0x1234, 0]).expect("it is a violation");
    assert_eq!([write[0], write[2], write[3]], [0xE6, 1, 0]);
}

/// 0x7C, 0x7D, 0x7F: MDLs whose pages were not locked, need no lock, or can leave.
#[test]
fn r187_mdls_of_the_wrong_memory() {
    for (kind, build, routine, subcode) in [
        (0, false, "MmUnlockPages", 0x7C),
        (0, true, "MmUnlockPages", 0x7D),
        (1, false, "MmBuildMdlForNonPagedPool", 0x7F),
    ] {
        let mut probe = probe();
        let block = probe.ask("ExAllocatePoolWithTag", &[kind, 0x40, 0x6765_5450]).expect("there is pool");
        let list = probe.ask("IoAllocateMdl", &[block, 0x40, 0, 0, 0]).expect("there is pool");
        if build {
            probe.ask("MmBuildMdlForNonPagedPool", &[list]).expect("it is nonpaged");
        }
        let flags = probe.machine.read_u16(mdl::MDL_FLAGS.at(Va(list))).expect("it is there");
        let found = violation(&mut probe, PASSIVE, routine, [list, 0]);
        let expected = match subcode {
            0x7F => [subcode, 0, list, flags.into()],
            _ => [subcode, list, flags.into(), 0],
        };
        assert_eq!(found, Some(expected), "{routine}");
        assert_eq!(build, u32::from(flags) & c::MDL_SOURCE_IS_NONPAGED_POOL != 0);
    }
}

/// 0x140: an MDL over a part of an image that may leave; while the part is locked, or was never pageable, it may not.
#[test]
fn r187_an_mdl_of_pageable_memory() {
    for (pageable, locked, expected) in [(true, false, true), (true, true, false), (false, false, false)] {
        let mut probe = probe();
        let buffer = if pageable { probe.paged() } else { probe.data() };
        if locked {
            probe.service("MmLockPagableDataSection", [buffer.0, 0]);
        }
        let list = probe.ask("IoAllocateMdl", &[buffer.0, 8, 0, 0, 0]).expect("there is pool");
        let found = violation(&mut probe, PASSIVE, "MmBuildMdlForNonPagedPool", [list, 0]);
        assert_eq!(found, expected.then_some([0x140, 0, list, buffer.0]), "locked: {locked}");
    }
}

/// R143: the IRQL rules of DDI compliance checking, one routine each, and the text that names it.
#[test]
fn r143_the_irql_rules_by_their_numbers() {
    let rules: &[(u64, &str, u8, u8)] = &[
        (0x03, "KeInsertDeviceQueue", PASSIVE, DISPATCH),
        (0x06, "ExRegisterCallback", DISPATCH, APC),
        (0x07, "ExDeleteResourceLite", DIRQL, APC),
        (0x08, "ExRaiseStatus", DISPATCH, PASSIVE),
        (0x09, "IoRaiseHardError", DISPATCH, APC),
        (0x0A, "IoCreateDevice", DISPATCH, PASSIVE),
        (0x0B, "IoConnectInterrupt", DISPATCH, PASSIVE),
        (0x0C, "IoCreateSymbolicLink", DISPATCH, PASSIVE),
        (0x0D, "IoDeleteSymbolicLink", DISPATCH, PASSIVE),
        (0x0E, "IoRegisterShutdownNotification", DISPATCH, PASSIVE),
        (0x0F, "KeDelayExecutionThread", DISPATCH, APC),
        (0x10, "KeEnterGuardedRegion", DISPATCH, APC),
        (0x11, "KeSetTimer", DIRQL, DISPATCH),
        (0x16, "KeSetEvent", DISPATCH, APC),
        (0x19, "MmPageEntireDriver", DISPATCH, APC),
        (0x1A, "MmFreeContiguousMemory", DIRQL, DISPATCH),
        (0x1B, "ObReferenceObjectByHandle", DISPATCH, PASSIVE),
        (0x1C, "PsCreateSystemThread", DISPATCH, PASSIVE),
        (0x1E, "RtlDeleteRegistryValue", DISPATCH, PASSIVE),
        (0x22, "IoGetDeviceToVerify", DIRQL, DISPATCH),
        (0x23, "RtlWriteRegistryValue", DISPATCH, PASSIVE),
    ];
    each_rule_by_its_number(Verifier::ON, rules);
}

/// R143: those whose routines have a subcode of their own, which comes first while the automatic checks are on.
#[test]
fn r143_the_irql_rules_behind_the_automatic_checks() {
    let rules: &[(u64, &str, u8, u8)] = &[
        (0x04, "ExAllocatePoolWithTag", DIRQL, DISPATCH),
        (0x05, "ExAcquireFastMutex", DISPATCH, APC),
        (0x15, "KeReleaseSpinLock", APC, DISPATCH),
        (0x1F, "ZwClose", APC, PASSIVE),
        (0x24, "ZwWriteFile", APC, PASSIVE),
    ];
    each_rule_by_its_number(Verifier { verified: false, ..Verifier::ON }, rules);
}

/// Rule, routine, IRQL of the violation, IRQL of the neighbour.
fn each_rule_by_its_number(verifier: Verifier, rules: &[(u64, &str, u8, u8)]) {
    let probe = || Probe::new(Options { verifier, ..Options::default() }, MemoryConfig::default());
    for (rule, routine, wrong, right) in rules {
        let mut broken = probe();
        // The probe leaves its first argument in the third, too: TRUE for KeSetEvent.
        let object = broken.data().0 + 0x10;
        let found = violation(&mut broken, *wrong, routine, [object, object]);
        let [code, text, third, fourth] = found.unwrap_or_else(|| panic!("{routine} at {wrong}"));
        assert_eq!([code, third, fourth], [0x0002_0000 + rule, 0, 0], "{routine}");
        let named = broken.machine.read_bytes(Va(text), routine.len() as u64).expect("the text is there");
        assert_eq!(String::from_utf8_lossy(&named), *routine);
        let allowed = violation(&mut probe(), *right, routine, [object, object]);
        assert_ne!(allowed.map(|parameters| parameters[0]), Some(0x0002_0000 + rule), "{routine} at {right}");
    }
}

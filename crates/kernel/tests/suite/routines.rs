//! The routines as a driver meets them: names, calling convention, IRQL rules (BEHAVIOUR.md sections 3 and 7).

use kernel::{Cause, EventKind, LowResources, Options, StopKind, Verifier};
use memory::{MemoryConfig, TrimPolicy, TrimReason};
use nt_types::{NtStatus, PAGE_SIZE, Va};
use section_paging::SectionId;

use crate::common::{Guest, Program};
use crate::probe::Probe;
use crate::sample::{IOCTL, Lab, Setup, bug_check};

const APC: u8 = 1;
const DISPATCH: u8 = 2;

/// The five exports of R70; each has one parameter.
const ROUTINES: [&str; 5] = [
    "MmLockPagableDataSection",
    "MmLockPagableSectionByHandle",
    "MmUnlockPagableImageSection",
    "MmPageEntireDriver",
    "MmResetDriverPaging",
];

/// The routines of rule IrqlMmApcLte, as its page lists them.
const IRQL_MM_APC_LTE: [&str; 12] = [
    "MmAllocateNonCachedMemory",
    "MmAllocatePagesForMdl",
    "MmAllocatePagesForMdlEx",
    "MmFreeNonCachedMemory",
    "MmFreePagesFromMdl",
    "MmLockPagableDataSection",
    "MmLockPagableSectionByHandle",
    "MmPageEntireDriver",
    "MmResetDriverPaging",
    "MmSecureVirtualMemory",
    "MmUnlockPagableImageSection",
    "MmUnsecureVirtualMemory",
];

fn verified() -> Probe {
    Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, MemoryConfig::default())
}

/// R70, R71: ntoskrnl.exe exports the five, and no routine for code: that is a macro for the data routine.
#[test]
fn r70_ntoskrnl_exports_the_five() {
    let probe = Probe::plain();
    let (images, paging) = (probe.machine.kernel_images(), probe.machine.memory.paging());
    for name in ROUTINES {
        let address = images.export("ntoskrnl.exe", name).unwrap_or_else(|| panic!("{name} is no export"));
        let image = paging.image_at(address).and_then(|image| paging.image(image)).expect("it lies in an image");
        assert_eq!(image.name, "ntoskrnl.exe", "{name}");
    }
    assert!(images.export("ntoskrnl.exe", "MmLockPagableCodeSection").is_none());
}

/// R70, D15: MmGetSystemRoutineAddress gives the address that an import is bound to, of each spelling that there is; of
/// another one it gives NULL, which is on record.
#[test]
fn r70_the_routines_are_found_by_name() {
    let mut probe = Probe::plain();
    for name in ROUTINES.into_iter().chain(["MmLockPagableImageSection"]) {
        assert_eq!(find(&mut probe, name), probe.export(name).0, "{name}");
    }
    let page = probe.paged();
    let lock = Va(find(&mut probe, "MmLockPagableDataSection"));
    let handle = probe.call(APC, lock, [page.0, 0]).expect("it is the routine");
    let unlock = Va(find(&mut probe, "MmUnlockPagableImageSection"));
    probe.call(APC, unlock, [handle, 0]).expect("it is the routine");
    assert_eq!((probe.count(page), probe.codes().len()), (0, 0));
    for other in ["MmLockPageableDataSection", "MmLockPagableCodeSection", "mmlockpagabledatasection"] {
        assert_eq!(find(&mut probe, other), 0, "{other}");
        let told = |event: &kernel::Event| matches!(&event.kind, EventKind::RoutineNotFound { name } if name == other);
        assert!(probe.machine.events.iter().any(told), "{other}");
    }
}

/// What MmGetSystemRoutineAddress says.
fn find(probe: &mut Probe, name: &str) -> u64 {
    let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (string, characters) = (probe.data(), probe.data() + 0x40);
    let length = text.len() as u64;
    probe.machine.write_bytes(characters, &text).expect("it is in memory");
    // UNICODE_STRING: Length, MaximumLength, Buffer.
    probe.machine.write_u64(string, length | length << 16).expect("it is in memory");
    probe.machine.write_u64(string + 8, characters.0).expect("it is in memory");
    probe.service("MmGetSystemRoutineAddress", [string.0, 0])
}

/// R72, D15: MmLockPagableImageSection is the data routine under another name.
#[test]
fn d15_the_image_routine_is_an_alias() {
    let mut probe = Probe::plain();
    let page = probe.paged();
    let handle = probe.service("MmLockPagableImageSection", [page.0, 0]);
    assert_eq!(probe.service("MmLockPagableDataSection", [page.0, 0]), handle);
    assert_eq!(probe.count(page), 2);
}

/// D15: other spellings are imports that nobody answers, known by name at load, and a call of one ends the run with it.
#[test]
fn d15_other_spellings_are_unresolved() {
    const SPELLING: &str = "MmLockPageableDataSection";
    let mut program = Program::new(&[SPELLING]);
    let entry = program.thunk(SPELLING);
    let (file, [entry]) = program.link([entry]);
    let mut guest = Guest::load(file);
    let unresolved = guest.machine.modules().unresolved();
    assert!(matches!(unresolved, [import] if import.name == SPELLING), "{unresolved:?}");
    let stop = guest.call(entry, &[]).expect_err("nobody answers it");
    let StopKind::Unsupported(unsupported) = &stop.kind else { panic!("{:?}", stop.kind) };
    assert!(format!("{unsupported:?}").contains(SPELLING), "{unsupported:?}");
}

/// R75: the argument is in RCX alone, the result in RAX, and names are not decorated.
#[test]
fn r75_argument_in_rcx_and_result_in_rax() {
    let mut probe = Probe::plain();
    let page = probe.paged();
    let handle = probe.service("MmLockPagableDataSection", [page.0, u64::MAX]);
    assert_eq!(probe.service("MmLockPagableDataSection", [page.0, 1]), handle, "RDX is no argument");
    assert_eq!(probe.service("MmPageEntireDriver", [page.0, u64::MAX]), probe.base.0);
    for name in ROUTINES {
        let images = probe.machine.kernel_images();
        let decorated = [format!("_{name}"), format!("_{name}@4"), format!("@{name}@4")];
        assert!(decorated.iter().all(|name| images.export("ntoskrnl.exe", name).is_none()));
    }
}

/// R140: at `APC_LEVEL` each of them works and nothing is found but K18; one level above it is K02 as well.
#[test]
fn r140_apc_level_is_the_limit() {
    let life = |irql: u8| {
        let mut probe = Probe::plain();
        let page = probe.paged();
        // Everything is in memory, so that nothing has to wait.
        let held = probe.service("MmLockPagableDataSection", [page.0, 0]);
        let mut call = |name: &str, argument: u64| {
            let routine = probe.export(name);
            probe.call(irql, routine, [argument, 0]).expect("nothing is out")
        };
        let handle = call("MmLockPagableDataSection", page.0);
        call("MmLockPagableSectionByHandle", handle);
        call("MmUnlockPagableImageSection", handle);
        call("MmUnlockPagableImageSection", handle);
        call("MmResetDriverPaging", page.0);
        call("MmPageEntireDriver", page.0);
        assert_eq!((handle, probe.count(page)), (held, 1));
        probe.codes()
    };
    assert_eq!(life(APC), ["K18"]);
    assert!(life(DISPATCH).contains(&"K02"), "one place is told once, whatever it calls");
}

/// R125, D35: page-entire may be called at `APC_LEVEL`; the flush that it makes may not, as a routine of its own.
#[test]
fn r125_the_flush_itself_is_for_passive_level() {
    let mut probe = Probe::plain();
    let (flush, page, data) = (probe.export("KeFlushQueuedDpcs"), probe.export("MmPageEntireDriver"), probe.data());
    probe.call(APC, page, [data.0, 0]).expect("it is legal");
    probe.call(0, flush, [0, 0]).expect("it is legal");
    assert!(probe.codes().is_empty());
    probe.call(APC, flush, [0, 0]).expect("a finding stops nothing");
    assert_eq!(probe.codes(), ["irql-limit"]);
}

/// A spin lock taken at DPC level is for callers that have raised: who has not is told so, and stays where it is.
#[test]
fn a_lock_at_dpc_level_raises_nothing() {
    for (irql, found) in [(0, vec!["irql-limit"]), (DISPATCH, vec![])] {
        let mut probe = Probe::plain();
        let lock = probe.ask("ExAllocatePoolWithTag", &[0, 8, 0]).expect("there is memory");
        probe.ask("KeInitializeSpinLock", &[lock]).expect("it is free");
        let acquire = probe.export("KeAcquireSpinLockAtDpcLevel");
        probe.call(irql, acquire, [lock, 0]).expect("a finding stops nothing");
        assert_eq!(probe.codes(), found, "IRQL {irql}");
        let by_the_lock = |event: &&kernel::Event| event.service == Some("KeAcquireSpinLockAtDpcLevel");
        let mut raised = probe.machine.events.iter().filter(by_the_lock);
        assert!(!raised.any(|event| matches!(event.kind, EventKind::IrqlRaised { .. })), "IRQL {irql}");
    }
}

/// R141, R142, R143, D39: above `APC_LEVEL` each routine of the rule is 0xC4/0x20019 under the verifier, with a text that
/// names it and the IRQL; without the verifier it is K02.
#[test]
fn r142_the_list_of_the_rule() {
    for name in IRQL_MM_APC_LTE {
        let mut probe = verified();
        let routine = probe.export(name);
        let stop = probe.call(DISPATCH, routine, [0, 0]).expect_err("the rule is broken");
        let check = bug_check(&stop);
        let [rule, text, state, reserved] = check.parameters;
        assert_eq!((check.code.0, rule, state, reserved), (0xC4, 0x0002_0019, 0, 0), "{name}");
        let text = read_text(&probe, Va(text));
        assert!(text.starts_with(name) && text.contains("DISPATCH_LEVEL"), "{text}");
        assert!(matches!(stop.kind, StopKind::BugCheck(_, Cause::Irql { .. })));

        let mut probe = Probe::plain();
        // What a call with such arguments ends in is not the question here.
        let _end = probe.call(DISPATCH, routine, [0, 0]);
        assert_eq!(probe.codes().first(), Some(&"K02"), "{name}");
    }
}

/// A C string in guest memory.
fn read_text(probe: &Probe, address: Va) -> String {
    let byte = |offset: u64| {
        let mut byte = [0];
        probe.machine.memory.peek(address + offset, &mut byte).expect("the text is in memory");
        byte[0]
    };
    (0..PAGE_SIZE).map(byte).take_while(|byte| *byte != 0).map(char::from).collect()
}

/// R145: rule IrqlMmDispatch: MmFreeContiguousMemory is for `DISPATCH_LEVEL` and below.
#[test]
fn r145_freeing_contiguous_memory_has_its_own_limit() {
    for (irql, found) in [(DISPATCH, vec![]), (DISPATCH + 1, vec!["irql-limit"])] {
        let mut probe = Probe::plain();
        let block = probe.service("MmAllocateContiguousMemory", [PAGE_SIZE, u64::MAX]);
        assert_ne!(block, 0);
        let free = probe.export("MmFreeContiguousMemory");
        let _end = probe.call(irql, free, [block, 0]);
        assert_eq!(probe.codes(), found, "IRQL {irql}");
    }
}

/// D7, D16: kernel and HAL have no sections to lock, no page of theirs ever leaves, and page-entire names only their base.
#[test]
fn d7_kernel_and_hal_offer_no_sections() {
    for (image, routine) in [("ntoskrnl.exe", "KeSetEvent"), ("hal.dll", "HalGetBusData")] {
        let mut probe = Probe::plain();
        let address = probe.machine.kernel_images().export(image, routine).expect("it is exported");
        let base = Va(probe.service("MmPageEntireDriver", [address.0, 0]));
        assert!(base < address && base.0.is_multiple_of(PAGE_SIZE));
        assert_eq!(probe.codes(), ["K28"]);
        probe.machine.evict(&[address], TrimReason::Command);
        assert!(probe.is_resident(address), "{image}");
        let lock = probe.export("MmLockPagableDataSection");
        let check = bug_check(&probe.call(0, lock, [address.0, 0]).expect_err("it has no sections"));
        assert_eq!((check.code.0, check.parameters[..3].to_vec()), (0x1A, vec![0x1234, address.0, 2]), "{image}");
    }
}

/// R18: a section lock is not for buffers, wherever they are; MmProbeAndLockPages is, and holds its pages until the unlock.
#[test]
fn r18_buffers_are_locked_by_their_mdl() {
    const IO_READ_ACCESS: u64 = 0;
    const PAGED_POOL: u64 = 1;
    let mut probe = Probe::plain();
    let tag = u64::from(u32::from_le_bytes(*b"Test"));
    let buffer = Va(probe.ask("ExAllocatePoolWithTag", &[PAGED_POOL, PAGE_SIZE, tag]).expect("there is pool"));
    let list = probe.ask("IoAllocateMdl", &[buffer.0, PAGE_SIZE, 0, 0, 0]).expect("there is pool");
    probe.ask("MmProbeAndLockPages", &[list, 0, IO_READ_ACCESS]).expect("the buffer is there");
    probe.machine.evict(&[buffer], TrimReason::Command);
    assert!(probe.is_resident(buffer));
    probe.ask("MmUnlockPages", &[list]).expect("it is locked");
    probe.machine.evict(&[buffer], TrimReason::Command);
    assert!(!probe.is_resident(buffer));
    let check = bug_check(&probe.ask("MmLockPagableDataSection", &[buffer.0]).expect_err("it is no section"));
    assert_eq!((check.code.0, check.parameters[..3].to_vec()), (0x1A, vec![0x1234, buffer.0, 1]));
}

/// D49, R180: a raise by a write to CR8 trims and counts as a call of a routine does; the processor's own raise for an
/// unverified machine does neither.
#[test]
fn d49_a_write_to_cr8_is_a_raise() {
    let raises = |probe: &Probe| probe.machine.verifier_counters().rows()[0].1;
    let trims = |probe: &Probe| probe.machine.verifier_counters().rows()[3].1;
    let (mut by_cr8, mut by_call) = (verified(), verified());
    let (nothing, raise) = (by_cr8.nothing(), by_call.export("KfRaiseIrql"));
    by_cr8.call(DISPATCH, nothing, [0, 0]).expect("nothing is touched");
    by_call.call(0, raise, [u64::from(DISPATCH), 0]).expect("it is legal");
    assert_eq!((raises(&by_cr8), trims(&by_cr8)), (1, 1));
    assert_eq!((raises(&by_call), trims(&by_call)), (1, 1));
    let mut unverified = Probe::plain();
    unverified.call(DISPATCH, nothing, [0, 0]).expect("nothing is touched");
    assert_eq!((raises(&unverified), trims(&unverified)), (0, 0));
}

/// What a driver can see of a run: each lock and unlock with its count, and each answer.
#[derive(PartialEq, Debug)]
struct Seen {
    locks: Vec<(SectionId, u32)>,
    answers: Vec<Option<NtStatus>>,
    codes: Vec<&'static str>,
}

/// The life of a sample driver, with a few control codes.
fn seen(name: &str, setup: Setup) -> Seen {
    let mut lab = Lab::new(setup);
    let base = lab.load(name).expect("it starts");
    let file = lab.open(base).expect("it opens");
    let codes = (0..3).map(|index| IOCTL + 4 * index);
    let answers = codes.map(|code| lab.ioctl(file, code, 1).expect("no rule is broken")).collect();
    lab.close(file).expect("it closes");
    lab.unload(base).expect("it goes");
    let count = |event: &kernel::Event| match event.kind {
        EventKind::SectionLocked { section, count } | EventKind::SectionUnlocked { section, count } => {
            Some((section, count))
        }
        _ => None,
    };
    let locks = lab.machine.events.iter().filter_map(count).collect();
    Seen { locks, answers, codes: lab.codes().into_iter().collect() }
}

/// R189, D50: the verifier changes no handle, no count and no result of a driver that breaks no rule.
#[test]
fn d50_the_verifier_changes_nothing_else() {
    let unverified = Setup { verifier: Verifier::OFF, ..Setup::VERIFIED };
    assert_eq!(unverified.trim, TrimPolicy::OnRaise);
    let mut locks = 0;
    for name in
        ["mixer/mixer", "mixer/mixer-a80", "cdmaker/cdmaker", "tables/tables", "apc/apc", "null/null", "init/init"]
    {
        let without = seen(name, unverified);
        assert_eq!(seen(name, Setup::VERIFIED), without, "{name}");
        assert_eq!(seen(name, Setup::NEVER).locks, without.locks, "{name}: whatever leaves memory");
        locks += without.locks.len();
    }
    assert!(locks > 10, "the drivers lock sections: {locks}");
}

/// R188: with low resources simulated, allocations fail as often as chance has it, and not before the delay is over; the
/// routines that lock sections never do.
#[test]
fn r188_locks_never_fail_for_want_of_resources() {
    let allocate = |probe: &mut Probe| {
        let tag = u64::from(u32::from_le_bytes(*b"Test"));
        let block = probe.ask("ExAllocatePoolWithTag", &[0, 16, tag]).expect("a failure is no bug check");
        if block != 0 {
            probe.ask("ExFreePoolWithTag", &[block, tag]).expect("it is a block");
        }
        block != 0
    };
    let probe = |low: LowResources| {
        let options = Options { verifier: Verifier::ON, low_resources: Some(low), ..Options::default() };
        Probe::new(options, MemoryConfig::default())
    };

    let mut scarce = probe(LowResources { chances: 10_000, delay_ns: 0 });
    assert!(!allocate(&mut scarce));
    let (label, failed) = scarce.machine.verifier_counters().rows()[9];
    assert_eq!((label, failed), ("Resource Allocations Failed Deliberately", 1));
    assert_eq!(scarce.ask("IoAllocateWorkItem", &[0]).expect("no bug check"), 0);
    let cached = [0x1000, 0, u64::MAX, 0, 1];
    assert_eq!(scarce.ask("MmAllocateContiguousMemorySpecifyCache", &cached).expect("no bug check"), 0);
    let page = scarce.paged();
    let handle = scarce.service("MmLockPagableDataSection", [page.0, 0]);
    scarce.service("MmLockPagableSectionByHandle", [handle, 0]);
    assert_eq!(scarce.count(page), 2);
    scarce.service("MmUnlockPagableImageSection", [handle, 0]);
    assert_eq!(scarce.count(page), 1);

    let mut usual = probe(LowResources { delay_ns: 0, ..LowResources::default() });
    let failed = (0..500).filter(|_| !allocate(&mut usual)).count();
    assert!((10..60).contains(&failed), "6 % of 500 are 30: {failed}");

    let mut early = probe(LowResources::default());
    assert!((0..100).all(|_| allocate(&mut early)), "the first eight minutes are not over");
}

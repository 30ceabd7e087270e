//! Low resources simulation: what each routine of its list does when it is told to fail, and that it succeeds otherwise.

use kernel::{LowResources, Options, Verifier};
use memory::MemoryConfig;
use nt_types::{NtStatus, constants as c};

use super::raw;
use crate::probe::Probe;
use crate::sample::bug_check;

/// How a routine fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fails {
    Null,
    Status(NtStatus),
    /// As an exception; nothing handles it here.
    Raised,
    Never,
}

const NONE: Fails = Fails::Status(NtStatus::NO_MEMORY);
const SCARCE: Fails = Fails::Status(NtStatus::INSUFFICIENT_RESOURCES);
/// Nothing fails before.
const DELAY_NS: u64 = 1_000_000_000;

/// What the calls need; made while there still is memory.
struct Things {
    device: u64,
    request: u64,
    routine: u64,
    list: u64,
    unlocked: u64,
    unicode: u64,
    ansi: u64,
    target: u64,
    guid: u64,
    status: u64,
    zero: u64,
    frames: u64,
}

fn scarce_after_a_second() -> (Probe, Things) {
    let low_resources = Some(LowResources { chances: 10_000, delay_ns: DELAY_NS });
    let options = Options { verifier: Verifier::ON, low_resources, ..Options::default() };
    let mut probe = Probe::new(options, MemoryConfig::default());
    let device = probe.device();
    probe.record_returning(raw(NtStatus::PENDING));
    let routine = probe.recorder().0;
    let request = probe.ask("IoAllocateIrp", &[2, 0]).expect("there is memory");
    let buffer = probe.ask("ExAllocatePoolWithTag", &[0, 0x2000, 1]).expect("there is memory");
    let mut list = |lock: bool| {
        let list = probe.ask("IoAllocateMdl", &[buffer, 0x1000, 0, 0, 0]).expect("there is memory");
        if lock {
            probe.ask("MmProbeAndLockPages", &[list, 0, 1]).expect("it is resident");
        }
        list
    };
    let (list, unlocked) = (list(true), list(false));
    let unicode = probe.unicode(probe.place(4), "abc");
    let ansi = probe.place(6);
    let status = probe.ask("RtlUnicodeStringToAnsiString", &[ansi, unicode, 1]).expect("it returns");
    assert_eq!(status, 0);
    let [target, guid, status, zero] = [8, 10, 12, 14].map(|place| probe.place(place));
    let frames = probe.ask("MmGetPhysicalAddress", &[buffer]).expect("it is resident");
    (probe, Things { device, request, routine, list, unlocked, unicode, ansi, target, guid, status, zero, frames })
}

#[rustfmt::skip]
fn calls(at: &Things) -> Vec<(&'static str, Vec<u64>, Fails)> {
    use Fails::{Never, Null, Raised};
    let read = u64::from(c::IRP_MJ_FLUSH_BUFFERS);
    vec![
        ("ExAllocatePool", vec![0, 16], Null),
        ("ExAllocatePool", vec![1, 16], Null),
        ("ExAllocatePool2", vec![0x40, 16, 1], Null),
        ("ExAllocatePool2", vec![0x60, 16, 1], Raised),
        ("ExAllocatePoolWithTag", vec![512, 16, 1], Null),
        ("ExAllocatePoolWithTag", vec![16, 16, 1], Raised),
        ("ExAllocatePoolWithTag", vec![2, 16, 1], Never),
        ("ExAllocatePoolWithTagPriority", vec![0, 16, 1, 16], Null),
        ("ExAllocatePoolWithTagPriority", vec![17, 16, 1, 16], Raised),
        ("ExAllocatePoolWithQuotaTag", vec![8, 16, 1], Null),
        ("ExAllocatePoolWithQuotaTag", vec![0, 16, 1], Raised),
        ("IoAllocateErrorLogEntry", vec![at.device, 0x30], Null),
        ("IoAllocateIrp", vec![1, 0], Null),
        ("IoAllocateMdl", vec![at.zero, 16, 0, 0, 0], Null),
        ("IoAllocateWorkItem", vec![at.device], Null),
        ("IoBuildAsynchronousFsdRequest", vec![read, at.device, 0, 0, 0, at.status], Null),
        ("IoBuildDeviceIoControlRequest", vec![0x22_2000, at.device, 0, 0, 0, 0, 0, 0, at.status], Null),
        ("IoBuildSynchronousFsdRequest", vec![read, at.device, 0, 0, 0, 0, at.status], Null),
        ("IoSetCompletionRoutineEx", vec![at.device, at.request, at.routine, 0, 1, 1, 1], SCARCE),
        ("MmAllocateContiguousMemory", vec![0x1000, u64::MAX], Null),
        ("MmAllocateContiguousMemorySpecifyCache", vec![0x1000, 0, u64::MAX, 0, 1], Null),
        ("MmAllocatePagesForMdl", vec![0, u64::MAX, 0, 0x1000], Null),
        ("MmAllocatePagesForMdlEx", vec![0, u64::MAX, 0, 0x1000, 1, 0], Null),
        ("MmMapIoSpace", vec![at.frames, 0x10, 0], Null),
        ("MmMapLockedPagesSpecifyCache", vec![at.list, 0, 1, 0, 0, 16], Null),
        ("MmMapLockedPagesSpecifyCache", vec![at.list, 0, 1, 0, 1, 16], Never),
        ("MmMapLockedPagesSpecifyCache", vec![at.list, 1, 1, 0, 0, 16], Raised),
        ("MmProbeAndLockPages", vec![at.unlocked, 0, 0], Raised),
        ("PoRequestPowerIrp", vec![at.device, u64::from(c::IRP_MN_SET_POWER), u64::from(c::POWER_DEVICE_D0), 0, 0, 0], SCARCE),
        ("RtlAnsiStringToUnicodeString", vec![at.target, at.ansi, 1], NONE),
        ("RtlCreateUnicodeString", vec![at.target, at.zero], Null),
        ("RtlDowncaseUnicodeString", vec![at.target, at.unicode, 1], NONE),
        ("RtlStringFromGUID", vec![at.guid, at.target], NONE),
        ("RtlUnicodeStringToAnsiString", vec![at.target, at.unicode, 1], NONE),
        ("RtlUpcaseUnicodeString", vec![at.target, at.unicode, 1], NONE),
        // What finds its memory elsewhere, or needs none.
        ("RtlUpcaseUnicodeString", vec![at.unicode, at.unicode, 0], Never),
        ("MmGetPhysicalAddress", vec![at.zero], Never),
    ]
}

fn returns_status(name: &str) -> bool {
    name.starts_with("Rtl") && name != "RtlCreateUnicodeString"
        || ["IoSetCompletionRoutineEx", "PoRequestPowerIrp"].contains(&name)
}

fn failed(name: &str, outcome: Result<u64, Box<kernel::Stop>>) -> Fails {
    match outcome {
        Ok(value) if returns_status(name) => {
            let status = NtStatus(value as u32);
            if status.is_success() { Fails::Never } else { Fails::Status(status) }
        }
        Ok(0) if name != "MmProbeAndLockPages" => Fails::Null,
        Ok(_) => Fails::Never,
        Err(stop) => {
            let check = bug_check(&stop);
            let expected = u64::from(NtStatus::INSUFFICIENT_RESOURCES.0);
            assert_eq!((check.code.0, check.parameters[0] as u32), (0x1E, expected as u32), "{name}");
            Fails::Raised
        }
    }
}

/// R188: each routine succeeds while there is memory, and fails as its own page says when chance wants it; each such call is
/// counted (R184).
#[test]
fn r188_each_routine_of_the_list_fails_when_told_and_succeeds_otherwise() {
    let number = calls(&scarce_after_a_second().1).len();
    for index in 0..number {
        let (mut probe, at) = scarce_after_a_second();
        let (name, arguments, expected) = calls(&at).swap_remove(index);
        assert_eq!(failed(name, probe.ask(name, &arguments)), Fails::Never, "{name} {arguments:x?}: there is memory");
        probe.pass_us(DELAY_NS / 1000);
        assert_eq!(failed(name, probe.ask(name, &arguments)), expected, "{name} {arguments:x?}");
        let (_, deliberately) = probe.machine.verifier_counters().rows()[9];
        assert_eq!(deliberately, u64::from(expected != Fails::Never), "{name}");
    }
}

/// R188: the section locks are not in the list; they succeed where everything else fails.
#[test]
fn r188_section_locks_never_fail() {
    let (mut probe, _) = scarce_after_a_second();
    probe.pass_us(DELAY_NS / 1000);
    let page = probe.paged();
    for _ in 0..50 {
        let handle = probe.service("MmLockPagableDataSection", [page.0, 0]);
        probe.service("MmLockPagableSectionByHandle", [handle, 0]);
        probe.service("MmUnlockPagableImageSection", [handle, 0]);
        probe.service("MmUnlockPagableImageSection", [handle, 0]);
    }
    assert_eq!((probe.count(page), probe.machine.verifier_counters().rows()[9].1), (0, 0));
}

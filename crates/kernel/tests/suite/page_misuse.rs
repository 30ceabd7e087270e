//! Pages that are described, mapped or unlocked though nobody keeps them in memory: the documented parameters, and the legal
//! neighbours of each mistake (docs: debugger/bug-check-0x1a).

use memory::MemoryConfig;
use nt_types::layout::mdl;
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Va};

use crate::probe::Probe;
use crate::sample::bug_check;

const KERNEL: u64 = 0;
const WRITE: u64 = 1;
const PAGED: u64 = 1;

/// A call that ends in a bug check.
fn check(probe: &mut Probe, name: &str, arguments: &[u64]) -> (u32, [u64; 4]) {
    let stop = probe.ask(name, arguments).expect_err("Windows stops");
    let check = bug_check(&stop);
    (check.code.0, check.parameters)
}

/// Two pages of paged pool that are in memory.
fn paged_pool(probe: &mut Probe) -> u64 {
    let buffer = probe.ask("ExAllocatePoolWithTag", &[PAGED, 2 * PAGE_SIZE, 1]).expect("there is memory");
    for offset in [0, PAGE_SIZE] {
        probe.ask("RtlFillMemory", &[buffer + offset, 8, 7]).expect("it comes in");
    }
    buffer
}

fn frame(probe: &mut Probe, address: u64) -> u64 {
    probe.ask("MmGetPhysicalAddress", &[address]).expect("it is resident") >> PAGE_SHIFT
}

fn mdl_of(probe: &mut Probe, buffer: u64, bytes: u64) -> u64 {
    probe.ask("IoAllocateMdl", &[buffer, bytes, 0, 0, 0]).expect("there is memory")
}

#[test]
fn r170_a_page_that_may_leave_is_mapped_by_its_physical_address_only_while_it_is_locked() {
    let mut probe = Probe::plain();
    let buffer = paged_pool(&mut probe);
    let list = mdl_of(&mut probe, buffer, 2 * PAGE_SIZE);
    probe.ask("MmProbeAndLockPages", &[list, KERNEL, WRITE]).expect("it is resident");
    let (first, second) = (frame(&mut probe, buffer), frame(&mut probe, buffer + PAGE_SIZE));
    for number in [first, second] {
        let view = probe.ask("MmMapIoSpace", &[number << PAGE_SHIFT, PAGE_SIZE, 1]).expect("it is locked");
        assert_eq!(probe.word(view), 0x0707_0707_0707_0707);
        probe.ask("MmUnmapIoSpace", &[view, PAGE_SIZE]).expect("it is mapped");
    }
    probe.ask("MmUnlockPages", &[list]).expect("it is locked");
    let stop = check(&mut probe, "MmMapIoSpaceEx", &[second << PAGE_SHIFT, PAGE_SIZE, 4]);
    assert_eq!(stop, (0x1A, [0x1233, second, 0, 0]));
}

#[test]
fn r170_unused_memory_is_not_locked_and_what_a_pc_has_no_memory_at_is_a_device() {
    let frames = u64::from(MemoryConfig::default().frames);
    let last = frames << PAGE_SHIFT;
    assert_eq!(check(&mut Probe::plain(), "MmMapIoSpace", &[last, 8, 0]), (0x1A, [0x1233, frames, 0, 0]));
    for physical in [0xF_0000, 0xFED0_0000, 0] {
        assert_ne!(Probe::plain().ask("MmMapIoSpace", &[physical, PAGE_SIZE, 0]).expect("it is mapped"), 0);
    }
}

#[test]
fn r170_each_page_of_an_mdl_is_locked_while_it_is_mapped() {
    let mut probe = Probe::plain();
    let buffer = paged_pool(&mut probe);
    let (own, other) = (mdl_of(&mut probe, buffer, 2 * PAGE_SIZE), mdl_of(&mut probe, buffer, PAGE_SIZE));
    probe.ask("MmProbeAndLockPages", &[own, KERNEL, WRITE]).expect("it is resident");
    probe.ask("MmProbeAndLockPages", &[other, KERNEL, WRITE]).expect("it is resident");
    let second = frame(&mut probe, buffer + PAGE_SIZE);
    probe.ask("MmUnlockPages", &[own]).expect("it is locked");
    // The first page is still locked by the other MDL.
    let stop = check(&mut probe, "MmMapLockedPages", &[own, KERNEL]);
    assert_eq!(stop, (0x1A, [0x1236, own, own + mdl::SIZEOF + 8, second]));
}

#[test]
fn r170_an_mdl_is_built_of_what_is_resident() {
    for absent in [false, true] {
        let mut probe = Probe::plain();
        let out = if absent { 0xFFFF_F300_0000_0000 } else { probe.paged().0 };
        let list = mdl_of(&mut probe, out + 8, 16);
        let stop = check(&mut probe, "MmBuildMdlForNonPagedPool", &[list]);
        assert_eq!(stop, (0x1A, [0x1240, list, memory::pte_address(Va(out)), 0]));
        assert!(!probe.is_resident(Va(out)), "it brings nothing in");
    }
}

#[test]
fn r170_the_protection_of_an_mdl_is_changed_while_it_is_mapped() {
    let mut probe = Probe::plain();
    let buffer = probe.ask("ExAllocatePoolWithTag", &[0, PAGE_SIZE, 1]).expect("there is memory");
    let list = mdl_of(&mut probe, buffer, 16);
    probe.ask("MmProbeAndLockPages", &[list, KERNEL, WRITE]).expect("it is resident");
    let view = probe.ask("MmMapLockedPagesSpecifyCache", &[list, KERNEL, 1, 0, 0, 16]).expect("there is room");
    let flags = probe.word(list + 8);
    probe.ask("MmUnmapLockedPages", &[view, list]).expect("it is mapped");
    probe.set_word(list + 8, flags);
    let stop = check(&mut probe, "MmProtectMdlSystemAddress", &[list, 2]);
    assert_eq!(stop, (0x1A, [0x1235, list, view, 0]));
}

#[test]
fn r170_a_partial_mdl_lies_within_its_source_and_has_room() {
    let start = |probe: &mut Probe| {
        let buffer = probe.ask("ExAllocatePoolWithTag", &[0, 2 * PAGE_SIZE, 1]).expect("there is memory");
        let source = mdl_of(probe, buffer, 2 * PAGE_SIZE);
        probe.ask("MmBuildMdlForNonPagedPool", &[source]).expect("it is resident");
        (buffer, source, mdl_of(probe, buffer, PAGE_SIZE))
    };
    let mut probe = Probe::plain();
    let (buffer, source, part) = start(&mut probe);
    probe.ask("IoBuildPartialMdl", &[source, part, buffer + PAGE_SIZE, 0]).expect("the rest has one page");
    let outside = buffer + PAGE_SIZE + 8;
    let stop = check(&mut probe, "IoBuildPartialMdl", &[source, part, outside, PAGE_SIZE]);
    assert_eq!(stop, (0x12E, [source, part, outside, PAGE_SIZE]));
    let mut probe = Probe::plain();
    let (buffer, source, part) = start(&mut probe);
    let stop = check(&mut probe, "IoBuildPartialMdl", &[source, part, buffer + 8, PAGE_SIZE]);
    assert_eq!(stop, (0x40, [0; 4]), "it touches two pages");
}

/// 0x76/0: a program ends while pages of it are locked, with the process and the number of all that are; 0xCB, with the MDL and its
/// pages, where locks are tracked: by pool tracking, or by the registry alone. Nothing once they are unlocked.
#[test]
fn r170_a_program_ends_with_locked_pages() {
    const KEY: &str = "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management";
    let tracked = kernel::Verifier { verified: true, pool_tracking: true, ..kernel::Verifier::OFF };
    for (verifier, value, code) in [
        (kernel::Verifier::OFF, 0, 0x76),
        (kernel::Verifier::OFF, 1, 0xCB),
        (tracked, 0, 0xCB),
        (kernel::Verifier::ON, 0, 0x76),
    ] {
        let mut registry = kernel::Registry::default();
        registry.load(format!("['{KEY}']\nTrackLockedPages = {value}\n").as_bytes()).expect("the file is right");
        let options = kernel::Options { registry, verifier, ..kernel::Options::default() };
        let mut probe = Probe::new(options, MemoryConfig::default());
        let [base, size] = [0, 1].map(|index| probe.place(index));
        probe.set_word(size, 3 * PAGE_SIZE);
        probe.ask("ZwAllocateVirtualMemory", &[u64::MAX, base, 0, size, 0x3000, 4]).expect("there is memory");
        let buffer = probe.word(base);
        let lists = [(buffer, 1), (buffer + PAGE_SIZE, 2)].map(|(start, pages)| {
            let list = mdl_of(&mut probe, start, pages * PAGE_SIZE);
            probe.ask("MmProbeAndLockPages", &[list, 1, WRITE]).expect("it is there");
            list
        });
        let mut clean = probe.machine.fork();
        let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
        assert!(probe.machine.end_program());
        let stop = probe.ask("PsGetCurrentProcess", &[]).expect_err("the machine has stopped");
        let check = bug_check(&stop);
        let [first, second, third, fourth] = check.parameters;
        match code {
            0x76 => assert_eq!([first, second, third, fourth], [0, process, 3, 0]),
            _ => assert_eq!([second, third, fourth], [0, lists[1], 2], "{first:#x}"),
        }
        assert_eq!(check.code.0, code, "{verifier:?}, {value}");
        for list in lists {
            probe.machine = clean;
            probe.ask("MmUnlockPages", &[list]).expect("it is locked");
            clean = probe.machine.fork();
        }
        assert!(!clean.end_program());
    }
}

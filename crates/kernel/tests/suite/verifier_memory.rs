//! The subcodes of bug check 0xC4 about pages and MDLs, and those of code integrity checks: the parameters whole, and the same
//! call where it is right (docs: debugger/bug-check-0xc4, devtest/code-integrity-checking).

use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use driver_image::{Directory, Image, SectionFlags};
use interpreter::Interpreter;
use kernel::{Machine, Options, RunEnd, StopKind, Until, Verifier};
use memory::MemoryConfig;
use nt_types::layout::mdl;
use nt_types::{PAGE_SHIFT, PAGE_SIZE, Rva, Va};

use crate::probe::Probe;

const KERNEL: u64 = 0;
const USER: u64 = 1;
const WRITE: u64 = 1;
const CACHED: u64 = 1;
const NORMAL: u64 = 16;
const MAP: &str = "MmMapLockedPagesSpecifyCache";
/// Bits of MdlFlags.
const MAPPED: u64 = 0x1;
const LOCKED: u64 = 0x2;
const NONPAGED: u64 = 0x4;
const PARTIAL: u64 = 0x10;
const IO_SPACE: u64 = 0x800;

fn verified(verifier: Verifier) -> Probe {
    Probe::new(Options { verifier, ..Options::default() }, MemoryConfig::default())
}

fn probe() -> Probe {
    verified(Verifier { force_irql: false, ..Verifier::ON })
}

/// Calls the export from the driver. The fifth and sixth arguments go with a routine of its own; none of these has more than
/// two that matter, so that others are what the probe leaves: its first argument in the third, its second in the fourth.
fn violation(probe: &mut Probe, routine: &str, arguments: [u64; 2]) -> Option<[u64; 4]> {
    let export = probe.export(routine);
    let stop = probe.attempt(0, export, arguments)?;
    match stop.kind {
        StopKind::BugCheck(check, _) if check.code.0 == 0xC4 => Some(check.parameters),
        other => panic!("{routine}: {other:x?}"),
    }
}

/// Pool of this kind with one page in memory, and an MDL of it that says and holds nothing yet.
fn pool(probe: &mut Probe, kind: u64) -> (u64, u64) {
    let buffer = probe.ask("ExAllocatePoolWithTag", &[kind, PAGE_SIZE, 1]).expect("there is memory");
    probe.ask("RtlFillMemory", &[buffer, 8, 7]).expect("it comes in");
    (buffer, probe.ask("IoAllocateMdl", &[buffer, PAGE_SIZE, 0, 0, 0]).expect("there is memory"))
}

fn flags(probe: &mut Probe, list: u64) -> u64 {
    probe.machine.read_u16(mdl::MDL_FLAGS.at(Va(list))).expect("it is there").into()
}

fn set_flags(probe: &mut Probe, list: u64, flags: u64) {
    probe.machine.write_u16(mdl::MDL_FLAGS.at(Va(list)), flags as u16).expect("it is there");
}

fn frame(probe: &mut Probe, address: u64) -> u64 {
    probe.ask("MmGetPhysicalAddress", &[address]).expect("it is resident") >> PAGE_SHIFT
}

#[test]
fn r187_what_may_not_be_locked() {
    let mut probe = probe();
    let (_, list) = pool(&mut probe, 0);
    probe.ask("MmBuildMdlForNonPagedPool", &[list]).expect("it is nonpaged");
    let said = flags(&mut probe, list);
    assert_eq!(violation(&mut probe, "MmProbeAndLockPages", [list, KERNEL]), Some([0xB0, list, said, NONPAGED]));
    let mut probe = self::probe();
    let device = 0xFE_0000_0000;
    let registers = probe.ask("MmMapIoSpace", &[device, PAGE_SIZE, 0]).expect("there is room");
    let list = probe.ask("IoAllocateMdl", &[registers, 8, 0, 0, 0]).expect("there is memory");
    let highest = u64::from(MemoryConfig::default().frames) + 0x60;
    let expected = [0x6F, list, device >> PAGE_SHIFT, highest];
    assert_eq!(violation(&mut probe, "MmProbeAndLockPages", [list, KERNEL]), Some(expected));
}

#[test]
fn r187_what_may_not_be_mapped() {
    let mut probe = probe();
    let (buffer, list) = pool(&mut probe, 1);
    let page = frame(&mut probe, buffer);
    let physical = page << PAGE_SHIFT;
    assert_eq!(violation(&mut probe, "MmMapIoSpace", [physical, 0x10]), Some([0x83, physical, 0x10, page]));
    // The probe leaves zeros where BugCheckOnFailure and the priority are.
    for (said, frame, user, subcode) in [
        (0, 0, KERNEL, 0xB3),
        (LOCKED | MAPPED, 0, KERNEL, 0xB2),
        (LOCKED, 0xFE0_0000, KERNEL, 0x89),
        (LOCKED | MAPPED, page, USER, 0x85),
        (LOCKED, page, KERNEL, 0x85),
    ] {
        let mut probe = self::probe();
        let (buffer, own) = pool(&mut probe, 1);
        assert_eq!((own, self::frame(&mut probe, buffer)), (list, page), "machines are alike");
        set_flags(&mut probe, list, said);
        probe.set_word(list + mdl::SIZEOF, frame);
        let expected = match subcode {
            0xB3 => [subcode, list, said, LOCKED | PARTIAL | NONPAGED | IO_SPACE],
            0xB2 => [subcode, list, said, MAPPED],
            0x89 => [subcode, list, list + mdl::SIZEOF, frame],
            _ => [subcode, list, 1, frame],
        };
        assert_eq!(violation(&mut probe, MAP, [list, user]), Some(expected), "{subcode:#x}");
    }
}

#[test]
fn r187_how_a_locked_mdl_is_mapped_and_unmapped() {
    let locked = |probe: &mut Probe| {
        let (_, list) = pool(probe, 1);
        probe.ask("MmProbeAndLockPages", &[list, KERNEL, WRITE]).expect("it is resident");
        (list, flags(probe, list))
    };
    let mut probe = probe();
    let (list, said) = locked(&mut probe);
    assert_eq!(violation(&mut probe, "MmMapLockedPages", [list, KERNEL]), Some([0x81, list, said, 0]));
    let mut probe = self::probe();
    let (list, said) = locked(&mut probe);
    let unmapped = violation(&mut probe, "MmUnmapLockedPages", [0xFFFF_F280_0000_0000, list]);
    assert_eq!(unmapped, Some([0xB6, list, said, MAPPED]));
    let mut probe = self::probe();
    let (list, _) = locked(&mut probe);
    assert_eq!(violation(&mut probe, "MmUnmapLockedPages", [0x1000, list]), Some([0xB9, 0x1000, list, 0]));
    let mut probe = self::probe();
    let (list, _) = locked(&mut probe);
    let view = probe.ask(MAP, &[list, KERNEL, CACHED, 0, 0, NORMAL]).expect("there is room");
    let said = flags(&mut probe, list);
    assert_eq!(violation(&mut probe, "IoFreeMdl", [list, 0]), Some([0xB8, list, said, 0]), "{view:#x}");
    let mut probe = self::probe();
    let (list, _) = locked(&mut probe);
    let view = probe.ask(MAP, &[list, KERNEL, CACHED, 0, 0, NORMAL]).expect("there is room");
    assert_eq!(violation(&mut probe, "MmUnmapLockedPages", [view, list]), None);
    assert_eq!(violation(&mut probe, "MmUnlockPages", [list, 0]), None);
    assert_eq!(violation(&mut probe, "IoFreeMdl", [list, 0]), None);
}

/// 0xB1, for the process that there is.
#[test]
fn r187_what_may_not_be_locked_in_a_process() {
    const LOCK: &str = "MmProbeAndLockProcessPages";
    let mut probe = probe();
    let (_, list) = pool(&mut probe, 1);
    let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
    assert_eq!(violation(&mut probe, LOCK, [list, process]), None);
    let said = flags(&mut probe, list);
    assert_eq!(violation(&mut probe, LOCK, [list, process]), Some([0xB1, list, said, said & (LOCKED | NONPAGED)]));
}

#[test]
fn r187_parts_are_neither_unlocked_nor_unmapped() {
    for (routine, subcode) in [("MmUnlockPages", 0xB4), ("MmUnmapLockedPages", 0xB5)] {
        let mut probe = probe();
        let (buffer, source) = pool(&mut probe, 0);
        probe.ask("MmBuildMdlForNonPagedPool", &[source]).expect("it is nonpaged");
        let part = probe.ask("IoAllocateMdl", &[buffer, 8, 0, 0, 0]).expect("there is memory");
        probe.ask("IoBuildPartialMdl", &[source, part, buffer, 8]).expect("it is within");
        let said = flags(&mut probe, part) & !NONPAGED;
        set_flags(&mut probe, part, said);
        let arguments = if subcode == 0xB4 { [part, 0] } else { [buffer, part] };
        assert_eq!(violation(&mut probe, routine, arguments), Some([subcode, part, said, PARTIAL]));
    }
}

#[test]
fn r187_pool_of_no_bytes_and_pool_with_a_resource() {
    let mut probe = probe();
    assert_eq!(violation(&mut probe, "ExAllocatePool", [1, 0]), Some([0, 0, 1, 0]));
    for delete in [false, true] {
        let mut probe = self::probe();
        let (block, _) = pool(&mut probe, 0);
        probe.ask("ExInitializeResourceLite", &[block + 0x40]).expect("there is room");
        if delete {
            probe.ask("ExDeleteResourceLite", &[block + 0x40]).expect("it is one");
        }
        let expected = (!delete).then_some([0xD2, block + 0x40, block, PAGE_SIZE]);
        assert_eq!(violation(&mut probe, "ExFreePool", [block, 0]), expected);
    }
}

/// The probe itself has a section that is both: the checks begin after it was loaded.
fn integrity() -> Probe {
    let mut probe = verified(Verifier::OFF);
    probe.machine.options.verifier = INTEGRITY;
    probe
}

const INTEGRITY: Verifier = Verifier { verified: true, code_integrity: true, ..Verifier::OFF };

#[test]
fn r187_nothing_executable_is_asked_for() {
    const NX: u64 = 0x200;
    for (kind, broken) in [(0, true), (NX, false), (1, false)] {
        let mut probe = integrity();
        let place = probe.caller();
        let found = violation(&mut probe, "ExAllocatePool", [kind, 16]);
        assert_eq!(found.is_some(), broken, "{kind:#x}");
        if let Some([subcode, at, asked, tag]) = found {
            assert_eq!([subcode, asked, tag], [0x2000, kind, 0]);
            assert!((1..8).contains(&(at - place.0)), "it is where the call returns to");
        }
    }
    for (protection, broken) in [(0x40, true), (0x04, false)] {
        let mut probe = integrity();
        let (_, list) = pool(&mut probe, 0x200);
        let found = violation(&mut probe, "MmProtectMdlSystemAddress", [list, protection]);
        assert_eq!(found.map(|[subcode, _, asked, _]| [subcode, asked]), broken.then_some([0x2001, protection]));
    }
    let mut probe = integrity();
    let (_, list) = pool(&mut probe, 0x200);
    probe.ask("MmProbeAndLockPages", &[list, KERNEL, WRITE]).expect("it is resident");
    let found = violation(&mut probe, MAP, [list, KERNEL]).expect("the priority says nothing of it");
    assert_eq!(found[0], 0x2002);
}

/// Subcode, file, section, and where the imports begin in it.
type Verdict = (u64, String, String, u64);

/// What the verifier says of an image with one more section, whose code begins the image, or with imports there.
fn verdict(alignment: u32, second: SectionFlags, imports: bool) -> Option<Verdict> {
    let mut builder = PeBuilder::new();
    builder.layout(alignment, 0x400);
    let text_section = builder.section(".text", CODE, &[0x31, 0xC0, 0xC3]);
    builder.section("PAGEX", second, &[0; 0x30]);
    builder.entry_point(text_section);
    if imports {
        builder.directory(Directory::ImportAddressTable, Rva(text_section.0 + 8), 8);
    }
    let image = Image::parse(builder.build()).expect("it is well formed");
    let options = Options { verifier: INTEGRITY, ..Options::default() };
    let mut machine = Machine::boot(options, MemoryConfig::default(), devices::Bus::new()).expect("it boots");
    let base = machine.load_driver("probe.sys", image).expect("it can be loaded");
    let request = machine.initialize_driver(base).expect("there is memory");
    let RunEnd::Stopped(stop) = machine.run(&mut Interpreter::default(), Until::Answered(request)) else { return None };
    let StopKind::BugCheck(check, _) = stop.kind else { panic!("{:?}", stop.kind) };
    let [subcode, file, place, section] = check.parameters;
    let file = machine.memory.read_utf16(Va(file), 9).expect("it is there");
    let section = machine.memory.read_c_string(Va(section), 16).expect("it is there");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is a name");
    let file = String::from_utf16(&file).expect("it is a name");
    if subcode == 0x2005 {
        return Some((subcode, file, text(section), place - base.0 - u64::from(text_section.0)));
    }
    // The header of a section begins with its name.
    let mut name = [0; 8];
    machine.memory.peek(Va(place), &mut name).expect("it is there");
    let section = text(section);
    assert!(name.starts_with(section.as_bytes()), "{name:?}");
    Some((subcode, file, section, 0))
}

#[test]
fn r187_no_section_is_writable_code_or_off_a_page_or_has_imports_in_code() {
    let found = |subcode, section: &str, at| Some((subcode, "probe.sys".to_owned(), section.to_owned(), at));
    let both = SectionFlags(CODE.0 | VARIABLES.0);
    assert_eq!(verdict(0x1000, both, false), found(0x2003, "PAGEX", 0));
    assert_eq!(verdict(0x80, VARIABLES, false), found(0x2004, ".text", 0));
    assert_eq!(verdict(0x1000, VARIABLES, true), found(0x2005, ".text", 8));
    assert_eq!(verdict(0x1000, VARIABLES, false), None);
}

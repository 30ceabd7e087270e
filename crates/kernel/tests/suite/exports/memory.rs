//! Pool, MDLs, physical memory, sections, ports and buses.

use devices::{Bus, SerialLine, Uart16550};
use kernel::{Options, Verifier};
use memory::MemoryConfig;
use nt_types::layout::mdl;
use nt_types::{Va, constants as c};

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// ddi: ExAllocatePool2, ExAllocatePoolWithQuotaTag, ExAllocatePoolWithTagPriority, ExAllocatePool.
#[test]
fn pool_is_allocated_in_every_way() {
    let mut probe = Probe::plain();
    for (name, arguments) in [
        ("ExAllocatePool", vec![0, 0x100]),
        ("ExAllocatePool2", vec![0x40, 0x100, 0x3161_6761]),
        ("ExAllocatePoolWithQuotaTag", vec![0, 0x100, 0x3161_6761]),
        ("ExAllocatePoolWithTagPriority", vec![512, 0x100, 0x3161_6761, 16]),
    ] {
        let block = probe.ask(name, &arguments).expect("there is memory");
        probe.set_word(block, 1);
        if name == "ExAllocatePool2" {
            // Paged pool that somebody had before, too.
            for content in [0xFFFF, 1] {
                let paged = probe.ask(name, &[0x100, 0x100, 1]).expect("there is memory");
                assert_eq!(probe.word(paged), 0, "zeroed");
                probe.set_word(paged, content);
                probe.ask("ExFreePool", &[paged]).expect("it is a block");
            }
            assert_eq!(probe.word(block + 8), 0, "zeroed");
        }
        probe.ask("ExFreePool", &[block]).expect("it is a block");
    }
    let large = 1 << 40;
    check!(probe, "ExAllocatePool2", [0x40, large, 1] => 0);
    check!(probe, "ExAllocatePoolWithQuotaTag", [8, large, 1] => 0);
    assert!(probe.ask("ExAllocatePoolWithQuotaTag", &[0, large, 1]).is_err(), "it raises");
}

/// ddi: IoBuildPartialMdl, MmMapLockedPagesSpecifyCache, MmProtectMdlSystemAddress, MmSizeOfMdl, MmCreateMdl.
#[test]
fn mdls_describe_and_map_buffers() {
    let mut probe = Probe::plain();
    let buffer = probe.ask("ExAllocatePool", &[0, 0x3000]).expect("there is memory");
    check!(probe, "MmSizeOfMdl", [buffer + 0x10, 0x2000] => mdl::SIZEOF + 3 * 8);
    let list = probe.ask("IoAllocateMdl", &[buffer + 0x10, 0x2000, 0, 0, 0]).expect("there is memory");
    probe.ask("MmBuildMdlForNonPagedPool", &[list]).expect("it is resident");
    let part = probe.ask("IoAllocateMdl", &[buffer + 0x1000, 0x800, 0, 0, 0]).expect("there is memory");
    probe.ask("IoBuildPartialMdl", &[list, part, buffer + 0x1000, 0x800]).expect("it is within");
    assert_eq!(probe.word(part + mdl::SIZEOF), probe.word(list + mdl::SIZEOF + 8), "the same page");
    probe.set_word(buffer + 0x1008, 0x5555);
    for name in ["MmMapLockedPagesSpecifyCache", "MmMapLockedPages"] {
        let own = probe.ask("IoAllocateMdl", &[buffer + 0x1000, 0x800, 0, 0, 0]).expect("there is memory");
        probe.ask("MmProbeAndLockPages", &[own, 0, 2]).expect("it is resident");
        let view = probe.ask(name, &[own, 0, 1, 0, 0, 16]).expect("there is room");
        assert_eq!((probe.word(view + 8), view != buffer + 0x1000), (0x5555, true), "{name}");
        check_status!(probe, "MmProtectMdlSystemAddress", [own, 2] => SUCCESS);
        assert!(probe.machine.write_u64(Va(view), 1).is_err(), "it is read-only");
        probe.ask("MmUnmapLockedPages", &[view, own]).expect("it is mapped");
        assert!(probe.machine.read_u64(Va(view)).is_err(), "it is gone");
        probe.ask("MmUnlockPages", &[own]).expect("it is locked");
        probe.ask("IoFreeMdl", &[own]).expect("it is one");
    }
    let place = probe.place(0);
    check!(probe, "MmCreateMdl", [place, buffer, 0x100] => place);
    assert_eq!(probe.word(mdl::START_VA.at(Va(place)).0), buffer & !0xFFF);
}

/// ddi: MmProbeAndLockSelectedPages; the header of MmProbeAndLockProcessPages. Pages stay in memory that are named one by one, in
/// this order, or that lie in the buffer of a process.
#[test]
fn selected_pages_and_those_of_a_process_are_locked() {
    let mut probe = Probe::plain();
    let [buffer, segments] = [(1, 0x3000), (0, 0x100)]
        .map(|(kind, bytes)| probe.ask("ExAllocatePool", &[kind, bytes]).expect("there is memory"));
    let list = probe.ask("IoAllocateMdl", &[buffer, 0x2000, 0, 0, 0]).expect("there is memory");
    for (index, page) in [buffer + 0x2000, buffer].into_iter().enumerate() {
        probe.set_word(segments + 8 * index as u64, page);
    }
    let process = probe.ask("PsGetCurrentProcess", &[]).expect("there is one");
    let locks = [
        ("MmProbeAndLockSelectedPages", vec![list, segments, 0, 1], [0x2000, 0]),
        ("MmProbeAndLockProcessPages", vec![list, process, 0, 1], [0, 0x1000]),
    ];
    for (name, arguments, pages) in locks {
        probe.ask(name, &arguments).expect("the pages come in");
        probe.machine.memory.trim(memory::TrimReason::Command);
        for (index, page) in (0..).zip(pages) {
            let physical = probe.ask("MmGetPhysicalAddress", &[buffer + page]).expect("it returns");
            assert_eq!(probe.word(list + mdl::SIZEOF + 8 * index), physical >> 12, "{name}: page {index}");
            assert!(probe.is_resident(Va(buffer + page)), "{name}: page {index}");
        }
        probe.ask("MmUnlockPages", &[list]).expect("it is locked");
        probe.machine.memory.trim(memory::TrimReason::Command);
        assert!(!probe.is_resident(Va(buffer)), "{name}");
    }
    assert!(
        probe.ask("MmProbeAndLockSelectedPages", &[list, segments, 1, 1]).is_err(),
        "no page of a program: it raises"
    );
    probe.set_word(segments, buffer + 1);
    assert!(probe.refused("MmProbeAndLockSelectedPages", &[list, segments, 0, 1]).contains("no page"));
    let mut probe = Probe::plain();
    assert!(probe.refused("MmProbeAndLockProcessPages", &[list, buffer, 0, 1]).contains("no process"));
}

/// ddi: MmMapIoSpace, MmAllocateContiguousMemorySpecifyCache, MmGetPhysicalMemoryRanges.
#[test]
fn physical_memory_is_mapped() {
    let mut probe = Probe::plain();
    for (name, arguments) in [
        ("MmAllocateContiguousMemorySpecifyCache", [0x2000, 0, 0xFFFF_FFFF, 0, 1, 0]),
        ("MmAllocateContiguousMemorySpecifyCacheNode", [0x2000, 0, 0xFFFF_FFFF, 0, 1, 0]),
        ("MmAllocateContiguousNodeMemory", [0x2000, 0, 0xFFFF_FFFF, 0, 4, 0]),
    ] {
        let memory = probe.ask(name, &arguments).expect("there is memory");
        let physical = probe.ask("MmGetPhysicalAddress", &[memory]).expect("it is resident");
        check!(probe, "MmGetPhysicalAddress", [memory + 0x1000] => physical + 0x1000);
        probe.set_word(memory + 0x10, 0x77);
        for map in ["MmMapIoSpace", "MmMapIoSpaceEx"] {
            let view = probe.ask(map, &[physical + 0x10, 0x100, 4]).expect("there is room");
            assert_eq!(probe.word(view), 0x77, "{map}");
            probe.ask("MmUnmapIoSpace", &[view, 0x100]).expect("it is mapped");
        }
        check!(probe, "MmGetVirtualForPhysical", [physical + 0x10] => memory + 0x10);
        probe.ask("MmFreeContiguousMemorySpecifyCache", &[memory, 0x2000, 1]).expect("it is one");
    }
    assert!(probe.refused("MmUnmapIoSpace", &[0x3F8, 1]).contains("nothing is mapped"));
}

/// ddi: MmGetPhysicalMemoryRanges, MmMapIoSpace: RAM lies where a PC has it, so that what a PC has between is mapped without
/// blame, and no device answers there.
#[test]
fn ram_leaves_room_for_firmware_and_devices() {
    let memory = MemoryConfig { frames: 0x10_0000, ..MemoryConfig::default() };
    let mut probe = Probe::new(Options { verifier: Verifier::ON, ..Options::default() }, memory);
    let ranges = probe.ask("MmGetPhysicalMemoryRanges", &[]).expect("there is memory");
    let found: Vec<[u64; 2]> =
        (0..4).map(|index| [0, 8].map(|field| probe.word(ranges + 16 * index + field))).collect();
    let gib = 1 << 30;
    assert_eq!(found, [[0x1000, 0x9_F000], [0x10_0000, 3 * gib - 0x10_0000], [4 * gib, gib + 0x6_1000], [0, 0]]);
    for firmware in [0xA_0000, 0xC_0000, 0xF_FFF0, 0xC000_0000, 0xFEC0_0000] {
        let view = probe.ask("MmMapIoSpace", &[firmware, 0x10, 0]).expect("there is no RAM");
        assert_ne!(view, 0);
        check!(probe, "MmGetPhysicalAddress", [view] => firmware);
        probe.ask("MmUnmapIoSpace", &[view, 0x10]).expect("it is mapped");
    }
    let blocks: Vec<u64> =
        (0..0x80).map(|_| probe.ask("MmAllocateNonCachedMemory", &[0x2000]).expect("it returns")).collect();
    for page in blocks.into_iter().flat_map(|block| [block, block + 0x1000]) {
        let physical = probe.ask("MmGetPhysicalAddress", &[page]).expect("it is resident");
        assert!(found.iter().any(|[start, bytes]| (*start..start + bytes).contains(&physical)), "{physical:#x}");
    }
}

/// ddi: MmIsAddressValid and its kin.
#[test]
fn addresses_are_valid_or_not() {
    let mut probe = Probe::plain();
    let (data, paged) = (probe.place(0), probe.paged().0);
    check_flag!(probe, "MmIsAddressValid", [data] => true);
    check_flag!(probe, "MmIsAddressValid", [0x1000] => false);
    check_flag!(probe, "MmIsAddressValid", [paged] => false);
    check_flag!(probe, "MmIsNonPagedSystemAddressValid", [data] => true);
    check_flag!(probe, "MmIsNonPagedSystemAddressValid", [paged] => false);
    check_flag!(probe, "MmIsThisAnNtAsSystem", [] => false);
    check!(probe, "MmQuerySystemSize", [] => 2);
}

/// ddi: ZwOpenSection, ZwMapViewOfSection: the section of physical memory, and no other.
#[test]
fn the_section_of_physical_memory() {
    let mut probe = Probe::plain();
    let [slot, base, offset, size] = [0, 1, 2, 3].map(|index| probe.place(index));
    let data = probe.place(8);
    probe.set_word(data, 0x4444);
    let physical = probe.ask("MmGetPhysicalAddress", &[data]).expect("it is resident");
    let other = probe.attributes(probe.place(4), "\\Device\\Other", 0);
    check_status!(probe, "ZwOpenSection", [slot, 0, other] => OBJECT_NAME_NOT_FOUND);
    let memory = probe.attributes(probe.place(4), "\\Device\\PhysicalMemory", 0);
    check_status!(probe, "ZwOpenSection", [slot, 0, memory] => SUCCESS);
    let handle = probe.word(slot);
    probe.set_word(offset, physical);
    probe.set_word(size, 0x100);
    let map = [handle, u64::MAX, base, 0, 0, offset, size, 1, 0, 4];
    check_status!(probe, "ZwMapViewOfSection", map => SUCCESS);
    let view = probe.word(base);
    assert_eq!((probe.word(view + physical % 0x1000), probe.word(offset)), (0x4444, physical & !0xFFF));
    check_status!(probe, "ZwUnmapViewOfSection", [u64::MAX, view] => SUCCESS);
    check_status!(probe, "ZwUnmapViewOfSection", [u64::MAX, view] => NOT_MAPPED_VIEW);
    assert!(probe.refused("ZwCreateSection", &[slot, 0, 0, 0, 4, 0, 0]).contains("PhysicalMemory"));
}

/// ddi: RtlZeroMemory and its kin.
#[test]
fn memory_is_filled_and_compared() {
    let mut probe = Probe::plain();
    let [first, second] = [0, 1].map(|index| probe.place(index));
    probe.ask("RtlFillMemory", &[first, 4, 0x61]).expect("it returns");
    probe.ask("RtlCopyMemory", &[second, first, 3]).expect("it returns");
    probe.ask("RtlMoveMemory", &[second + 1, second, 3]).expect("it returns");
    assert_eq!(probe.bytes(second, 4), b"aaaa");
    probe.ask("RtlZeroMemory", &[second + 2, 2]).expect("it returns");
    check!(probe, "RtlCompareMemory", [first, second, 4] => 2);
    check!(probe, "memcmp", [first, second, 2] => 0);
    assert!((probe.ask("memcmp", &[first, second, 4]).expect("it returns") as i32) > 0);
}

/// ddi: READ_PORT_UCHAR, WRITE_PORT_UCHAR and their kin: the scratch register of a serial port; ports without a device.
#[test]
fn ports_are_read_and_written() {
    let mut bus = Bus::new();
    Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let mut probe = Probe::on(bus, Options::default(), MemoryConfig::default());
    let (scratch, buffer) = (0x3FF, probe.place(0));
    probe.ask("WRITE_PORT_UCHAR", &[scratch, 0x5A]).expect("it returns");
    assert_eq!(probe.ask("READ_PORT_UCHAR", &[scratch]).expect("it returns") as u8, 0x5A);
    probe.set_bytes(buffer, &[1, 2, 3]);
    probe.ask("WRITE_PORT_BUFFER_UCHAR", &[scratch, buffer, 3]).expect("it returns");
    probe.ask("READ_PORT_BUFFER_UCHAR", &[scratch, buffer, 2]).expect("it returns");
    assert_eq!(probe.bytes(buffer, 3), [3, 3, 3], "the last one that was written");
    for (name, mask) in [("READ_PORT_USHORT", 0xFFFF), ("READ_PORT_ULONG", 0xFFFF_FFFF)] {
        assert_eq!(probe.ask(name, &[0x80]).expect("it returns") & mask, mask, "{name}: nothing answers");
    }
    for (name, bytes) in [("READ_PORT_BUFFER_USHORT", 4), ("READ_PORT_BUFFER_ULONG", 8)] {
        probe.set_word(buffer, 0);
        probe.ask(name, &[0x80, buffer, 2]).expect("it returns");
        assert_eq!(probe.bytes(buffer, bytes), vec![0xFF; bytes as usize], "{name}");
    }
    for name in ["WRITE_PORT_USHORT", "WRITE_PORT_ULONG", "WRITE_PORT_BUFFER_USHORT", "WRITE_PORT_BUFFER_ULONG"] {
        probe.ask(name, &[0x80, buffer, 1]).expect("nothing listens");
    }
}

/// ddi: HalGetBusDataByOffset, HalTranslateBusAddress, HalGetInterruptVector.
#[test]
fn buses_without_pci_devices() {
    let mut probe = Probe::plain();
    let [buffer, irql, affinity] = [0, 1, 2].map(|index| probe.place(index));
    let pci = 4;
    for (name, arguments) in
        [("HalGetBusData", vec![pci, 0, 3, buffer, 4]), ("HalGetBusDataByOffset", vec![pci, 0, 3, buffer, 0, 4])]
    {
        assert_eq!(probe.ask(name, &arguments).expect("it returns"), 2, "{name}: an empty slot");
        assert_eq!(probe.bytes(buffer, 2), [0xFF, 0xFF]);
    }
    check!(probe, "HalSetBusData", [pci, 0, 3, buffer, 4] => 0);
    check!(probe, "HalSetBusDataByOffset", [pci, 0, 3, buffer, 0, 4] => 0);
    probe.set_word(buffer, 0);
    check_flag!(probe, "HalTranslateBusAddress", [u64::from(c::ISA), 0, 0x3F8, buffer, affinity] => true);
    assert_eq!(probe.word(affinity), 0x3F8);
    check_flag!(probe, "HalTranslateBusAddress", [u64::from(c::ISA), 1, 0x3F8, buffer, affinity] => false);
    check!(probe, "HalGetInterruptVector", [u64::from(c::ISA), 0, 4, 4, irql, affinity] => 4);
    assert_eq!((probe.bytes(irql, 1), probe.word(affinity)), (vec![7], 1));
    check_status!(probe, "HalAssignSlotResources", [0; 8] => NO_SUCH_DEVICE);
    check_flag!(probe, "HalMakeBeep", [440] => false);
    assert!(probe.refused("HalReturnToFirmware", &[3]).contains("inside"));
}

//! DMA adapters, drivers that look for hardware, driver objects without an image.

use devices::{Bus, SerialLine, Uart16550};
use kernel::Options;
use memory::MemoryConfig;
use nt_types::layout::{device_object, dma_adapter, dma_operations as ops, scatter_gather_list as list};
use nt_types::{NtStatus, Va, constants as c};

use super::{check, check_status, raw};
use crate::probe::Probe;

/// DEVICE_DESCRIPTION at a place: version, bus master, scatter and gather, 32-bit addresses.
fn description(probe: &mut Probe, version: u64) -> u64 {
    let place = probe.place(0);
    probe.set_word(place, version | 1 << 32 | 1 << 40);
    probe.set_word(place + 8, 1);
    place
}

/// ddi: IoGetDmaAdapter, and each routine of DMA_OPERATIONS through its pointer.
#[test]
fn an_adapter_maps_transfers() {
    let mut probe = Probe::plain();
    let (device, recorder, count, slot) = (probe.device(), probe.recorder(), probe.place(1), probe.place(2));
    let wanted = description(&mut probe, 2);
    let adapter = probe.ask("IoGetDmaAdapter", &[device, wanted, count]).expect("there is memory");
    let table = probe.word(dma_adapter::DMA_OPERATIONS.at(Va(adapter)).0);
    for (field, name) in [
        (ops::PUT_DMA_ADAPTER, "HalpPutDmaAdapter"),
        (ops::ALLOCATE_COMMON_BUFFER, "HalpAllocateCommonBuffer"),
        (ops::FREE_COMMON_BUFFER, "HalpFreeCommonBuffer"),
        (ops::ALLOCATE_ADAPTER_CHANNEL, "HalpAllocateAdapterChannel"),
        (ops::FLUSH_ADAPTER_BUFFERS, "HalpFlushAdapterBuffers"),
        (ops::FREE_ADAPTER_CHANNEL, "HalpFreeAdapterChannel"),
        (ops::FREE_MAP_REGISTERS, "HalpFreeMapRegisters"),
        (ops::MAP_TRANSFER, "HalpMapTransfer"),
        (ops::GET_DMA_ALIGNMENT, "HalpGetDmaAlignment"),
        (ops::READ_DMA_COUNTER, "HalpReadDmaCounter"),
        (ops::GET_SCATTER_GATHER_LIST, "HalpGetScatterGatherList"),
        (ops::PUT_SCATTER_GATHER_LIST, "HalpPutScatterGatherList"),
        (ops::CALCULATE_SCATTER_GATHER_LIST, "HalpCalculateScatterGatherList"),
    ] {
        assert_eq!(probe.word(field.at(Va(table)).0), probe.export(name).0, "{name}");
    }
    let buffer = probe.ask("HalpAllocateCommonBuffer", &[adapter, 0x3000, slot, 0]).expect("there is memory");
    let physical = probe.word(slot);
    check!(probe, "MmGetPhysicalAddress", [buffer + 0x2000] => physical + 0x2000);
    let pages = probe.ask("IoAllocateMdl", &[buffer + 0x10, 0x1800, 0, 0, 0]).expect("there is memory");
    probe.ask("MmBuildMdlForNonPagedPool", &[pages]).expect("it is resident");
    probe.set_word(slot, 0x1800);
    check!(probe, "HalpMapTransfer", [adapter, pages, 0, buffer + 0x10, slot, 0] => physical + 0x10);
    assert_eq!(probe.half(slot), 0x1800, "it is contiguous");
    check_status!(probe, "HalpCalculateScatterGatherList", [adapter, pages, buffer + 0x10, 0x1800, slot, count] => SUCCESS);
    assert_eq!((probe.half(slot), probe.half(count)), (0x10 + 2 * 24, 2));
    let request = 0x7777;
    probe.set_word(device_object::CURRENT_IRP.at(Va(device)).0, request);
    let get = [adapter, device, pages, buffer + 0x10, 0x1800, recorder.0, 0x99, 0];
    check_status!(probe, "HalpGetScatterGatherList", get => SUCCESS);
    let (_, [_, given, parts, context, _]) = probe.recorded();
    assert_eq!((given, context, probe.half(parts)), (request, 0x99, 1));
    assert_eq!(probe.word(list::ELEMENTS.at(Va(parts)).0), physical + 0x10);
    probe.ask("HalpPutScatterGatherList", &[adapter, parts, 0]).expect("it is a list");
    check_status!(probe, "HalpAllocateAdapterChannel", [adapter, device, 2, recorder.0, 0x98] => SUCCESS);
    assert_eq!(probe.recorded().1[3], 0x98);
    probe.ask("HalpFreeMapRegisters", &[adapter, 0, 2]).expect("they are free");
    probe.ask("HalpFreeAdapterChannel", &[adapter]).expect("it is free");
    assert_eq!(probe.ask("HalpFlushAdapterBuffers", &[adapter, pages, 0, buffer, 16, 0]).expect("it flushes") as u8, 1);
    check!(probe, "HalpGetDmaAlignment", [adapter] => 1);
    probe.ask("HalpFreeCommonBuffer", &[adapter, 0x3000, physical, buffer, 0]).expect("it is one");
    assert!(probe.refused("HalpReadDmaCounter", &[adapter]).contains("counter"));
}

/// ddi: HalGetAdapter; PutDmaAdapter; versions of the routines that there are not.
#[test]
fn an_adapter_comes_and_goes() {
    let mut probe = Probe::plain();
    let count = probe.place(1);
    let wanted = description(&mut probe, 0);
    let adapter = probe.ask("HalGetAdapter", &[wanted, count]).expect("there is memory");
    let table = probe.word(dma_adapter::DMA_OPERATIONS.at(Va(adapter)).0);
    assert_eq!(probe.word(ops::GET_SCATTER_GATHER_LIST.at(Va(table)).0), 0, "version 1 ends before it");
    probe.ask("HalpPutDmaAdapter", &[adapter]).expect("it is one");
    let wanted = description(&mut probe, 3);
    assert_eq!(probe.ask("IoGetDmaAdapter", &[0, wanted, count]).expect("it is answered"), 0, "there is no version 3");
}

/// A CM_RESOURCE_LIST with one range of ports.
fn ports(probe: &mut Probe, place: u64, start: u64) -> u64 {
    for (offset, word) in [(0, 1), (8, 0), (16, 1), (20, 1), (24, start), (32, 8)] {
        probe.set_word(place + offset, word);
    }
    probe.machine.write_u32(Va(place + 16), 1).expect("it can be written");
    probe.set_bytes(place + 20, &[c::CM_RESOURCE_TYPE_PORT as u8, 1, 1, 0]);
    place
}

/// ddi: IoReportResourceForDetection: what the devices of the bus or other drivers have is a conflict.
#[test]
fn resources_are_claimed_once() {
    let mut bus = Bus::new();
    Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let mut probe = Probe::on(bus, Options::default(), MemoryConfig::default());
    let [first, second, conflict] = [0, 1, 2].map(|index| probe.place(index));
    let report = |driver, list| [driver, list, 0x28, 0, 0, 0, conflict];
    let taken = ports(&mut probe, first, 0x3F0);
    check_status!(probe, "IoReportResourceForDetection", report(1, taken) => SUCCESS);
    let taken = ports(&mut probe, first, 0x3FC);
    check_status!(probe, "IoReportResourceForDetection", report(1, taken) => CONFLICTING_ADDRESSES);
    assert_eq!(probe.bytes(conflict, 1), [1]);
    let free = ports(&mut probe, second, 0x2F8);
    check_status!(probe, "IoReportResourceForDetection", report(1, free) => SUCCESS);
    check_status!(probe, "IoReportResourceUsage", [0, 2, free, 0x28, 0, 0, 0, 0, conflict] => CONFLICTING_ADDRESSES);
    probe.set_word(first, 0);
    check_status!(probe, "IoReportResourceForDetection", report(1, first) => SUCCESS);
    check_status!(probe, "IoReportResourceUsage", [0, 2, free, 0x28, 0, 0, 0, 0, conflict] => SUCCESS);
    let device = probe.place(3);
    check_status!(probe, "IoReportDetectedDevice", [1, 1, 0, 0, 0, 0, 1, device] => SUCCESS);
    let object = probe.word(device);
    assert_eq!(probe.half(object) & 0xFFFF, c::IO_TYPE_DEVICE);
    check_status!(probe, "IoReportDetectedDevice", [1, 1, 0, 0, 0, 0, 1, device] => SUCCESS);
    assert_eq!(probe.word(device), object, "a device that the driver has stays");
}

/// `IoCreateDriver`: the routine is called with a driver object of its own.
#[test]
fn a_driver_object_without_an_image() {
    let mut probe = Probe::plain();
    let (name, recorder) = (probe.unicode(probe.place(0), "\\Driver\\Second"), probe.recorder().0);
    check_status!(probe, "IoCreateDriver", [name, recorder] => SUCCESS);
    let driver = probe.recorded().1[0];
    assert_eq!((probe.recorded().1[1], probe.text_at(driver + 0x38)), (0, "\\Driver\\Second".to_owned()));
    check_status!(probe, "IoCreateDriver", [name, recorder] => OBJECT_NAME_COLLISION);
    probe.ask("IoDeleteDriver", &[driver]).expect("it exists");
    probe.record_returning(raw(NtStatus::UNSUCCESSFUL));
    check_status!(probe, "IoCreateDriver", [0, recorder] => UNSUCCESSFUL);
    assert!(probe.refused("IoDeleteDriver", &[driver]).contains("IoCreateDriver"));
}

/// ddi: ZwLoadDriver, ZwUnloadDriver: no image file can be reached from inside.
#[test]
fn drivers_are_not_loaded_from_inside() {
    let mut probe = Probe::plain();
    let services = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\";
    let absent = probe.unicode(probe.place(0), &format!("{services}absent"));
    let own = probe.unicode(probe.place(1), &format!("{services}probe"));
    check_status!(probe, "ZwLoadDriver", [absent] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "ZwLoadDriver", [own] => IMAGE_ALREADY_LOADED);
    check_status!(probe, "ZwUnloadDriver", [absent] => OBJECT_NAME_NOT_FOUND);
    assert!(probe.refused("ZwUnloadDriver", &[own]).contains("probe"));
}

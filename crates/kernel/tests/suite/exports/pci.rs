//! Configuration space: by bus number, by request and by interface.

use devices::pci::{DEVICE, Place, VENDOR};
use devices::{Bus, PORT_COUNT, PciFunction, SerialLine, Uart16550};
use kernel::Options;
use memory::MemoryConfig;
use nt_types::layout::{
    bus_interface_standard as interface, driver_object, io_stack_location as sl, irp, pnp_bus_information,
};
use nt_types::{NtStatus, Va, constants as c};

use super::{check, check_status};
use crate::probe::Probe;

const MEMORY: u64 = 0xFEB0_0000;
const SLOT: u64 = 3;
const PCI: u64 = 4;
const BUS_INTERFACE: [u8; 16] =
    [0x80, 0x82, 0x6b, 0x49, 0x25, 0x6f, 0xd0, 0x11, 0xbe, 0xaf, 0x08, 0x00, 0x2b, 0xe2, 0x09, 0x2f];

/// A probe with a PCI card, and the physical device object of that.
fn with_card() -> (Probe, u64) {
    let mut bus = Bus::new();
    let port = Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let place = Place { slot: SLOT as u32, ports: (0x3F8, PORT_COUNT), memory: MEMORY, line: 4 };
    let card = PciFunction::install(&mut bus, port, place).expect("the memory is free");
    let mut probe = Probe::on(bus, Options::default(), MemoryConfig::default());
    let recorder = probe.recorder().0;
    let extension = probe.word(probe.driver() + 0x30);
    probe.set_word(extension + 8, recorder);
    let request = probe.machine.add_device(probe.base, card).expect("the device is made");
    let device = probe.finish(request).expect("AddDevice returns");
    (probe, device)
}

/// Sends a Plug and Play request to the device with these words at the parameters: its status and information.
fn send(probe: &mut Probe, device: u64, minor: u32, parameters: &[(u32, u64)]) -> (NtStatus, u64) {
    let request = probe.ask("IoAllocateIrp", &[1, 0]).expect("there is memory");
    let stack = probe.word(irp::TAIL_OVERLAY_CURRENT_STACK_LOCATION.at(Va(request)).0) - sl::SIZEOF;
    probe.set_bytes(stack, &[c::IRP_MJ_PNP as u8, minor as u8]);
    for (offset, value) in parameters {
        probe.set_word(stack + u64::from(*offset), *value);
    }
    probe
        .machine
        .write_u32(irp::IO_STATUS_STATUS.at(Va(request)), NtStatus::NOT_SUPPORTED.0)
        .expect("it can be written");
    let status = probe.ask("IofCallDriver", &[device, request]).expect("it is answered");
    (NtStatus(status as u32), probe.word(irp::IO_STATUS_INFORMATION.at(Va(request)).0))
}

fn identification() -> u32 {
    u32::from(DEVICE) << 16 | u32::from(VENDOR)
}

/// ddi: HalGetBusData, HalGetBusDataByOffset, HalSetBusDataByOffset: where there is a function, and where there is none.
#[test]
fn hal_reads_the_configuration_of_a_slot() {
    let (mut probe, _) = with_card();
    let buffer = probe.place(0);
    check!(probe, "HalGetBusData", [PCI, 0, SLOT, buffer, 64] => 64);
    assert_eq!(probe.half(buffer), identification());
    check!(probe, "HalGetBusDataByOffset", [PCI, 0, SLOT, buffer, 0xFC, 8] => 4);
    check!(probe, "HalGetBusData", [PCI, 0, SLOT + 1, buffer, 64] => 2);
    check!(probe, "HalGetBusData", [PCI, 1, SLOT, buffer, 64] => 0);
    probe.set_bytes(buffer, &[5]);
    check!(probe, "HalSetBusDataByOffset", [PCI, 0, SLOT, buffer, 0x3C, 1] => 1);
    check!(probe, "HalGetBusDataByOffset", [PCI, 0, SLOT, buffer, 0x3C, 1] => 1);
    assert_eq!(probe.bytes(buffer, 1), [5]);
    check!(probe, "HalSetBusData", [PCI, 1, SLOT, buffer, 1] => 0);
}

/// docs: IRP_MN_READ_CONFIG, IRP_MN_WRITE_CONFIG.
#[test]
fn requests_read_and_write_the_configuration() {
    let (mut probe, device) = with_card();
    let buffer = probe.place(0);
    let at = |space: u64, offset: u64, length: u64| {
        [
            (sl::PARAMETERS_READ_WRITE_CONFIG_WHICH_SPACE.offset, space),
            (sl::PARAMETERS_READ_WRITE_CONFIG_BUFFER.offset, buffer),
            (sl::PARAMETERS_READ_WRITE_CONFIG_OFFSET.offset, offset),
            (sl::PARAMETERS_READ_WRITE_CONFIG_LENGTH.offset, length),
        ]
    };
    assert_eq!(send(&mut probe, device, c::IRP_MN_READ_CONFIG, &at(0, 0, 4)), (NtStatus::SUCCESS, 4));
    assert_eq!(probe.half(buffer), identification());
    probe.set_bytes(buffer, &[9]);
    assert_eq!(send(&mut probe, device, c::IRP_MN_WRITE_CONFIG, &at(0, 0x3C, 1)), (NtStatus::SUCCESS, 1));
    assert_eq!(send(&mut probe, device, c::IRP_MN_READ_CONFIG, &at(0, 0x3C, 1)), (NtStatus::SUCCESS, 1));
    assert_eq!(probe.bytes(buffer, 1), [9]);
    let rom = send(&mut probe, device, c::IRP_MN_READ_CONFIG, &at(0x5269_6350, 0, 4));
    assert_eq!(rom.0, NtStatus::INVALID_DEVICE_REQUEST);
}

/// ddi: BUS_INTERFACE_STANDARD, and its routines through their pointers.
#[test]
fn the_bus_has_an_interface() {
    let (mut probe, device) = with_card();
    let [guid, table, buffer, space] = [0, 1, 2, 3].map(|index| probe.place(index));
    probe.set_bytes(guid, &BUS_INTERFACE);
    let query = |size: u64, version: u64| {
        [
            (sl::PARAMETERS_QUERY_INTERFACE_INTERFACE_TYPE.offset, guid),
            (sl::PARAMETERS_QUERY_INTERFACE_SIZE.offset, size | version << 16),
            (sl::PARAMETERS_QUERY_INTERFACE_INTERFACE.offset, table),
        ]
    };
    let good = query(interface::SIZEOF, 1);
    assert_eq!(send(&mut probe, device, c::IRP_MN_QUERY_INTERFACE, &query(8, 1)).0, NtStatus::INVALID_PARAMETER);
    assert_eq!(send(&mut probe, device, c::IRP_MN_QUERY_INTERFACE, &query(64, 2)).0, NtStatus::INVALID_PARAMETER);
    assert_eq!(send(&mut probe, device, c::IRP_MN_QUERY_INTERFACE, &good).0, NtStatus::SUCCESS);
    for (member, name) in [
        (interface::INTERFACE_REFERENCE, "IopReferenceBus"),
        (interface::INTERFACE_DEREFERENCE, "IopReferenceBus"),
        (interface::TRANSLATE_BUS_ADDRESS, "IopTranslateBusAddress"),
        (interface::GET_DMA_ADAPTER, "IopGetDmaAdapter"),
        (interface::SET_BUS_DATA, "IopSetBusData"),
        (interface::GET_BUS_DATA, "IopGetBusData"),
    ] {
        assert_eq!(probe.word(member.at(Va(table)).0), probe.export(name).0, "{name}");
    }
    let context = probe.word(interface::CONTEXT.at(Va(table)).0);
    probe.ask("IopReferenceBus", &[context]).expect("it returns");
    check!(probe, "IopGetBusData", [context, 0, buffer, 0, 4] => 4);
    assert_eq!(probe.half(buffer), identification());
    probe.set_bytes(buffer, &[7]);
    check!(probe, "IopSetBusData", [context, 0, buffer, 0x3C, 1] => 1);
    check!(probe, "IopGetBusData", [context, 1, buffer, 0, 4] => 0);
    check!(probe, "IopTranslateBusAddress", [context, MEMORY, 0x100, space, buffer] => 1);
    assert_eq!(probe.word(buffer), MEMORY);
    probe.set_bytes(table, &[0; 64]);
    assert_eq!(probe.ask("IopGetDmaAdapter", &[context, table, buffer]).expect("it is answered"), 0, "no bus master");
    probe.set_bytes(guid, &[1; 16]);
    assert_eq!(send(&mut probe, device, c::IRP_MN_QUERY_INTERFACE, &good).0, NtStatus::NOT_SUPPORTED);
}

/// docs: IRP_MN_QUERY_BUS_INFORMATION; ddi: IoGetDeviceProperty: the card is on a PCI bus.
#[test]
fn the_card_says_where_it_is() {
    let (mut probe, device) = with_card();
    let (status, information) = send(&mut probe, device, c::IRP_MN_QUERY_BUS_INFORMATION, &[]);
    assert_eq!(status, NtStatus::SUCCESS);
    assert_eq!(probe.half(pnp_bus_information::LEGACY_BUS_TYPE.at(Va(information)).0), c::PCI_BUS);
    let (buffer, result) = (probe.place(0), probe.place(4));
    check_status!(probe, "IoGetDeviceProperty", [device, 1, 0x200, buffer, result] => SUCCESS);
    let id: Vec<u8> = "PCI\\VEN_".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(probe.bytes(buffer, id.len() as u64), id);
}

/// A driver may delete its device while it handles a request: the object stays until the request is through.
#[test]
fn a_device_outlives_the_request_that_deletes_it() {
    let (mut probe, device) = with_card();
    let (driver, slot) = (probe.driver(), probe.place(0));
    let recorder = probe.recorder().0;
    probe.set_word(driver_object::MAJOR_FUNCTION.element(c::IRP_MJ_PNP, 8).at(Va(driver)).0, recorder);
    check_status!(probe, "IoCreateDevice", [driver, 0x4000, 0, 0x22, 0, 0, slot] => SUCCESS);
    let own = probe.word(slot);
    check!(probe, "IoAttachDeviceToDeviceStack", [own, device] => device);
    let removal = kernel::Action::Pnp { device: Va(device), minor: c::IRP_MN_REMOVE_DEVICE as u8, resources: Va::NULL };
    let request = probe.machine.act("remove device", removal).expect("it is sent");
    probe.pass_us(10);
    probe.ask("IoDeleteDevice", &[own]).expect("it is deleted");
    assert_eq!(probe.half(own) & 0xFFFF, c::IO_TYPE_DEVICE, "the request is on its way");
    let sent = probe.recorded().1[1];
    probe.ask("IofCompleteRequest", &[sent, 0]).expect("it is completed");
    probe.pass_us(10);
    assert!(probe.machine.answer_of(request).is_some());
    assert!(probe.machine.read_u32(Va(own)).is_err(), "and now it is gone");
}

/// The card's configuration space and memory are the model's: writing all of both changes nothing else, and what lies
/// beyond answers as an empty bus does.
#[test]
fn the_card_is_no_way_out() {
    let (mut probe, _) = with_card();
    let buffer = probe.place(0);
    probe.set_bytes(buffer, &[0xFF; 0x80]);
    for offset in [0, 0x80, 0xC0, 0xFF, 0x100, u64::from(u32::MAX)] {
        let written =
            probe.ask("HalSetBusDataByOffset", &[PCI, 0, SLOT, buffer, offset, 0x80]).expect("it is answered");
        assert!(written <= 0x100_u64.saturating_sub(offset), "{offset:#x}");
    }
    for address in [MEMORY + devices::pci::MEMORY_BYTES, 0xFFFF_F000] {
        let view = probe.ask("MmMapIoSpace", &[address, 8, 0]).expect("it is mapped");
        let byte = probe.call(0, probe.reader(), [view, 0]).expect("nobody is there");
        assert_eq!(byte as u8, 0xFF, "{address:#x}");
    }
}

//! The PCI function that is no particular device, after the PCI Local Bus Specification.

use devices::pci::{MEMORY_BYTES, Place};
use devices::{AddressRange, Bus, PORT_COUNT, PciFunction, SerialLine, Uart16550};

const MEMORY: u64 = 0xFEB0_0000;
const SLOT: u32 = 3;

fn bus() -> (Bus, devices::DeviceId) {
    let mut bus = Bus::new();
    let port = Uart16550::install(&mut bus, SerialLine::unconnected(), 0x3F8, 4).expect("the ports are free");
    let place = Place { slot: SLOT, ports: (0x3F8, PORT_COUNT), memory: MEMORY, line: 4 };
    let card = PciFunction::install(&mut bus, port, place).expect("the memory is free");
    (bus, card)
}

fn config(bus: &mut Bus, offset: u32) -> u32 {
    let function = bus.pci_function(SLOT).expect("there is one");
    u32::from_le_bytes([0, 1, 2, 3].map(|byte| function.read_config(offset + byte)))
}

fn set_config(bus: &mut Bus, offset: u32, value: u32) {
    let function = bus.pci_function(SLOT).expect("there is one");
    (offset..).zip(value.to_le_bytes()).for_each(|(at, byte)| function.write_config(at, byte));
}

#[test]
fn a_function_has_its_own_resources_and_those_of_its_part() {
    let (mut bus, card) = bus();
    let resources = bus.resources(card);
    assert_eq!(resources.memory, [AddressRange { base: MEMORY, length: MEMORY_BYTES }]);
    assert_eq!(resources.ports, [AddressRange { base: 0x3F8, length: PORT_COUNT.into() }]);
    assert_eq!(resources.lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4]);
    assert!(bus.pci_function(SLOT + 1).is_none());
    bus.detach(card);
    assert!(bus.pci_function(SLOT).is_none());
    assert_eq!(bus.memory_read(MEMORY, 4, 0), 0xFFFF_FFFF, "nobody answers");
}

/// Writing all ones to a base address register tells the size; what hardware fixes stays.
#[test]
fn base_addresses_are_sized() {
    let (mut bus, _) = bus();
    assert_eq!(config(&mut bus, 0x10), MEMORY as u32 | 0b100);
    assert_eq!(config(&mut bus, 0x18), 0x3F8 | 1);
    for offset in [0x10, 0x18] {
        set_config(&mut bus, offset, u32::MAX);
    }
    assert_eq!(config(&mut bus, 0x10), 0xFFF0_0000 | 0b100);
    assert_eq!(config(&mut bus, 0x18), 0xFFFF_FFF8 | 1);
    let identification = config(&mut bus, 0);
    set_config(&mut bus, 0, 0);
    assert_eq!(config(&mut bus, 0), identification);
    assert_eq!(config(&mut bus, 0x100), u32::MAX, "beyond the space");
}

/// The status register says that there is a list of capabilities; the one in it is power management.
#[test]
fn capabilities_are_found() {
    let (mut bus, _) = bus();
    assert_eq!(config(&mut bus, 0x04) >> 16 & 0x10, 0x10);
    let first = config(&mut bus, 0x34) & 0xFF;
    assert_eq!(config(&mut bus, first) & 0xFFFF, 0x0001);
    set_config(&mut bus, first + 4, 3);
    assert_eq!(config(&mut bus, first + 4) & 3, 3, "D3");
}

#[test]
fn memory_keeps_what_is_written_while_it_is_decoded() {
    let (mut bus, _) = bus();
    bus.memory_write(MEMORY + 0x104, 4, 0x1234_5678, 0);
    bus.memory_write(MEMORY + 0x106, 1, 0xAA, 0);
    assert_eq!(bus.memory_read(MEMORY + 0x104, 4, 0), 0x12AA_5678);
    assert_eq!(bus.memory_read(MEMORY + 0x100, 4, 0), 0);
    assert_eq!(bus.memory_read(MEMORY + 0x101, 8, 0), 0x0012_AA56_7800_0000);
    set_config(&mut bus, 0x04, 0);
    assert_eq!(bus.memory_read(MEMORY + 0x104, 4, 0), 0xFFFF_FFFF);
    set_config(&mut bus, 0x04, 2);
    assert_eq!(bus.memory_read(MEMORY + 0x104, 4, 0), 0x12AA_5678);
}

/// Who waits for a bit to be set or cleared does not wait for ever.
#[test]
fn a_register_that_is_polled_turns() {
    let (mut bus, _) = bus();
    bus.memory_write(MEMORY, 4, 0x0000_0001, 0);
    for wanted in [0, 1, 0] {
        let polls = (0..1000).position(|_| bus.memory_read(MEMORY, 4, 0) & 1 == wanted);
        assert!(polls.is_some(), "bit 0 never is {wanted}");
    }
    bus.memory_write(MEMORY, 4, 0x0000_0001, 0);
    assert_eq!(bus.memory_read(MEMORY, 4, 0), 1, "writing starts it over");
}

#[test]
fn copies_share_nothing() {
    let (mut bus, _) = bus();
    let mut copy = bus.clone();
    copy.memory_write(MEMORY, 4, 7, 0);
    assert_eq!((bus.memory_read(MEMORY, 4, 0), copy.memory_read(MEMORY, 4, 0)), (0, 7));
}

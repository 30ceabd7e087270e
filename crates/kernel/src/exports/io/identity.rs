//! What the devices of the machine's bus are called: by the bus itself, and by the class installer that set them up.

use devices::{DeviceId, PciFunction};
use nt_types::constants as c;

use crate::machine::Machine;

/// The names of one kind of device.
pub(super) struct Identity {
    /// The first of its hardware identifications, which is its device identification.
    pub(super) hardware_id: &'static str,
    pub(super) compatible_id: &'static str,
    pub(super) enumerator: &'static str,
    pub(super) description: &'static str,
    pub(super) manufacturer: &'static str,
    pub(super) class: &'static str,
    pub(super) class_guid: &'static str,
    /// GUID_BUS_TYPE_*, as it lies in memory.
    pub(super) bus_type: [u8; 16],
    /// INTERFACE_TYPE.
    pub(super) interface: u32,
}

/// {d7b46895-001a-4942-891f-a7d46610a843}, the bus of ACPI devices.
const BUS_TYPE_ACPI: [u8; 16] =
    [0x95, 0x68, 0xb4, 0xd7, 0x1a, 0x00, 0x42, 0x49, 0x89, 0x1f, 0xa7, 0xd4, 0x66, 0x10, 0xa8, 0x43];
/// GUID_BUS_TYPE_PCI: {c8ebdfb0-b510-11d0-80e5-00a0c92542e3}.
const BUS_TYPE_PCI: [u8; 16] =
    [0xb0, 0xdf, 0xeb, 0xc8, 0x10, 0xb5, 0xd0, 0x11, 0x80, 0xe5, 0x00, 0xa0, 0xc9, 0x25, 0x42, 0xe3];

/// The serial port of a PC.
static SERIAL_PORT: Identity = Identity {
    hardware_id: "ACPI\\PNP0501",
    compatible_id: "*PNP0501",
    enumerator: "ACPI",
    description: "Communications Port",
    manufacturer: "(Standard port types)",
    class: "Ports",
    class_guid: "{4d36e978-e325-11ce-bfc1-08002be10318}",
    bus_type: BUS_TYPE_ACPI,
    interface: c::ISA,
};

/// The card that is no particular device: `devices::pci`.
static PCI_FUNCTION: Identity = Identity {
    hardware_id: "PCI\\VEN_FFF0&DEV_0001&SUBSYS_0001FFF0&REV_01",
    compatible_id: "PCI\\CC_070002",
    enumerator: "PCI",
    description: "PCI Serial Port",
    bus_type: BUS_TYPE_PCI,
    interface: c::PCI_BUS,
    ..SERIAL_PORT
};

impl Machine {
    /// The names of the device with this number on the bus.
    pub(super) fn identity(&self, number: usize) -> &'static Identity {
        let device = self.io.pnp.devices.get(number).map(|(_, device)| *device);
        device.map_or(&SERIAL_PORT, |device| self.identity_of(device))
    }

    /// The names of a device.
    pub(super) fn identity_of(&self, device: DeviceId) -> &'static Identity {
        if self.bus.device::<PciFunction>(device).is_some() { &PCI_FUNCTION } else { &SERIAL_PORT }
    }
}

impl Identity {
    /// What tells the devices of the bus apart: their number, from 0.
    pub(super) fn instance_path(&self, number: usize) -> String {
        format!("{}\\{}", self.hardware_id, number + 1)
    }
}

#[cfg(test)]
mod tests {
    use devices::pci::{DEVICE, VENDOR};

    use super::PCI_FUNCTION;

    #[test]
    fn the_names_are_those_of_the_function() {
        let expected = format!("PCI\\VEN_{VENDOR:04X}&DEV_{DEVICE:04X}&SUBSYS_{DEVICE:04X}{VENDOR:04X}&REV_01");
        assert_eq!(PCI_FUNCTION.hardware_id, expected);
    }
}

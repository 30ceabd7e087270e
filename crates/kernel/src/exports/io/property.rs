//! What the Plug and Play manager knows of a device: properties and registry keys (ddi: IoGetDeviceProperty,
//! IoOpenDeviceRegistryKey). Only the physical device objects of the machine's own bus are known.

use nt_types::{NtStatus, Va, constants as c};

use super::identity::Identity;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::Object;
use crate::machine::Machine;
use crate::registry::Value;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetDeviceProperty(device: Va, property: u32, length: u32, buffer: Va, result: Va), PASSIVE),
    export!(Ntoskrnl, IoOpenDeviceRegistryKey(device: Va, kind: u32, access: u32, key: Va), PASSIVE),
];

const ENUM: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Enum";
const CLASSES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class";

fn hardware_key(identity: &Identity, number: usize) -> String {
    format!("{ENUM}\\{}\\Device Parameters", identity.instance_path(number))
}

fn software_key(identity: &Identity, number: usize) -> String {
    format!("{CLASSES}\\{}\\{number:04}", identity.class_guid)
}

/// `DEVICE_REGISTRY_PROPERTY`, as far as devices here have them.
mod of_device {
    pub(super) const DEVICE_DESCRIPTION: u32 = 0;
    pub(super) const HARDWARE_ID: u32 = 1;
    pub(super) const COMPATIBLE_IDS: u32 = 2;
    pub(super) const BOOT_CONFIGURATION: u32 = 3;
    pub(super) const BOOT_CONFIGURATION_TRANSLATED: u32 = 4;
    pub(super) const CLASS_NAME: u32 = 5;
    pub(super) const CLASS_GUID: u32 = 6;
    pub(super) const DRIVER_KEY_NAME: u32 = 7;
    pub(super) const MANUFACTURER: u32 = 8;
    pub(super) const FRIENDLY_NAME: u32 = 9;
    pub(super) const LOCATION_INFORMATION: u32 = 10;
    pub(super) const PHYSICAL_DEVICE_OBJECT_NAME: u32 = 11;
    pub(super) const BUS_TYPE_GUID: u32 = 12;
    pub(super) const LEGACY_BUS_TYPE: u32 = 13;
    pub(super) const BUS_NUMBER: u32 = 14;
    pub(super) const ENUMERATOR_NAME: u32 = 15;
    pub(super) const ADDRESS: u32 = 16;
    pub(super) const UI_NUMBER: u32 = 17;
    pub(super) const INSTALL_STATE: u32 = 18;
    pub(super) const REMOVAL_POLICY: u32 = 19;
}

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn list(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|one| text(one)).chain([0, 0]).collect()
}

fn IoGetDeviceProperty(m: &mut Machine, device: Va, property: u32, length: u32, buffer: Va, result: Va) -> Outcome {
    let Some(number) = m.bus_device_number(device) else { return Ok(Next::status(NtStatus::INVALID_DEVICE_REQUEST)) };
    let value = match value_of(m, number, property)? {
        Ok(value) => value,
        Err(status) => return Ok(Next::status(status)),
    };
    m.write_u32(result, value.len() as u32)?;
    if value.len() > length as usize {
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    m.write_bytes(buffer, &value)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn value_of(m: &mut Machine, number: usize, property: u32) -> Result<Result<Vec<u8>, NtStatus>, Trap> {
    /// The bus does not tell an address.
    const NO_ADDRESS: u32 = u32::MAX;
    const INSTALLED: u32 = 0;
    const EXPECT_NO_REMOVAL: u32 = 1;
    let number_of = |value: u32| value.to_le_bytes().to_vec();
    let identity = m.identity(number);
    Ok(Ok(match property {
        of_device::DEVICE_DESCRIPTION => text(identity.description),
        of_device::HARDWARE_ID => list(&[identity.hardware_id, identity.compatible_id]),
        of_device::BOOT_CONFIGURATION | of_device::BOOT_CONFIGURATION_TRANSLATED => m.resource_bytes(number),
        of_device::CLASS_NAME => text(identity.class),
        of_device::CLASS_GUID => text(identity.class_guid),
        of_device::DRIVER_KEY_NAME => text(&format!("{}\\{number:04}", identity.class_guid)),
        of_device::MANUFACTURER => text(identity.manufacturer),
        of_device::FRIENDLY_NAME => text(&format!("{} (COM{})", identity.description, number + 1)),
        of_device::PHYSICAL_DEVICE_OBJECT_NAME => text(&super::pnp::device_name(number)),
        of_device::BUS_TYPE_GUID => identity.bus_type.to_vec(),
        of_device::LEGACY_BUS_TYPE => number_of(identity.interface),
        of_device::BUS_NUMBER => number_of(0),
        of_device::ENUMERATOR_NAME => text(identity.enumerator),
        of_device::ADDRESS => number_of(NO_ADDRESS),
        of_device::INSTALL_STATE => number_of(INSTALLED),
        of_device::REMOVAL_POLICY => number_of(EXPECT_NO_REMOVAL),
        of_device::COMPATIBLE_IDS | of_device::LOCATION_INFORMATION | of_device::UI_NUMBER => {
            return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        }
        other => return Err(m.refuse("IoGetDeviceProperty", format!("`DeviceProperty` {other}"))),
    }))
}

fn IoOpenDeviceRegistryKey(m: &mut Machine, device: Va, kind: u32, _access: u32, key: Va) -> Outcome {
    /// PLUGPLAY_REGKEY_DEVICE, PLUGPLAY_REGKEY_DRIVER, PLUGPLAY_REGKEY_CURRENT_HWPROFILE.
    const DEVICE: u32 = 1;
    const DRIVER: u32 = 2;
    const CURRENT_HWPROFILE: u32 = 4;
    let number = m.bus_device_number(device);
    let path = match (number, kind & !CURRENT_HWPROFILE) {
        (Some(number), DEVICE) => hardware_key(m.identity(number), number),
        (Some(number), DRIVER) => software_key(m.identity(number), number),
        _ => return Ok(Next::status(NtStatus::INVALID_PARAMETER)),
    };
    if kind & CURRENT_HWPROFILE != 0 {
        return Err(m.refuse("IoOpenDeviceRegistryKey", "`PLUGPLAY_REGKEY_CURRENT_HWPROFILE`"));
    }
    m.probe_write(key, 8)?;
    let Some(id) = m.cm.registry.create(&path) else { return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES)) };
    Ok(Next::status(m.give_handle(key, Object::Key(id), true)?))
}

impl Machine {
    /// The place of a physical device object among those of the bus.
    pub(super) fn bus_device_number(&self, device: Va) -> Option<usize> {
        self.io.pnp.devices.iter().position(|(known, _)| *known == device)
    }

    /// What the class installer leaves in the registry for a new port.
    pub(super) fn install_device(&mut self, number: usize) {
        let identity = self.identity(number);
        let registry = &mut self.cm.registry;
        let hardware = registry.create(&hardware_key(identity, number));
        let software = registry.create(&software_key(identity, number));
        if let (Some(hardware), Some(software)) = (hardware, software) {
            if registry.value(hardware, "PortName").is_none() {
                registry.set_value(hardware, Value::string("PortName", &format!("COM{}", number + 1)));
            }
            registry.set_value(software, Value::string("DriverDesc", identity.description));
            registry.set_value(software, Value::string("ProviderName", "Microsoft"));
        }
    }

    /// An identification that IRP_MN_QUERY_ID asks for, in paged pool of the driver that asks.
    pub(super) fn bus_query_id(&mut self, number: usize, kind: u32) -> Result<Option<Va>, Trap> {
        let identity = self.identity(number);
        let bytes = match kind {
            c::BUS_QUERY_DEVICE_ID => text(identity.hardware_id),
            c::BUS_QUERY_HARDWARE_IDS => list(&[identity.hardware_id, identity.compatible_id]),
            c::BUS_QUERY_INSTANCE_ID => text(&format!("{}", number + 1)),
            _ => return Ok(None),
        };
        self.give_paged(&bytes, Va::NULL)
    }

    /// What IRP_MN_QUERY_DEVICE_TEXT asks for.
    pub(super) fn bus_device_text(&mut self, number: usize, kind: u32) -> Result<Option<Va>, Trap> {
        let text = text(self.identity(number).description);
        if kind == c::DEVICE_TEXT_DESCRIPTION { self.give_paged(&text, Va::NULL) } else { Ok(None) }
    }
}

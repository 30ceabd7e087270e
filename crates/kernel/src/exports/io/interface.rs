//! Device interfaces (ddi: IoRegisterDeviceInterface, IoSetDeviceInterfaceState, IoGetDeviceInterfaces). An enabled
//! interface is a symbolic link to the physical device object.

use nt_types::layout::unicode_string;
use nt_types::{NtStatus, Va};

use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::Object;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoGetDeviceInterfaceAlias(link: Va, guid: Va, alias: Va; ..), PASSIVE),
    export!(Ntoskrnl, IoGetDeviceInterfaces(guid: Va, device: Va, flags: u32, list: Va; ..), PASSIVE),
    export!(Ntoskrnl, IoOpenDeviceInterfaceRegistryKey(link: Va, access: u32, key: Va), PASSIVE),
    export!(Ntoskrnl, IoRegisterDeviceInterface(device: Va, guid: Va, reference: Va, link: Va; ..), PASSIVE),
    export!(Ntoskrnl, IoSetDeviceInterfaceState(link: Va, enable: bool), PASSIVE),
];

const DEVICE_CLASSES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\DeviceClasses";
/// `DEVICE_INTERFACE_INCLUDE_NONACTIVE`.
const INCLUDE_NONACTIVE: u32 = 1;

/// A registered interface instance.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Interface {
    device: Va,
    /// In braces, upper case.
    pub(super) guid: String,
    reference: String,
    /// The symbolic link.
    pub(super) link: String,
    pub(super) enabled: bool,
}

impl Interface {
    /// Where its registry keys are.
    fn key(&self) -> String {
        let instance = self.link.trim_start_matches("\\??\\").split('\\').next().unwrap_or_default();
        format!("{DEVICE_CLASSES}\\{}\\##?#{instance}\\#{}\\Device Parameters", self.guid, self.reference)
    }
}

fn IoRegisterDeviceInterface(m: &mut Machine, call: &Call, device: Va, guid: Va, reference: Va, link: Va) -> Outcome {
    let Some(number) = m.bus_device_number(device) else { return Ok(Next::status(NtStatus::INVALID_DEVICE_REQUEST)) };
    let guid = m.read_guid_text(guid)?;
    let reference = if reference.is_null() { String::new() } else { m.read_text(reference)? };
    if reference.contains(['/', '\\']) {
        return Ok(Next::status(NtStatus::INVALID_DEVICE_REQUEST));
    }
    m.probe_write(link, unicode_string::SIZEOF)?;
    let tail = if reference.is_empty() { String::new() } else { format!("\\{reference}") };
    let name =
        format!("\\??\\{}#{}{tail}", m.identity(number).instance_path(number).replace('\\', "#"), guid.to_lowercase());
    if !m.give_string(link, &name, call.return_address)? {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    }
    if m.interface(&name).is_none() {
        m.io.interfaces.push(Interface { device, guid, reference, link: name, enabled: false });
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoSetDeviceInterfaceState(m: &mut Machine, link: Va, enable: bool) -> Outcome {
    let name = m.read_text(link)?;
    let Some(index) = m.interface(&name) else { return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)) };
    let interface = m.io.interfaces[index].clone();
    match (interface.enabled, enable) {
        (true, true) => return Ok(Next::status(NtStatus::OBJECT_NAME_EXISTS)),
        (false, false) => return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
        (false, true) => {
            let number = m.bus_device_number(interface.device).unwrap_or_default();
            let tail =
                if interface.reference.is_empty() { String::new() } else { format!("\\{}", interface.reference) };
            m.io.names.add_link(&interface.link, &format!("{}{tail}", super::pnp::device_name(number)));
        }
        (true, false) => {
            m.io.names.remove_link(&interface.link);
        }
    }
    m.io.interfaces[index].enabled = enable;
    m.interface_changed(&interface, enable)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// The names of the interfaces of a class, each with its NUL, and a NUL at the end, in paged pool of the caller.
fn IoGetDeviceInterfaces(m: &mut Machine, call: &Call, guid: Va, device: Va, flags: u32, list: Va) -> Outcome {
    let guid = m.read_guid_text(guid)?;
    m.probe_write(list, 8)?;
    let wanted = |interface: &&Interface| {
        interface.guid == guid
            && (device.is_null() || interface.device == device)
            && (interface.enabled || flags & INCLUDE_NONACTIVE != 0)
    };
    let names: Vec<&Interface> = m.io.interfaces.iter().filter(wanted).collect();
    let units = names.iter().flat_map(|interface| interface.link.encode_utf16().chain([0]));
    let bytes: Vec<u8> = units.chain([0]).flat_map(u16::to_le_bytes).collect();
    let Some(address) = m.give_paged(&bytes, call.return_address)? else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_u64(list, address.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// The interface of another class with the same device and reference string.
fn IoGetDeviceInterfaceAlias(m: &mut Machine, call: &Call, link: Va, guid: Va, alias: Va) -> Outcome {
    let (name, guid) = (m.read_text(link)?, m.read_guid_text(guid)?);
    m.probe_write(alias, unicode_string::SIZEOF)?;
    let Some(index) = m.interface(&name) else { return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)) };
    let (device, reference) = (m.io.interfaces[index].device, m.io.interfaces[index].reference.clone());
    let other =
        m.io.interfaces
            .iter()
            .find(|other| other.device == device && other.reference == reference && other.guid == guid);
    let Some(other) = other.map(|other| other.link.clone()) else {
        return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND));
    };
    let given = m.give_string(alias, &other, call.return_address)?;
    Ok(Next::status(if given { NtStatus::SUCCESS } else { NtStatus::INSUFFICIENT_RESOURCES }))
}

fn IoOpenDeviceInterfaceRegistryKey(m: &mut Machine, link: Va, _access: u32, key: Va) -> Outcome {
    let name = m.read_text(link)?;
    m.probe_write(key, 8)?;
    let Some(index) = m.interface(&name) else { return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)) };
    let path = m.io.interfaces[index].key();
    let Some(id) = m.cm.registry.create(&path) else { return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES)) };
    Ok(Next::status(m.give_handle(key, Object::Key(id), true)?))
}

impl Machine {
    fn interface(&self, link: &str) -> Option<usize> {
        self.io.interfaces.iter().position(|known| known.link.eq_ignore_ascii_case(link))
    }

    /// A UNICODE_STRING that the caller frees; false where there is no memory.
    fn give_string(&mut self, string: Va, text: &str, site: Va) -> Result<bool, Trap> {
        let bytes: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let Some(buffer) = self.give_paged(&bytes, site)? else { return Ok(false) };
        self.write_u16(unicode_string::LENGTH.at(string), (bytes.len() - 2) as u16)?;
        self.write_u16(unicode_string::MAXIMUM_LENGTH.at(string), bytes.len() as u16)?;
        self.write_u64(unicode_string::BUFFER.at(string), buffer.0)?;
        Ok(true)
    }
}

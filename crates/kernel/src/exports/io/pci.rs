//! Access to the configuration space of a device, as the PCI bus driver gives it: by request (docs: IRP_MN_READ_CONFIG,
//! IRP_MN_WRITE_CONFIG) and by interface (docs: IRP_MN_QUERY_INTERFACE; ddi: BUS_INTERFACE_STANDARD).

use devices::{DeviceId, PciFunction};
use nt_types::layout::{bus_interface_standard as interface, io_stack_location as sl, irp, pnp_bus_information};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IopGetBusData(context: Va, space: u32, buffer: Va, offset: u32, length: u32), DISPATCH),
    export!(Ntoskrnl, IopGetDmaAdapter(context: Va, description: Va, registers: Va), PASSIVE),
    export!(Ntoskrnl, IopReferenceBus(context: Va), DISPATCH),
    export!(Ntoskrnl, IopSetBusData(context: Va, space: u32, buffer: Va, offset: u32, length: u32), DISPATCH),
    export!(Ntoskrnl, IopTranslateBusAddress(context: Va, address: u64, length: u32, space: Va, translated: Va), DISPATCH),
];

/// PCI_WHICHSPACE_CONFIG. The other space is a ROM, which the function does not have.
const CONFIG: u32 = 0;
/// GUID_BUS_INTERFACE_STANDARD: {496b8280-6f25-11d0-beaf-08002be2092f}.
const BUS_INTERFACE: [u8; 16] =
    [0x80, 0x82, 0x6b, 0x49, 0x25, 0x6f, 0xd0, 0x11, 0xbe, 0xaf, 0x08, 0x00, 0x2b, 0xe2, 0x09, 0x2f];
const BUS_INTERFACE_VERSION: u16 = 1;
/// The interface's routines, in the order of its members.
const ROUTINES: [(nt_types::layout::Field, &str); 6] = [
    (interface::INTERFACE_REFERENCE, "IopReferenceBus"),
    (interface::INTERFACE_DEREFERENCE, "IopReferenceBus"),
    (interface::TRANSLATE_BUS_ADDRESS, "IopTranslateBusAddress"),
    (interface::GET_DMA_ADAPTER, "IopGetDmaAdapter"),
    (interface::SET_BUS_DATA, "IopSetBusData"),
    (interface::GET_BUS_DATA, "IopGetBusData"),
];

/// What the bus driver answers for a device that has a configuration space; `None` for what it does not know.
pub(super) fn answer(m: &mut Machine, device: Va, request: Va, minor: u32) -> Result<Option<NtStatus>, Trap> {
    if m.pci_device(device).is_none() {
        return Ok(None);
    }
    let stack = m.stack_location(request)?;
    match minor {
        c::IRP_MN_QUERY_INTERFACE => query_interface(m, device, stack),
        c::IRP_MN_QUERY_BUS_INFORMATION => bus_information(m, device, request).map(Some),
        c::IRP_MN_READ_CONFIG | c::IRP_MN_WRITE_CONFIG => {
            config_request(m, device, request, stack, minor == c::IRP_MN_WRITE_CONFIG).map(Some)
        }
        _ => Ok(None),
    }
}

fn config_request(m: &mut Machine, device: Va, request: Va, stack: Va, write: bool) -> Result<NtStatus, Trap> {
    let space = m.read_u32(sl::PARAMETERS_READ_WRITE_CONFIG_WHICH_SPACE.at(stack))?;
    if space != CONFIG {
        return Ok(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let buffer = m.read_va(sl::PARAMETERS_READ_WRITE_CONFIG_BUFFER.at(stack))?;
    let offset = m.read_u32(sl::PARAMETERS_READ_WRITE_CONFIG_OFFSET.at(stack))?;
    let length = m.read_u32(sl::PARAMETERS_READ_WRITE_CONFIG_LENGTH.at(stack))?;
    let Some(id) = m.pci_device(device) else { return Ok(NtStatus::INVALID_DEVICE_REQUEST) };
    let bytes = m.transfer_config(id, buffer, offset, length, write)?;
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), bytes.into())?;
    Ok(NtStatus::SUCCESS)
}

/// Fills in the structure that the driver brought along. Interfaces other than the standard one are not offered.
fn query_interface(m: &mut Machine, device: Va, stack: Va) -> Result<Option<NtStatus>, Trap> {
    let kind = m.read_va(sl::PARAMETERS_QUERY_INTERFACE_INTERFACE_TYPE.at(stack))?;
    if m.read_bytes(kind, 16)? != BUS_INTERFACE {
        return Ok(None);
    }
    let size = u64::from(m.read_u16(sl::PARAMETERS_QUERY_INTERFACE_SIZE.at(stack))?);
    let version = m.read_u16(sl::PARAMETERS_QUERY_INTERFACE_VERSION.at(stack))?;
    if size < interface::SIZEOF || version != BUS_INTERFACE_VERSION {
        return Ok(Some(NtStatus::INVALID_PARAMETER));
    }
    let at = m.read_va(sl::PARAMETERS_QUERY_INTERFACE_INTERFACE.at(stack))?;
    m.write_u16(interface::SIZE.at(at), interface::SIZEOF as u16)?;
    m.write_u16(interface::VERSION.at(at), BUS_INTERFACE_VERSION)?;
    m.write_u64(interface::CONTEXT.at(at), device.0)?;
    for (member, name) in ROUTINES {
        let routine = m.kernel_images.export("ntoskrnl.exe", name).unwrap_or(Va::NULL);
        m.write_u64(member.at(at), routine.0)?;
    }
    Ok(Some(NtStatus::SUCCESS))
}

fn bus_information(m: &mut Machine, device: Va, request: Va) -> Result<NtStatus, Trap> {
    let identity = m.identity(m.bus_device_number(device).unwrap_or_default());
    let mut bytes = identity.bus_type.to_vec();
    bytes.resize(pnp_bus_information::SIZEOF as usize, 0);
    let kind = pnp_bus_information::LEGACY_BUS_TYPE.offset as usize;
    bytes[kind..kind + 4].copy_from_slice(&identity.interface.to_le_bytes());
    let Some(address) = m.give_paged(&bytes, Va::NULL)? else { return Ok(NtStatus::INSUFFICIENT_RESOURCES) };
    m.write_u64(irp::IO_STATUS_INFORMATION.at(request), address.0)?;
    Ok(NtStatus::SUCCESS)
}

/// Bytes read: 0 for a space that the device does not have.
fn IopGetBusData(m: &mut Machine, context: Va, space: u32, buffer: Va, offset: u32, length: u32) -> Outcome {
    bus_data(m, context, space, buffer, offset, length, false)
}

fn IopSetBusData(m: &mut Machine, context: Va, space: u32, buffer: Va, offset: u32, length: u32) -> Outcome {
    bus_data(m, context, space, buffer, offset, length, true)
}

fn bus_data(m: &mut Machine, context: Va, space: u32, buffer: Va, offset: u32, length: u32, write: bool) -> Outcome {
    let device = m.pci_device(context).filter(|_| space == CONFIG);
    let bytes = match device {
        Some(id) => m.transfer_config(id, buffer, offset, length, write)?,
        None => 0,
    };
    Ok(Next::Return(bytes.into()))
}

/// Bus addresses are physical addresses on this machine, and ports are ports: TRUE.
fn IopTranslateBusAddress(
    m: &mut Machine,
    _context: Va,
    address: u64,
    _length: u32,
    space: Va,
    translated: Va,
) -> Outcome {
    m.read_u32(space)?;
    m.write_u64(translated, address)?;
    Ok(Next::Return(1))
}

fn IopGetDmaAdapter(m: &mut Machine, _context: Va, description: Va, registers: Va) -> Outcome {
    m.new_dma_adapter(description, registers)
}

/// The bus outlives its devices: references are not counted.
fn IopReferenceBus(_m: &mut Machine, _context: Va) -> Outcome {
    Ok(Next::VOID)
}

impl Machine {
    /// The function behind a physical device object.
    fn pci_device(&self, object: Va) -> Option<DeviceId> {
        let number = self.bus_device_number(object)?;
        let (_, id) = self.io.pnp.devices.get(number)?;
        self.bus.device::<PciFunction>(*id).map(|_| *id)
    }

    /// Reads or writes bytes of a configuration space: how many there were.
    fn transfer_config(
        &mut self,
        id: DeviceId,
        buffer: Va,
        offset: u32,
        length: u32,
        write: bool,
    ) -> Result<u32, Trap> {
        let Some(slot) = self.bus.device::<PciFunction>(id).map(PciFunction::slot) else { return Ok(0) };
        self.transfer_config_of(slot, buffer, offset, length, write)
    }

    /// The same for a slot of bus 0; 0 for an empty one.
    pub(crate) fn transfer_config_of(
        &mut self,
        slot: u32,
        buffer: Va,
        offset: u32,
        length: u32,
        write: bool,
    ) -> Result<u32, Trap> {
        let length = length.min((devices::pci::CONFIG_BYTES as u32).saturating_sub(offset));
        let new = if write { self.read_bytes(buffer, length.into())? } else { Vec::new() };
        let Some(function) = self.bus.pci_function(slot) else { return Ok(0) };
        if write {
            (offset..).zip(new).for_each(|(at, byte)| function.write_config(at, byte));
        } else {
            let bytes: Vec<u8> = (offset..offset + length).map(|at| function.read_config(at)).collect();
            self.write_bytes(buffer, &bytes)?;
        }
        Ok(length)
    }
}

//! Buses (ddi: HalGetBusDataByOffset, HalTranslateBusAddress, HalGetInterruptVector). PCI
//! configuration space answers where the machine has a function, and as an empty slot does elsewhere.

use nt_types::{Va, constants as c};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Hal, HalAssignSlotResources(path: Va, class: Va, driver: Va, device: Va, bus_type: u32, bus: u32, slot: u32, resources: Va), PASSIVE),
    export!(Hal, HalGetBusData(kind: u32, bus: u32, slot: u32, buffer: Va, length: u32), DISPATCH),
    export!(Hal, HalGetBusDataByOffset(kind: u32, bus: u32, slot: u32, buffer: Va, offset: u32, length: u32), DISPATCH),
    export!(Hal, HalGetInterruptVector(interface: u32, bus: u32, level: u32, vector: u32, irql: Va, affinity: Va), PASSIVE),
    export!(Hal, HalMakeBeep(frequency: u32), PASSIVE),
    export!(Hal, HalReturnToFirmware(action: u32), PASSIVE),
    export!(Hal, HalSetBusData(kind: u32, bus: u32, slot: u32, buffer: Va, length: u32), DISPATCH),
    export!(Hal, HalSetBusDataByOffset(kind: u32, bus: u32, slot: u32, buffer: Va, offset: u32, length: u32), DISPATCH),
    export!(Hal, HalTranslateBusAddress(interface: u32, bus: u32, address: u64, space: Va, translated: Va), DISPATCH),
];

/// `PCIConfiguration` of BUS_DATA_TYPE.
const PCI_CONFIGURATION: u32 = 4;
/// The vendor of a slot without a device; what a read of an empty slot returns two bytes of.
const PCI_INVALID_VENDOR: u16 = 0xFFFF;

/// 0 for a bus that does not exist; for an empty slot two bytes are stored, as documented.
fn HalGetBusDataByOffset(
    m: &mut Machine,
    kind: u32,
    bus: u32,
    slot: u32,
    buffer: Va,
    offset: u32,
    length: u32,
) -> Outcome {
    if kind != PCI_CONFIGURATION {
        return Err(m.refuse("HalGetBusDataByOffset", format!("`BusDataType` {kind}")));
    }
    if bus != 0 {
        return Ok(Next::Return(0));
    }
    if m.bus.pci_function(slot).is_some() {
        return Ok(Next::Return(m.transfer_config_of(slot, buffer, offset, length, false)?.into()));
    }
    m.fill_bytes(buffer, 0xFF, length.into())?;
    if length >= 2 {
        m.write_u16(buffer, PCI_INVALID_VENDOR)?;
    }
    Ok(Next::Return(length.min(2).into()))
}

fn HalGetBusData(m: &mut Machine, kind: u32, bus: u32, slot: u32, buffer: Va, length: u32) -> Outcome {
    HalGetBusDataByOffset(m, kind, bus, slot, buffer, 0, length)
}

/// In an empty slot nothing takes what is written.
fn HalSetBusDataByOffset(
    m: &mut Machine,
    kind: u32,
    bus: u32,
    slot: u32,
    buffer: Va,
    offset: u32,
    length: u32,
) -> Outcome {
    if kind != PCI_CONFIGURATION {
        return Err(m.refuse("HalSetBusDataByOffset", format!("`BusDataType` {kind}")));
    }
    if bus != 0 {
        return Ok(Next::Return(0));
    }
    Ok(Next::Return(m.transfer_config_of(slot, buffer, offset, length, true)?.into()))
}

fn HalSetBusData(m: &mut Machine, kind: u32, bus: u32, slot: u32, buffer: Va, length: u32) -> Outcome {
    HalSetBusDataByOffset(m, kind, bus, slot, buffer, 0, length)
}

/// Bus addresses are physical addresses on this machine, and ports are ports.
fn HalTranslateBusAddress(
    m: &mut Machine,
    _interface: u32,
    bus: u32,
    address: u64,
    space: Va,
    translated: Va,
) -> Outcome {
    m.read_u32(space)?;
    if bus != 0 {
        return Ok(Next::Return(0));
    }
    m.write_u64(translated, address)?;
    Ok(Next::Return(1))
}

/// The vector is the number of the interrupt line, as in the resource lists of this machine.
fn HalGetInterruptVector(
    m: &mut Machine,
    interface: u32,
    bus: u32,
    level: u32,
    _vector: u32,
    irql: Va,
    affinity: Va,
) -> Outcome {
    if bus != 0 || !matches!(interface, c::ISA | c::EISA | c::PCI_BUS | c::INTERNAL) {
        return Ok(Next::Return(0));
    }
    m.write_u8(irql, crate::exports::io::pnp::line_irql(level) as u8)?;
    m.write_u64(affinity, 1)?;
    Ok(Next::Return(level.into()))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn HalAssignSlotResources(
    _m: &mut Machine,
    _path: Va,
    _class: Va,
    _driver: Va,
    _device: Va,
    _bus_type: u32,
    _bus: u32,
    _slot: u32,
    _resources: Va,
) -> Outcome {
    Ok(Next::status(nt_types::NtStatus::NO_SUCH_DEVICE))
}

/// FALSE: there is no loudspeaker.
fn HalMakeBeep(_m: &mut Machine, _frequency: u32) -> Outcome {
    Ok(Next::Return(0))
}

fn HalReturnToFirmware(m: &mut Machine, action: u32) -> Outcome {
    Err(m.refuse("HalReturnToFirmware", format!("`Routine` {action}: the machine is not switched off from inside")))
}

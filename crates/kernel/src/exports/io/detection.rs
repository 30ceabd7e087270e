//! Drivers that look for hardware themselves (ddi: IoReportResourceForDetection, IoReportDetectedDevice).

use nt_types::layout::{
    cm_full_resource_descriptor as full, cm_partial_resource_descriptor as partial, cm_partial_resource_list as list,
    cm_resource_list,
};
use nt_types::{NtStatus, Va, constants as c};

use super::device::NewDevice;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoReportDetectedDevice(driver: Va, bus_kind: u32, bus: u32, slot: u32, resources: Va, requirements: Va, assigned: bool, device: Va), PASSIVE),
    export!(Ntoskrnl, IoReportResourceForDetection(driver: Va, driver_list: Va, driver_bytes: u32, device: Va, device_list: Va, device_bytes: u32, conflict: Va), PASSIVE),
    export!(Ntoskrnl, IoReportResourceUsage(class: Va, driver: Va, driver_list: Va, driver_bytes: u32, device: Va, device_list: Va, device_bytes: u32, force: bool, conflict: Va), PASSIVE),
];

/// Most descriptors that are looked at.
const MAX_DESCRIPTORS: u32 = 256;

/// A range that a driver claims: ports or device memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Claim {
    owner: Va,
    kind: u8,
    start: u64,
    length: u64,
}

impl Claim {
    fn overlaps(&self, other: &Claim) -> bool {
        let before = |a: &Claim, b: &Claim| a.start.saturating_add(a.length) <= b.start;
        self.kind == other.kind && self.owner != other.owner && !before(self, other) && !before(other, self)
    }
}

/// Claims what nobody has claimed: devices of the machine's bus have their own resources. A list of none gives all back.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoReportResourceForDetection(
    m: &mut Machine,
    driver: Va,
    driver_list: Va,
    _driver_bytes: u32,
    device: Va,
    device_list: Va,
    _device_bytes: u32,
    conflict: Va,
) -> Outcome {
    m.probe_write(conflict, 1)?;
    let mut wanted = m.claims_of(driver, driver_list)?;
    wanted.extend(m.claims_of(device, device_list)?);
    let taken =
        wanted.iter().any(|claim| m.is_of_the_bus(claim) || m.io.claims.iter().any(|other| claim.overlaps(other)));
    m.write_u8(conflict, taken.into())?;
    if taken {
        return Ok(Next::status(NtStatus::CONFLICTING_ADDRESSES));
    }
    m.io.claims.retain(|claim| claim.owner != driver && claim.owner != device);
    m.io.claims.extend(wanted);
    Ok(Next::status(NtStatus::SUCCESS))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoReportResourceUsage(
    m: &mut Machine,
    _class: Va,
    driver: Va,
    driver_list: Va,
    driver_bytes: u32,
    device: Va,
    device_list: Va,
    device_bytes: u32,
    force: bool,
    conflict: Va,
) -> Outcome {
    if force {
        return Err(m.refuse("IoReportResourceUsage", "`OverrideConflict` TRUE"));
    }
    IoReportResourceForDetection(m, driver, driver_list, driver_bytes, device, device_list, device_bytes, conflict)
}

/// A physical device object of the bus for a device that the driver found. What the installation of the device would make
/// of it at the next start is not modelled.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoReportDetectedDevice(
    m: &mut Machine,
    _driver: Va,
    _bus_kind: u32,
    _bus: u32,
    _slot: u32,
    _resources: Va,
    _requirements: Va,
    _assigned: bool,
    device: Va,
) -> Outcome {
    m.probe_write(device, 8)?;
    if !m.read_va(device)?.is_null() {
        return Ok(Next::status(NtStatus::SUCCESS));
    }
    let driver = m.bus_driver()?;
    let kind = c::FILE_DEVICE_UNKNOWN;
    let new = NewDevice { driver, extension_size: 0, kind, characteristics: 0, flags: c::DO_BUS_ENUMERATED_DEVICE };
    let Some(object) = m.new_device(&new)? else { return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES)) };
    m.write_u64(device, object.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// The ranges in a CM_RESOURCE_LIST.
    fn claims_of(&mut self, owner: Va, resources: Va) -> Result<Vec<Claim>, Trap> {
        let mut claims = Vec::new();
        if resources.is_null() {
            return Ok(claims);
        }
        let count = self.read_u32(resources)?;
        let mut at = cm_resource_list::LIST.at(resources) + u64::from(full::PARTIAL_RESOURCE_LIST.offset);
        for _ in 0..count.min(MAX_DESCRIPTORS) {
            let descriptors = self.read_u32(list::COUNT.at(at))?.min(MAX_DESCRIPTORS);
            at = list::PARTIAL_DESCRIPTORS.at(at);
            for _ in 0..descriptors {
                let kind = self.read_u8(at)?;
                let (start, length) = (self.read_u64(at + 4)?, self.read_u32(at + 12)?.into());
                if matches!(u32::from(kind), c::CM_RESOURCE_TYPE_PORT | c::CM_RESOURCE_TYPE_MEMORY) {
                    claims.push(Claim { owner, kind, start, length });
                }
                at = at + partial::SIZEOF;
            }
            at = at + u64::from(full::PARTIAL_RESOURCE_LIST.offset);
        }
        Ok(claims)
    }

    /// True where a device of the bus answers in the range.
    fn is_of_the_bus(&self, claim: &Claim) -> bool {
        let devices: Vec<_> = self.bus.devices().map(|(id, _)| id).collect();
        devices.into_iter().any(|id| {
            let own = self.bus.resources(id);
            let ports = u32::from(claim.kind) == c::CM_RESOURCE_TYPE_PORT;
            let ranges = if ports { own.ports } else { own.memory };
            ranges.iter().any(|range| {
                claim.overlaps(&Claim { owner: Va::NULL, kind: claim.kind, start: range.base, length: range.length })
            })
        })
    }
}

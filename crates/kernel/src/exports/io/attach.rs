//! Looking through device stacks (ddi: IoGetLowerDeviceObject, IoGetDeviceAttachmentBaseRef, IoGetRelatedDeviceObject,
//! IoEnumerateDeviceObjectList, IoAttachDevice).

use nt_types::layout::{device_object, file_object};
use nt_types::{NtStatus, Va};

use super::device::MAX_DEVICES;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAttachDevice(source: Va, target: Va, attached: Va), PASSIVE),
    export!(Ntoskrnl, IoAttachDeviceToDeviceStackSafe(source: Va, target: Va, attached: Va), DISPATCH),
    export!(Ntoskrnl, IoEnumerateDeviceObjectList(driver: Va, list: Va, bytes: u32, count: Va), DISPATCH),
    export!(Ntoskrnl, IoGetBaseFileSystemDeviceObject(file: Va), DISPATCH),
    export!(Ntoskrnl, IoGetDeviceAttachmentBaseRef(device: Va), DISPATCH),
    export!(Ntoskrnl, IoGetLowerDeviceObject(device: Va), DISPATCH),
    export!(Ntoskrnl, IoGetRelatedDeviceObject(file: Va), DISPATCH),
];

/// The device by name, opened only to find it.
fn IoAttachDevice(m: &mut Machine, source: Va, target: Va, attached: Va) -> Outcome {
    m.probe_write(attached, 8)?;
    let name = m.read_text(target)?;
    match m.io.names.resolve(&name) {
        Some((device, rest)) if rest.is_empty() => attach(m, source, device, attached),
        _ => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
    }
}

fn IoAttachDeviceToDeviceStackSafe(m: &mut Machine, source: Va, target: Va, attached: Va) -> Outcome {
    m.probe_write(attached, 8)?;
    attach(m, source, target, attached)
}

fn attach(m: &mut Machine, source: Va, target: Va, attached: Va) -> Outcome {
    let below = m.attach_device(source, target)?;
    m.write_u64(attached, below.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoGetLowerDeviceObject(m: &mut Machine, device: Va) -> Outcome {
    Ok(Next::pointer(m.device_below(device)?.unwrap_or(Va::NULL)))
}

fn IoGetDeviceAttachmentBaseRef(m: &mut Machine, device: Va) -> Outcome {
    Ok(Next::pointer(m.bottom_of_stack(device)?))
}

/// No device here has a mounted file system, so the stack of the file's device is the one.
fn IoGetRelatedDeviceObject(m: &mut Machine, file: Va) -> Outcome {
    let device = m.read_va(file_object::DEVICE_OBJECT.at(file))?;
    Ok(Next::pointer(m.top_of_stack(device)?))
}

fn IoGetBaseFileSystemDeviceObject(m: &mut Machine, file: Va) -> Outcome {
    Ok(Next::pointer(m.read_va(file_object::DEVICE_OBJECT.at(file))?))
}

/// STATUS_BUFFER_TOO_SMALL where not all devices fit; as many as do are stored.
fn IoEnumerateDeviceObjectList(m: &mut Machine, driver: Va, list: Va, bytes: u32, count: Va) -> Outcome {
    let devices = m.devices_of(driver)?;
    let fitting = if list.is_null() { 0 } else { devices.len().min(bytes as usize / 8) };
    m.write_u32(count, devices.len() as u32)?;
    for (index, device) in devices.iter().take(fitting).enumerate() {
        m.write_u64(list + 8 * index as u64, device.0)?;
    }
    Ok(Next::status(if fitting < devices.len() { NtStatus::BUFFER_TOO_SMALL } else { NtStatus::SUCCESS }))
}

impl Machine {
    /// The device that the others of its stack are attached to.
    pub(super) fn bottom_of_stack(&mut self, device: Va) -> Result<Va, Trap> {
        let mut bottom = device;
        for _ in 0..MAX_DEVICES {
            match self.device_below(bottom)? {
                Some(below) => bottom = below,
                None => break,
            }
        }
        Ok(bottom)
    }

    /// The device that this one is attached to.
    fn device_below(&mut self, device: Va) -> Result<Option<Va>, Trap> {
        let Some(below) = self.io.attached_to.get(&device).copied() else { return Ok(None) };
        Ok((self.read_va(device_object::ATTACHED_DEVICE.at(below))? == device).then_some(below))
    }
}

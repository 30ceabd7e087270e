//! Device objects and stacks of them (ddi: IoCreateDevice, IoAttachDeviceToDeviceStack).

use nt_types::layout::{device_object, driver_object};
use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAttachDeviceToDeviceStack(source: Va, target: Va), DISPATCH),
    export!(Ntoskrnl, IoCreateDevice(driver: Va, extension_size: u32, name: Va, kind: u32, characteristics: u32, exclusive: bool, device: Va), APC),
    export!(Ntoskrnl, IoDeleteDevice(device: Va), APC),
    export!(Ntoskrnl, IoDetachDevice(target: Va), PASSIVE),
    export!(Ntoskrnl, IoGetAttachedDevice(device: Va), DISPATCH),
    export!(Ntoskrnl, IoGetAttachedDeviceReference = IoGetAttachedDevice(device: Va), DISPATCH),
];

/// What follows a DEVICE_OBJECT before the driver's extension: room for DEVOBJ_EXTENSION.
const AFTER_DEVICE: u64 = 0x50;
/// Longest chain of devices that is followed: a driver may have made it circular.
pub(super) const MAX_DEVICES: usize = 256;

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoCreateDevice(
    m: &mut Machine,
    driver: Va,
    extension_size: u32,
    name: Va,
    kind: u32,
    characteristics: u32,
    exclusive: bool,
    device: Va,
) -> Outcome {
    let name = if name.is_null() { None } else { Some(m.read_text(name)?) };
    m.read_u64(device)?;
    let taken = name.as_ref().is_some_and(|name| m.io.names.resolve(name).is_some_and(|(_, rest)| rest.is_empty()));
    if taken {
        return Ok(Next::status(NtStatus::OBJECT_NAME_COLLISION));
    }
    let named = if name.is_some() { c::DO_DEVICE_HAS_NAME } else { 0 };
    let flags = c::DO_DEVICE_INITIALIZING | named | if exclusive { c::DO_EXCLUSIVE } else { 0 };
    let new = NewDevice { driver, extension_size, kind, characteristics, flags };
    let Some(object) = m.new_device(&new)? else { return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES)) };
    if let Some(name) = name {
        m.io.names.add_device(&name, object);
    }
    m.write_u64(device, object.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// What a new device object holds.
pub(super) struct NewDevice {
    pub(super) driver: Va,
    pub(super) extension_size: u32,
    pub(super) kind: u32,
    pub(super) characteristics: u32,
    pub(super) flags: u32,
}

fn IoDeleteDevice(m: &mut Machine, device: Va) -> Outcome {
    let driver = m.read_va(device_object::DRIVER_OBJECT.at(device))?;
    let next = m.read_va(device_object::NEXT_DEVICE.at(device))?;
    let mut link = driver_object::DEVICE_OBJECT.at(driver);
    for _ in 0..MAX_DEVICES {
        let current = m.read_va(link)?;
        if current == device {
            m.write_u64(link, next.0)?;
            break;
        }
        if current.is_null() {
            break;
        }
        link = device_object::NEXT_DEVICE.at(current);
    }
    m.delete_device_timer(device)?;
    m.io.forget_device(device);
    match m.io.held_devices.get_mut(&device) {
        Some(held) => held.is_deleted = true,
        None => drop(m.pool_free(device)),
    }
    Ok(Next::VOID)
}

fn IoAttachDeviceToDeviceStack(m: &mut Machine, source: Va, target: Va) -> Outcome {
    Ok(Next::pointer(m.attach_device(source, target)?))
}

fn IoDetachDevice(m: &mut Machine, target: Va) -> Outcome {
    let above = m.read_va(device_object::ATTACHED_DEVICE.at(target))?;
    m.write_u64(device_object::ATTACHED_DEVICE.at(target), 0)?;
    m.io.attached_to.remove(&above);
    Ok(Next::VOID)
}

fn IoGetAttachedDevice(m: &mut Machine, device: Va) -> Outcome {
    Ok(Next::pointer(m.top_of_stack(device)?))
}

/// References to a device by those who send it a request.
#[derive(Clone, Copy, Default, Hash, Debug)]
pub(super) struct Held {
    count: usize,
    /// IoDeleteDevice was called: the object goes with the last reference.
    is_deleted: bool,
}

impl Machine {
    /// Keeps a device object until [`release_device`](Machine::release_device): who sends a request holds a reference to the
    /// device until the request is through, so that the driver may delete it on the way (ddi: IoGetAttachedDeviceReference).
    pub(super) fn hold_device(&mut self, device: Va) {
        self.io.held_devices.entry(device).or_default().count += 1;
    }

    pub(super) fn release_device(&mut self, device: Va) {
        let Some(held) = self.io.held_devices.get_mut(&device) else { return };
        held.count -= 1;
        if held.count == 0 {
            let is_deleted = held.is_deleted;
            self.io.held_devices.remove(&device);
            if is_deleted {
                self.pool_free(device);
            }
        }
    }

    /// Puts `source` on top of the stack that `target` is in; the device that was on top.
    pub(super) fn attach_device(&mut self, source: Va, target: Va) -> Result<Va, Trap> {
        let top = self.top_of_stack(target)?;
        let stack_size = self.read_u8(device_object::STACK_SIZE.at(top))?;
        let alignment = self.read_u32(device_object::ALIGNMENT_REQUIREMENT.at(top))?;
        self.write_u64(device_object::ATTACHED_DEVICE.at(top), source.0)?;
        self.write_u8(device_object::STACK_SIZE.at(source), stack_size.wrapping_add(1))?;
        self.write_u32(device_object::ALIGNMENT_REQUIREMENT.at(source), alignment)?;
        self.io.attached_to.insert(source, top);
        self.attached_above(source, top)?;
        Ok(top)
    }

    /// The device that requests for this one reach first.
    pub(crate) fn top_of_stack(&mut self, device: Va) -> Result<Va, Trap> {
        Ok(self.stack_from(device)?.last().copied().unwrap_or(device))
    }

    /// The device, and those above it in its stack.
    pub(crate) fn stack_from(&mut self, device: Va) -> Result<Vec<Va>, Trap> {
        let mut stack = vec![device];
        for _ in 0..MAX_DEVICES {
            match self.read_va(device_object::ATTACHED_DEVICE.at(stack[stack.len() - 1]))? {
                Va::NULL => break,
                above => stack.push(above),
            }
        }
        Ok(stack)
    }

    /// A device object with its extension, first in its driver's list.
    pub(super) fn new_device(&mut self, new: &NewDevice) -> Result<Option<Va>, Trap> {
        let extension_offset = device_object::SIZEOF + AFTER_DEVICE;
        let size = extension_offset + u64::from(new.extension_size);
        let first = self.read_u64(driver_object::DEVICE_OBJECT.at(new.driver))?;
        let Some(device) = self.kernel_object(size, *b"Devi") else { return Ok(None) };
        let reported = (device_object::SIZEOF as u32).wrapping_add(new.extension_size) as u16;
        self.write_u16(device_object::TYPE.at(device), c::IO_TYPE_DEVICE as u16)?;
        self.write_u16(device_object::SIZE.at(device), reported)?;
        self.write_u64(device_object::DRIVER_OBJECT.at(device), new.driver.0)?;
        self.write_u64(device_object::NEXT_DEVICE.at(device), first)?;
        self.write_u32(device_object::FLAGS.at(device), new.flags)?;
        self.write_u32(device_object::CHARACTERISTICS.at(device), new.characteristics)?;
        self.write_u32(device_object::DEVICE_TYPE.at(device), new.kind)?;
        self.write_u8(device_object::STACK_SIZE.at(device), 1)?;
        self.initialize_device_queue(device_object::DEVICE_QUEUE.at(device))?;
        if new.extension_size > 0 {
            self.write_u64(device_object::DEVICE_EXTENSION.at(device), device.0 + extension_offset)?;
        }
        self.write_u64(driver_object::DEVICE_OBJECT.at(new.driver), device.0)?;
        Ok(Some(device))
    }

    /// Devices of a driver, newest first.
    pub(crate) fn devices_of(&mut self, driver: Va) -> Result<Vec<Va>, Trap> {
        let mut devices = Vec::new();
        let mut device = self.read_va(driver_object::DEVICE_OBJECT.at(driver))?;
        while !device.is_null() && devices.len() < MAX_DEVICES {
            devices.push(device);
            device = self.read_va(device_object::NEXT_DEVICE.at(device))?;
        }
        Ok(devices)
    }

    /// The I/O manager clears DO_DEVICE_INITIALIZING of the devices that DriverEntry created.
    pub(crate) fn devices_initialized(&mut self, driver: Va) -> Result<(), Trap> {
        for device in self.devices_of(driver)? {
            let flags = self.read_u32(device_object::FLAGS.at(device))?;
            self.write_u32(device_object::FLAGS.at(device), flags & !c::DO_DEVICE_INITIALIZING)?;
        }
        Ok(())
    }
}

//! Routing: ports and device memory to devices, device lines to interrupts.

use std::any::Any;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use crate::device::Device;
use crate::interrupt_line::{InterruptLine, Trigger};
use crate::mishap::Mishap;
use crate::pci::PciFunction;
use crate::ranges::{AddressRange, Claims};

/// Number of a device on its bus; never used again after the device is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceId(u32);

/// What a device occupies: its hardware resources as Plug and Play would list them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Resources {
    /// I/O ports.
    pub ports: Vec<AddressRange>,
    /// Device memory, by physical address.
    pub memory: Vec<AddressRange>,
    /// Interrupt lines.
    pub lines: Vec<(u32, Trigger)>,
}

/// A mistake in wiring the machine.
#[derive(Clone, Copy, PartialEq, Eq, Error, Debug)]
pub enum BusError {
    /// The range is empty or ends beyond its address space.
    #[error("range of {:#x} bytes at {:#x} is empty or leaves the address space", .0.length, .0.base)]
    BadRange(AddressRange),
    /// An access width other than 1, 2, 4 or 8 bytes.
    #[error("access width of {0} bytes")]
    BadWidth(u8),
    /// Another device is there.
    #[error("range of {:#x} bytes at {:#x} overlaps one of {:#x} bytes at {:#x}", .range.length, .range.base,
        .other.length, .other.base)]
    Overlap {
        /// The range asked for.
        range: AddressRange,
        /// The range in its way.
        other: AddressRange,
    },
    /// A line cannot be both level and edge triggered.
    #[error("interrupt line {0} is shared with a device of the other trigger mode")]
    TriggerMismatch(u32),
    /// No device has this number.
    #[error("device {} is not on the bus", .0.0)]
    NoDevice(DeviceId),
}

#[derive(Clone, Copy)]
enum Space {
    Ports,
    Memory,
}

/// The devices of a machine and how they are wired.
#[derive(Clone, Default, Debug)]
pub struct Bus {
    devices: BTreeMap<DeviceId, Box<dyn Device>>,
    next_id: u32,
    ports: Claims,
    memory: Claims,
    lines: BTreeMap<u32, InterruptLine>,
    /// Devices that are parts of another, by the other.
    parts: BTreeMap<DeviceId, DeviceId>,
    /// Before this time nothing happens by itself, and lines are what they are; 0 where that is to be found out.
    quiet_until_ns: u64,
}

impl Bus {
    /// An empty bus: every read answers all ones.
    pub fn new() -> Bus {
        Bus::default()
    }

    /// Puts a device on the bus. It is reachable once it has claimed something.
    pub fn attach(&mut self, device: Box<dyn Device>) -> DeviceId {
        let id = DeviceId(self.next_id);
        self.next_id += 1;
        self.devices.insert(id, device);
        self.quiet_until_ns = 0;
        id
    }

    /// Takes a device off the bus with all that it occupied, as a surprise removal does.
    pub fn detach(&mut self, id: DeviceId) -> Option<Box<dyn Device>> {
        let device = self.devices.remove(&id)?;
        self.ports.remove(id);
        self.memory.remove(id);
        self.parts.retain(|whole, part| *whole != id && *part != id);
        for line in self.lines.values_mut() {
            line.devices.retain(|other| *other != id);
        }
        self.sample_lines();
        Some(device)
    }

    /// Routes `length` ports from `base` to a device that takes at most `width` bytes in one cycle; wider accesses are
    /// split, as a bus bridge does.
    pub fn claim_ports(&mut self, id: DeviceId, base: u16, length: u16, width: u8) -> Result<(), BusError> {
        self.check(id)?;
        let range = AddressRange { base: base.into(), length: length.into() };
        self.ports.add(id, range, width, u16::MAX.into())
    }

    /// Routes `length` bytes of physical address space from `base` to a device.
    pub fn claim_memory(&mut self, id: DeviceId, base: u64, length: u64, width: u8) -> Result<(), BusError> {
        self.check(id)?;
        self.memory.add(id, AddressRange { base, length }, width, u64::MAX)
    }

    /// Wires the interrupt output of a device to a line.
    pub fn connect(&mut self, id: DeviceId, line: u32, trigger: Trigger) -> Result<(), BusError> {
        self.check(id)?;
        let wire = self.lines.entry(line).or_insert_with(|| InterruptLine::new(trigger));
        if wire.devices.is_empty() {
            wire.trigger = trigger;
        }
        if wire.trigger != trigger {
            return Err(BusError::TriggerMismatch(line));
        }
        if !wire.devices.contains(&id) {
            wire.devices.push(id);
        }
        self.sample_lines();
        Ok(())
    }

    /// Makes `part` a part of another device, whose resources include those of the part from now on.
    pub(crate) fn put_behind(&mut self, whole: DeviceId, part: DeviceId) {
        self.parts.insert(whole, part);
    }

    /// What a device and its part occupy.
    pub fn resources(&self, id: DeviceId) -> Resources {
        let ids = || [Some(id), self.parts.get(&id).copied()].into_iter().flatten();
        let lines = self.lines.iter().filter(|(_, line)| ids().any(|id| line.devices.contains(&id)));
        Resources {
            ports: ids().flat_map(|id| self.ports.of(id)).collect(),
            memory: ids().flat_map(|id| self.memory.of(id)).collect(),
            lines: lines.map(|(number, line)| (*number, line.trigger)).collect(),
        }
    }

    /// The function in this slot of PCI bus 0.
    pub fn pci_function(&mut self, slot: u32) -> Option<&mut PciFunction> {
        self.quiet_until_ns = 0;
        let devices = self.devices.values_mut().map(|device| &mut **device as &mut dyn Any);
        devices.filter_map(|device| device.downcast_mut::<PciFunction>()).find(|function| function.slot() == slot)
    }

    /// The devices, by number.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &dyn Device)> {
        self.devices.iter().map(|(id, device)| (*id, &**device))
    }

    /// A device as what it is.
    pub fn device<T: Device>(&self, id: DeviceId) -> Option<&T> {
        let device: &dyn Any = &**self.devices.get(&id)?;
        device.downcast_ref()
    }

    /// A device as what it is, to change it from outside; call [`advance`](Bus::advance) afterwards.
    pub fn device_mut<T: Device>(&mut self, id: DeviceId) -> Option<&mut T> {
        self.quiet_until_ns = 0;
        let device: &mut dyn Any = &mut **self.devices.get_mut(&id)?;
        device.downcast_mut()
    }

    /// The device that answers at this port.
    pub fn port_owner(&self, port: u16) -> Option<DeviceId> {
        self.ports.find(port.into()).map(|claim| claim.device)
    }

    /// The device that answers at this physical address.
    pub fn memory_owner(&self, address: u64) -> Option<DeviceId> {
        self.memory.find(address).map(|claim| claim.device)
    }

    /// What the world outside may do to a device now.
    pub fn mishaps(&self, id: DeviceId) -> &'static [Mishap] {
        self.devices.get(&id).map_or(&[], |device| device.mishaps())
    }

    /// The world outside does this to a device.
    pub fn befall(&mut self, id: DeviceId, mishap: Mishap, now_ns: u64) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.advance(now_ns);
            device.befall(mishap);
        }
        self.sample_lines();
    }

    /// Reads `width` bytes from a port.
    pub fn port_read(&mut self, port: u16, width: u8, now_ns: u64) -> u64 {
        self.read(Space::Ports, port.into(), width, now_ns)
    }

    /// Writes `width` bytes to a port.
    pub fn port_write(&mut self, port: u16, width: u8, value: u64, now_ns: u64) {
        self.write(Space::Ports, port.into(), width, value, now_ns);
    }

    /// Reads `width` bytes of device memory.
    pub fn memory_read(&mut self, address: u64, width: u8, now_ns: u64) -> u64 {
        self.read(Space::Memory, address, width, now_ns)
    }

    /// Writes `width` bytes of device memory.
    pub fn memory_write(&mut self, address: u64, width: u8, value: u64, now_ns: u64) {
        self.write(Space::Memory, address, width, value, now_ns);
    }

    /// Feeds a hasher everything that can influence what the devices will do and where they are: see [`Device::hash_at`].
    pub fn hash_at(&self, now_ns: u64, state: &mut impl Hasher) {
        let Bus { devices, next_id, ports, memory, lines, parts, quiet_until_ns: _ } = self;
        state.write_usize(devices.len());
        for (id, device) in devices {
            id.hash(state);
            device.hash_at(now_ns, state);
        }
        (next_id, ports, memory, lines, parts).hash(state);
    }

    /// Lets everything happen that is due until `now_ns`.
    pub fn advance(&mut self, now_ns: u64) {
        if now_ns < self.quiet_until_ns {
            return;
        }
        self.devices.values_mut().for_each(|device| device.advance(now_ns));
        self.sample_lines();
        self.quiet_until_ns = self.next_deadline().unwrap_or(u64::MAX);
    }

    /// When a device will next do something by itself.
    pub fn next_deadline(&self) -> Option<u64> {
        match self.quiet_until_ns {
            0 => self.devices.values().filter_map(|device| device.next_deadline()).min(),
            until_ns => Some(until_ns).filter(|until_ns| *until_ns < u64::MAX),
        }
    }

    /// Does this line ask for service?
    pub fn pending(&self, line: u32) -> bool {
        self.lines.get(&line).is_some_and(InterruptLine::pending)
    }

    /// The lines that ask for service, by number.
    pub fn pending_lines(&self) -> impl Iterator<Item = u32> {
        self.lines.iter().filter(|(_, line)| line.pending()).map(|(number, _)| *number)
    }

    /// The interrupt controller has taken the request of this line. A level that is still asserted asks again.
    pub fn acknowledge(&mut self, line: u32) {
        if let Some(line) = self.lines.get_mut(&line) {
            line.acknowledge();
        }
    }

    /// One interrupt on this line that no device asked for.
    pub fn inject_spurious(&mut self, line: u32) {
        self.lines.entry(line).or_insert_with(|| InterruptLine::new(Trigger::Edge)).inject();
    }

    fn check(&self, id: DeviceId) -> Result<(), BusError> {
        if self.devices.contains_key(&id) { Ok(()) } else { Err(BusError::NoDevice(id)) }
    }

    fn sample_lines(&mut self) {
        self.quiet_until_ns = 0;
        for line in self.lines.values_mut() {
            let asserts = |id: &DeviceId| self.devices.get(id).is_some_and(|device| device.interrupt());
            let asserted = line.devices.iter().any(asserts);
            line.sample(asserted);
        }
    }

    fn read(&mut self, space: Space, address: u64, width: u8, now_ns: u64) -> u64 {
        let mut value = 0;
        let mut done = 0;
        while done < width.min(8) {
            let (bytes, bits) = self.read_cycle(space, address.checked_add(done.into()), width.min(8) - done, now_ns);
            value |= bits << (8 * done);
            done += bytes;
        }
        self.sample_lines();
        value
    }

    /// Reads some of the `wanted` bytes: how many, and their bits.
    fn read_cycle(&mut self, space: Space, address: Option<u64>, wanted: u8, now_ns: u64) -> (u8, u64) {
        let Some((device, offset, bytes)) = self.route(space, address, wanted, now_ns) else { return (1, 0xff) };
        let bits = match space {
            Space::Ports => device.port_read(offset as u16, bytes),
            Space::Memory => device.memory_read(offset, bytes),
        };
        (bytes, bits & (u64::MAX >> (64 - 8 * u32::from(bytes))))
    }

    fn write(&mut self, space: Space, address: u64, width: u8, value: u64, now_ns: u64) {
        let mut done = 0;
        while done < width.min(8) {
            let address = address.checked_add(done.into());
            done += self.write_cycle(space, address, width.min(8) - done, value >> (8 * done), now_ns);
        }
        self.sample_lines();
    }

    fn write_cycle(&mut self, space: Space, address: Option<u64>, wanted: u8, value: u64, now_ns: u64) -> u8 {
        let Some((device, offset, bytes)) = self.route(space, address, wanted, now_ns) else { return 1 };
        let value = value & (u64::MAX >> (64 - 8 * u32::from(bytes)));
        match space {
            Space::Ports => device.port_write(offset as u16, bytes, value),
            Space::Memory => device.memory_write(offset, bytes, value),
        }
        bytes
    }

    /// The device at `address`, brought up to date, the offset into its range and the bytes that it takes now.
    fn route(
        &mut self,
        space: Space,
        address: Option<u64>,
        wanted: u8,
        now_ns: u64,
    ) -> Option<(&mut dyn Device, u64, u8)> {
        let claims = match space {
            Space::Ports => &self.ports,
            Space::Memory => &self.memory,
        };
        let address = address?;
        let claim = claims.find(address)?;
        let device = self.devices.get_mut(&claim.device)?;
        device.advance(now_ns);
        Some((&mut **device, address - claim.range.base, claim.cycle(address, wanted)))
    }
}

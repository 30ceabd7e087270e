//! A PCI function that is no particular device: a configuration space, and device memory that keeps what is written.
//!
//! Nothing in it knows any driver. Who writes a register reads the same back. Hardware changes its registers by itself, too,
//! and a driver may wait for either value of any bit: so a register that is read again and again is, after a while, the
//! complement of what it was.

mod config;
mod registers;

use std::hash::{Hash, Hasher};

use self::config::ConfigSpace;
use self::registers::Registers;
use crate::bus::{Bus, BusError, DeviceId};
use crate::device::Device;

/// Bytes of a configuration space.
pub const CONFIG_BYTES: usize = 256;
/// Bytes of the function's device memory.
pub const MEMORY_BYTES: u64 = 1 << 20;
/// A vendor identification that no vendor has, and a device of this vendor.
pub const VENDOR: u16 = 0xFFF0;
/// See [`VENDOR`].
pub const DEVICE: u16 = 0x0001;

/// Bytes that the function takes in one cycle.
const CYCLE: u8 = 8;

/// Where a function is, as firmware has set it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// PCI_SLOT_NUMBER on bus 0: device number in bits 0 to 4, function number in bits 5 to 7.
    pub slot: u32,
    /// First port, and how many.
    pub ports: (u16, u16),
    /// Physical address of the device memory, a multiple of [`MEMORY_BYTES`].
    pub memory: u64,
    /// Interrupt line.
    pub line: u8,
}

/// The function.
#[derive(Clone, Hash, Debug)]
pub struct PciFunction {
    slot: u32,
    config: ConfigSpace,
    registers: Registers,
}

impl PciFunction {
    /// Puts a function on the bus whose ports and interrupt are those of another device, which is a part of it.
    ///
    /// # Errors
    /// Its memory is taken.
    pub fn install(bus: &mut Bus, part: DeviceId, place: Place) -> Result<DeviceId, BusError> {
        let function =
            PciFunction { slot: place.slot, config: ConfigSpace::new(&place), registers: Registers::default() };
        let id = bus.attach(Box::new(function));
        let claimed = bus.claim_memory(id, place.memory, MEMORY_BYTES, CYCLE);
        bus.put_behind(id, part);
        if claimed.is_err() {
            bus.detach(id);
        }
        claimed.map(|()| id)
    }

    /// Its PCI_SLOT_NUMBER.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// A byte of the configuration space; all ones beyond it.
    pub fn read_config(&self, offset: u32) -> u8 {
        self.config.read(offset)
    }

    /// Writes a byte of the configuration space; bits that hardware fixes stay.
    pub fn write_config(&mut self, offset: u32, value: u8) {
        self.config.write(offset, value);
    }
}

impl Device for PciFunction {
    fn name(&self) -> &str {
        "PCI function"
    }

    fn advance(&mut self, _now_ns: u64) {}

    fn next_deadline(&self) -> Option<u64> {
        None
    }

    fn interrupt(&self) -> bool {
        false
    }

    fn memory_read(&mut self, offset: u64, _width: u8) -> u64 {
        if self.config.decodes_memory() { self.registers.read(offset) } else { u64::MAX }
    }

    fn memory_write(&mut self, offset: u64, width: u8, value: u64) {
        if self.config.decodes_memory() {
            self.registers.write(offset, width, value);
        }
    }

    fn hash_at(&self, _now_ns: u64, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn clone_box(&self) -> Box<dyn Device> {
        Box::new(self.clone())
    }
}

//! A configuration space with a header of type 0, after the PCI Local Bus Specification.

use super::{CONFIG_BYTES, DEVICE, MEMORY_BYTES, Place, VENDOR};

/// Offsets in the header, and where this function has its power management capability.
mod at {
    pub(super) const VENDOR: usize = 0x00;
    pub(super) const COMMAND: usize = 0x04;
    pub(super) const STATUS: usize = 0x06;
    pub(super) const REVISION: usize = 0x08;
    pub(super) const CLASS: usize = 0x09;
    pub(super) const CACHE_LINE: usize = 0x0C;
    pub(super) const BASE_0: usize = 0x10;
    pub(super) const BASE_1: usize = 0x14;
    pub(super) const BASE_2: usize = 0x18;
    pub(super) const SUBSYSTEM: usize = 0x2C;
    pub(super) const CAPABILITIES: usize = 0x34;
    pub(super) const INTERRUPT_LINE: usize = 0x3C;
    pub(super) const INTERRUPT_PIN: usize = 0x3D;
    pub(super) const POWER: usize = 0x40;
    pub(super) const POWER_STATE: usize = 0x44;
}

/// Ports, memory and bus mastering are on, as firmware leaves them.
const COMMAND: u16 = 0x0007;
/// What a function without special cycles and palettes has of the command register.
const COMMAND_BITS: u16 = 0x0547;
const MEMORY_SPACE: u8 = 0x02;
const HAS_CAPABILITIES: u16 = 0x0010;
/// Programming interface, subclass, class: a 16550-compatible serial controller.
const CLASS: [u8; 3] = [0x02, 0x00, 0x07];
/// Power management, last of the capabilities, version 3, no state but D0 and D3.
const POWER: [u8; 4] = [0x01, 0x00, 0x03, 0x00];
const POWER_STATES: u16 = 0x0003;
const IS_PORTS: u32 = 0b1;
const IS_64_BIT: u32 = 0b100;

/// The bytes, and which bits of them a write changes.
#[derive(Clone, Hash, Debug)]
pub(super) struct ConfigSpace {
    bytes: [u8; CONFIG_BYTES],
    writable: [u8; CONFIG_BYTES],
}

impl ConfigSpace {
    pub(super) fn new(place: &Place) -> ConfigSpace {
        let mut space = ConfigSpace { bytes: [0; CONFIG_BYTES], writable: [0; CONFIG_BYTES] };
        let identification = [VENDOR.to_le_bytes(), DEVICE.to_le_bytes()].concat();
        space.constant(at::VENDOR, &identification);
        space.constant(at::SUBSYSTEM, &identification);
        space.register(at::COMMAND, COMMAND.into(), COMMAND_BITS.into());
        space.constant(at::STATUS, &HAS_CAPABILITIES.to_le_bytes());
        space.constant(at::REVISION, &[1]);
        space.constant(at::CLASS, &CLASS);
        space.writable[at::CACHE_LINE..at::CACHE_LINE + 2].fill(0xFF);
        space.register(at::BASE_0, place.memory as u32 | IS_64_BIT, !(MEMORY_BYTES as u32 - 1));
        space.register(at::BASE_1, (place.memory >> 32) as u32, u32::MAX);
        space.register(at::BASE_2, u32::from(place.ports.0) | IS_PORTS, u32::from(place.ports.1).wrapping_neg());
        space.constant(at::CAPABILITIES, &[at::POWER as u8]);
        space.constant(at::INTERRUPT_LINE, &[place.line]);
        space.writable[at::INTERRUPT_LINE] = 0xFF;
        space.constant(at::INTERRUPT_PIN, &[1]);
        space.constant(at::POWER, &POWER);
        space.register(at::POWER_STATE, 0, POWER_STATES.into());
        space
    }

    fn constant(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn register(&mut self, at: usize, value: u32, writable: u32) {
        let own = self.bytes[at..at + 4].iter_mut().zip(value.to_le_bytes());
        own.for_each(|(byte, value)| *byte |= value);
        self.writable[at..at + 4].copy_from_slice(&writable.to_le_bytes());
    }

    /// The byte at `offset`; all ones beyond the space.
    pub(super) fn read(&self, offset: u32) -> u8 {
        self.bytes.get(offset as usize).copied().unwrap_or(0xFF)
    }

    pub(super) fn write(&mut self, offset: u32, value: u8) {
        let offset = offset as usize;
        if let (Some(byte), Some(mask)) = (self.bytes.get_mut(offset), self.writable.get(offset)) {
            *byte = *byte & !mask | value & mask;
        }
    }

    /// Does the function answer in its memory?
    pub(super) fn decodes_memory(&self) -> bool {
        self.bytes[at::COMMAND] & MEMORY_SPACE != 0
    }
}

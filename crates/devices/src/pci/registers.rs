//! Device memory as registers that keep what is written, and that do not stand still for ever.

use std::collections::BTreeMap;

/// Bytes of a register.
const BYTES: usize = 8;
/// Reads after which a register turns into its complement, and back again.
const PATIENCE: u32 = 64;
/// What an untouched byte holds.
const UNTOUCHED: u8 = 0;

/// The registers that were accessed, by number.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Registers(BTreeMap<u64, Register>);

#[derive(Clone, Copy, Hash, Debug)]
struct Register {
    bytes: [u8; BYTES],
    /// Reads since the last write.
    reads: u32,
}

impl Registers {
    /// What is at `offset` and in the rest of its register.
    pub(super) fn read(&mut self, offset: u64) -> u64 {
        let (register, at) = self.at(offset);
        let value = u64::from_le_bytes(register.bytes);
        let turned = register.reads / PATIENCE % 2 == 1;
        register.reads = register.reads.wrapping_add(1);
        (if turned { !value } else { value }) >> (8 * at)
    }

    /// Writes `width` bytes that do not leave the register.
    pub(super) fn write(&mut self, offset: u64, width: u8, value: u64) {
        let (register, at) = self.at(offset);
        register.reads = 0;
        let bytes = register.bytes[at..].iter_mut().zip(value.to_le_bytes()).take(width.into());
        bytes.for_each(|(byte, new)| *byte = new);
    }

    fn at(&mut self, offset: u64) -> (&mut Register, usize) {
        let register = self.0.entry(offset / BYTES as u64).or_insert(Register { bytes: [UNTOUCHED; BYTES], reads: 0 });
        (register, (offset % BYTES as u64) as usize)
    }
}

//! Questions that the machine answers: device memory, ports, privileged registers.

use super::Context;
use crate::op::{Flow, Op, Outcome, Stop};
use engine::{Device, DeviceAccess, Exit, Mmu, Unsupported};

/// The widest single access to a device, in bytes.
const WIDEST: usize = 8;

impl<M: Mmu> Context<'_, M> {
    /// The answer to `question`, or the exit that asks for it.
    #[cold]
    pub(crate) fn ask(&mut self, op: &Op<M>, question: Exit) -> Result<u64, Stop> {
        match self.cpu.answers.take() {
            Some(answer) => Ok(answer),
            None if self.cpu.answers.is_full() => Err(self.unsupported(op)),
            None => Err(self.exit_before(question)),
        }
    }

    /// Reads a port or device memory: a value of `width` bytes.
    #[cold]
    pub(crate) fn read_from(&mut self, op: &Op<M>, device: Device, width: u8) -> Result<u64, Stop> {
        let answer = self.ask(op, Exit::Device(DeviceAccess { device, width, write: None }))?;
        Ok(answer & (u64::MAX >> (64 - 8 * u32::from(width))))
    }

    /// Writes a value of `width` bytes to a port or to device memory.
    #[cold]
    pub(crate) fn write_to(&mut self, op: &Op<M>, device: Device, width: u8, value: u64) -> Result<(), Stop> {
        self.ask(op, Exit::Device(DeviceAccess { device, width, write: Some(value) })).map(drop)
    }

    #[cold]
    pub(super) fn read_device(&mut self, op: &Op<M>, place: u64, width: u8) -> Result<u64, Stop> {
        self.read_from(op, Device::Memory(place), width)
    }

    /// Reads more than a device gives at once, piece by piece.
    #[cold]
    pub(super) fn read_device_bytes<const N: usize>(&mut self, op: &Op<M>, place: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        for (piece, place) in bytes.chunks_mut(WIDEST).zip((place..).step_by(WIDEST)) {
            let value = self.read_device(op, place, piece.len() as u8)?;
            piece.copy_from_slice(&value.to_le_bytes()[..piece.len()]);
        }
        Ok(bytes)
    }

    #[cold]
    pub(super) fn write_device(&mut self, op: &Op<M>, place: u64, bytes: &[u8]) -> Outcome {
        for (piece, place) in bytes.chunks(WIDEST).zip((place..).step_by(WIDEST)) {
            let mut value = [0; WIDEST];
            value[..piece.len()].copy_from_slice(piece);
            self.write_to(op, Device::Memory(place), piece.len() as u8, u64::from_le_bytes(value))?;
        }
        Ok(Flow::Next)
    }

    /// Ends the run: this engine does not implement the instruction.
    #[cold]
    pub(crate) fn unsupported(&mut self, op: &Op<M>) -> Stop {
        let bytes = self.instruction_bytes(op);
        self.exit_before(Exit::Unsupported(Unsupported { bytes, length: op.length }))
    }

    fn instruction_bytes(&mut self, op: &Op<M>) -> [u8; 15] {
        let mut bytes = [0; 15];
        for (offset, byte) in (0..u64::from(op.length)).zip(&mut bytes) {
            *byte = self.mmu.load(op.address.wrapping_add(offset)).map_or(0, |[byte]| byte);
        }
        bytes
    }
}

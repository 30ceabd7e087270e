//! Memory operands: loads, stores, and what the processor reports where they fail.

use super::Context;
use crate::op::{Flow, Op, Outcome, Stop};
use crate::width::Width;
use engine::{Exit, Fault, Gpr, Mmu};

impl<M: Mmu> Context<'_, M> {
    /// Reads memory.
    #[inline(always)]
    pub(crate) fn load<W: Width>(&mut self, op: &Op<M>, address: u64) -> Result<u64, Stop> {
        match W::load(self.mmu, address) {
            Ok(value) => Ok(value),
            Err(Fault::Device(place)) => self.read_device(op, place, W::BYTES as u8),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// Reads memory that the instruction is going to write: a refusal is reported as one of the write, as the processor
    /// does.
    #[inline(always)]
    pub(crate) fn load_to_modify<W: Width>(&mut self, op: &Op<M>, address: u64) -> Result<u64, Stop> {
        match W::load(self.mmu, address) {
            Ok(value) => Ok(value),
            Err(Fault::Device(place)) => self.read_device(op, place, W::BYTES as u8),
            Err(fault) => Err(self.modify_fault(op, address, W::BYTES as usize, fault)),
        }
    }

    /// Writes memory.
    #[inline(always)]
    pub(crate) fn store<W: Width>(&mut self, op: &Op<M>, address: u64, value: u64) -> Outcome {
        match W::store(self.mmu, address, value) {
            Ok(()) => Ok(self.after_store(op)),
            Err(Fault::Device(place)) => self.write_device(op, place, &value.to_le_bytes()[..W::BYTES as usize]),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// Reads `N` bytes.
    #[inline(always)]
    pub(crate) fn load_bytes<const N: usize>(&mut self, op: &Op<M>, address: u64) -> Result<[u8; N], Stop> {
        match self.mmu.load(address) {
            Ok(bytes) => Ok(bytes),
            Err(Fault::Device(place)) => self.read_device_bytes(op, place),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// Writes `N` bytes.
    #[inline(always)]
    pub(crate) fn store_bytes<const N: usize>(&mut self, op: &Op<M>, address: u64, bytes: [u8; N]) -> Outcome {
        match self.mmu.store(address, bytes) {
            Ok(()) => Ok(self.after_store(op)),
            Err(Fault::Device(place)) => self.write_device(op, place, &bytes),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// Would reading a byte succeed? Device memory is fine.
    pub(crate) fn probe_load(&mut self, op: &Op<M>, address: u64) -> Result<(), Stop> {
        match self.mmu.load::<1>(address) {
            Ok(_) | Err(Fault::Device(_)) => Ok(()),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// Would a store succeed? For instructions that write several times. Device memory is fine.
    pub(crate) fn probe_store(&mut self, op: &Op<M>, address: u64, length: usize) -> Result<(), Stop> {
        match self.mmu.probe_store(address, length) {
            Ok(()) | Err(Fault::Device(_)) => Ok(()),
            Err(fault) => Err(self.operand_fault(op, fault)),
        }
    }

    /// A store may have changed the code that follows: then the block ends.
    #[inline(always)]
    pub(super) fn after_store(&mut self, op: &Op<M>) -> Flow {
        if self.mmu.code_epoch() == self.epoch {
            return Flow::Next;
        }
        self.rip = op.next();
        Flow::Jump
    }

    #[cold]
    fn modify_fault(&mut self, op: &Op<M>, address: u64, length: usize, fault: Fault) -> Stop {
        let fault = self.mmu.probe_store(address, length).err().unwrap_or(fault);
        self.operand_fault(op, fault)
    }

    #[cold]
    pub(crate) fn operand_fault(&mut self, op: &Op<M>, fault: Fault) -> Stop {
        let stack = [Gpr::Rsp as u8, Gpr::Rbp as u8].contains(&op.memory.base) && !op.memory.kind.has_segment();
        self.fault(op, fault, if stack { 12 } else { 13 })
    }

    /// Ends the run for a refused access; `vector` is what an address that is not canonical raises.
    #[cold]
    pub(super) fn fault(&mut self, op: &Op<M>, fault: Fault, vector: u8) -> Stop {
        match fault {
            Fault::Page(fault) => self.exit_before(Exit::PageFault(fault)),
            Fault::NonCanonical(_) => self.exception_with_zero(vector),
            // Every access asks the device first; what is left is one that no transcript can hold.
            Fault::Device(_) => self.unsupported(op),
        }
    }
}

//! Memory operands: addresses, loads, stores, and what the processor reports where they fail.

use super::Context;
use crate::op::{Flow, MemoryKind, Op, Outcome, Stop};
use crate::width::Width;
use engine::{Exit, Fault, Gpr, Mmu};

impl<M: Mmu> Context<'_, M> {
    /// Linear address of the memory operand.
    #[inline(always)]
    pub(crate) fn address(&self, op: &Op<M>) -> u64 {
        self.address_at(op, 0)
    }

    /// Linear address of a place `distance` bytes behind the memory operand.
    #[inline(always)]
    pub(crate) fn address_at(&self, op: &Op<M>, distance: u64) -> u64 {
        let offset = self.plain_offset(op).wrapping_add(distance);
        if op.memory.kind == MemoryKind::PLAIN { offset } else { self.special_address(op.memory.kind, offset) }
    }

    /// The memory operand's offset in its segment.
    #[inline(always)]
    pub(crate) fn offset(&self, op: &Op<M>) -> u64 {
        op.memory.kind.cut(self.plain_offset(op))
    }

    #[inline(always)]
    fn plain_offset(&self, op: &Op<M>) -> u64 {
        let memory = &op.memory;
        let index = self.registers.get(memory.index) << (memory.shift & 3);
        self.registers.get(memory.base).wrapping_add(index).wrapping_add(memory.displacement)
    }

    #[cold]
    #[inline(never)]
    fn special_address(&self, kind: MemoryKind, offset: u64) -> u64 {
        kind.cut(offset).wrapping_add(self.segment_base(kind))
    }

    fn segment_base(&self, kind: MemoryKind) -> u64 {
        if kind.has(MemoryKind::FS) {
            self.cpu.fs_base
        } else if kind.has(MemoryKind::GS) {
            self.cpu.gs_base
        } else {
            0
        }
    }

    /// Reads memory.
    #[inline(always)]
    pub(crate) fn load<W: Width>(&mut self, op: &Op<M>, address: u64) -> Result<u64, Stop> {
        match W::load(self.mmu, address) {
            Ok(value) => Ok(value),
            Err(fault) => self.load_refused(op, fault, W::BYTES as u8),
        }
    }

    /// Reads memory that the instruction is going to write: a refusal is reported as one of the write, as the processor
    /// does.
    #[inline(always)]
    pub(crate) fn load_to_modify<W: Width>(&mut self, op: &Op<M>, address: u64) -> Result<u64, Stop> {
        match W::load(self.mmu, address) {
            Ok(value) => Ok(value),
            Err(fault) => self.modify_refused(op, address, fault, W::BYTES as u8),
        }
    }

    /// Writes memory.
    #[inline(always)]
    pub(crate) fn store<W: Width>(&mut self, op: &Op<M>, address: u64, value: u64) -> Outcome {
        match W::store(self.mmu, address, value) {
            Ok(()) => Ok(self.after_store(op)),
            Err(fault) => self.store_refused(op, fault, value, W::BYTES as u8),
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
    #[inline(never)]
    fn load_refused(&mut self, op: &Op<M>, fault: Fault, width: u8) -> Result<u64, Stop> {
        match fault {
            Fault::Device(place) => self.read_device(op, place, width),
            fault => Err(self.operand_fault(op, fault)),
        }
    }

    #[cold]
    #[inline(never)]
    fn modify_refused(&mut self, op: &Op<M>, address: u64, fault: Fault, width: u8) -> Result<u64, Stop> {
        if let Fault::Device(place) = fault {
            return self.read_device(op, place, width);
        }
        let fault = self.mmu.probe_store(address, width.into()).err().unwrap_or(fault);
        Err(self.operand_fault(op, fault))
    }

    #[cold]
    #[inline(never)]
    fn store_refused(&mut self, op: &Op<M>, fault: Fault, value: u64, width: u8) -> Outcome {
        match fault {
            Fault::Device(place) => self.write_device(op, place, &value.to_le_bytes()[..width.into()]),
            fault => Err(self.operand_fault(op, fault)),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn operand_fault(&mut self, op: &Op<M>, fault: Fault) -> Stop {
        let stack = [Gpr::Rsp as u8, Gpr::Rbp as u8].contains(&op.memory.base) && !op.memory.kind.has_segment();
        self.fault(op, fault, if stack { 12 } else { 13 })
    }

    /// Ends the run for a refused access; `vector` is what an address that is not canonical raises.
    #[cold]
    #[inline(never)]
    pub(super) fn fault(&mut self, op: &Op<M>, fault: Fault, vector: u8) -> Stop {
        match fault {
            Fault::Page(fault) => self.exit_before(Exit::PageFault(fault)),
            Fault::NonCanonical(_) => self.exception_with_zero(vector),
            // Every access asks the device first; what is left is one that no transcript can hold.
            Fault::Device(_) => self.unsupported(op),
        }
    }
}

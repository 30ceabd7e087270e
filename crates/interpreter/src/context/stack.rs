//! The stack.

use super::Context;
use crate::op::{Op, Outcome, Stop};
use crate::width::Width;
use engine::{Fault, Gpr, Mmu};

const RSP: u8 = Gpr::Rsp as u8;

impl<M: Mmu> Context<'_, M> {
    /// Pushes a value. This is the last step of an instruction that can fail.
    #[inline(always)]
    pub(crate) fn push<W: Width>(&mut self, op: &Op<M>, value: u64) -> Outcome {
        let top = self.registers.get(RSP).wrapping_sub(W::BYTES);
        let flow = match W::store(self.mmu, top, value) {
            Ok(()) => self.after_store(op),
            Err(fault) => self.push_slowly(op, fault, &value.to_le_bytes()[..W::BYTES as usize])?,
        };
        self.registers.set(RSP, top);
        Ok(flow)
    }

    /// The value on the stack `offset` bytes above its top. Nothing is popped.
    #[inline(always)]
    pub(crate) fn peek<W: Width>(&mut self, op: &Op<M>, offset: u64) -> Result<u64, Stop> {
        let address = self.registers.get(RSP).wrapping_add(offset);
        match W::load(self.mmu, address) {
            Ok(value) => Ok(value),
            Err(Fault::Device(place)) => self.read_device(op, place, W::BYTES as u8),
            Err(fault) => Err(self.fault(op, fault, 12)),
        }
    }

    /// Removes bytes from the top of the stack.
    #[inline(always)]
    pub(crate) fn drop_stack(&mut self, bytes: u64) {
        self.registers.set(RSP, self.registers.get(RSP).wrapping_add(bytes));
    }

    #[cold]
    fn push_slowly(&mut self, op: &Op<M>, fault: Fault, bytes: &[u8]) -> Outcome {
        match fault {
            Fault::Device(place) => self.write_device(op, place, bytes),
            fault => Err(self.fault(op, fault, 12)),
        }
    }
}

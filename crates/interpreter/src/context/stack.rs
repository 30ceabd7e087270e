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
            Err(fault) => self.push_refused(op, fault, value, W::BYTES as u8)?,
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
            Err(fault) => self.peek_refused(op, fault, W::BYTES as u8),
        }
    }

    /// Removes bytes from the top of the stack.
    #[inline(always)]
    pub(crate) fn drop_stack(&mut self, bytes: u64) {
        self.registers.set(RSP, self.registers.get(RSP).wrapping_add(bytes));
    }

    /// The exit that pushing a value would end in, where it would.
    #[cold]
    pub(crate) fn try_push(&mut self, op: &Op<M>, width: u64) -> Result<(), Stop> {
        let top = self.registers.get(RSP).wrapping_sub(width);
        match self.mmu.probe_store(top, width as usize) {
            Ok(()) | Err(Fault::Device(_)) => Ok(()),
            Err(fault) => Err(self.fault(op, fault, 12)),
        }
    }

    #[cold]
    #[inline(never)]
    fn push_refused(&mut self, op: &Op<M>, fault: Fault, value: u64, width: u8) -> Outcome {
        match fault {
            Fault::Device(place) => self.write_device(op, place, &value.to_le_bytes()[..width.into()]),
            fault => Err(self.fault(op, fault, 12)),
        }
    }

    #[cold]
    #[inline(never)]
    fn peek_refused(&mut self, op: &Op<M>, fault: Fault, width: u8) -> Result<u64, Stop> {
        match fault {
            Fault::Device(place) => self.read_device(op, place, width),
            fault => Err(self.fault(op, fault, 12)),
        }
    }
}

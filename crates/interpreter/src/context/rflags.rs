//! RFLAGS as a whole.

use super::Context;
use crate::flags::Flags;
use crate::op::Outcome;
use engine::{Exit, Mmu, Rflags};

/// What POPF and IRET may change at privilege level 0.
const CHANGEABLE: u64 =
    Rflags::ARITHMETIC | Rflags::TF | Rflags::IF | Rflags::DF | Rflags::IOPL | Rflags::NT | Rflags::AC | Rflags::ID;

impl<M: Mmu> Context<'_, M> {
    /// All of RFLAGS.
    pub(crate) fn rflags(&self) -> u64 {
        (self.cpu.rflags & !Rflags::ARITHMETIC) | self.flags.bits()
    }

    /// Goes on at `rip`, which is canonical, with the bits of RFLAGS in `mask` replaced as POPF does.
    pub(crate) fn return_with_flags(&mut self, rip: u64, value: u64, mask: u64) -> Outcome {
        let mask = mask & CHANGEABLE;
        let old = self.rflags();
        let new = old & !mask | value & mask;
        self.cpu.rflags = new;
        self.flags = Flags::from_bits(new);
        self.rip = rip;
        self.review_stepping();
        if new & !old & Rflags::IF != 0 {
            return Err(self.exit_after(Exit::InterruptsEnabled));
        }
        self.jump(rip)
    }
}

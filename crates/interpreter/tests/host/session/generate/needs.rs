//! Instructions for which random operands are not enough.

use engine::Gpr;
use iced_x86::{MemorySize, Mnemonic, OpKind, Register};

use super::super::arena::{DATA, READ_ONLY, STACK};
use super::super::case::FLAGS;
use super::{Draft, random_mxcsr, random_x87};

/// The flags that POPFQ finds on the stack: what a program may change, and what is set around it anyway.
const POPPED_FIXED: u64 = 0x202;

impl Draft<'_> {
    /// Makes the likely outcome the interesting one where random operands would nearly always give the other.
    pub(super) fn special_needs(&mut self) {
        match self.instruction.mnemonic() {
            Mnemonic::Div | Mnemonic::Idiv => self.small_dividend(),
            Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc => self.near_bit(),
            Mnemonic::Cmpxchg if self.random.chance(50) => self.equal_accumulator(),
            Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne | Mnemonic::Jrcxz => {
                let count = self.random.below(3);
                self.cpu.set(Gpr::Rcx, count);
            }
            Mnemonic::Jmp | Mnemonic::Call => self.indirect_target(),
            Mnemonic::Ret => {
                let target = self.code_address();
                self.stack_top(target);
            }
            Mnemonic::Popfq => {
                let flags = POPPED_FIXED | (self.random.bits() & FLAGS);
                self.stack_top(flags);
            }
            Mnemonic::Leave | Mnemonic::Enter => {
                let frame = STACK + 0x800 + 8 * self.random.below(16);
                self.cpu.set(Gpr::Rbp, frame);
            }
            Mnemonic::Shld | Mnemonic::Shrd => self.defined_double_shift(),
            Mnemonic::Fxrstor | Mnemonic::Fxrstor64 => self.valid_image(),
            Mnemonic::Ldmxcsr => self.valid_mxcsr(),
            _ => {}
        }
    }

    fn stack_top(&mut self, value: u64) {
        let top = self.cpu.get(Gpr::Rsp);
        self.arena.poke(top, &value.to_le_bytes());
    }

    /// The general register that operand `index` is or is part of, where it is one.
    fn operand_gpr(&self, index: u32) -> Option<usize> {
        let register = self.instruction.op_register(index).full_register();
        (self.instruction.op_kind(index) == OpKind::Register && register.is_gpr64())
            .then(|| register as usize - Register::RAX as usize)
    }

    fn is_in_address(&self, gpr: usize) -> bool {
        [self.instruction.memory_base(), self.instruction.memory_index()]
            .iter()
            .any(|part| part.is_gpr() && part.full_register() as usize - Register::RAX as usize == gpr)
    }

    /// A dividend whose quotient fits, most of the time.
    fn small_dividend(&mut self) {
        if self.random.chance(70) && !self.is_in_address(Gpr::Rdx as usize) {
            let upper = if self.random.chance(50) { 0 } else { ((self.cpu.get(Gpr::Rax) as i64) >> 63) as u64 };
            self.cpu.set(Gpr::Rdx, upper);
        }
    }

    /// A bit offset that stays near the memory operand.
    fn near_bit(&mut self) {
        let Some(gpr) = self.operand_gpr(1) else { return };
        if self.target.is_some() && !self.is_in_address(gpr) {
            self.cpu.gpr[gpr] = self.random.below(2000).wrapping_sub(1000);
        }
    }

    fn equal_accumulator(&mut self) {
        let rax = self.cpu.get(Gpr::Rax);
        if let Some(gpr) = self.operand_gpr(0) {
            self.cpu.gpr[gpr] = rax;
        } else if let Some(target) = self.target.filter(|target| (DATA..READ_ONLY - 8).contains(target)) {
            self.arena.poke(target, &rax.to_le_bytes());
        }
    }

    /// Makes an indirect branch go to code, mostly.
    fn indirect_target(&mut self) {
        let goal = if self.random.chance(90) { self.code_address() } else { self.random.integer() };
        if let Some(gpr) = self.operand_gpr(0) {
            self.cpu.gpr[gpr] = goal;
        } else if let Some(target) = self.target.filter(|target| (DATA..READ_ONLY - 8).contains(target)) {
            self.arena.poke(target, &goal.to_le_bytes());
        }
    }

    /// A 16-bit double shift by more than 16 is undefined.
    fn defined_double_shift(&mut self) {
        if self.instruction.op0_register().is_gpr16() || self.instruction.memory_size() == MemorySize::UInt16 {
            let count = self.random.below(17);
            if self.instruction.op_kind(2) == OpKind::Immediate8 {
                self.instruction.set_immediate8(count as u8);
            } else if !self.is_in_address(Gpr::Rcx as usize) {
                self.cpu.set(Gpr::Rcx, count);
            }
        }
    }

    fn valid_image(&mut self) {
        let Some(target) = self.target.filter(|target| (DATA..READ_ONLY - 512).contains(target)) else { return };
        let (x87, mxcsr) = (random_x87(self.random), random_mxcsr(self.random));
        self.arena.poke(target, &x87.control.to_le_bytes());
        self.arena.poke(target + 2, &x87.status.to_le_bytes());
        self.arena.poke(target + 24, &mxcsr.to_le_bytes());
    }

    fn valid_mxcsr(&mut self) {
        let Some(target) = self.target.filter(|target| (DATA..READ_ONLY - 4).contains(target)) else { return };
        if self.random.chance(90) {
            let mxcsr = random_mxcsr(self.random);
            self.arena.poke(target, &mxcsr.to_le_bytes());
        }
    }
}

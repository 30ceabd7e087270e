//! Operands: which register, which immediate, which address.

use engine::Gpr;
use engine::flat::PAGE_SIZE;
use iced_x86::{Mnemonic, OpCodeOperandKind, OpKind, Register};

use super::super::arena::{ABSENT, DATA, READ_ONLY};
use super::Draft;

/// How far from the instruction a branch goes.
const BRANCH_REACH: u64 = 100;

impl Draft<'_> {
    pub(super) fn operands(&mut self) {
        let kinds = self.instruction.op_code().op_kinds().to_vec();
        for (index, &kind) in kinds.iter().enumerate() {
            self.operand(index as u32, kind);
        }
    }

    fn operand(&mut self, index: u32, kind: OpCodeOperandKind) {
        use OpCodeOperandKind as K;
        match kind {
            K::r8_or_mem
            | K::r16_or_mem
            | K::r32_or_mem
            | K::r64_or_mem
            | K::xmm_or_mem
            | K::ymm_or_mem
            | K::mm_or_mem
                if self.random.chance(50) =>
            {
                self.memory(index);
            }
            K::mem | K::mem_offs => self.memory(index),
            K::mem_vsib32y => self.gather(index),
            K::seg_rSI => self.implied(index, OpKind::MemorySegRSI, Gpr::Rsi),
            K::es_rDI => self.implied(index, OpKind::MemoryESRDI, Gpr::Rdi),
            K::seg_rDI => self.implied(index, OpKind::MemorySegRDI, Gpr::Rdi),
            K::seg_rBX_al => self.translate_table(index),
            K::br64_1 | K::br64_4 => self.branch(index),
            K::imm8 | K::imm8_const_1 | K::imm8sex16 | K::imm8sex32 | K::imm8sex64 => self.immediate8(index, kind),
            K::imm16 | K::imm32 | K::imm32sex64 | K::imm64 => self.immediate(index, kind),
            _ => {
                let register = self.register(kind);
                self.instruction.set_op_kind(index, OpKind::Register);
                self.instruction.set_op_register(index, register);
            }
        }
    }

    fn register(&mut self, kind: OpCodeOperandKind) -> Register {
        use OpCodeOperandKind as K;
        let nth = |first: Register, number: u64| first + number as u32;
        match kind {
            K::r8_or_mem | K::r8_reg | K::r8_opcode => nth(Register::AL, self.random.below(20)),
            K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode => nth(Register::AX, self.random.below(16)),
            K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv => {
                nth(Register::EAX, self.random.below(16))
            }
            K::r64_or_mem | K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv => {
                nth(Register::RAX, self.random.below(16))
            }
            K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv => nth(Register::XMM0, self.random.below(16)),
            K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv => nth(Register::YMM0, self.random.below(16)),
            K::mm_or_mem | K::mm_reg | K::mm_rm => nth(Register::MM0, self.random.below(8)),
            K::seg_reg => self.random.pick(&[Register::CS, Register::SS, Register::DS, Register::ES]),
            K::al => Register::AL,
            K::cl => Register::CL,
            K::ax => Register::AX,
            K::dx => Register::DX,
            K::eax => Register::EAX,
            K::rax => Register::RAX,
            K::st0 => Register::ST0,
            K::sti_opcode => nth(Register::ST0, self.random.below(8)),
            other => panic!("operand kind {other:?} is not generated yet"),
        }
    }

    fn immediate8(&mut self, index: u32, kind: OpCodeOperandKind) {
        use OpCodeOperandKind as K;
        let value = self.random.integer() as i8;
        let kind = match kind {
            K::imm8sex16 => OpKind::Immediate8to16,
            K::imm8sex32 => OpKind::Immediate8to32,
            K::imm8sex64 => OpKind::Immediate8to64,
            _ if index > 0 && self.instruction.op_kind(index - 1) == OpKind::Immediate16 => OpKind::Immediate8_2nd,
            K::imm8_const_1 => {
                self.instruction.set_op_kind(index, OpKind::Immediate8);
                return self.instruction.set_immediate8(1);
            }
            _ => OpKind::Immediate8,
        };
        self.instruction.set_op_kind(index, kind);
        match kind {
            OpKind::Immediate8to16 => self.instruction.set_immediate8to16(value.into()),
            OpKind::Immediate8to32 => self.instruction.set_immediate8to32(value.into()),
            OpKind::Immediate8to64 => self.instruction.set_immediate8to64(value.into()),
            OpKind::Immediate8_2nd => self.instruction.set_immediate8_2nd(value as u8),
            _ => self.instruction.set_immediate8(value as u8),
        }
    }

    fn immediate(&mut self, index: u32, kind: OpCodeOperandKind) {
        use OpCodeOperandKind as K;
        let value = self.random.integer();
        let kind = match kind {
            K::imm16 => OpKind::Immediate16,
            K::imm32 => OpKind::Immediate32,
            K::imm32sex64 => OpKind::Immediate32to64,
            _ => OpKind::Immediate64,
        };
        self.instruction.set_op_kind(index, kind);
        match kind {
            OpKind::Immediate16 => self.instruction.set_immediate16(value as u16),
            OpKind::Immediate32 => self.instruction.set_immediate32(value as u32),
            OpKind::Immediate32to64 => self.instruction.set_immediate32to64((value as i32).into()),
            _ => self.instruction.set_immediate64(value),
        }
    }

    fn branch(&mut self, index: u32) {
        let target = self.code_address();
        self.instruction.set_op_kind(index, OpKind::NearBranch64);
        self.instruction.set_near_branch64(target);
    }

    /// A place near the instruction, but outside it, that holds a breakpoint.
    pub(super) fn code_address(&mut self) -> u64 {
        let distance = 16 + self.random.below(BRANCH_REACH);
        if self.random.chance(50) { self.cpu.rip + distance } else { self.cpu.rip - distance }
    }

    /// A memory operand with a random addressing form, and registers that make it reach a place worth testing.
    fn memory(&mut self, index: u32) {
        let target = self.place();
        self.target = Some(target);
        self.scatter(target);
        self.instruction.set_op_kind(index, OpKind::Memory);
        if self.instruction.op_code().op_kind(index) == OpCodeOperandKind::mem_offs {
            self.instruction.set_memory_displacement64(target);
            self.instruction.set_memory_displ_size(if self.random.chance(20) { 4 } else { 8 });
            return;
        }
        match self.random.below(20) {
            0 => self.absolute(Register::None, target),
            1 | 2 => self.absolute(Register::RIP, target),
            _ => self.based(target),
        }
    }

    fn absolute(&mut self, base: Register, target: u64) {
        self.instruction.set_memory_base(base);
        self.instruction.set_memory_displacement64(target);
        self.instruction.set_memory_displ_size(if base == Register::RIP { 8 } else { 4 });
    }

    /// `[base + index * scale + displacement]`, sometimes with 32-bit registers.
    fn based(&mut self, target: u64) {
        let narrow = self.random.chance(5);
        let first = if narrow { Register::EAX } else { Register::RAX };
        let base = self.random.below(16) as usize;
        let displacement = self.displacement();
        let mut rest = target.wrapping_sub(displacement as i64 as u64);
        let index = self.random.below(16) as usize;
        if self.random.chance(40) && index != base && index != Gpr::Rsp as usize {
            let scale = 1 << self.random.below(4);
            self.instruction.set_memory_index(first + index as u32);
            self.instruction.set_memory_index_scale(scale);
            rest = rest.wrapping_sub(self.cpu.gpr[index].wrapping_mul(u64::from(scale)));
        }
        self.instruction.set_memory_base(first + base as u32);
        self.instruction.set_memory_displacement64(displacement as i64 as u64);
        self.instruction.set_memory_displ_size(match displacement {
            0 => 0,
            -128..=127 => 1,
            _ => 8,
        });
        self.cpu.gpr[base] = if narrow { (rest & 0xffff_ffff) | (self.random.bits() << 32) } else { rest };
    }

    /// `[base + vector * scale]` with eight doublewords as the vector, most of them small.
    fn gather(&mut self, index: u32) {
        let target = self.place();
        self.target = Some(target);
        self.scatter(target);
        let (base, vector) = (self.random.below(16) as u32, self.random.below(16) as u32);
        self.instruction.set_op_kind(index, OpKind::Memory);
        self.instruction.set_memory_base(Register::RAX + base);
        self.instruction.set_memory_index(Register::YMM0 + vector);
        self.instruction.set_memory_index_scale(1 << self.random.below(4));
        self.cpu.gpr[base as usize] = target;
        let mut near = || (0..4).fold(0, |all, _| all << 32 | u128::from(self.random.below(32) as u32));
        (self.cpu.xmm[vector as usize], self.cpu.ymm_high[vector as usize]) = (near(), near());
    }

    fn displacement(&mut self) -> i32 {
        match self.random.below(3) {
            0 => 0,
            1 => self.random.bits() as i8 as i32,
            _ => self.random.bits() as i32 >> 8,
        }
    }

    /// Mostly inside the data pages; else across a border of protection, or out.
    fn place(&mut self) -> u64 {
        let size = (self.instruction.memory_size().size() as u64).clamp(1, 512);
        let reach = size.min(64);
        if self.locked || self.instruction.mnemonic() == Mnemonic::Xchg {
            return (DATA + self.random.below(4 * PAGE_SIZE)) & !(size.next_power_of_two() - 1);
        }
        let inside = DATA + 0x200 + self.random.below(2 * PAGE_SIZE - 0x400 - size);
        match self.random.below(50) {
            0..28 => inside & !(reach.next_power_of_two() - 1),
            28..40 => inside,
            40 | 41 => DATA + PAGE_SIZE - self.random.below(reach + 1),
            42 | 43 => READ_ONLY - self.random.below(reach + 1),
            44 => (READ_ONLY + 0x100 + self.random.below(0xc00)) & !(reach.next_power_of_two() - 1),
            45 | 46 => ABSENT - self.random.below(reach + 1),
            47 => DATA - self.random.below(reach + 1),
            48 => ABSENT + self.random.below(PAGE_SIZE),
            _ => 0x0008_0000_0000_0000 | self.random.bits(),
        }
    }

    /// Puts data of this case's flavour around `address`.
    fn scatter(&mut self, address: u64) {
        if (DATA + 64..READ_ONLY - 128).contains(&address) {
            for slot in 0..16 {
                let value = self.flavour.quadword(self.random);
                self.arena.poke(address - 64 + 8 * slot, &value.to_le_bytes());
            }
        }
    }

    fn implied(&mut self, index: u32, kind: OpKind, register: Gpr) {
        let target = self.place();
        self.scatter(target);
        self.cpu.set(register, target);
        self.instruction.set_op_kind(index, kind);
    }

    fn translate_table(&mut self, index: u32) {
        let target = self.place();
        let offset = self.cpu.get(Gpr::Rax) & 0xff;
        self.cpu.set(Gpr::Rbx, target.wrapping_sub(offset));
        self.instruction.set_op_kind(index, OpKind::Memory);
        self.instruction.set_memory_base(Register::RBX);
        self.instruction.set_memory_index(Register::AL);
    }
}

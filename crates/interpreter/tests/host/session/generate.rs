//! Makes random cases of one instruction form.

use engine::flat::{FlatMmu, PAGE_SIZE};
use engine::{Cpu, Gpr, Segments, X87};
use iced_x86::{Code, Encoder, Instruction, MemorySize, Mnemonic, OpCodeOperandKind, OpKind, Register};

use super::arena::{ABSENT, CODE, DATA, READ_ONLY, STACK};
use super::case::{Case, FLAGS};
use super::random::{Flavour, Random};

/// The flags that POPFQ finds on the stack: what a program may change, and what is set around it anyway.
const POPPED_FIXED: u64 = 0x202;
/// How far from the instruction a branch goes.
const BRANCH_REACH: u64 = 100;

/// Makes cases, reproducibly for one seed and form.
pub(crate) struct Generator {
    random: Random,
    arena: FlatMmu,
}

/// A case in the making.
struct Draft<'a> {
    random: &'a mut Random,
    instruction: Instruction,
    cpu: Cpu,
    arena: FlatMmu,
    /// What the data of this case is made of.
    flavour: Flavour,
    /// Where the memory operand lies.
    target: Option<u64>,
}

impl Generator {
    /// A generator whose read-only page is that of `arena`.
    pub(crate) fn new(seed: u64, arena: &FlatMmu) -> Generator {
        let mut generator = Generator { random: Random::new(seed), arena: arena.clone() };
        for page in [DATA, DATA + PAGE_SIZE, STACK] {
            fill(&mut generator.random, &mut generator.arena, page);
        }
        generator
    }

    /// A random case of `code`.
    pub(crate) fn case(&mut self, code: Code) -> Case {
        for _ in 0..1000 {
            let flavour = Flavour::any(&mut self.random);
            let cpu = random_cpu(&mut self.random, flavour);
            let mut instruction = Instruction::default();
            instruction.set_code(code);
            let arena = self.arena.clone();
            let mut draft = Draft { random: &mut self.random, instruction, cpu, arena, flavour, target: None };
            draft.operands();
            draft.prefixes();
            draft.special_needs();
            if let Some(case) = draft.encode() {
                return case;
            }
        }
        panic!("no encoding of {code:?} found");
    }
}

/// Fills a page with data of all flavours.
pub(crate) fn fill(random: &mut Random, arena: &mut FlatMmu, page: u64) {
    for address in (page..page + PAGE_SIZE).step_by(8) {
        let flavour = Flavour::any(random);
        arena.poke(address, &flavour.quadword(random).to_le_bytes());
    }
}

/// Any registers and flags; the selectors are those of a Linux process.
fn random_cpu(random: &mut Random, flavour: Flavour) -> Cpu {
    let mut cpu = Cpu { rip: CODE + 0x400 + random.below(0x400), x87: random_x87(random), ..Cpu::default() };
    cpu.gpr = std::array::from_fn(|_| random.integer());
    cpu.set(Gpr::Rsp, STACK + 0x800 + 8 * random.below(16));
    cpu.rflags |= random.bits() & FLAGS;
    cpu.segments = Segments { cs: 0x33, ss: 0x2b, ds: 0, es: 0, ..cpu.segments };
    cpu.xmm = std::array::from_fn(|_| flavour.vector(random));
    cpu.ymm_high = std::array::from_fn(|_| flavour.vector(random));
    cpu.mxcsr = random_mxcsr(random);
    cpu
}

/// Any rounding, sometimes denormals as zero, flushing, earlier flags and unmasked exceptions.
fn random_mxcsr(random: &mut Random) -> u32 {
    let rounding = (random.below(4) as u32) << 13;
    let flags = if random.chance(30) { random.bits() as u32 & 0x3f } else { 0 };
    let unmasked = if random.chance(20) { random.bits() as u32 & 0x1f80 } else { 0 };
    let flush = if random.chance(25) { random.bits() as u32 & 0x8040 } else { 0 };
    rounding | flags | flush | (0x1f80 & !unmasked)
}

/// Any rounding and precision, some registers empty; earlier flags are of masked exceptions only.
fn random_x87(random: &mut Random) -> X87 {
    let unmasked = if random.chance(20) { random.bits() as u16 & 0x3f } else { 0 };
    let masks = 0x3f & !unmasked;
    let flags = if random.chance(30) { random.bits() as u16 & masks } else { 0 };
    let precision = random.pick(&[0, 2, 3]) << 8;
    X87 {
        registers: std::array::from_fn(|_| random.extended()),
        control: 0x40 | masks | precision | ((random.below(4) as u16) << 10),
        status: flags | (random.bits() as u16 & 0x7f00),
        tag: if random.chance(50) { random.bits() as u8 | random.bits() as u8 } else { 0xff },
        ..X87::default()
    }
}

impl Draft<'_> {
    fn operands(&mut self) {
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
    fn code_address(&mut self) -> u64 {
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

    fn prefixes(&mut self) {
        let code = self.instruction.op_code();
        let (lock, rep, repne) = (code.can_use_lock_prefix(), code.can_use_rep_prefix(), code.can_use_repne_prefix());
        if lock && self.instruction.op0_kind() == OpKind::Memory && self.random.chance(20) {
            self.instruction.set_has_lock_prefix(true);
        }
        if self.instruction.is_string_instruction() && rep && self.random.chance(60) {
            let count = self.random.below(40);
            self.cpu.set(Gpr::Rcx, count);
            let second = repne && self.random.chance(50);
            self.instruction.set_has_repne_prefix(second);
            self.instruction.set_has_rep_prefix(!second);
        }
        if self.target.is_some() && self.random.chance(3) {
            self.instruction.set_segment_prefix(self.random.pick(&[
                Register::CS,
                Register::DS,
                Register::ES,
                Register::SS,
            ]));
        }
    }

    /// Makes the likely outcome the interesting one where random operands would nearly always give the other.
    fn special_needs(&mut self) {
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

    /// Puts the instruction between breakpoints; `None` where the operands exclude each other.
    fn encode(mut self) -> Option<Case> {
        let mut encoder = Encoder::new(64);
        encoder.encode(&self.instruction, self.cpu.rip).ok()?;
        let bytes = encoder.take_buffer();
        self.arena.poke(CODE, &[0xcc; PAGE_SIZE as usize]);
        self.arena.poke(self.cpu.rip, &bytes);
        let instruction = iced_x86::Decoder::with_ip(64, &bytes, self.cpu.rip, 0).decode();
        Some(Case { instruction, cpu: self.cpu, arena: self.arena })
    }
}

//! Makes random cases of one instruction form.

mod needs;
mod operands;

use engine::flat::{FlatMmu, PAGE_SIZE};
use engine::{Cpu, Gpr, Segments, X87};
use iced_x86::{Code, Encoder, Instruction, OpKind, Register};

use super::arena::{CODE, DATA, STACK};
use super::case::{Case, FLAGS};
use super::random::{Flavour, Random};

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
    /// The access is locked. Then it is aligned: hosts punish locks across cache lines with long delays.
    locked: bool,
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
            let locked = code.op_code().can_use_lock_prefix() && self.random.chance(20);
            let mut draft = Draft { random: &mut self.random, instruction, cpu, arena, flavour, target: None, locked };
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
    fn prefixes(&mut self) {
        let code = self.instruction.op_code();
        let (rep, repne) = (code.can_use_rep_prefix(), code.can_use_repne_prefix());
        if self.locked && self.instruction.op0_kind() == OpKind::Memory {
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

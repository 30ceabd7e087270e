//! The architectural state of one processor.

use std::hash::{Hash, Hasher};

/// Indices of the general registers in [`Cpu::gpr`], in encoding order.
#[expect(missing_docs, reason = "the names are the register names")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

/// Bits of `Cpu::rflags`.
pub struct Rflags;

#[expect(missing_docs, reason = "the names are the flag names")]
impl Rflags {
    pub const CF: u64 = 1 << 0;
    /// Always set.
    pub const FIXED: u64 = 1 << 1;
    pub const PF: u64 = 1 << 2;
    pub const AF: u64 = 1 << 4;
    pub const ZF: u64 = 1 << 6;
    pub const SF: u64 = 1 << 7;
    pub const TF: u64 = 1 << 8;
    pub const IF: u64 = 1 << 9;
    pub const DF: u64 = 1 << 10;
    pub const OF: u64 = 1 << 11;
    pub const IOPL: u64 = 3 << 12;
    pub const NT: u64 = 1 << 14;
    pub const RF: u64 = 1 << 16;
    pub const VM: u64 = 1 << 17;
    pub const AC: u64 = 1 << 18;
    pub const ID: u64 = 1 << 21;
    /// The six arithmetic flags.
    pub const ARITHMETIC: u64 = Self::CF | Self::PF | Self::AF | Self::ZF | Self::SF | Self::OF;
}

/// Limit and base, as LGDT and LIDT load them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct DescriptorTable {
    /// Linear address.
    pub base: u64,
    /// Last valid byte offset.
    pub limit: u16,
}

/// A jump, call or return that was taken.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Branch {
    /// The instruction.
    pub from: u64,
    /// Where it led.
    pub to: u64,
}

/// Segment selectors; only the bases of FS and GS have a meaning in 64-bit mode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the register names")]
pub struct Segments {
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    pub tr: u16,
    pub ldtr: u16,
}

impl Default for Segments {
    /// The selectors that Windows x64 uses in kernel mode.
    fn default() -> Segments {
        Segments { cs: 0x10, ss: 0x18, ds: 0x2b, es: 0x2b, fs: 0x53, gs: 0x2b, tr: 0x40, ldtr: 0 }
    }
}

/// x87 state as FXSAVE stores it. Registers are 80-bit, in the low bits, `st[0]` is physical register 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the register names")]
pub struct X87 {
    pub registers: [u128; 8],
    pub control: u16,
    pub status: u16,
    /// One bit a physical register: 1 = in use (the abridged FXSAVE form).
    pub tag: u8,
    pub opcode: u16,
    pub instruction: u64,
    pub data: u64,
}

impl Default for X87 {
    fn default() -> X87 {
        X87 { registers: [0; 8], control: 0x37f, status: 0, tag: 0, opcode: 0, instruction: 0, data: 0 }
    }
}

/// Answers to the device, MSR and port questions that the instruction at `rip` has asked so far.
///
/// An engine that meets such an access looks here first. When the transcript has no unused answer it exits with the
/// question, having committed nothing; the caller pushes the answer (for a write: any value, as acknowledgement) and
/// runs again; the instruction starts over and now finds it. The engine clears the transcript when the instruction
/// (or `rep` iteration) is committed. So each access happens exactly once, and instructions stay atomic.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Answers {
    values: [u64; 4],
    known: u8,
    used: u8,
}

impl Answers {
    /// Adds the answer to the question of the last exit. More than four are dropped: no instruction asks more.
    pub fn push(&mut self, value: u64) {
        if let Some(slot) = self.values.get_mut(usize::from(self.known)) {
            *slot = value;
            self.known += 1;
        }
    }

    /// The next answer that the instruction now executing has not used yet.
    pub fn take(&mut self) -> Option<u64> {
        (self.used < self.known).then(|| {
            self.used += 1;
            self.values[usize::from(self.used - 1)]
        })
    }

    /// The instruction starts over: it will ask the same questions again.
    pub fn rewind(&mut self) {
        self.used = 0;
    }

    /// The instruction is committed.
    pub fn clear(&mut self) {
        *self = Answers::default();
    }

    /// True where four answers are held: no further question can be answered.
    pub fn is_full(&self) -> bool {
        usize::from(self.known) == self.values.len()
    }

    /// True where nothing is held, so that the hot path need not clear.
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }
}

/// One processor.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the register names")]
pub struct Cpu {
    /// General registers, indexed by [`Gpr`].
    pub gpr: [u64; 16],
    pub rip: u64,
    /// Always exact at an exit.
    pub rflags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    /// The base that SWAPGS exchanges with `gs_base`.
    pub kernel_gs_base: u64,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    /// The IRQL.
    pub cr8: u8,
    pub dr: [u64; 8],
    /// The low halves of the YMM registers.
    pub xmm: [u128; 16],
    /// The high halves of the YMM registers.
    pub ymm_high: [u128; 16],
    pub mxcsr: u32,
    pub x87: X87,
    pub segments: Segments,
    pub gdtr: DescriptorTable,
    pub idtr: DescriptorTable,
    /// What RDTSC returns. The engine advances it by one for each instruction that it retires.
    pub tsc: u64,
    /// An instruction has read `tsc`. Whoever runs an engine clears it.
    pub tsc_was_read: bool,
    /// The instruction before was an STI that set IF: no interrupt may be taken before the next one is committed.
    pub interrupt_shadow: bool,
    /// The branch that ended the last straight piece of code. Whoever sets `rip` clears it.
    pub last_branch: Branch,
    pub answers: Answers,
}

impl Hash for Cpu {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Cpu {
            gpr,
            rip,
            rflags,
            fs_base,
            gs_base,
            kernel_gs_base,
            cr0,
            cr2,
            cr3,
            cr4,
            cr8,
            dr,
            xmm,
            ymm_high,
            mxcsr,
            x87,
            segments,
            gdtr,
            idtr,
            tsc: _,          // whoever runs an engine sets it first
            tsc_was_read: _, // whoever runs an engine clears it afterwards
            interrupt_shadow,
            last_branch: _, // for reports
            answers,
        } = self;
        (gpr, rip, rflags, fs_base, gs_base, kernel_gs_base, cr0, cr2, cr3, cr4, cr8, dr).hash(state);
        (xmm, ymm_high, mxcsr, x87, segments, gdtr, idtr, interrupt_shadow, answers).hash(state);
    }
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu {
            gpr: [0; 16],
            rip: 0,
            rflags: Rflags::FIXED | Rflags::IF,
            fs_base: 0,
            gs_base: 0,
            kernel_gs_base: 0,
            cr0: 0x8005_0033,
            cr2: 0,
            cr3: 0,
            cr4: 0x0000_06f8,
            cr8: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            xmm: [0; 16],
            ymm_high: [0; 16],
            mxcsr: 0x1f80,
            x87: X87::default(),
            segments: Segments::default(),
            gdtr: DescriptorTable::default(),
            idtr: DescriptorTable::default(),
            tsc: 0,
            tsc_was_read: false,
            interrupt_shadow: false,
            last_branch: Branch::default(),
            answers: Answers::default(),
        }
    }
}

impl Cpu {
    /// The value of a general register.
    pub fn get(&self, register: Gpr) -> u64 {
        self.gpr[register as usize]
    }

    /// Sets a general register.
    pub fn set(&mut self, register: Gpr, value: u64) {
        self.gpr[register as usize] = value;
    }
}

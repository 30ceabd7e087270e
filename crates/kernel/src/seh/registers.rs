//! The registers that exceptions save and unwinding restores, and their form in a `CONTEXT`.

use engine::{Cpu, Gpr, Rflags, Segments};
use nt_types::layout::{Field, context};

/// `CONTEXT_AMD64 | CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS | CONTEXT_FLOATING_POINT`.
const CONTEXT_FLAGS: u32 = 0x0010_000F;
/// Flags that a context may set.
const RESTORED_FLAGS: u64 = Rflags::ARITHMETIC | Rflags::TF | Rflags::IF | Rflags::DF | Rflags::AC | Rflags::ID;

/// Everything that a `CONTEXT` holds of a processor and that code in kernel mode uses. x87 registers are not among it:
/// kernel code must save them itself.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Registers {
    /// General registers, by encoding.
    pub(crate) gpr: [u64; 16],
    pub(crate) xmm: [u128; 16],
    pub(crate) rip: u64,
    pub(crate) rflags: u64,
    pub(crate) mxcsr: u32,
}

impl Registers {
    /// The registers of a processor.
    pub(crate) fn of(cpu: &Cpu) -> Registers {
        Registers { gpr: cpu.gpr, xmm: cpu.xmm, rip: cpu.rip, rflags: cpu.rflags, mxcsr: cpu.mxcsr }
    }

    /// Puts them on a processor, which goes on at their `rip`.
    pub(crate) fn restore(&self, cpu: &mut Cpu) {
        (cpu.gpr, cpu.xmm, cpu.rip) = (self.gpr, self.xmm, self.rip);
        cpu.rflags = self.rflags & RESTORED_FLAGS | Rflags::FIXED;
        cpu.mxcsr = self.mxcsr & 0xFFFF;
        cpu.answers.clear();
    }

    pub(crate) fn rsp(&self) -> u64 {
        self.gpr[Gpr::Rsp as usize]
    }

    pub(crate) fn set_rsp(&mut self, rsp: u64) {
        self.gpr[Gpr::Rsp as usize] = rsp;
    }

    /// As a `CONTEXT`.
    pub(crate) fn to_context(&self) -> Vec<u8> {
        let mut bytes = vec![0; context::SIZEOF as usize];
        let mut put = |field: Field, value: &[u8]| {
            bytes[field.offset as usize..][..value.len()].copy_from_slice(value);
        };
        let segments = Segments::default();
        put(context::CONTEXT_FLAGS, &CONTEXT_FLAGS.to_le_bytes());
        put(context::MX_CSR, &self.mxcsr.to_le_bytes());
        put(context::SEG_CS, &segments.cs.to_le_bytes());
        put(context::SEG_DS, &segments.ds.to_le_bytes());
        put(context::SEG_ES, &segments.es.to_le_bytes());
        put(context::SEG_FS, &segments.fs.to_le_bytes());
        put(context::SEG_GS, &segments.gs.to_le_bytes());
        put(context::SEG_SS, &segments.ss.to_le_bytes());
        put(context::E_FLAGS, &(self.rflags as u32).to_le_bytes());
        for (index, value) in (0..).zip(self.gpr) {
            put(context::RAX.element(index, 8), &value.to_le_bytes());
        }
        put(context::RIP, &self.rip.to_le_bytes());
        for (index, value) in (0..).zip(self.xmm) {
            put(context::XMM0.element(index, 16), &value.to_le_bytes());
        }
        bytes
    }

    /// From the bytes of a `CONTEXT`.
    pub(crate) fn from_context(bytes: &[u8; context::SIZEOF as usize]) -> Registers {
        fn get<const N: usize>(bytes: &[u8], field: Field) -> [u8; N] {
            let mut value = [0; N];
            value.copy_from_slice(&bytes[field.offset as usize..][..N]);
            value
        }
        Registers {
            gpr: std::array::from_fn(|index| u64::from_le_bytes(get(bytes, context::RAX.element(index as u32, 8)))),
            xmm: std::array::from_fn(|index| u128::from_le_bytes(get(bytes, context::XMM0.element(index as u32, 16)))),
            rip: u64::from_le_bytes(get(bytes, context::RIP)),
            rflags: u64::from(u32::from_le_bytes(get(bytes, context::E_FLAGS))),
            mxcsr: u32::from_le_bytes(get(bytes, context::MX_CSR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Registers;
    use engine::{Cpu, Gpr};
    use nt_types::layout::context;

    #[test]
    fn a_context_holds_what_it_was_made_of() {
        let mut cpu = Cpu { rip: 0xFFFF_F800_0000_1234, mxcsr: 0x1FA0, rflags: 0x246, ..Cpu::default() };
        cpu.gpr = std::array::from_fn(|index| 0x1111_1111_1111_1111 * index as u64);
        cpu.xmm = std::array::from_fn(|index| u128::MAX / (index as u128 + 1));
        let bytes: [u8; context::SIZEOF as usize] = Registers::of(&cpu).to_context().try_into().unwrap();
        assert_eq!(bytes[context::RSP.offset as usize..][..8], cpu.get(Gpr::Rsp).to_le_bytes());
        assert_eq!(bytes[context::XMM15.offset as usize..][..16], cpu.xmm[15].to_le_bytes());
        let mut back = Cpu::default();
        Registers::from_context(&bytes).restore(&mut back);
        assert_eq!((back.gpr, back.xmm, back.rip, back.rflags, back.mxcsr), (cpu.gpr, cpu.xmm, cpu.rip, 0x246, 0x1FA0));
    }
}

//! Operand sizes.

use crate::registers::Registers;
use engine::{Fault, Mmu};

/// An operand size of 8, 16, 32 or 64 bits. Values travel as `u64`, zero-extended unless a name says otherwise.
pub(crate) trait Width: Copy + 'static {
    /// Size in bits.
    const BITS: u32;
    /// Size in bytes.
    const BYTES: u64 = Self::BITS as u64 / 8;
    /// The bits that a value of this size can have.
    const MASK: u64 = u64::MAX >> (64 - Self::BITS);
    /// The most significant bit.
    const SIGN: u64 = 1 << (Self::BITS - 1);

    /// Sign-extends the low bits.
    #[inline(always)]
    fn sign(value: u64) -> u64 {
        let unused = 64 - Self::BITS;
        ((value << unused) as i64 >> unused) as u64
    }

    /// Reads a register operand.
    #[inline(always)]
    fn register(registers: &Registers, number: u8) -> u64 {
        registers.get(number) & Self::MASK
    }

    /// Writes a register operand as the processor does: 32-bit results clear the upper half, smaller ones keep the rest.
    fn set_register(registers: &mut Registers, number: u8, value: u64);

    /// Reads memory.
    fn load<M: Mmu>(mmu: &mut M, address: u64) -> Result<u64, Fault>;

    /// Writes the low bits of `value` to memory.
    fn store<M: Mmu>(mmu: &mut M, address: u64, value: u64) -> Result<(), Fault>;
}

macro_rules! memory_access {
    ($int:ty) => {
        #[inline(always)]
        fn load<M: Mmu>(mmu: &mut M, address: u64) -> Result<u64, Fault> {
            mmu.load(address).map(|bytes| <$int>::from_le_bytes(bytes).into())
        }

        #[inline(always)]
        fn store<M: Mmu>(mmu: &mut M, address: u64, value: u64) -> Result<(), Fault> {
            mmu.store(address, (value as $int).to_le_bytes())
        }
    };
}

impl Width for u64 {
    const BITS: u32 = 64;

    #[inline(always)]
    fn set_register(registers: &mut Registers, number: u8, value: u64) {
        registers.set(number, value);
    }

    memory_access!(u64);
}

impl Width for u32 {
    const BITS: u32 = 32;

    #[inline(always)]
    fn set_register(registers: &mut Registers, number: u8, value: u64) {
        registers.set(number, value & Self::MASK);
    }

    memory_access!(u32);
}

impl Width for u16 {
    const BITS: u32 = 16;

    #[inline(always)]
    fn set_register(registers: &mut Registers, number: u8, value: u64) {
        let kept = registers.get(number) & !Self::MASK;
        registers.set(number, kept | (value & Self::MASK));
    }

    memory_access!(u16);
}

impl Width for u8 {
    const BITS: u32 = 8;

    #[inline(always)]
    fn register(registers: &Registers, number: u8) -> u64 {
        let (number, shift) = byte_place(number);
        (registers.get(number) >> shift) & Self::MASK
    }

    #[inline(always)]
    fn set_register(registers: &mut Registers, number: u8, value: u64) {
        let (number, shift) = byte_place(number);
        let kept = registers.get(number) & !(Self::MASK << shift);
        registers.set(number, kept | (value & Self::MASK) << shift);
    }

    memory_access!(u8);
}

/// The register that holds a byte register, and the bit at which it begins.
#[inline(always)]
fn byte_place(number: u8) -> (u8, u8) {
    (number & 15, (number & 16) >> 1)
}

//! The general registers while a run lasts.

/// Number of a register that always reads as zero: the base or index of a memory operand that has none.
pub(crate) const ZERO: u8 = 16;

/// Sixteen general registers, then zeroes. The size is a power of two, so that masking a number bounds it.
pub(crate) struct Registers([u64; 32]);

impl Registers {
    #[inline(always)]
    pub(crate) fn new(gpr: &[u64; 16]) -> Registers {
        let mut all = [0; 32];
        all[..16].copy_from_slice(gpr);
        Registers(all)
    }

    pub(crate) fn copy_to(&self, gpr: &mut [u64; 16]) {
        gpr.copy_from_slice(&self.0[..16]);
    }

    /// All 64 bits of a register, or zero for [`ZERO`].
    #[inline(always)]
    pub(crate) fn get(&self, number: u8) -> u64 {
        self.0[usize::from(number & 31)]
    }

    /// Sets all 64 bits of one of the sixteen registers.
    #[inline(always)]
    pub(crate) fn set(&mut self, number: u8, value: u64) {
        self.0[usize::from(number & 15)] = value;
    }
}

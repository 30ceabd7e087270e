//! The arithmetic flags, kept as the values they follow from.
//!
//! Most flags that an instruction sets are never read. So an arithmetic instruction keeps four words, and each flag is
//! computed from them where it is needed, without a case distinction by instruction or size: all operands are
//! sign-extended to 64 bits first, so that the sign, carry and overflow are always in the top bit.

use crate::width::Width;
use engine::Rflags;

const TOP: u64 = 1 << 63;

/// The six arithmetic flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// ZF is set where this is zero.
    zero: u64,
    /// SF is the top bit, PF the parity of the low byte.
    sign: u64,
    /// The carry into each bit: AF is bit 4, and OF is the top bit of `carry_in ^ carry_out`.
    carry_in: u64,
    /// CF is the top bit.
    carry_out: u64,
}

impl Flags {
    /// `a + b + carry`: the sign-extended result and its flags.
    #[inline(always)]
    pub(crate) fn add<W: Width>(a: u64, b: u64, carry: u64) -> (u64, Flags) {
        let (a, b) = (W::sign(a), W::sign(b));
        let result = W::sign(a.wrapping_add(b).wrapping_add(carry));
        let carry_out = (a & b) | ((a | b) & !result);
        (result, Flags { zero: result, sign: result, carry_in: a ^ b ^ result, carry_out })
    }

    /// `a - b - borrow`: the sign-extended result and its flags.
    #[inline(always)]
    pub(crate) fn subtract<W: Width>(a: u64, b: u64, borrow: u64) -> (u64, Flags) {
        let (a, b) = (W::sign(a), W::sign(b));
        let result = W::sign(a.wrapping_sub(b).wrapping_sub(borrow));
        let carry_out = (!a & b) | ((!a | b) & result);
        (result, Flags { zero: result, sign: result, carry_in: a ^ b ^ result, carry_out })
    }

    /// The flags of a logical result: CF, OF and (undefined for the processor) AF are clear.
    #[inline(always)]
    pub(crate) fn logic<W: Width>(result: u64) -> Flags {
        let result = W::sign(result);
        Flags { zero: result, sign: result, carry_in: 0, carry_out: 0 }
    }

    /// The same with CF as given and OF as it was.
    #[inline(always)]
    pub(crate) fn with_carry_of(self, other: Flags) -> Flags {
        let changed = (self.carry_out ^ other.carry_out) & TOP;
        Flags { carry_in: self.carry_in ^ changed, carry_out: other.carry_out, ..self }
    }

    /// The same with CF and OF as given.
    #[inline(always)]
    pub(crate) fn with_carry_overflow(self, carry: bool, overflow: bool) -> Flags {
        let carry_in = (self.carry_in & !TOP) | top(carry ^ overflow);
        Flags { carry_in, carry_out: top(carry), ..self }
    }

    /// The same with CF as given.
    pub(crate) fn with_carry(self, carry: bool) -> Flags {
        self.with_carry_overflow(carry, self.overflow())
    }

    /// The same with ZF as given.
    pub(crate) fn with_zero(self, zero: bool) -> Flags {
        Flags { zero: u64::from(!zero), ..self }
    }

    /// From RFLAGS.
    pub(crate) fn from_bits(bits: u64) -> Flags {
        let has = |flag| bits & flag != 0;
        let flags = Flags {
            zero: u64::from(!has(Rflags::ZF)),
            sign: top(has(Rflags::SF)) | u64::from(!has(Rflags::PF)),
            carry_in: bits & Rflags::AF,
            carry_out: 0,
        };
        flags.with_carry_overflow(has(Rflags::CF), has(Rflags::OF))
    }

    /// The six bits of RFLAGS.
    pub(crate) fn bits(self) -> u64 {
        let bit = |value, flag| if value { flag } else { 0 };
        bit(self.carry(), Rflags::CF)
            | bit(self.parity(), Rflags::PF)
            | (self.carry_in & Rflags::AF)
            | bit(self.zero(), Rflags::ZF)
            | bit(self.negative(), Rflags::SF)
            | bit(self.overflow(), Rflags::OF)
    }

    #[inline(always)]
    pub(crate) fn carry(self) -> bool {
        self.carry_out & TOP != 0
    }

    #[inline(always)]
    pub(crate) fn zero(self) -> bool {
        self.zero == 0
    }

    #[inline(always)]
    pub(crate) fn negative(self) -> bool {
        self.sign & TOP != 0
    }

    #[inline(always)]
    pub(crate) fn overflow(self) -> bool {
        (self.carry_in ^ self.carry_out) & TOP != 0
    }

    #[inline(always)]
    pub(crate) fn parity(self) -> bool {
        (self.sign as u8).count_ones().is_multiple_of(2)
    }

    /// The condition with this number in the encoding of Jcc, SETcc and CMOVcc.
    #[inline(always)]
    pub(crate) fn condition(self, number: u8) -> bool {
        let held = match number >> 1 {
            0 => self.overflow(),
            1 => self.carry(),
            2 => self.zero(),
            3 => self.carry() || self.zero(),
            4 => self.negative(),
            5 => self.parity(),
            6 => self.less(),
            _ => self.less() || self.zero(),
        };
        held != (number & 1 == 1)
    }

    #[inline(always)]
    fn less(self) -> bool {
        (self.sign ^ self.carry_in ^ self.carry_out) & TOP != 0
    }
}

/// A bit at the top.
#[inline(always)]
fn top(bit: bool) -> u64 {
    u64::from(bit) << 63
}

#[cfg(test)]
mod tests {
    use super::Flags;
    use engine::Rflags;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_combination_of_bits_survives(bits: u64) {
            let bits = bits & Rflags::ARITHMETIC;
            prop_assert_eq!(Flags::from_bits(bits).bits(), bits);
        }

        #[test]
        fn sixteen_bit_addition_matches_wider_arithmetic(a: u16, b: u16, carry: bool) {
            let (result, flags) = Flags::add::<u16>(a.into(), b.into(), carry.into());
            let wide = u32::from(a) + u32::from(b) + u32::from(carry);
            let signed = i32::from(a as i16) + i32::from(b as i16) + i32::from(carry);
            prop_assert_eq!(result as u16, wide as u16);
            prop_assert_eq!(flags.carry(), wide > 0xffff);
            prop_assert_eq!(flags.overflow(), i16::try_from(signed).is_err());
        }

        #[test]
        fn sixteen_bit_subtraction_matches_wider_arithmetic(a: u16, b: u16, borrow: bool) {
            let (result, flags) = Flags::subtract::<u16>(a.into(), b.into(), borrow.into());
            let wide = i32::from(a) - i32::from(b) - i32::from(borrow);
            let signed = i32::from(a as i16) - i32::from(b as i16) - i32::from(borrow);
            prop_assert_eq!(result as u16, wide as u16);
            prop_assert_eq!(flags.carry(), wide < 0);
            prop_assert_eq!(flags.overflow(), i16::try_from(signed).is_err());
            prop_assert_eq!(flags.bits() & Rflags::AF != 0, (a & 15) < (b & 15) + u16::from(borrow));
        }
    }
}

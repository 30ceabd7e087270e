//! The arithmetic flags, kept as the values they follow from.
//!
//! Most flags that an instruction sets are never read. So additions, subtractions and logic keep their operands, and a
//! flag is computed where it is needed. Values are kept shifted to the top of 64 bits: then signs, carries and comparisons
//! are those of 64-bit numbers whatever the operand size was.

use crate::width::Width;
use engine::Rflags;

/// The six arithmetic flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    first: u64,
    second: u64,
    origin: Origin,
    /// How far values are shifted up.
    shift: u8,
}

/// Where the flags come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// `first - second`. A logical result is one from which zero was subtracted.
    Difference,
    /// A sum `first` of which `second` is one term.
    Sum,
    /// `first` shifted left by one more bit.
    LeftShift,
    /// A result `first` of a shift to the right, `second` before the last bit went out.
    RightShift,
    /// A result `first`; CF, OF and AF as bits in `second`.
    Result,
    /// All flags as bits in `first`.
    Bits,
}

impl Flags {
    /// `a + b`, and its flags. Bits of the result above the operand size mean nothing, here and below.
    #[inline(always)]
    pub(crate) fn add<W: Width>(a: u64, b: u64) -> (u64, Flags) {
        let sum = a.wrapping_add(b);
        (sum, Flags::keep::<W>(Origin::Sum, sum, b))
    }

    /// `a - b`, and its flags.
    #[inline(always)]
    pub(crate) fn subtract<W: Width>(a: u64, b: u64) -> (u64, Flags) {
        (a.wrapping_sub(b), Flags::keep::<W>(Origin::Difference, a, b))
    }

    /// `a + b + carry`, and its flags.
    pub(crate) fn add_with_carry<W: Width>(a: u64, b: u64, carry: bool) -> (u64, Flags) {
        let sum = a.wrapping_add(b).wrapping_add(carry.into());
        let carry = ((a & b) | ((a | b) & !sum)) & W::SIGN != 0;
        let overflow = (a ^ sum) & (b ^ sum) & W::SIGN != 0;
        (sum, Flags::result::<W>(sum, carry, overflow).with_adjust(a ^ b ^ sum))
    }

    /// `a - b - borrow`, and its flags.
    pub(crate) fn subtract_with_borrow<W: Width>(a: u64, b: u64, borrow: bool) -> (u64, Flags) {
        let difference = a.wrapping_sub(b).wrapping_sub(borrow.into());
        let borrow = ((!a & b) | ((!a | b) & difference)) & W::SIGN != 0;
        let overflow = (a ^ b) & (a ^ difference) & W::SIGN != 0;
        (difference, Flags::result::<W>(difference, borrow, overflow).with_adjust(a ^ b ^ difference))
    }

    /// The flags of a logical result: CF, OF and (undefined for the processor) AF are clear.
    #[inline(always)]
    pub(crate) fn logic<W: Width>(result: u64) -> Flags {
        Flags::keep::<W>(Origin::Difference, result, 0)
    }

    /// `value << count`, and its flags. `count` is not 0.
    ///
    /// For counts above 1 OF is undefined, AF always: here OF is what the last of that many shifts by one gives, and AF is
    /// clear. So too for the shifts to the right.
    #[inline(always)]
    pub(crate) fn shift_left<W: Width>(value: u64, count: u32) -> (u64, Flags) {
        let last = value << (count - 1);
        (value << count, Flags::keep::<W>(Origin::LeftShift, last, 0))
    }

    /// `value >> count`, and its flags. `count` is not 0.
    #[inline(always)]
    pub(crate) fn shift_right<W: Width>(value: u64, count: u32) -> (u64, Flags) {
        let last = value >> (count - 1);
        let result = value >> count;
        (result, Flags::keep::<W>(Origin::RightShift, result, last))
    }

    /// The same with copies of the sign coming in: OF is clear.
    #[inline(always)]
    pub(crate) fn shift_right_signed<W: Width>(value: u64, count: u32) -> (u64, Flags) {
        let signed = W::sign(value) as i64;
        let (last, result) = ((signed >> (count - 1)) as u64, (signed >> count) as u64);
        (result, Flags::keep::<W>(Origin::RightShift, result, last & !W::SIGN))
    }

    /// The flags of a result with CF and OF as given. AF is clear.
    #[inline(always)]
    pub(crate) fn result<W: Width>(result: u64, carry: bool, overflow: bool) -> Flags {
        Flags { second: carry_overflow(carry, overflow), ..Flags::keep::<W>(Origin::Result, result, 0) }
    }

    #[inline(always)]
    fn keep<W: Width>(origin: Origin, first: u64, second: u64) -> Flags {
        let shift = 64 - W::BITS;
        Flags { first: first << shift, second: second << shift, origin, shift: shift as u8 }
    }

    /// The same with AF as bit 4 of `carries`, the carry into each bit. For [`Origin::Result`].
    #[inline(always)]
    pub(crate) fn with_adjust(self, carries: u64) -> Flags {
        Flags { second: self.second | (carries & Rflags::AF), ..self }
    }

    /// The same with CF and OF as given.
    pub(crate) fn with_carry_overflow(self, carry: bool, overflow: bool) -> Flags {
        let replaced = |bits: u64| bits & !(Rflags::CF | Rflags::OF) | carry_overflow(carry, overflow);
        match self.origin {
            Origin::Result => Flags { second: replaced(self.second), ..self },
            _ => Flags::from_bits(replaced(self.bits())),
        }
    }

    /// The same with CF as given.
    pub(crate) fn with_carry(self, carry: bool) -> Flags {
        self.with_carry_overflow(carry, self.overflow())
    }

    /// The same with ZF as given.
    pub(crate) fn with_zero(self, zero: bool) -> Flags {
        Flags::from_bits(self.bits() & !Rflags::ZF | if zero { Rflags::ZF } else { 0 })
    }

    /// From RFLAGS.
    pub(crate) fn from_bits(bits: u64) -> Flags {
        Flags { first: bits & Rflags::ARITHMETIC, second: 0, origin: Origin::Bits, shift: 0 }
    }

    /// The six bits of RFLAGS.
    pub(crate) fn bits(self) -> u64 {
        if self.origin == Origin::Bits {
            return self.first;
        }
        let bit = |value, flag| if value { flag } else { 0 };
        bit(self.carry(), Rflags::CF)
            | bit(self.parity(), Rflags::PF)
            | bit(self.adjust(), Rflags::AF)
            | bit(self.zero(), Rflags::ZF)
            | bit(self.negative(), Rflags::SF)
            | bit(self.overflow(), Rflags::OF)
    }

    #[inline(always)]
    pub(crate) fn carry(self) -> bool {
        match self.origin {
            Origin::Difference | Origin::Sum => self.first < self.second,
            Origin::LeftShift => (self.first as i64) < 0,
            Origin::RightShift => self.second >> self.shift & 1 != 0,
            Origin::Result => self.second & Rflags::CF != 0,
            Origin::Bits => self.first & Rflags::CF != 0,
        }
    }

    #[inline(always)]
    pub(crate) fn zero(self) -> bool {
        match self.origin {
            Origin::Bits => self.first & Rflags::ZF != 0,
            _ => self.value() == 0,
        }
    }

    #[inline(always)]
    pub(crate) fn negative(self) -> bool {
        match self.origin {
            Origin::Bits => self.first & Rflags::SF != 0,
            _ => (self.value() as i64) < 0,
        }
    }

    #[inline(always)]
    pub(crate) fn overflow(self) -> bool {
        let (first, second) = (self.first, self.second);
        match self.origin {
            Origin::Difference | Origin::Sum => ((first ^ second) & (first ^ first.wrapping_sub(second))) >> 63 != 0,
            Origin::LeftShift => ((first ^ first << 1) as i64) < 0,
            Origin::RightShift => (second as i64) < 0,
            Origin::Result => second & Rflags::OF != 0,
            Origin::Bits => first & Rflags::OF != 0,
        }
    }

    #[inline(always)]
    pub(crate) fn parity(self) -> bool {
        match self.origin {
            Origin::Bits => self.first & Rflags::PF != 0,
            _ => ((self.value() >> self.shift) as u8).count_ones().is_multiple_of(2),
        }
    }

    fn adjust(self) -> bool {
        let carries = match self.origin {
            Origin::Difference | Origin::Sum => {
                (self.first ^ self.second ^ self.first.wrapping_sub(self.second)) >> self.shift
            }
            Origin::LeftShift | Origin::RightShift => 0,
            Origin::Result => self.second,
            Origin::Bits => self.first,
        };
        carries & Rflags::AF != 0
    }

    /// The result, where there is one.
    #[inline(always)]
    fn value(self) -> u64 {
        match self.origin {
            Origin::Difference => self.first.wrapping_sub(self.second),
            Origin::LeftShift => self.first << 1,
            _ => self.first,
        }
    }

    /// The condition with this number in the encoding of Jcc, SETcc and CMOVcc.
    #[inline(always)]
    pub(crate) fn condition(self, number: u8) -> bool {
        let held = match number >> 1 {
            0 => self.overflow(),
            1 => self.carry(),
            2 => self.zero(),
            3 => self.below_or_equal(),
            4 => self.negative(),
            5 => self.parity(),
            6 => self.less(),
            _ => self.less_or_equal(),
        };
        held != (number & 1 == 1)
    }

    #[inline(always)]
    fn below_or_equal(self) -> bool {
        match self.origin {
            Origin::Difference => self.first <= self.second,
            _ => self.carry() || self.zero(),
        }
    }

    #[inline(always)]
    fn less(self) -> bool {
        match self.origin {
            Origin::Difference => (self.first as i64) < self.second as i64,
            _ => self.negative() != self.overflow(),
        }
    }

    #[inline(always)]
    fn less_or_equal(self) -> bool {
        match self.origin {
            Origin::Difference => self.first as i64 <= self.second as i64,
            _ => self.less() || self.zero(),
        }
    }
}

/// CF and OF as bits of RFLAGS.
#[inline(always)]
fn carry_overflow(carry: bool, overflow: bool) -> u64 {
    u64::from(carry) | if overflow { Rflags::OF } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::Flags;
    use crate::width::Width;
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
            let (result, flags) = Flags::add_with_carry::<u16>(a.into(), b.into(), carry);
            let wide = u32::from(a) + u32::from(b) + u32::from(carry);
            let signed = i32::from(a as i16) + i32::from(b as i16) + i32::from(carry);
            prop_assert_eq!(result as u16, wide as u16);
            prop_assert_eq!(flags.carry(), wide > 0xffff);
            prop_assert_eq!(flags.overflow(), i16::try_from(signed).is_err());
        }

        #[test]
        fn sixteen_bit_subtraction_matches_wider_arithmetic(a: u16, b: u16, borrow: bool) {
            let (result, flags) = Flags::subtract_with_borrow::<u16>(a.into(), b.into(), borrow);
            let wide = i32::from(a) - i32::from(b) - i32::from(borrow);
            let signed = i32::from(a as i16) - i32::from(b as i16) - i32::from(borrow);
            prop_assert_eq!(result as u16, wide as u16);
            prop_assert_eq!(flags.carry(), wide < 0);
            prop_assert_eq!(flags.overflow(), i16::try_from(signed).is_err());
            prop_assert_eq!(flags.bits() & Rflags::AF != 0, (a & 15) < (b & 15) + u16::from(borrow));
        }

        #[test]
        fn the_lazy_forms_agree_with_the_eager_ones(a: u64, b: u64) {
            agree::<u8>(a, b);
            agree::<u16>(a, b);
            agree::<u32>(a, b);
            agree::<u64>(a, b);
        }

        #[test]
        fn each_condition_is_what_the_bits_say(a: u64, b: u64, number in 0u8..16) {
            for flags in [Flags::add::<u8>(a, b).1, Flags::subtract::<u8>(a, b).1, Flags::logic::<u32>(a)] {
                prop_assert_eq!(flags.condition(number), Flags::from_bits(flags.bits()).condition(number));
            }
        }
    }

    fn agree<W: Width>(a: u64, b: u64) {
        let (a, b) = (a & W::MASK, b & W::MASK);
        assert_eq!(Flags::add::<W>(a, b).1.bits(), Flags::add_with_carry::<W>(a, b, false).1.bits());
        assert_eq!(Flags::subtract::<W>(a, b).1.bits(), Flags::subtract_with_borrow::<W>(a, b, false).1.bits());
    }
}

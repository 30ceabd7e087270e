//! Between floating-point numbers and integers.

use super::round::cut;
use super::{Answer, Exact, Float, Kind, Mode};

/// An integer as a number, exactly.
pub(crate) fn from_integer(value: i64) -> Float {
    let negative = value < 0;
    let magnitude = value.unsigned_abs();
    if magnitude == 0 {
        return Float::zero(false);
    }
    let shift = magnitude.leading_zeros();
    Float { negative, kind: Kind::Finite { exponent: 63 - shift as i32, significand: magnitude << shift } }
}

/// A number rounded to an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Integer {
    pub(crate) value: i64,
    pub(crate) inexact: bool,
    /// The magnitude was rounded up.
    pub(crate) up: bool,
}

/// Rounds to an integer of `bits` bits; `None` where it does not fit.
pub(crate) fn to_integer(number: Float, bits: u32, mode: Mode) -> Option<Integer> {
    let Answer::Finite(exact) = Answer::of(number) else {
        return (number.kind == Kind::Zero).then_some(Integer { value: 0, inexact: false, up: false });
    };
    if exact.exponent > 63 {
        return None;
    }
    let cut = cut(exact, exact.exponent + 1, mode);
    let magnitude = magnitude(exact, cut.significand, cut.carried);
    let value = if exact.negative { -magnitude } else { magnitude };
    let limit = 1_i128 << (bits - 1);
    (-limit..limit).contains(&value).then_some(Integer { value: value as i64, inexact: cut.inexact, up: cut.up })
}

/// The integer whose digits are `significand`, or one unit more where that overflowed.
fn magnitude(exact: Exact, significand: u64, carried: bool) -> i128 {
    match (significand, carried) {
        (0, carried) => i128::from(carried),
        (significand, carried) => i128::from(significand) << 1 >> (64 - exact.exponent - i32::from(carried)),
    }
}

/// Rounds to an integer in floating point. The second value is true where the result differs from `number`, the third
/// where the magnitude was rounded up.
pub(crate) fn to_integral(number: Float, mode: Mode) -> (Float, bool, bool) {
    let Answer::Finite(exact) = Answer::of(number) else { return (number, false, false) };
    if exact.exponent >= 63 {
        return (number, false, false);
    }
    let cut = cut(exact, exact.exponent + 1, mode);
    let kind = match (cut.significand, cut.carried) {
        (0, false) => Kind::Zero,
        (0, true) => Kind::Finite { exponent: 0, significand: 1 << 63 },
        (significand, carried) => Kind::Finite { exponent: exact.exponent + i32::from(carried), significand },
    };
    (Float { negative: exact.negative, kind }, cut.inexact, cut.up)
}

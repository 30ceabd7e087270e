//! Rounding: from an exact result to a format.

use super::{Float, Format, Kind};

/// Rounding modes, numbered as in MXCSR and the x87 control word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    NearestEven,
    Down,
    Up,
    Zero,
}

impl Mode {
    /// From the two bits of a control register.
    pub(crate) fn from_bits(bits: u32) -> Mode {
        match bits & 3 {
            0 => Mode::NearestEven,
            1 => Mode::Down,
            2 => Mode::Up,
            _ => Mode::Zero,
        }
    }

    /// Is a magnitude with `rest` cut off, where `half` is half of the last digit kept, rounded away from zero?
    fn rounds_up(self, negative: bool, odd: bool, rest: u128, half: u128) -> bool {
        match self {
            Mode::NearestEven => rest > half || (rest == half && odd),
            Mode::Down => negative && rest != 0,
            Mode::Up => !negative && rest != 0,
            Mode::Zero => false,
        }
    }
}

/// A result before rounding: `significand * 2^(exponent - 127)`, top bit set. The last bit also stands for all digits
/// behind it, of which one or more may be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Exact {
    pub(crate) negative: bool,
    pub(crate) exponent: i32,
    pub(crate) significand: u128,
}

/// A rounded result, and the facts from which exception flags follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rounded {
    pub(crate) value: Float,
    /// The value is not exact.
    pub(crate) inexact: bool,
    /// The magnitude was rounded up.
    pub(crate) up: bool,
    /// Rounded to the format's precision, the number is smaller than every normal one.
    pub(crate) tiny: bool,
    /// Rounded to the format's precision, the number is greater than every finite one.
    pub(crate) overflow: bool,
}

/// A magnitude cut to some digits.
pub(super) struct Cut {
    /// The digits kept, at the top.
    pub(super) significand: u64,
    /// The digits overflowed: the magnitude is one with `exponent + 1`.
    pub(super) carried: bool,
    pub(super) inexact: bool,
    pub(super) up: bool,
}

/// Keeps `digits` digits, at most 64, of `exact`. With none or fewer the result is zero, or one unit of the last digit if
/// rounding up gives that (`carried`).
pub(super) fn cut(exact: Exact, digits: i32, mode: Mode) -> Cut {
    let Exact { negative, significand, .. } = exact;
    if digits <= 0 {
        // Less than half a unit unless the top bit is worth just that half.
        let (rest, half) = if digits == 0 { (significand, 1 << 127) } else { (1, 2) };
        let up = mode.rounds_up(negative, false, rest, half);
        return Cut { significand: 0, carried: up, inexact: true, up };
    }
    let unit = 1_u128 << (128 - digits);
    let rest = significand & (unit - 1);
    let kept = significand & !(unit - 1);
    let up = mode.rounds_up(negative, kept & unit != 0, rest, unit / 2);
    let (sum, carried) = if up { kept.overflowing_add(unit) } else { (kept, false) };
    let significand = if carried { 1 << 63 } else { (sum >> 64) as u64 };
    Cut { significand, carried, inexact: rest != 0, up }
}

/// Rounds to `precision` digits as if there were no limit to the exponent.
pub(crate) fn round_unbounded(exact: Exact, precision: u32, mode: Mode) -> Rounded {
    let cut = cut(exact, precision as i32, mode);
    let exponent = exact.exponent + i32::from(cut.carried);
    let value = Float { negative: exact.negative, kind: Kind::Finite { exponent, significand: cut.significand } };
    Rounded { value, inexact: cut.inexact, up: cut.up, tiny: false, overflow: false }
}

/// Rounds to `format`.
pub(crate) fn round(exact: Exact, format: Format, mode: Mode) -> Rounded {
    let rounded = round_unbounded(exact, format.precision, mode);
    match rounded.value.kind {
        Kind::Finite { exponent, .. } if exponent < format.min_exponent() => round_tiny(exact, format, mode),
        Kind::Finite { exponent, .. } if exponent > format.max_exponent => round_huge(exact.negative, format, mode),
        _ => rounded,
    }
}

/// A denormal number or zero.
fn round_tiny(exact: Exact, format: Format, mode: Mode) -> Rounded {
    let digits = format.precision as i32 - (format.min_exponent() - exact.exponent);
    let cut = cut(exact, digits, mode);
    let kind = match (cut.significand, cut.carried) {
        (0, false) => Kind::Zero,
        (0, true) => {
            Kind::Finite { exponent: format.min_exponent() - (format.precision as i32 - 1), significand: 1 << 63 }
        }
        (significand, carried) => Kind::Finite { exponent: exact.exponent + i32::from(carried), significand },
    };
    let value = Float { negative: exact.negative, kind };
    Rounded { value, inexact: cut.inexact, up: cut.up, tiny: true, overflow: false }
}

/// Infinity or the greatest finite number.
fn round_huge(negative: bool, format: Format, mode: Mode) -> Rounded {
    let up = mode.rounds_up(negative, true, 1, 1);
    let greatest = Kind::Finite { exponent: format.max_exponent, significand: u64::MAX << (64 - format.precision) };
    let value = Float { negative, kind: if up { Kind::Infinity } else { greatest } };
    Rounded { value, inexact: true, up, tiny: false, overflow: true }
}

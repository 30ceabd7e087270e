//! Exact results of the operations on operands that are not NaN.

use std::cmp::Ordering;

use super::{Exact, Float, Kind, Mode};

/// What an operation leads to before rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// A zero or an infinity: nothing is to be rounded.
    Special(Float),
    Finite(Exact),
    /// Division of a finite number by zero: the infinity with this sign.
    Pole(bool),
    /// There is no result.
    Invalid,
}

impl Answer {
    /// The exact value of a number.
    pub(crate) fn of(number: Float) -> Answer {
        match number.kind {
            Kind::Finite { exponent, significand } => Answer::Finite(Exact {
                negative: number.negative,
                exponent,
                significand: u128::from(significand) << 64,
            }),
            _ => Answer::Special(number),
        }
    }
}

/// Shifts right; digits that fall off are remembered in the last bit.
fn shift_right_sticky(significand: u128, by: u32) -> u128 {
    match significand.checked_shr(by) {
        Some(shifted) => shifted | u128::from(shifted << by != significand),
        None => u128::from(significand != 0),
    }
}

/// `a + b`. The mode decides the sign of an exact zero.
pub(crate) fn add(a: Float, b: Float, mode: Mode) -> Answer {
    match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Infinity) if a.negative != b.negative => Answer::Invalid,
        (Kind::Infinity, _) => Answer::Special(a),
        (_, Kind::Infinity) => Answer::Special(b),
        (Kind::Zero, Kind::Zero) if a.negative == b.negative => Answer::Special(a),
        (Kind::Zero, Kind::Zero) => Answer::Special(Float::zero(mode == Mode::Down)),
        (Kind::Zero, _) => Answer::of(b),
        (_, Kind::Zero) => Answer::of(a),
        (Kind::Finite { exponent: ea, significand: sa }, Kind::Finite { exponent: eb, significand: sb }) => {
            if (ea, sa) >= (eb, sb) {
                add_smaller(a.negative, (ea, sa), (eb, sb), a.negative == b.negative, mode)
            } else {
                add_smaller(b.negative, (eb, sb), (ea, sa), a.negative == b.negative, mode)
            }
        }
        (Kind::Nan(_), _) | (_, Kind::Nan(_)) => Answer::Invalid,
    }
}

/// Adds or subtracts magnitudes, each exponent and significand; `great` is at least `small`.
fn add_smaller(negative: bool, great: (i32, u64), small: (i32, u64), same_sign: bool, mode: Mode) -> Answer {
    // One bit is left free above for the carry; 63 bits below keep two numbers that cancel exact.
    let addend = shift_right_sticky(u128::from(small.1) << 63, great.0.abs_diff(small.0));
    let first = u128::from(great.1) << 63;
    let sum = if same_sign { first + addend } else { first - addend };
    if sum == 0 {
        return Answer::Special(Float::zero(mode == Mode::Down));
    }
    let shift = sum.leading_zeros();
    Answer::Finite(Exact { negative, exponent: great.0 + 1 - shift as i32, significand: sum << shift })
}

/// `a * b`.
pub(crate) fn multiply(a: Float, b: Float) -> Answer {
    let negative = a.negative != b.negative;
    match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Zero) | (Kind::Zero, Kind::Infinity) | (Kind::Nan(_), _) | (_, Kind::Nan(_)) => {
            Answer::Invalid
        }
        (Kind::Infinity, _) | (_, Kind::Infinity) => Answer::Special(Float::infinity(negative)),
        (Kind::Zero, _) | (_, Kind::Zero) => Answer::Special(Float::zero(negative)),
        (Kind::Finite { exponent: ea, significand: sa }, Kind::Finite { exponent: eb, significand: sb }) => {
            let product = u128::from(sa) * u128::from(sb);
            let shift = product.leading_zeros();
            Answer::Finite(Exact { negative, exponent: ea + eb + 1 - shift as i32, significand: product << shift })
        }
    }
}

/// `a / b`.
pub(crate) fn divide(a: Float, b: Float) -> Answer {
    let negative = a.negative != b.negative;
    match (a.kind, b.kind) {
        (Kind::Infinity, Kind::Infinity) | (Kind::Zero, Kind::Zero) | (Kind::Nan(_), _) | (_, Kind::Nan(_)) => {
            Answer::Invalid
        }
        (Kind::Infinity, _) => Answer::Special(Float::infinity(negative)),
        (_, Kind::Zero) => Answer::Pole(negative),
        (Kind::Zero, _) | (_, Kind::Infinity) => Answer::Special(Float::zero(negative)),
        (Kind::Finite { exponent: ea, significand: sa }, Kind::Finite { exponent: eb, significand: sb }) => {
            let smaller = sa < sb;
            let significand = quotient(u128::from(sa) << if smaller { 64 } else { 63 }, u128::from(sb));
            Answer::Finite(Exact { negative, exponent: ea - eb - i32::from(smaller), significand })
        }
    }
}

/// The quotient with 64 more digits: `dividend` is below `divisor << 64`, the divisor below 2^64.
fn quotient(dividend: u128, divisor: u128) -> u128 {
    let (high, rest) = (dividend / divisor, dividend % divisor);
    let (low, rest) = ((rest << 64) / divisor, (rest << 64) % divisor);
    (high << 64) | low | u128::from(rest != 0)
}

/// The square root.
pub(crate) fn square_root(a: Float) -> Answer {
    match a.kind {
        Kind::Zero => Answer::Special(a),
        Kind::Nan(_) => Answer::Invalid,
        _ if a.negative => Answer::Invalid,
        Kind::Infinity => Answer::Special(a),
        Kind::Finite { exponent, significand } => {
            let radicand = u128::from(significand) << if exponent & 1 == 0 { 63 } else { 64 };
            let root = radicand.isqrt();
            let rest = radicand - root * root;
            // The next digit is set where `radicand > (root + 1/2)^2`, and equality cannot be.
            let next = u128::from(rest > root) << 63;
            let significand = (root << 64) | next | u128::from(rest != 0);
            Answer::Finite(Exact { negative: false, exponent: exponent >> 1, significand })
        }
    }
}

/// The order of two numbers; `None` where one is a NaN.
pub(crate) fn compare(a: Float, b: Float) -> Option<Ordering> {
    if a.is_nan() || b.is_nan() {
        return None;
    }
    let both_zero = a.kind == Kind::Zero && b.kind == Kind::Zero;
    Some(if both_zero { Ordering::Equal } else { rank(a).cmp(&rank(b)) })
}

/// A key whose order is that of the numbers.
fn rank(number: Float) -> (i8, i32, i128) {
    let (class, exponent, significand) = match number.kind {
        Kind::Zero => (0, 0, 0),
        Kind::Finite { exponent, significand } => (1, exponent, i128::from(significand)),
        Kind::Infinity | Kind::Nan(_) => (2, 0, 0),
    };
    if number.negative { (-class, -exponent, -significand) } else { (class, exponent, significand) }
}

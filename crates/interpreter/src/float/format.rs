//! Binary formats: between bits and [`Float`].

use super::{Float, Kind};

/// What a format can represent. The least exponent of a normal number is one minus the greatest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    /// Digits of the significand, the integer bit included.
    pub(crate) precision: u32,
    /// Greatest exponent of a finite number.
    pub(crate) max_exponent: i32,
}

impl Format {
    /// Least exponent of a normal number.
    pub(crate) const fn min_exponent(self) -> i32 {
        1 - self.max_exponent
    }

    /// True for a number that is smaller than every normal number of the format.
    pub(crate) fn is_denormal(self, number: Float) -> bool {
        matches!(number.kind, Kind::Finite { exponent, .. } if exponent < self.min_exponent())
    }
}

/// The 32-bit format.
pub(crate) const SINGLE: Encoding = Encoding { format: Format { precision: 24, max_exponent: 127 }, exponent_bits: 8 };
/// The 64-bit format.
pub(crate) const DOUBLE: Encoding =
    Encoding { format: Format { precision: 53, max_exponent: 1023 }, exponent_bits: 11 };
/// The 80-bit format of x87.
pub(crate) const EXTENDED: Format = Format { precision: 64, max_exponent: 16383 };

/// How numbers of a format with an implicit integer bit are stored: sign, biased exponent, fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Encoding {
    pub(crate) format: Format,
    exponent_bits: u32,
}

impl Encoding {
    const fn fraction_bits(self) -> u32 {
        self.format.precision - 1
    }

    /// The exponent field of infinities and NaNs.
    const fn top_field(self) -> u64 {
        (1 << self.exponent_bits) - 1
    }

    /// The number with this encoding.
    pub(crate) fn unpack(self, bits: u64) -> Float {
        let field = (bits >> self.fraction_bits()) & self.top_field();
        // The fraction with its most significant bit in bit 62.
        let fraction = (bits << (64 - self.fraction_bits())) >> 1;
        let negative = (bits >> (self.fraction_bits() + self.exponent_bits)) & 1 == 1;
        let kind = match field {
            0 => denormal(fraction, self.format.min_exponent()),
            field if field == self.top_field() => special(fraction),
            field => {
                Kind::Finite { exponent: field as i32 - self.format.max_exponent, significand: fraction | 1 << 63 }
            }
        };
        Float { negative, kind }
    }

    /// The encoding of a number that the format can represent. The payload of a NaN loses what does not fit.
    pub(crate) fn pack(self, number: Float) -> u64 {
        let (field, significand) = match number.kind {
            Kind::Zero => (0, 0),
            Kind::Infinity => (self.top_field(), 0),
            Kind::Nan(fraction) => (self.top_field(), fraction),
            Kind::Finite { exponent, significand } => biased(exponent, significand, self.format.max_exponent),
        };
        let fraction = (significand << 1) >> (64 - self.fraction_bits());
        let sign = u64::from(number.negative) << (self.fraction_bits() + self.exponent_bits);
        sign | (field << self.fraction_bits()) | fraction
    }
}

/// Exponent field and significand, shifted right where the number is denormal.
fn biased(exponent: i32, significand: u64, bias: i32) -> (u64, u64) {
    let field = exponent + bias;
    if field > 0 {
        return (field as u64, significand);
    }
    (0, significand.checked_shr(field.abs_diff(1)).unwrap_or(0))
}

fn denormal(fraction: u64, min_exponent: i32) -> Kind {
    if fraction == 0 {
        return Kind::Zero;
    }
    let shift = fraction.leading_zeros();
    Kind::Finite { exponent: min_exponent - shift as i32, significand: fraction << shift }
}

fn special(fraction: u64) -> Kind {
    if fraction == 0 { Kind::Infinity } else { Kind::Nan(fraction | 1 << 63) }
}

/// Sign and exponent field of an 80-bit number, and its significand with the explicit integer bit.
fn split(bits: u128) -> (bool, u64, u64) {
    (bits >> 79 & 1 == 1, (bits >> 64) as u64 & 0x7fff, bits as u64)
}

/// The number with this 80-bit encoding; `None` for the encodings that processors refuse (pseudo-infinities,
/// pseudo-NaNs and unnormals: an integer bit of 0 with an exponent field that is not).
pub(crate) fn unpack_extended(bits: u128) -> Option<Float> {
    let (negative, field, significand) = split(bits);
    let integer_bit = significand >> 63 == 1;
    let kind = match field {
        0 if integer_bit => Kind::Finite { exponent: EXTENDED.min_exponent(), significand },
        0 => denormal(significand, EXTENDED.min_exponent()),
        _ if !integer_bit => return None,
        0x7fff => special(significand & (u64::MAX >> 1)),
        _ => Kind::Finite { exponent: field as i32 - EXTENDED.max_exponent, significand },
    };
    Some(Float { negative, kind })
}

/// The 80-bit encoding of a number that the format can represent.
pub(crate) fn pack_extended(number: Float) -> u128 {
    let (field, significand) = match number.kind {
        Kind::Zero => (0, 0),
        Kind::Infinity => (0x7fff, 1 << 63),
        Kind::Nan(fraction) => (0x7fff, fraction | 1 << 63),
        Kind::Finite { exponent, significand } => biased(exponent, significand, EXTENDED.max_exponent),
    };
    (u128::from(number.negative) << 79) | (u128::from(field) << 64) | u128::from(significand)
}

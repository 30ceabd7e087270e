//! Binary floating-point arithmetic as x86 processors define it, computed in integers.
//!
//! The result depends on nothing but the operands: not on the host, its rounding mode or its compiler. Every operation
//! first finds the exact result ([`Exact`]: enough digits to round correctly, and whether there are more) and then rounds
//! once ([`round`]), with the facts from which a processor sets its exception flags.
//!
//! The crate `rustc_apfloat` does not fit: it has no square root, cannot limit the precision as the x87 control word does,
//! and takes a number for tiny only if it is still denormal after rounding as one.

mod arithmetic;
mod format;
mod integer;
mod round;

#[cfg(test)]
mod tests;

pub(crate) use arithmetic::{Answer, add, compare, divide, multiply, square_root};
pub(crate) use format::{DOUBLE, EXTENDED, Encoding, Format, SINGLE, pack_extended, unpack_extended};
pub(crate) use integer::{from_integer, to_integer, to_integral};
pub(crate) use round::{Exact, Mode, Rounded, round, round_unbounded};

/// A number, infinity or NaN of any format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Float {
    pub(crate) negative: bool,
    pub(crate) kind: Kind,
}

/// What a [`Float`] is, apart from its sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Zero,
    /// `significand * 2^(exponent - 63)`; the top bit of the significand is set.
    Finite {
        exponent: i32,
        significand: u64,
    },
    Infinity,
    /// The fraction with its most significant bit in bit 62 (set in a quiet NaN), as in the 80-bit format; bit 63 is set.
    Nan(u64),
}

/// The bit of a NaN's fraction that makes it quiet.
const QUIET: u64 = 1 << 62;

impl Float {
    /// The NaN that an invalid operation gives.
    pub(crate) const INDEFINITE: Float = Float { negative: true, kind: Kind::Nan(3 << 62) };

    pub(crate) fn zero(negative: bool) -> Float {
        Float { negative, kind: Kind::Zero }
    }

    pub(crate) fn infinity(negative: bool) -> Float {
        Float { negative, kind: Kind::Infinity }
    }

    pub(crate) fn is_nan(self) -> bool {
        matches!(self.kind, Kind::Nan(_))
    }

    pub(crate) fn is_signalling(self) -> bool {
        matches!(self.kind, Kind::Nan(fraction) if fraction & QUIET == 0)
    }

    /// A quiet NaN with the same payload; anything else unchanged.
    pub(crate) fn quieted(self) -> Float {
        match self.kind {
            Kind::Nan(fraction) => Float { kind: Kind::Nan(fraction | QUIET), ..self },
            _ => self,
        }
    }

    /// With the other sign if `condition` holds.
    pub(crate) fn negated_if(self, condition: bool) -> Float {
        Float { negative: self.negative != condition, ..self }
    }
}

//! The floating-point unit of SSE: one instruction's view of MXCSR.

use crate::context::Context;
use crate::float::{Answer, Encoding, Exact, Float, Mode, round, round_unbounded};
use crate::op::Stop;
use crate::ops::exceptions::{DENORMAL, DIVIDE_BY_ZERO, INVALID, OVERFLOW, PRECISION, UNDERFLOW};
use engine::Mmu;

/// Where the masks of the exception flags lie in MXCSR.
const MASK_SHIFT: u32 = 7;
const DENORMALS_ARE_ZERO: u32 = 1 << 6;
const ROUNDING_SHIFT: u32 = 13;
const FLUSH_TO_ZERO: u32 = 1 << 15;
/// #XM.
const SIMD_EXCEPTION: u8 = 19;

/// The exceptions that are found before a result is computed.
const EARLY: u32 = INVALID | DENORMAL | DIVIDE_BY_ZERO;

/// Computes the lanes of one instruction and collects their exceptions.
pub(super) struct Unit {
    mxcsr: u32,
    raised: u32,
}

impl Unit {
    pub(super) fn new(mxcsr: u32) -> Unit {
        Unit { mxcsr, raised: 0 }
    }

    pub(super) fn mode(&self) -> Mode {
        Mode::from_bits(self.mxcsr >> ROUNDING_SHIFT)
    }

    pub(super) fn raise(&mut self, flags: u32) {
        self.raised |= flags;
    }

    fn is_masked(&self, flag: u32) -> bool {
        self.mxcsr >> MASK_SHIFT & flag != 0
    }

    /// Sets the flags in MXCSR. #XM where one is not masked: then the instruction must change nothing else. An exception
    /// found early hides those of the result.
    pub(super) fn finish<M: Mmu>(self, context: &mut Context<'_, M>) -> Result<(), Stop> {
        let unmasked = self.raised & !(self.mxcsr >> MASK_SHIFT);
        let visible = if unmasked & EARLY != 0 { self.raised & EARLY } else { self.raised };
        context.cpu.mxcsr |= visible;
        if unmasked == 0 { Ok(()) } else { Err(context.exception(SIMD_EXCEPTION)) }
    }

    /// The number with this encoding; zero for a denormal one, where MXCSR says so.
    pub(super) fn operand(&self, encoding: Encoding, bits: u64) -> Float {
        let number = encoding.unpack(bits);
        let flush = self.mxcsr & DENORMALS_ARE_ZERO != 0 && encoding.format.is_denormal(number);
        if flush { Float::zero(number.negative) } else { number }
    }

    /// Notes whether one of the operands is denormal.
    pub(super) fn note_denormal(&mut self, encoding: Encoding, operands: &[Float]) {
        if operands.iter().any(|&operand| encoding.format.is_denormal(operand)) {
            self.raise(DENORMAL);
        }
    }

    /// The first NaN among the operands, made quiet: it is the result. A signalling one is an invalid operation.
    pub(super) fn nan(&mut self, operands: &[Float]) -> Option<Float> {
        if operands.iter().any(|operand| operand.is_signalling()) {
            self.raise(INVALID);
        }
        operands.iter().find(|operand| operand.is_nan()).map(|nan| nan.quieted())
    }

    /// `f` of the operands, which lie in the format of the result.
    pub(super) fn compute<const N: usize>(
        &mut self,
        encoding: Encoding,
        operands: [u64; N],
        f: impl Fn([Float; N], Mode) -> Answer,
    ) -> u64 {
        let operands = operands.map(|bits| self.operand(encoding, bits));
        let result = match self.nan(&operands) {
            Some(nan) => nan,
            None => {
                let answer = f(operands, self.mode());
                if !matches!(answer, Answer::Invalid | Answer::Pole(_)) {
                    self.note_denormal(encoding, &operands);
                }
                self.deliver(encoding, answer)
            }
        };
        encoding.pack(result)
    }

    /// The result, rounded.
    pub(super) fn deliver(&mut self, encoding: Encoding, answer: Answer) -> Float {
        match answer {
            Answer::Special(value) => value,
            Answer::Finite(exact) => self.round(encoding, exact),
            Answer::Pole(negative) => {
                self.raise(DIVIDE_BY_ZERO);
                Float::infinity(negative)
            }
            Answer::Invalid => {
                self.raise(INVALID);
                Float::INDEFINITE
            }
        }
    }

    fn round(&mut self, encoding: Encoding, exact: Exact) -> Float {
        let rounded = round(exact, encoding.format, self.mode());
        if rounded.overflow {
            self.raise(OVERFLOW);
        }
        if !rounded.tiny {
            self.note_inexact(encoding, exact, rounded.inexact, OVERFLOW);
            return rounded.value;
        }
        if self.mxcsr & FLUSH_TO_ZERO != 0 && self.is_masked(UNDERFLOW) {
            self.raise(UNDERFLOW | PRECISION);
            return Float::zero(exact.negative);
        }
        if rounded.inexact || !self.is_masked(UNDERFLOW) {
            self.raise(UNDERFLOW);
        }
        self.note_inexact(encoding, exact, rounded.inexact, UNDERFLOW);
        rounded.value
    }

    /// Notes an inexact result. Where `excess`, an overflow or underflow, was raised and is not masked, what counts is the
    /// result that a handler would get: the one without limits to the exponent.
    fn note_inexact(&mut self, encoding: Encoding, exact: Exact, inexact: bool, excess: u32) {
        let handled = self.raised & excess != 0 && !self.is_masked(excess);
        let inexact =
            if handled { round_unbounded(exact, encoding.format.precision, self.mode()).inexact } else { inexact };
        if inexact {
            self.raise(PRECISION);
        }
    }
}

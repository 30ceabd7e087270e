//! What SSE and x87 have in common: the exception flags, and an order as flags.

use engine::Rflags;
use std::cmp::Ordering;

/// Exception flags: bits of MXCSR and of the x87 status word.
pub(super) const INVALID: u32 = 1 << 0;
pub(super) const DENORMAL: u32 = 1 << 1;
pub(super) const DIVIDE_BY_ZERO: u32 = 1 << 2;
pub(super) const OVERFLOW: u32 = 1 << 3;
pub(super) const UNDERFLOW: u32 = 1 << 4;
pub(super) const PRECISION: u32 = 1 << 5;

/// The bits of MXCSR that exist. To set another is #GP.
pub(super) const MXCSR_SETTABLE: u32 = 0xffff;

/// The arithmetic flags that stand for an order of floating-point numbers.
pub(super) fn flags_of(order: Option<Ordering>) -> u64 {
    match order {
        Some(Ordering::Greater) => 0,
        Some(Ordering::Less) => Rflags::CF,
        Some(Ordering::Equal) => Rflags::ZF,
        None => Rflags::ZF | Rflags::PF | Rflags::CF,
    }
}

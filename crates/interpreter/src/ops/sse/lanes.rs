//! Vectors as lanes of integers, the first lane in the low bits.

/// A lane type.
pub(super) trait Lane: Copy {
    const BITS: u32;

    /// The low bits of `bits`.
    fn truncate(bits: u128) -> Self;

    /// The bits, zero-extended.
    fn bits(self) -> u128;

    /// Lane number `index`.
    fn of(vector: u128, index: u32) -> Self {
        Self::truncate(vector >> (index * Self::BITS))
    }
}

macro_rules! lanes {
    ($($lane:ty: $unsigned:ty),*) => {
        $(impl Lane for $lane {
            const BITS: u32 = <$lane>::BITS;

            #[inline(always)]
            fn truncate(bits: u128) -> Self {
                bits as $lane
            }

            #[inline(always)]
            fn bits(self) -> u128 {
                u128::from(self as $unsigned)
            }
        })*
    };
}

lanes!(u8: u8, u16: u16, u32: u32, u64: u64, i8: u8, i16: u16, i32: u32, i64: u64);

/// A vector whose lane number `i` is `lane(i)`.
#[inline(always)]
pub(super) fn build<L: Lane>(lane: impl Fn(u32) -> L) -> u128 {
    (0..128 / L::BITS).fold(0, |vector, index| vector | (lane(index).bits() << (index * L::BITS)))
}

/// `f` of each lane.
#[inline(always)]
pub(super) fn map<L: Lane>(a: u128, f: impl Fn(L) -> L) -> u128 {
    build(|index| f(L::of(a, index)))
}

/// `f` of each pair of lanes.
#[inline(always)]
pub(super) fn zip<L: Lane>(a: u128, b: u128, f: impl Fn(L, L) -> L) -> u128 {
    build(|index| f(L::of(a, index), L::of(b, index)))
}

/// All ones in the lanes where `f` holds, else zeroes.
#[inline(always)]
pub(super) fn test<L: Lane>(a: u128, b: u128, f: impl Fn(L, L) -> bool) -> u128 {
    zip(a, b, |a: L, b: L| L::truncate(if f(a, b) { u128::MAX } else { 0 }))
}

/// `f` of neighbours: those of `a` give the low half of the result, those of `b` the high half.
#[inline(always)]
pub(super) fn horizontal<L: Lane>(a: u128, b: u128, f: impl Fn(L, L) -> L) -> u128 {
    let half = 64 / L::BITS;
    build(|index| {
        let (source, pair) = if index < half { (a, index) } else { (b, index - half) };
        f(L::of(source, 2 * pair), L::of(source, 2 * pair + 1))
    })
}

/// Lanes of `a` and `b` by turns, from lane number `first` on.
#[inline(always)]
pub(super) fn interleave<L: Lane>(a: u128, b: u128, first: u32) -> u128 {
    build(|index| L::of(if index % 2 == 0 { a } else { b }, first + index / 2))
}

/// The lanes of `a`, then those of `b`, each made narrower by `f`.
#[inline(always)]
pub(super) fn narrow<W: Lane, L: Lane>(a: u128, b: u128, f: impl Fn(W) -> L) -> u128 {
    let half = 128 / W::BITS;
    build(|index| f(if index < half { W::of(a, index) } else { W::of(b, index - half) }))
}

/// The low lanes of `a`, each made wider by `f`.
#[inline(always)]
pub(super) fn widen<L: Lane, W: Lane>(a: u128, f: impl Fn(L) -> W) -> u128 {
    build(|index| f(L::of(a, index)))
}

/// With lane number `index` replaced.
#[inline(always)]
pub(super) fn replace<L: Lane>(vector: u128, index: u32, lane: L) -> u128 {
    let shift = index * L::BITS;
    let mask = (u128::MAX >> (128 - L::BITS)) << shift;
    (vector & !mask) | (lane.bits() << shift)
}

/// The most significant bit of each lane, that of the first lane first.
pub(super) fn signs<L: Lane>(vector: u128) -> u64 {
    (0..128 / L::BITS).fold(0, |signs, index| signs | ((vector >> ((index + 1) * L::BITS - 1)) as u64 & 1) << index)
}

//! Against the arithmetic of Rust, which is IEEE 754 with rounding to nearest, and against known results.

use super::{
    Answer, DOUBLE, EXTENDED, Encoding, Exact, Float, Kind, Mode, SINGLE, add, compare, divide, from_integer, multiply,
    pack_extended, round, square_root, to_integer, to_integral, unpack_extended,
};
use proptest::prelude::*;

fn rounded(encoding: Encoding, answer: Answer) -> u64 {
    encoding.pack(match answer {
        Answer::Finite(exact) => round(exact, encoding.format, Mode::NearestEven).value,
        Answer::Special(value) => value,
        Answer::Pole(negative) => Float::infinity(negative),
        Answer::Invalid => Float::INDEFINITE,
    })
}

/// Equal, or both NaN.
fn same(encoding: Encoding, ours: u64, native: u64) -> bool {
    ours == native || (encoding.unpack(ours).is_nan() && encoding.unpack(native).is_nan())
}

fn check_double(answer: Answer, native: f64) {
    let ours = rounded(DOUBLE, answer);
    assert!(same(DOUBLE, ours, native.to_bits()), "{ours:#x} but {:#x}", native.to_bits());
}

fn check_single(answer: Answer, native: f32) {
    let ours = rounded(SINGLE, answer);
    assert!(same(SINGLE, ours, native.to_bits().into()), "{ours:#x} but {:#x}", native.to_bits());
}

proptest! {
    #[test]
    fn doubles_agree_with_rust(a: u64, b: u64, near: bool) {
        // Random exponents hardly ever meet; bring them together in half of the cases.
        let b = if near { (b & !(0x7fe << 52)) | (a & (0x7fe << 52)) } else { b };
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        let (p, q) = (DOUBLE.unpack(a), DOUBLE.unpack(b));
        if !p.is_nan() && !q.is_nan() {
            check_double(add(p, q, Mode::NearestEven), x + y);
            check_double(multiply(p, q), x * y);
            check_double(divide(p, q), x / y);
            check_double(square_root(p), x.sqrt());
        }
        prop_assert_eq!(compare(p, q), x.partial_cmp(&y));
    }

    #[test]
    fn singles_agree_with_rust(a: u32, b: u32) {
        let (x, y) = (f32::from_bits(a), f32::from_bits(b));
        let (p, q) = (SINGLE.unpack(a.into()), SINGLE.unpack(b.into()));
        if !p.is_nan() && !q.is_nan() {
            check_single(add(p, q, Mode::NearestEven), x + y);
            check_single(multiply(p, q), x * y);
            check_single(divide(p, q), x / y);
            check_single(square_root(p), x.sqrt());
        }
    }

    #[test]
    fn narrowing_agrees_with_rust(a: u64) {
        let number = DOUBLE.unpack(a);
        if !number.is_nan() {
            check_single(Answer::of(number), f64::from_bits(a) as f32);
        }
    }

    #[test]
    fn integers_survive_and_agree_with_rust(value: i64, a: u64) {
        let integer = to_integer(from_integer(value), 64, Mode::Zero);
        prop_assert_eq!(integer.map(|integer| (integer.value, integer.inexact)), Some((value, false)));
        check_double(Answer::of(from_integer(value)), value as f64);
        let x = f64::from_bits(a);
        if let Some(integer) = to_integer(DOUBLE.unpack(a), 64, Mode::Zero) {
            prop_assert_eq!(integer.value, x as i64);
        }
        if !x.is_nan() {
            let (value, inexact, _) = to_integral(DOUBLE.unpack(a), Mode::NearestEven);
            prop_assert_eq!(DOUBLE.pack(value), x.round_ties_even().to_bits());
            prop_assert_eq!(inexact, x.round_ties_even() != x);
        }
    }

    #[test]
    fn encodings_survive(a: u64, sign_and_exponent: u16) {
        prop_assert_eq!(DOUBLE.pack(DOUBLE.unpack(a)), a);
        let integer_bit = u64::from(sign_and_exponent & 0x7fff != 0) << 63;
        let extended = u128::from(sign_and_exponent) << 64 | u128::from((a & (u64::MAX >> 1)) | integer_bit);
        prop_assert_eq!(unpack_extended(extended).map(pack_extended), Some(extended));
    }

    #[test]
    fn each_mode_rounds_to_a_neighbour_on_its_side(a: u64, b: u64) {
        let Answer::Finite(exact) = multiply(DOUBLE.unpack(a), DOUBLE.unpack(b)) else { return Ok(()) };
        let [near, down, up, zero] = [Mode::NearestEven, Mode::Down, Mode::Up, Mode::Zero]
            .map(|mode| f64::from_bits(DOUBLE.pack(round(exact, DOUBLE.format, mode).value)));
        prop_assert!(down <= up && (near == down || near == up));
        prop_assert_eq!(zero, if exact.negative { up } else { down });
        prop_assert!(down == up || down.next_up() == up);
    }
}

/// The last bit of `significand` stands for more digits behind it.
fn exact(exponent: i32, significand: u128) -> Exact {
    Exact { negative: false, exponent, significand }
}

#[test]
fn tiny_is_decided_after_rounding_to_the_full_precision() {
    let below = DOUBLE.format.min_exponent() - 1;
    // All ones: with 53 digits it rounds up to the least normal number, so it is not tiny.
    let all_ones = round(exact(below, u128::MAX), DOUBLE.format, Mode::NearestEven);
    assert!(all_ones.inexact && !all_ones.tiny);
    // 53 ones and then a zero: 53 digits keep it below, though the denormal format rounds it up.
    let ones = round(exact(below, !0 << 75 | 1), DOUBLE.format, Mode::NearestEven);
    assert!(ones.inexact && ones.tiny);
    assert_eq!(DOUBLE.pack(ones.value), 0x0010_0000_0000_0000);
    assert_eq!(DOUBLE.pack(all_ones.value), 0x0010_0000_0000_0000);
}

#[test]
fn an_overflow_gives_infinity_or_the_greatest_number_by_mode() {
    let huge = exact(DOUBLE.format.max_exponent + 1, 1 << 127);
    let bits = |mode| DOUBLE.pack(round(huge, DOUBLE.format, mode).value);
    assert_eq!(bits(Mode::NearestEven), 0x7ff0_0000_0000_0000);
    assert_eq!(bits(Mode::Up), 0x7ff0_0000_0000_0000);
    assert_eq!(bits(Mode::Down), 0x7fef_ffff_ffff_ffff);
    assert_eq!(bits(Mode::Zero), 0x7fef_ffff_ffff_ffff);
}

#[test]
fn far_below_the_least_number_only_the_mode_decides() {
    let speck = exact(EXTENDED.min_exponent() - 500, 1 << 127);
    assert_eq!(round(speck, EXTENDED, Mode::NearestEven).value.kind, Kind::Zero);
    assert_eq!(pack_extended(round(speck, EXTENDED, Mode::Up).value), 1);
}

#[test]
fn extended_square_root_of_two_is_correctly_rounded() {
    let Answer::Finite(root) = square_root(from_integer(2)) else { panic!("finite") };
    let bits = |mode| pack_extended(round(root, EXTENDED, mode).value) as u64;
    assert_eq!(bits(Mode::NearestEven), 0xb504_f333_f9de_6484);
    assert_eq!(bits(Mode::Up), 0xb504_f333_f9de_6485);
}

#[test]
fn encodings_that_processors_refuse_are_no_numbers() {
    for refused in [0x7fff_u128 << 64, 0x7fff << 64 | 1, 0x4000 << 64 | 1 << 62] {
        assert_eq!(unpack_extended(refused), None, "{refused:#x}");
    }
    assert!(unpack_extended(1 << 63).is_some(), "a pseudo-denormal is a number");
}

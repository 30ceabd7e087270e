//! Numbers and strings (ddi: RtlIntegerToUnicodeString, RtlUnicodeStringToInteger, RtlCharToInteger).

use nt_types::layout::unicode_string;
use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCharToInteger(text: Va, base: u32, value: Va), PASSIVE),
    export!(Ntoskrnl, RtlInt64ToUnicodeString(value: u64, base: u32, string: Va), PASSIVE),
    export!(Ntoskrnl, RtlIntegerToUnicodeString(value: u32, base: u32, string: Va), PASSIVE),
    export!(Ntoskrnl, RtlUnicodeStringToInteger(string: Va, base: u32, value: Va), PASSIVE),
];

fn RtlIntegerToUnicodeString(m: &mut Machine, value: u32, base: u32, string: Va) -> Outcome {
    RtlInt64ToUnicodeString(m, value.into(), base, string)
}

fn RtlInt64ToUnicodeString(m: &mut Machine, value: u64, base: u32, string: Va) -> Outcome {
    let base = if base == 0 { 10 } else { base };
    if !matches!(base, 2 | 8 | 10 | 16) {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    let units: Vec<u16> = digits(value, base.into());
    let room = usize::from(m.read_u16(unicode_string::MAXIMUM_LENGTH.at(string))?);
    if room < 2 * units.len() {
        return Ok(Next::status(NtStatus::BUFFER_OVERFLOW));
    }
    m.store_units(string, &units)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

pub(super) fn digits(mut value: u64, base: u64) -> Vec<u16> {
    let mut digits = Vec::new();
    loop {
        let digit = char::from_digit((value % base) as u32, base as u32).unwrap_or('0');
        digits.push(digit.to_ascii_uppercase() as u16);
        value /= base;
        if value == 0 {
            digits.reverse();
            return digits;
        }
    }
}

fn RtlUnicodeStringToInteger(m: &mut Machine, string: Va, base: u32, value: Va) -> Outcome {
    let text = m.read_text(string)?;
    store(m, &text, base, value)
}

fn RtlCharToInteger(m: &mut Machine, text: Va, base: u32, value: Va) -> Outcome {
    let text = m.read_c_string(text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    store(m, &text, base, value)
}

fn store(m: &mut Machine, text: &str, base: u32, value: Va) -> Outcome {
    match integer(text, base) {
        Some(number) => m.write_u32(value, number).map(|()| Next::status(NtStatus::SUCCESS)),
        None => Ok(Next::status(NtStatus::INVALID_PARAMETER)),
    }
}

/// Leading blanks, a sign, and for base 0 a prefix `0x`, `0o` or `0b` are taken; the number ends at the first other
/// character. `None` for a base that is not 0, 2, 8, 10 or 16.
fn integer(text: &str, base: u32) -> Option<u32> {
    let text = text.trim_start_matches(|blank: char| blank <= ' ');
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let prefixed = |prefix: &str| text.strip_prefix(prefix);
    let (base, text) = match (base, prefixed("0x"), prefixed("0o"), prefixed("0b")) {
        (0, Some(rest), _, _) => (16, rest),
        (0, _, Some(rest), _) => (8, rest),
        (0, _, _, Some(rest)) => (2, rest),
        (0, ..) => (10, text),
        (2 | 8 | 10 | 16, ..) => (base, text),
        _ => return None,
    };
    let digits = text.chars().map_while(|letter| letter.to_digit(base));
    let number = digits.fold(0_u32, |number, digit| number.wrapping_mul(base).wrapping_add(digit));
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn integers_as_documented() {
        for (text, base, expected) in [
            (" 42", 10, Some(42)),
            ("-1", 0, Some(u32::MAX)),
            ("0x1fz", 0, Some(0x1f)),
            ("0b101", 0, Some(5)),
            ("0o17", 0, Some(15)),
            ("FF", 16, Some(255)),
            ("", 10, Some(0)),
            ("1", 3, None),
        ] {
            assert_eq!(integer(text, base), expected, "{text} in base {base}");
        }
    }
}

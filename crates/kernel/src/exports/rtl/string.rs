//! Counted strings (ddi: RtlInitUnicodeString, RtlCompareUnicodeString).

use nt_types::layout::unicode_string;
use nt_types::{NtStatus, Va};

use super::crt::Unit;
use super::scan::{Comparison, Fold, Scan};
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlAppendUnicodeStringToString(destination: Va, source: Va), APC),
    export!(Ntoskrnl, RtlAppendUnicodeToString(destination: Va, source: Va), APC),
    export!(Ntoskrnl, RtlCompareUnicodeString(first: Va, second: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlCompareUnicodeStrings(first: Va, first_units: u64, second: Va, second_units: u64, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlCopyUnicodeString(destination: Va, source: Va), HIGH),
    export!(Ntoskrnl, RtlEqualUnicodeString(first: Va, second: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlInitAnsiString(destination: Va, source: Va), DISPATCH),
    export!(Ntoskrnl, RtlInitString = RtlInitAnsiString(destination: Va, source: Va), DISPATCH),
    export!(Ntoskrnl, RtlInitUnicodeString(destination: Va, source: Va), DISPATCH),
];

/// Longest counted string, in bytes, as its 16-bit length allows.
const MAX_BYTES: u64 = 0xFFFC;

fn RtlInitUnicodeString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let length = if source.is_null() { 0 } else { 2 * m.read_wide_string(source)?.len() as u64 };
    let maximum = if source.is_null() { 0 } else { length + 2 };
    write_counted(m, destination, length, maximum, source)
}

fn RtlInitAnsiString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let length = if source.is_null() { 0 } else { m.read_c_string(source)?.len() as u64 };
    let maximum = if source.is_null() { 0 } else { length + 1 };
    write_counted(m, destination, length, maximum, source)
}

fn write_counted(m: &mut Machine, destination: Va, length: u64, maximum: u64, buffer: Va) -> Outcome {
    m.write_u16(unicode_string::LENGTH.at(destination), length as u16)?;
    m.write_u16(unicode_string::MAXIMUM_LENGTH.at(destination), maximum as u16)?;
    m.write_u64(unicode_string::BUFFER.at(destination), buffer.0)?;
    Ok(Next::VOID)
}

fn RtlCopyUnicodeString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let units = if source.is_null() { Vec::new() } else { m.read_unicode_string(source)? };
    let maximum = m.read_u16(unicode_string::MAXIMUM_LENGTH.at(destination))?;
    let buffer = m.read_va(unicode_string::BUFFER.at(destination))?;
    let count = units.len().min(usize::from(maximum) / 2);
    let terminated = count * 2 + 2 <= usize::from(maximum);
    let bytes: Vec<u8> =
        units[..count].iter().copied().chain(terminated.then_some(0)).flat_map(u16::to_le_bytes).collect();
    m.write_bytes(buffer, &bytes)?;
    m.write_u16(unicode_string::LENGTH.at(destination), (count * 2) as u16)?;
    Ok(Next::VOID)
}

fn RtlAppendUnicodeStringToString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let units = m.read_unicode_string(source)?;
    append(m, destination, &units)
}

fn RtlAppendUnicodeToString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let units = if source.is_null() { Vec::new() } else { m.read_wide_string(source)? };
    append(m, destination, &units)
}

fn append(m: &mut Machine, destination: Va, units: &[u16]) -> Outcome {
    let length = m.read_u16(unicode_string::LENGTH.at(destination))?;
    let maximum = m.read_u16(unicode_string::MAXIMUM_LENGTH.at(destination))?;
    let buffer = m.read_va(unicode_string::BUFFER.at(destination))?;
    let end = usize::from(length) + 2 * units.len();
    if end > usize::from(maximum) {
        return Ok(Next::status(NtStatus::BUFFER_TOO_SMALL));
    }
    let terminated = end + 2 <= usize::from(maximum);
    let bytes: Vec<u8> = units.iter().copied().chain(terminated.then_some(0)).flat_map(u16::to_le_bytes).collect();
    m.write_bytes(buffer + u64::from(length), &bytes)?;
    m.write_u16(unicode_string::LENGTH.at(destination), end as u16)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlCompareUnicodeString(m: &mut Machine, first: Va, second: Va, fold: bool) -> Outcome {
    let (first, second) = (compared(m, first, fold)?, compared(m, second, fold)?);
    let differing = first.iter().zip(&second).find(|(a, b)| a != b);
    let order = match differing {
        Some((a, b)) => i32::from(*a) - i32::from(*b),
        None => first.len() as i32 - second.len() as i32,
    };
    Ok(Next::Return(u64::from(order as u32)))
}

/// Strings without a count of their own: units, not bytes.
fn RtlCompareUnicodeStrings(
    m: &mut Machine,
    first: Va,
    first_units: u64,
    second: Va,
    second_units: u64,
    fold: bool,
) -> Outcome {
    let otherwise = (first_units as i32).wrapping_sub(second_units as i32);
    let fold = if fold { Fold::Upper } else { Fold::None };
    let comparison = Comparison { first, second, fold, ends_with_nul: false, otherwise };
    Scan::compare(m, Unit::Wide, comparison, first_units.min(second_units))
}

fn RtlEqualUnicodeString(m: &mut Machine, first: Va, second: Va, fold: bool) -> Outcome {
    let equal = compared(m, first, fold)? == compared(m, second, fold)?;
    Ok(Next::Return(u64::from(equal)))
}

fn compared(m: &mut Machine, string: Va, fold: bool) -> Result<Vec<u16>, Trap> {
    let units = m.read_unicode_string(string)?;
    Ok(if fold { units.into_iter().map(upcase).collect() } else { units })
}

/// Upper case of a UTF-16 unit where it has a single one (RtlUpcaseUnicodeChar).
pub(crate) fn upcase(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

/// Lower case of a UTF-16 unit where it has a single one.
pub(crate) fn downcase(unit: u16) -> u16 {
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(unit),
        _ => unit,
    }
}

impl Machine {
    /// Puts units into the buffer of a UNICODE_STRING, with a NUL where it has room; false, and nothing done, where they
    /// do not fit.
    pub(crate) fn store_units(&mut self, string: Va, units: &[u16]) -> Result<bool, Trap> {
        let maximum = usize::from(self.read_u16(unicode_string::MAXIMUM_LENGTH.at(string))?);
        let buffer = self.read_va(unicode_string::BUFFER.at(string))?;
        if 2 * units.len() > maximum {
            return Ok(false);
        }
        let terminated = 2 * units.len() + 2 <= maximum;
        let bytes: Vec<u8> = units.iter().copied().chain(terminated.then_some(0)).flat_map(u16::to_le_bytes).collect();
        self.write_bytes(buffer, &bytes)?;
        self.write_u16(unicode_string::LENGTH.at(string), 2 * units.len() as u16)?;
        Ok(true)
    }

    /// The text of a wide string.
    pub(crate) fn read_wide_text(&mut self, address: Va) -> Result<String, Trap> {
        Ok(String::from_utf16_lossy(&self.read_wide_string(address)?))
    }

    /// The units of a UNICODE_STRING.
    pub fn read_unicode_string(&mut self, string: Va) -> Result<Vec<u16>, Trap> {
        let length = self.read_u16(unicode_string::LENGTH.at(string))?;
        let buffer = self.read_va(unicode_string::BUFFER.at(string))?;
        let bytes = self.read_bytes(buffer, u64::from(length & !1))?;
        Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    /// A UNICODE_STRING as text for people and for names.
    pub fn read_text(&mut self, string: Va) -> Result<String, Trap> {
        Ok(String::from_utf16_lossy(&self.read_unicode_string(string)?))
    }

    /// The units before the NUL of a wide string.
    pub fn read_wide_string(&mut self, address: Va) -> Result<Vec<u16>, Trap> {
        let mut units = Vec::new();
        while 2 * (units.len() as u64) < MAX_BYTES {
            match self.read_u16(address + 2 * units.len() as u64)? {
                0 => break,
                unit => units.push(unit),
            }
        }
        Ok(units)
    }

    /// The bytes before the NUL of a string.
    pub fn read_c_string(&mut self, address: Va) -> Result<Vec<u8>, Trap> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < MAX_BYTES {
            match self.read_u8(address + bytes.len() as u64)? {
                0 => break,
                byte => bytes.push(byte),
            }
        }
        Ok(bytes)
    }
}

//! Counted strings of bytes, prefixes, UTF-8 (ddi: RtlEqualString, RtlPrefixUnicodeString, RtlUTF8ToUnicodeN).

use nt_types::layout::ansi_string;
use nt_types::{NtStatus, Va};

use super::string::upcase;
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCompareString(first: Va, second: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlCopyString(destination: Va, source: Va), DISPATCH),
    export!(Ntoskrnl, RtlEqualString(first: Va, second: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlHashUnicodeString(string: Va, fold: bool, algorithm: u32, hash: Va), PASSIVE),
    export!(Ntoskrnl, RtlPrefixString(prefix: Va, string: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlPrefixUnicodeString(prefix: Va, string: Va, fold: bool), PASSIVE),
    export!(Ntoskrnl, RtlUTF8ToUnicodeN(destination: Va, room: u32, written: Va, source: Va, length: u32), PASSIVE),
    export!(Ntoskrnl, RtlUnicodeToUTF8N(destination: Va, room: u32, written: Va, source: Va, length: u32), PASSIVE),
    export!(Ntoskrnl, RtlUpperString(destination: Va, source: Va), PASSIVE),
];

fn folded(m: &mut Machine, string: Va, fold: bool) -> Result<Vec<u8>, Trap> {
    let bytes = m.read_ansi_string(string)?;
    Ok(if fold { bytes.to_ascii_uppercase() } else { bytes })
}

/// The difference of the first bytes that differ, or of the lengths.
fn RtlCompareString(m: &mut Machine, first: Va, second: Va, fold: bool) -> Outcome {
    let (first, second) = (folded(m, first, fold)?, folded(m, second, fold)?);
    let order = match first.iter().zip(&second).find(|(a, b)| a != b) {
        Some((a, b)) => i32::from(*a) - i32::from(*b),
        None => first.len() as i32 - second.len() as i32,
    };
    Ok(Next::Return(u64::from(order as u32)))
}

fn RtlEqualString(m: &mut Machine, first: Va, second: Va, fold: bool) -> Outcome {
    Ok(Next::Return((folded(m, first, fold)? == folded(m, second, fold)?).into()))
}

fn RtlPrefixString(m: &mut Machine, prefix: Va, string: Va, fold: bool) -> Outcome {
    let prefix = folded(m, prefix, fold)?;
    Ok(Next::Return(folded(m, string, fold)?.starts_with(&prefix).into()))
}

fn RtlPrefixUnicodeString(m: &mut Machine, prefix: Va, string: Va, fold: bool) -> Outcome {
    let mut units = |string| -> Result<Vec<u16>, Trap> {
        let units = m.read_unicode_string(string)?;
        Ok(if fold { units.into_iter().map(upcase).collect() } else { units })
    };
    let prefix = units(prefix)?;
    Ok(Next::Return(units(string)?.starts_with(&prefix).into()))
}

fn RtlCopyString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let bytes = if source.is_null() { Vec::new() } else { m.read_ansi_string(source)? };
    copy(m, destination, bytes)
}

fn RtlUpperString(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    let bytes = m.read_ansi_string(source)?.to_ascii_uppercase();
    copy(m, destination, bytes)
}

/// As much as there is room for.
fn copy(m: &mut Machine, destination: Va, mut bytes: Vec<u8>) -> Outcome {
    bytes.truncate(m.read_u16(ansi_string::MAXIMUM_LENGTH.at(destination))?.into());
    let buffer = m.read_va(ansi_string::BUFFER.at(destination))?;
    m.write_bytes(buffer, &bytes)?;
    m.write_u16(ansi_string::LENGTH.at(destination), bytes.len() as u16)?;
    Ok(Next::VOID)
}

/// The documented default algorithm, x65599.
fn RtlHashUnicodeString(m: &mut Machine, string: Va, fold: bool, algorithm: u32, hash: Va) -> Outcome {
    const HASH_STRING_ALGORITHM_DEFAULT: u32 = 0;
    const HASH_STRING_ALGORITHM_X65599: u32 = 1;
    if !matches!(algorithm, HASH_STRING_ALGORITHM_DEFAULT | HASH_STRING_ALGORITHM_X65599) {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    let units = m.read_unicode_string(string)?;
    let value = units.into_iter().fold(0_u32, |value, unit| {
        value.wrapping_mul(65_599).wrapping_add(u32::from(if fold { upcase(unit) } else { unit }))
    });
    m.write_u32(hash, value)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Bytes that are no UTF-8 become U+FFFD and STATUS_SOME_NOT_MAPPED; without a destination the size is told.
fn RtlUTF8ToUnicodeN(m: &mut Machine, destination: Va, room: u32, written: Va, source: Va, length: u32) -> Outcome {
    let bytes = m.read_bytes(source, length.into())?;
    let text = String::from_utf8_lossy(&bytes);
    let lossy = std::str::from_utf8(&bytes).is_err();
    let pieces = text
        .chars()
        .map(|letter| letter.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>());
    store(m, destination, room, written, pieces, lossy)
}

fn RtlUnicodeToUTF8N(m: &mut Machine, destination: Va, room: u32, written: Va, source: Va, length: u32) -> Outcome {
    let bytes = m.read_bytes(source, u64::from(length & !1))?;
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let lossy = String::from_utf16(&units).is_err();
    let text = String::from_utf16_lossy(&units);
    let pieces = text.chars().map(|letter| letter.to_string().into_bytes());
    store(m, destination, room, written, pieces, lossy)
}

/// Whole characters only.
fn store(
    m: &mut Machine,
    destination: Va,
    room: u32,
    written: Va,
    pieces: impl Iterator<Item = Vec<u8>>,
    lossy: bool,
) -> Outcome {
    let (mut bytes, mut complete) = (Vec::new(), true);
    for piece in pieces {
        if !destination.is_null() && bytes.len() + piece.len() > room as usize {
            complete = false;
            break;
        }
        bytes.extend(piece);
    }
    if !destination.is_null() {
        m.write_bytes(destination, &bytes)?;
    }
    if !written.is_null() {
        m.write_u32(written, bytes.len() as u32)?;
    }
    Ok(Next::status(match (complete, lossy) {
        (false, _) => NtStatus::BUFFER_TOO_SMALL,
        (true, true) => NtStatus::SOME_NOT_MAPPED,
        (true, false) => NtStatus::SUCCESS,
    }))
}

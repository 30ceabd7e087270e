//! Conversions between ANSI and Unicode strings, and their allocation (ddi: RtlAnsiStringToUnicodeString,
//! RtlUnicodeStringToAnsiString). The ANSI code page of this machine is Latin-1's common part: each byte is the character
//! with its number, and what has no byte becomes a question mark.

use nt_types::layout::{ansi_string, unicode_string};
use nt_types::{NtStatus, Va};

use super::string::upcase;
use crate::call::{Call, Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlAnsiCharToUnicodeChar(source: Va), PASSIVE),
    export!(Ntoskrnl, RtlAnsiStringToUnicodeString(destination: Va, source: Va, allocate: bool; ..), PASSIVE),
    export!(Ntoskrnl, RtlCreateUnicodeString(destination: Va, source: Va; ..), PASSIVE),
    export!(Ntoskrnl, RtlDowncaseUnicodeString(destination: Va, source: Va, allocate: bool; ..), APC),
    export!(Ntoskrnl, RtlFreeAnsiString = RtlFreeUnicodeString(string: Va; ..), APC),
    export!(Ntoskrnl, RtlFreeUnicodeString(string: Va; ..), APC),
    export!(Ntoskrnl, RtlMultiByteToUnicodeN(destination: Va, room: u32, written: Va, source: Va, length: u32), APC),
    export!(Ntoskrnl, RtlUnicodeStringToAnsiString(destination: Va, source: Va, allocate: bool; ..), PASSIVE),
    export!(Ntoskrnl, RtlUnicodeToMultiByteN(destination: Va, room: u32, written: Va, source: Va, length: u32), APC),
    export!(Ntoskrnl, RtlUpcaseUnicodeString(destination: Va, source: Va, allocate: bool; ..), APC),
    export!(Ntoskrnl, RtlxAnsiStringToUnicodeSize(string: Va), PASSIVE),
    export!(Ntoskrnl, RtlxUnicodeStringToAnsiSize(string: Va), PASSIVE),
];

pub(super) fn to_ansi(unit: u16) -> u8 {
    u8::try_from(unit).unwrap_or(b'?')
}

fn RtlAnsiStringToUnicodeString(m: &mut Machine, call: &Call, destination: Va, source: Va, allocate: bool) -> Outcome {
    let units: Vec<u16> = m.read_ansi_string(source)?.into_iter().map(u16::from).collect();
    store_wide(m, call, destination, &units, allocate)
}

fn RtlUpcaseUnicodeString(m: &mut Machine, call: &Call, destination: Va, source: Va, allocate: bool) -> Outcome {
    let units: Vec<u16> = m.read_unicode_string(source)?.into_iter().map(upcase).collect();
    store_counted(m, call, destination, &units, allocate)
}

fn RtlDowncaseUnicodeString(m: &mut Machine, call: &Call, destination: Va, source: Va, allocate: bool) -> Outcome {
    let units: Vec<u16> = m.read_unicode_string(source)?.into_iter().map(super::string::downcase).collect();
    store_counted(m, call, destination, &units, allocate)
}

fn RtlCreateUnicodeString(m: &mut Machine, call: &Call, destination: Va, source: Va) -> Outcome {
    let units = m.read_wide_string(source)?;
    let Next::Return(status) = store_wide(m, call, destination, &units, true)? else { return Ok(Next::Return(0)) };
    Ok(Next::Return(NtStatus(status as u32).is_success().into()))
}

/// A wide string with its terminator: the destination must have room for it.
fn store_wide(m: &mut Machine, call: &Call, destination: Va, units: &[u16], allocate: bool) -> Outcome {
    let bytes: Vec<u8> = units.iter().chain(&[0]).flat_map(|unit| unit.to_le_bytes()).collect();
    store(m, call, destination, &bytes, 2, allocate)
}

/// A wide string that is counted only.
fn store_counted(m: &mut Machine, call: &Call, destination: Va, units: &[u16], allocate: bool) -> Outcome {
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    store(m, call, destination, &bytes, 0, allocate)
}

/// Both kinds of string have the same layout.
fn store(m: &mut Machine, call: &Call, string: Va, bytes: &[u8], terminator: usize, allocate: bool) -> Outcome {
    let Ok(size) = u16::try_from(bytes.len()) else { return Ok(Next::status(NtStatus::INVALID_PARAMETER_2)) };
    m.probe_write(string, unicode_string::SIZEOF)?;
    let buffer = if allocate {
        let block =
            Block { bytes: size.max(2).into(), kind: PoolKind::Paged, tag: *b"grtS", site: call.return_address };
        let Some(buffer) = m.pool_allocate_resident(block)? else { return Ok(Next::status(NtStatus::NO_MEMORY)) };
        m.write_u16(unicode_string::MAXIMUM_LENGTH.at(string), size)?;
        m.write_u64(unicode_string::BUFFER.at(string), buffer.0)?;
        buffer
    } else {
        if m.read_u16(unicode_string::MAXIMUM_LENGTH.at(string))? < size {
            return Ok(Next::status(NtStatus::BUFFER_OVERFLOW));
        }
        m.read_va(unicode_string::BUFFER.at(string))?
    };
    m.write_bytes(buffer, bytes)?;
    m.write_u16(unicode_string::LENGTH.at(string), size - terminator as u16)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn RtlUnicodeStringToAnsiString(m: &mut Machine, call: &Call, destination: Va, source: Va, allocate: bool) -> Outcome {
    let mut bytes: Vec<u8> = m.read_unicode_string(source)?.into_iter().map(to_ansi).collect();
    bytes.push(0);
    store(m, call, destination, &bytes, 1, allocate)
}

fn RtlFreeUnicodeString(m: &mut Machine, call: &Call, string: Va) -> Outcome {
    let buffer = m.read_va(unicode_string::BUFFER.at(string))?;
    m.check_beside(call.return_address, buffer)?;
    m.fill_bytes(string, 0, unicode_string::SIZEOF)?;
    m.pool_free(buffer);
    Ok(Next::VOID)
}

fn RtlxUnicodeStringToAnsiSize(m: &mut Machine, string: Va) -> Outcome {
    Ok(Next::Return(u64::from(m.read_u16(unicode_string::LENGTH.at(string))?) / 2 + 1))
}

fn RtlxAnsiStringToUnicodeSize(m: &mut Machine, string: Va) -> Outcome {
    Ok(Next::Return(2 * u64::from(m.read_u16(ansi_string::LENGTH.at(string))?) + 2))
}

/// Reads the character at `*source` and moves the pointer past it.
fn RtlAnsiCharToUnicodeChar(m: &mut Machine, source: Va) -> Outcome {
    let at = m.read_va(source)?;
    let unit = m.read_u8(at)?;
    m.write_u64(source, (at + 1).0)?;
    Ok(Next::Return(unit.into()))
}

fn RtlMultiByteToUnicodeN(
    m: &mut Machine,
    destination: Va,
    room: u32,
    written: Va,
    source: Va,
    length: u32,
) -> Outcome {
    let count = u64::from(length.min(room / 2));
    let bytes: Vec<u8> =
        m.read_bytes(source, count)?.into_iter().flat_map(|byte| u16::from(byte).to_le_bytes()).collect();
    finish(m, destination, &bytes, written)
}

fn RtlUnicodeToMultiByteN(
    m: &mut Machine,
    destination: Va,
    room: u32,
    written: Va,
    source: Va,
    length: u32,
) -> Outcome {
    let count = u64::from(room.min(length / 2));
    let units = m.read_bytes(source, 2 * count)?;
    let bytes: Vec<u8> = units.chunks_exact(2).map(|unit| to_ansi(u16::from_le_bytes([unit[0], unit[1]]))).collect();
    finish(m, destination, &bytes, written)
}

fn finish(m: &mut Machine, destination: Va, bytes: &[u8], written: Va) -> Outcome {
    m.write_bytes(destination, bytes)?;
    if !written.is_null() {
        m.write_u32(written, bytes.len() as u32)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// The bytes of an ANSI_STRING.
    pub(crate) fn read_ansi_string(&mut self, string: Va) -> Result<Vec<u8>, Trap> {
        let length = self.read_u16(ansi_string::LENGTH.at(string))?;
        let buffer = self.read_va(ansi_string::BUFFER.at(string))?;
        self.read_bytes(buffer, length.into())
    }
}

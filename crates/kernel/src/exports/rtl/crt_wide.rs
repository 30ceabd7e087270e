//! The C runtime's functions for wide strings, and conversions between both kinds.

use nt_types::Va;

use super::convert::to_ansi;
use super::crt::{self, Unit};
use super::scan::Scan;
use super::string::{downcase, upcase};
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlUpcaseUnicodeChar(character: u16), APC),
    export!(Ntoskrnl, RtlUpperChar(character: u8), HIGH),
    export!(Ntoskrnl, _wcsicmp(first: Va, second: Va), HIGH),
    export!(Ntoskrnl, _wcslwr(string: Va), HIGH),
    export!(Ntoskrnl, _wcsnicmp(first: Va, second: Va, count: u64), HIGH),
    export!(Ntoskrnl, _wcsupr(string: Va), HIGH),
    export!(Ntoskrnl, _wtoi(string: Va), HIGH),
    export!(Ntoskrnl, mbstowcs(destination: Va, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, towlower(character: u16), HIGH),
    export!(Ntoskrnl, towupper(character: u16), HIGH),
    export!(Ntoskrnl, wcscat(destination: Va, source: Va), HIGH),
    export!(Ntoskrnl, wcscat_s(destination: Va, room: u64, source: Va), HIGH),
    export!(Ntoskrnl, wcschr(string: Va, character: u16), HIGH),
    export!(Ntoskrnl, wcscmp(first: Va, second: Va), HIGH),
    export!(Ntoskrnl, wcscpy(destination: Va, source: Va), HIGH),
    export!(Ntoskrnl, wcscpy_s(destination: Va, room: u64, source: Va), HIGH),
    export!(Ntoskrnl, wcslen(string: Va), HIGH),
    export!(Ntoskrnl, wcsncat(destination: Va, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, wcsncat_s(destination: Va, room: u64, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, wcsncmp(first: Va, second: Va, count: u64), HIGH),
    export!(Ntoskrnl, wcsncpy(destination: Va, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, wcsncpy_s(destination: Va, room: u64, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, wcsnlen(string: Va, limit: u64), HIGH),
    export!(Ntoskrnl, wcsrchr(string: Va, character: u16), HIGH),
    export!(Ntoskrnl, wcsstr(string: Va, wanted: Va), HIGH),
    export!(Ntoskrnl, wcstombs(destination: Va, source: Va, count: u64), HIGH),
];

const W: Unit = Unit::Wide;

fn wcslen(m: &mut Machine, string: Va) -> Outcome {
    Scan::length(m, W, string, u64::MAX)
}

fn wcsnlen(m: &mut Machine, string: Va, limit: u64) -> Outcome {
    Scan::length(m, W, string, limit)
}

fn wcscmp(m: &mut Machine, first: Va, second: Va) -> Outcome {
    crt::compare(m, W, first, second, u64::MAX, false)
}

fn wcsncmp(m: &mut Machine, first: Va, second: Va, count: u64) -> Outcome {
    crt::compare(m, W, first, second, count, false)
}

fn _wcsicmp(m: &mut Machine, first: Va, second: Va) -> Outcome {
    crt::compare(m, W, first, second, u64::MAX, true)
}

fn _wcsnicmp(m: &mut Machine, first: Va, second: Va, count: u64) -> Outcome {
    crt::compare(m, W, first, second, count, true)
}

fn wcscpy(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    crt::copy(m, W, destination, source)
}

fn wcsncpy(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    crt::copy_count(m, W, destination, source, count)
}

fn wcscat(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    crt::append(m, W, destination, source, u64::MAX)
}

fn wcsncat(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    crt::append(m, W, destination, source, count)
}

fn wcscpy_s(m: &mut Machine, destination: Va, room: u64, source: Va) -> Outcome {
    crt::copy_secure(m, W, destination, room, source, u64::MAX)
}

fn wcsncpy_s(m: &mut Machine, destination: Va, room: u64, source: Va, count: u64) -> Outcome {
    crt::copy_secure(m, W, destination, room, source, count)
}

fn wcscat_s(m: &mut Machine, destination: Va, room: u64, source: Va) -> Outcome {
    crt::append_secure(m, W, destination, room, source, u64::MAX)
}

fn wcsncat_s(m: &mut Machine, destination: Va, room: u64, source: Va, count: u64) -> Outcome {
    crt::append_secure(m, W, destination, room, source, count)
}

fn wcschr(m: &mut Machine, string: Va, character: u16) -> Outcome {
    crt::find(m, W, string, character, false)
}

fn wcsrchr(m: &mut Machine, string: Va, character: u16) -> Outcome {
    crt::find(m, W, string, character, true)
}

fn wcsstr(m: &mut Machine, string: Va, wanted: Va) -> Outcome {
    crt::find_string(m, W, string, wanted)
}

fn _wcsupr(m: &mut Machine, string: Va) -> Outcome {
    crt::change_case(m, W, string, true)
}

fn _wcslwr(m: &mut Machine, string: Va) -> Outcome {
    crt::change_case(m, W, string, false)
}

fn _wtoi(m: &mut Machine, string: Va) -> Outcome {
    crt::integer(m, W, string)
}

fn towupper(_m: &mut Machine, character: u16) -> Outcome {
    Ok(Next::Return(upcase(character).into()))
}

fn towlower(_m: &mut Machine, character: u16) -> Outcome {
    Ok(Next::Return(downcase(character).into()))
}

fn RtlUpcaseUnicodeChar(m: &mut Machine, character: u16) -> Outcome {
    towupper(m, character)
}

fn RtlUpperChar(_m: &mut Machine, character: u8) -> Outcome {
    Ok(Next::Return(character.to_ascii_uppercase().into()))
}

/// The length without NUL; with a null destination that is all.
fn mbstowcs(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    let limit = if destination.is_null() { u64::MAX } else { count };
    let mut units = Unit::Narrow.string(m, source, limit)?;
    finish(m, W, destination, &mut units, count)
}

fn wcstombs(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    let limit = if destination.is_null() { u64::MAX } else { count };
    let units = W.string(m, source, limit)?;
    let mut units: Vec<u16> = units.into_iter().map(|unit| to_ansi(unit).into()).collect();
    finish(m, Unit::Narrow, destination, &mut units, count)
}

fn finish(m: &mut Machine, unit: Unit, destination: Va, units: &mut Vec<u16>, room: u64) -> Outcome {
    let length = units.len() as u64;
    if !destination.is_null() {
        if length < room {
            units.push(0);
        }
        unit.write(m, destination, units)?;
    }
    Ok(Next::Return(length))
}

//! The C runtime's functions for strings of bytes and for characters.

use nt_types::Va;

use super::crt::{self, Unit};
use super::scan::Scan;
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, _itoa(value: i32, buffer: Va, radix: i32), HIGH),
    export!(Ntoskrnl, _stricmp(first: Va, second: Va), HIGH),
    export!(Ntoskrnl, _strlwr(string: Va), HIGH),
    export!(Ntoskrnl, _strnicmp(first: Va, second: Va, count: u64), HIGH),
    export!(Ntoskrnl, _strupr(string: Va), HIGH),
    export!(Ntoskrnl, atoi(string: Va), HIGH),
    export!(Ntoskrnl, atol(string: Va), HIGH),
    export!(Ntoskrnl, isalnum(character: i32), HIGH),
    export!(Ntoskrnl, isalpha(character: i32), HIGH),
    export!(Ntoskrnl, isdigit(character: i32), HIGH),
    export!(Ntoskrnl, islower(character: i32), HIGH),
    export!(Ntoskrnl, isprint(character: i32), HIGH),
    export!(Ntoskrnl, isspace(character: i32), HIGH),
    export!(Ntoskrnl, isupper(character: i32), HIGH),
    export!(Ntoskrnl, isxdigit(character: i32), HIGH),
    export!(Ntoskrnl, memchr(buffer: Va, byte: i32, count: u64), HIGH),
    export!(Ntoskrnl, strcat(destination: Va, source: Va), HIGH),
    export!(Ntoskrnl, strcat_s(destination: Va, room: u64, source: Va), HIGH),
    export!(Ntoskrnl, strchr(string: Va, character: i32), HIGH),
    export!(Ntoskrnl, strcmp(first: Va, second: Va), HIGH),
    export!(Ntoskrnl, strcpy(destination: Va, source: Va), HIGH),
    export!(Ntoskrnl, strcpy_s(destination: Va, room: u64, source: Va), HIGH),
    export!(Ntoskrnl, strlen(string: Va), HIGH),
    export!(Ntoskrnl, strncat(destination: Va, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, strncat_s(destination: Va, room: u64, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, strncmp(first: Va, second: Va, count: u64), HIGH),
    export!(Ntoskrnl, strncpy(destination: Va, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, strncpy_s(destination: Va, room: u64, source: Va, count: u64), HIGH),
    export!(Ntoskrnl, strnlen(string: Va, limit: u64), HIGH),
    export!(Ntoskrnl, strrchr(string: Va, character: i32), HIGH),
    export!(Ntoskrnl, strstr(string: Va, wanted: Va), HIGH),
    export!(Ntoskrnl, tolower(character: i32), HIGH),
    export!(Ntoskrnl, toupper(character: i32), HIGH),
];

const N: Unit = Unit::Narrow;

fn strlen(m: &mut Machine, string: Va) -> Outcome {
    Scan::length(m, N, string, u64::MAX)
}

fn strnlen(m: &mut Machine, string: Va, limit: u64) -> Outcome {
    Scan::length(m, N, string, limit)
}

fn strcmp(m: &mut Machine, first: Va, second: Va) -> Outcome {
    crt::compare(m, N, first, second, u64::MAX, false)
}

fn strncmp(m: &mut Machine, first: Va, second: Va, count: u64) -> Outcome {
    crt::compare(m, N, first, second, count, false)
}

fn _stricmp(m: &mut Machine, first: Va, second: Va) -> Outcome {
    crt::compare(m, N, first, second, u64::MAX, true)
}

fn _strnicmp(m: &mut Machine, first: Va, second: Va, count: u64) -> Outcome {
    crt::compare(m, N, first, second, count, true)
}

fn strcpy(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    crt::copy(m, N, destination, source)
}

fn strncpy(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    crt::copy_count(m, N, destination, source, count)
}

fn strcat(m: &mut Machine, destination: Va, source: Va) -> Outcome {
    crt::append(m, N, destination, source, u64::MAX)
}

fn strncat(m: &mut Machine, destination: Va, source: Va, count: u64) -> Outcome {
    crt::append(m, N, destination, source, count)
}

fn strcpy_s(m: &mut Machine, destination: Va, room: u64, source: Va) -> Outcome {
    crt::copy_secure(m, N, destination, room, source, u64::MAX)
}

fn strncpy_s(m: &mut Machine, destination: Va, room: u64, source: Va, count: u64) -> Outcome {
    crt::copy_secure(m, N, destination, room, source, count)
}

fn strcat_s(m: &mut Machine, destination: Va, room: u64, source: Va) -> Outcome {
    crt::append_secure(m, N, destination, room, source, u64::MAX)
}

fn strncat_s(m: &mut Machine, destination: Va, room: u64, source: Va, count: u64) -> Outcome {
    crt::append_secure(m, N, destination, room, source, count)
}

fn strchr(m: &mut Machine, string: Va, character: i32) -> Outcome {
    crt::find(m, N, string, character as u16, false)
}

fn strrchr(m: &mut Machine, string: Va, character: i32) -> Outcome {
    crt::find(m, N, string, character as u16, true)
}

fn strstr(m: &mut Machine, string: Va, wanted: Va) -> Outcome {
    crt::find_string(m, N, string, wanted)
}

fn _strupr(m: &mut Machine, string: Va) -> Outcome {
    crt::change_case(m, N, string, true)
}

fn _strlwr(m: &mut Machine, string: Va) -> Outcome {
    crt::change_case(m, N, string, false)
}

fn atoi(m: &mut Machine, string: Va) -> Outcome {
    crt::integer(m, N, string)
}

fn atol(m: &mut Machine, string: Va) -> Outcome {
    crt::integer(m, N, string)
}

fn memchr(m: &mut Machine, buffer: Va, byte: i32, count: u64) -> Outcome {
    let mut at = 0;
    while at < count {
        if m.read_u8(buffer + at)? == byte as u8 {
            return Ok(Next::pointer(buffer + at));
        }
        at += 1;
    }
    Ok(Next::pointer(Va::NULL))
}

/// Negative numbers have a sign in base 10 only.
fn _itoa(m: &mut Machine, value: i32, buffer: Va, radix: i32) -> Outcome {
    let Some(base) = u64::try_from(radix).ok().filter(|base| (2..=36).contains(base)) else {
        return Err(m.refuse("_itoa", format!("`radix` {radix}")));
    };
    let negative = value < 0 && base == 10;
    let magnitude = if negative { u64::from(value.unsigned_abs()) } else { u64::from(value as u32) };
    let digits =
        super::number::digits(magnitude, base).into_iter().map(|digit| u16::from((digit as u8).to_ascii_lowercase()));
    let units: Vec<u16> = negative.then_some(u16::from(b'-')).into_iter().chain(digits).chain([0]).collect();
    N.write(m, buffer, &units)?;
    Ok(Next::pointer(buffer))
}

fn answer(character: i32, is: impl Fn(&u8) -> bool) -> Outcome {
    Ok(Next::Return(u8::try_from(character).is_ok_and(|byte| is(&byte)).into()))
}

fn isdigit(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_digit)
}

fn isxdigit(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_hexdigit)
}

fn isalpha(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_alphabetic)
}

fn isalnum(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_alphanumeric)
}

fn islower(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_lowercase)
}

fn isupper(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, u8::is_ascii_uppercase)
}

fn isprint(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, |byte| (b' '..=b'~').contains(byte))
}

fn isspace(_m: &mut Machine, character: i32) -> Outcome {
    answer(character, |byte| (9..=13).contains(byte) || *byte == b' ')
}

fn toupper(_m: &mut Machine, character: i32) -> Outcome {
    let changed = u8::try_from(character).map_or(character, |byte| byte.to_ascii_uppercase().into());
    Ok(Next::Return(changed as u32 as u64))
}

fn tolower(_m: &mut Machine, character: i32) -> Outcome {
    let changed = u8::try_from(character).map_or(character, |byte| byte.to_ascii_lowercase().into());
    Ok(Next::Return(changed as u32 as u64))
}

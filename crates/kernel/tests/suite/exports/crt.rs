//! The C runtime (docs: C runtime library reference), one row a call.

use crate::probe::Probe;

/// An argument of a row.
#[derive(Clone, Copy)]
enum A {
    /// A number.
    N(u64),
    /// A string of bytes, at a place of its own.
    S(&'static str),
    /// A wide string.
    W(&'static str),
    /// The place of the argument with this index, plus so many bytes.
    At(usize, u64),
}
use A::{At, N, S, W};

/// What a row expects.
enum E {
    /// This result.
    Is(u64),
    /// A result as an `int` below or above 0.
    Below,
    Above,
    /// The place of an argument, plus so many bytes.
    Place(usize, u64),
    /// This result, and these bytes in the first argument.
    Bytes(u64, &'static [u8]),
    /// This result, and this wide string with its NUL in the first argument.
    Wide(u64, &'static str),
    /// The first argument comes back and holds this.
    Back(&'static [u8]),
    BackWide(&'static str),
}
use E::{Above, Back, BackWide, Below, Bytes, Is, Place, Wide};

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn check(rows: &[(&str, &[A], E)]) {
    let mut probe = Probe::plain();
    for (name, arguments, expected) in rows {
        let mut values = Vec::new();
        for (index, argument) in (0..).zip(*arguments) {
            let place = probe.place(index);
            probe.set_bytes(place, &[0x77; 64]);
            values.push(match argument {
                N(number) => *number,
                S(text) => {
                    probe.set_bytes(place, text.as_bytes());
                    probe.set_bytes(place + text.len() as u64, &[0]);
                    place
                }
                W(text) => {
                    probe.set_bytes(place, &wide(text));
                    place
                }
                At(other, offset) => probe.place(*other as u64) + offset,
            });
        }
        let result = probe.ask(name, &values).expect("it returns");
        let first = values.first().copied().unwrap_or(0);
        match expected {
            Is(number) => assert_eq!(result, *number, "{name}"),
            Below => assert!((result as i32) < 0, "{name}: {result:#x}"),
            Above => assert!((result as i32) > 0, "{name}: {result:#x}"),
            Place(index, offset) => assert_eq!(result, probe.place(*index as u64) + offset, "{name}"),
            Bytes(number, bytes) => {
                assert_eq!((result, probe.bytes(first, bytes.len() as u64)), (*number, bytes.to_vec()), "{name}");
            }
            Wide(number, text) => {
                let bytes = wide(text);
                assert_eq!((result, probe.bytes(first, bytes.len() as u64)), (*number, bytes), "{name}");
            }
            Back(bytes) => {
                assert_eq!((result, probe.bytes(first, bytes.len() as u64)), (first, bytes.to_vec()), "{name}");
            }
            BackWide(text) => {
                let bytes = wide(text);
                assert_eq!((result, probe.bytes(first, bytes.len() as u64)), (first, bytes), "{name}");
            }
        }
    }
}

const FAILED: u64 = 0xFFFF_FFFF;
const EINVAL: u64 = 22;
const ERANGE: u64 = 34;

#[test]
fn comparing_and_searching() {
    check(&[
        ("strlen", &[S("abc")], Is(3)),
        ("strnlen", &[S("abc"), N(2)], Is(2)),
        ("wcslen", &[W("abc")], Is(3)),
        ("wcsnlen", &[W("abc"), N(9)], Is(3)),
        ("strcmp", &[S("abc"), S("abd")], Below),
        ("strcmp", &[S("abc"), S("ab")], Above),
        ("strcmp", &[S("abc"), S("abc")], Is(0)),
        ("strncmp", &[S("abc"), S("abd"), N(2)], Is(0)),
        ("_stricmp", &[S("aBc"), S("AbC")], Is(0)),
        ("_strnicmp", &[S("aBcX"), S("AbCy"), N(3)], Is(0)),
        ("_strnicmp", &[S("aBcX"), S("AbCy"), N(4)], Below),
        ("wcscmp", &[W("b"), W("a")], Above),
        ("wcsncmp", &[W("abc"), W("abd"), N(3)], Below),
        ("_wcsicmp", &[W("Äb"), W("äB")], Is(0)),
        ("_wcsnicmp", &[W("abX"), W("ABy"), N(2)], Is(0)),
        ("strchr", &[S("abcb"), N(b'b' as u64)], Place(0, 1)),
        ("strchr", &[S("abcb"), N(0)], Place(0, 4)),
        ("strrchr", &[S("abcb"), N(b'b' as u64)], Place(0, 3)),
        ("strchr", &[S("abcb"), N(b'x' as u64)], Is(0)),
        ("wcschr", &[W("abcb"), N(b'b' as u64)], Place(0, 2)),
        ("wcsrchr", &[W("abcb"), N(b'b' as u64)], Place(0, 6)),
        ("strstr", &[S("abcd"), S("cd")], Place(0, 2)),
        ("strstr", &[S("abcd"), S("")], Place(0, 0)),
        ("wcsstr", &[W("abcd"), W("cd")], Place(0, 4)),
        ("wcsstr", &[W("abcd"), W("ce")], Is(0)),
        ("memchr", &[S("abcb"), N(b'c' as u64), N(4)], Place(0, 2)),
        ("memchr", &[S("abcb"), N(b'c' as u64), N(2)], Is(0)),
    ]);
}

#[test]
fn copying_and_appending() {
    check(&[
        ("strcpy", &[S(""), S("abc")], Back(b"abc\0w")),
        ("strncpy", &[S(""), S("ab"), N(4)], Back(b"ab\0\0w")),
        ("strncpy", &[S(""), S("abcd"), N(2)], Back(b"abww")),
        ("strcat", &[S("a"), S("bc")], Back(b"abc\0")),
        ("strncat", &[S("a"), S("bcd"), N(2)], Back(b"abc\0")),
        ("wcscpy", &[W(""), W("abc")], BackWide("abc")),
        ("wcsncpy", &[W(""), W("ab"), N(3)], BackWide("ab")),
        ("wcscat", &[W("a"), W("bc")], BackWide("abc")),
        ("wcsncat", &[W("a"), W("bcd"), N(2)], BackWide("abc")),
        ("memcpy", &[S("xxx"), S("ab"), N(2)], Back(b"abx")),
        ("memmove", &[At(1, 1), S("abc"), N(3)], Back(b"abc")),
        ("memset", &[S("xxx"), N(0x141), N(2)], Back(b"AAx")),
        ("_strupr", &[S("aBc1")], Back(b"ABC1\0")),
        ("_strlwr", &[S("aBc1")], Back(b"abc1\0")),
        ("_wcsupr", &[W("aä")], BackWide("AÄ")),
        ("_wcslwr", &[W("AÄ")], BackWide("aä")),
    ]);
}

/// The secure forms tell what is wrong, and leave an empty string.
#[test]
fn copying_with_a_limit() {
    check(&[
        ("strcpy_s", &[S("x"), N(4), S("abc")], Bytes(0, b"abc\0")),
        ("strcpy_s", &[S("x"), N(3), S("abc")], Bytes(ERANGE, b"\0")),
        ("strcpy_s", &[S("x"), N(3), N(0)], Bytes(EINVAL, b"\0")),
        ("strncpy_s", &[S("x"), N(4), S("abcd"), N(2)], Bytes(0, b"ab\0")),
        ("strcat_s", &[S("a"), N(4), S("bc")], Bytes(0, b"abc\0")),
        ("strcat_s", &[S("a"), N(3), S("bc")], Bytes(ERANGE, b"\0")),
        ("strncat_s", &[S("a"), N(4), S("bcd"), N(2)], Bytes(0, b"abc\0")),
        ("wcscpy_s", &[W("x"), N(4), W("abc")], Wide(0, "abc")),
        ("wcsncpy_s", &[W("x"), N(4), W("abcd"), N(2)], Wide(0, "ab")),
        ("wcscat_s", &[W("a"), N(3), W("bc")], Wide(ERANGE, "")),
        ("wcsncat_s", &[W("a"), N(4), W("bcd"), N(2)], Wide(0, "abc")),
    ]);
}

#[test]
fn characters() {
    let letter = |text: &str| u64::from(text.as_bytes()[0]);
    let mut probe = Probe::plain();
    for (name, yes, no) in [
        ("isalnum", "aZ5", " -"),
        ("isalpha", "aZ", "5 "),
        ("isdigit", "09", "a "),
        ("islower", "az", "A5"),
        ("isprint", "a ~", "\t\n"),
        ("isspace", " \t\n", "a0"),
        ("isupper", "AZ", "a5"),
        ("isxdigit", "09afAF", "gG"),
    ] {
        for (text, expected) in [(yes, true), (no, false)] {
            for one in text.split("").filter(|one| !one.is_empty()) {
                assert_eq!(probe.ask(name, &[letter(one)]).expect("it returns") != 0, expected, "{name} {one:?}");
            }
        }
    }
    for (name, from, to) in [
        ("tolower", 'A', 'a'),
        ("toupper", 'a', 'A'),
        ("towlower", 'Ä', 'ä'),
        ("towupper", 'ä', 'Ä'),
        ("RtlUpperChar", 'a', 'A'),
        ("RtlUpcaseUnicodeChar", 'ä', 'Ä'),
    ] {
        assert_eq!(probe.ask(name, &[u64::from(from as u32)]).expect("it returns"), u64::from(to as u32), "{name}");
        assert_eq!(probe.ask(name, &[u64::from(to as u32)]).expect("it returns"), u64::from(to as u32), "{name}");
    }
}

#[test]
fn numbers() {
    check(&[
        ("atoi", &[S("  -12x")], Is(0xFFFF_FFF4)),
        ("atol", &[S("+7")], Is(7)),
        ("_wtoi", &[W("42")], Is(42)),
        ("_itoa", &[N(-5_i64 as u64), S(""), N(10)], Place(1, 0)),
        ("mbstowcs", &[W(""), S("ab"), N(8)], Wide(2, "ab")),
        ("wcstombs", &[S(""), W("ab"), N(8)], Bytes(2, b"ab\0")),
    ]);
    let mut probe = Probe::plain();
    probe.ask("srand", &[7]).expect("it returns");
    let first: Vec<u64> = (0..3).map(|_| probe.ask("rand", &[]).expect("it returns")).collect();
    probe.ask("srand", &[7]).expect("it returns");
    let again: Vec<u64> = (0..3).map(|_| probe.ask("rand", &[]).expect("it returns")).collect();
    assert_eq!(first, again);
    assert!(first.iter().all(|number| *number <= 0x7FFF) && first[0] != first[1]);
    for name in ["RtlRandom", "RtlRandomEx"] {
        let seed = probe.place(0);
        probe.set_word(seed, 1);
        let one = probe.ask(name, &[seed]).expect("it returns");
        assert!(one < 0x7FFF_FFFF && probe.half(seed) != 1, "{name}");
    }
}

#[test]
fn printing() {
    check(&[
        ("sprintf", &[S(""), S("%d-%s"), N(5), S("x")], Bytes(3, b"5-x\0")),
        ("_snprintf", &[S(""), N(3), S("%d"), N(12345)], Bytes(FAILED, b"123w")),
        ("sprintf_s", &[S(""), N(8), S("%x"), N(255)], Bytes(2, b"ff\0")),
        ("swprintf", &[W(""), W("%d-%s"), N(5), W("x")], Wide(3, "5-x")),
        ("_snwprintf", &[W(""), N(4), W("%04u"), N(7)], Bytes(4, b"0\x000\x000\x007\x00ww")),
        ("swprintf_s", &[W(""), N(8), W("%c%c"), N(65), N(66)], Wide(2, "AB")),
    ]);
    let mut probe = Probe::plain();
    let [buffer, format, list] = [0, 1, 2].map(|index| probe.place(index));
    probe.set_word(list, 7);
    probe.set_word(list + 8, 8);
    for (name, is_wide, room) in [
        ("vsprintf", false, None),
        ("_vsnprintf", false, Some(8)),
        ("vsprintf_s", false, Some(8)),
        ("_vswprintf", true, None),
        ("_vsnwprintf", true, Some(8)),
        ("vswprintf_s", true, Some(8)),
    ] {
        let bytes = |text: &str| if is_wide { wide(text) } else { [text.as_bytes(), b"\0"].concat() };
        probe.set_bytes(format, &bytes("%d %d"));
        let mut arguments = vec![buffer];
        arguments.extend(room);
        arguments.extend([format, list]);
        assert_eq!(probe.ask(name, &arguments).expect("it returns"), 3, "{name}");
        let expected = bytes("7 8");
        assert_eq!(probe.bytes(buffer, expected.len() as u64), expected, "{name}");
    }
    probe.set_bytes(format, b"%u\n\0");
    for (name, arguments) in [("DbgPrint", vec![format, 9]), ("DbgPrintEx", vec![1, 2, format, 9])] {
        assert_eq!(probe.ask(name, &arguments).expect("it returns"), 0);
        let printed = probe.machine.events.iter().rev().find_map(|event| match &event.kind {
            kernel::EventKind::Printed { text } => Some(text.clone()),
            _ => None,
        });
        assert_eq!(printed.as_deref(), Some("9\n"), "{name}");
    }
}

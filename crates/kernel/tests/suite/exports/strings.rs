//! Strings, names, images and times of the run-time library.

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// An ANSI_STRING at a place, its buffer in pool.
fn ansi(probe: &mut Probe, place: u64, text: &str, maximum: u64) -> u64 {
    let buffer = probe.ask("ExAllocatePoolWithTag", &[0, maximum.max(1), 1]).expect("there is memory");
    probe.set_bytes(buffer, text.as_bytes());
    probe.set_word(place, text.len() as u64 | maximum << 16);
    probe.set_word(place + 8, buffer);
    place
}

/// ddi: RtlEqualString, RtlCompareString, RtlPrefixString, RtlCopyString, RtlUpperString.
#[test]
fn counted_strings_of_bytes() {
    let mut probe = Probe::plain();
    let [small, large, other] = [0, 1, 2].map(|index| probe.place(index));
    let small = ansi(&mut probe, small, "abc", 8);
    let large = ansi(&mut probe, large, "ABCdef", 4 + 4);
    check_flag!(probe, "RtlEqualString", [small, small, 0] => true);
    check_flag!(probe, "RtlEqualString", [small, large, 1] => false);
    check_flag!(probe, "RtlPrefixString", [small, large, 0] => false);
    check_flag!(probe, "RtlPrefixString", [small, large, 1] => true);
    for (fold, expected) in [(0, 32), (1, -3)] {
        assert_eq!(probe.ask("RtlCompareString", &[small, large, fold]).expect("it compares") as i32, expected);
    }
    let other = ansi(&mut probe, other, "", 2);
    for (name, expected) in [("RtlCopyString", b"ab"), ("RtlUpperString", b"AB")] {
        probe.ask(name, &[other, small]).expect("it copies");
        let buffer = probe.word(other + 8);
        assert_eq!((probe.bytes(buffer, 2), probe.half(other) & 0xFFFF), (expected.to_vec(), 2), "{name}");
    }
    probe.ask("RtlCopyString", &[other, 0]).expect("it copies nothing");
    assert_eq!(probe.half(other) & 0xFFFF, 0);
}

/// ddi: RtlPrefixUnicodeString, RtlHashUnicodeString, FsRtlIsNameInExpression, FsRtlDoesNameContainWildCards.
#[test]
fn wide_names() {
    let mut probe = Probe::plain();
    let prefix = probe.unicode(probe.place(0), "\\device\\");
    let name = probe.unicode(probe.place(1), "\\Device\\Serial0");
    check_flag!(probe, "RtlPrefixUnicodeString", [prefix, name, 1] => true);
    check_flag!(probe, "RtlPrefixUnicodeString", [prefix, name, 0] => false);
    let expression = probe.unicode(probe.place(2), "\\DEVICE\\SER*");
    check_flag!(probe, "FsRtlIsNameInExpression", [expression, name, 1, 0] => true);
    check_flag!(probe, "FsRtlIsNameInExpression", [expression, prefix, 1, 0] => false);
    check_flag!(probe, "FsRtlDoesNameContainWildCards", [expression] => true);
    check_flag!(probe, "FsRtlDoesNameContainWildCards", [name] => false);
    let (text, hash) = (probe.unicode(probe.place(3), "ab"), probe.place(4));
    check_status!(probe, "RtlHashUnicodeString", [text, 0, 0, hash] => SUCCESS);
    assert_eq!(probe.half(hash), 97 * 65_599 + 98);
    check_status!(probe, "RtlHashUnicodeString", [text, 1, 9, hash] => INVALID_PARAMETER);
}

/// ddi: RtlUTF8ToUnicodeN, RtlUnicodeToUTF8N.
#[test]
fn utf8_both_ways() {
    let mut probe = Probe::plain();
    let [source, target, written] = [0, 1, 2].map(|index| probe.place(index));
    probe.set_bytes(source, "aé€😀".as_bytes());
    check_status!(probe, "RtlUTF8ToUnicodeN", [target, 64, written, source, 10] => SUCCESS);
    assert_eq!(
        (probe.half(written), probe.bytes(target, 10)),
        (10, vec![0x61, 0, 0xE9, 0, 0xAC, 0x20, 0x3D, 0xD8, 0, 0xDE])
    );
    check_status!(probe, "RtlUTF8ToUnicodeN", [0, 0, written, source, 10] => SUCCESS);
    assert_eq!(probe.half(written), 10);
    check_status!(probe, "RtlUTF8ToUnicodeN", [target, 7, written, source, 10] => BUFFER_TOO_SMALL);
    assert_eq!(probe.half(written), 6);
    check_status!(probe, "RtlUnicodeToUTF8N", [source + 0x40, 64, written, target, 6] => SUCCESS);
    assert_eq!((probe.half(written), probe.bytes(source + 0x40, 6)), (6, "aé€".as_bytes().to_vec()));
    probe.set_bytes(source, &[0xFF, b'a']);
    check_status!(probe, "RtlUTF8ToUnicodeN", [target, 64, written, source, 2] => SOME_NOT_MAPPED);
    assert_eq!(probe.bytes(target, 4), [0xFD, 0xFF, 0x61, 0]);
}

/// docs: C runtime library, memcpy_s and memmove_s.
#[test]
fn copies_with_a_limit() {
    let mut probe = Probe::plain();
    let [source, target] = [0, 1].map(|index| probe.place(index));
    probe.set_bytes(source, b"1234");
    for (name, cleared) in [("memcpy_s", true), ("memmove_s", false)] {
        probe.set_bytes(target, b"xxxx");
        assert_eq!(probe.ask(name, &[target, 4, source, 3]).expect("it copies"), 0);
        assert_eq!(probe.bytes(target, 4), b"123x");
        assert_eq!(probe.ask(name, &[target, 2, source, 3]).expect("it does not fit"), 34);
        assert_eq!(probe.bytes(target, 2), if cleared { [0, 0] } else { *b"12" });
        assert_eq!(probe.ask(name, &[target, 2, 0, 1]).expect("there is no source"), 22);
        assert_eq!(probe.ask(name, &[0, 2, source, 1]).expect("there is no destination"), 22);
        assert_eq!(probe.ask(name, &[0, 0, 0, 0]).expect("nothing to do"), 0);
    }
}

/// ddi: RtlTimeToSecondsSince1980, RtlSecondsSince1970ToTime.
#[test]
fn seconds_of_the_century() {
    let mut probe = Probe::plain();
    let [time, seconds] = [0, 1].map(|index| probe.place(index));
    // 2024-01-01.
    let known = 133_485_408_000_000_000;
    for (since, to, from) in [
        (1_704_067_200, "RtlTimeToSecondsSince1970", "RtlSecondsSince1970ToTime"),
        (1_388_534_400, "RtlTimeToSecondsSince1980", "RtlSecondsSince1980ToTime"),
    ] {
        probe.set_word(time, known);
        assert_eq!(probe.ask(to, &[time, seconds]).expect("it fits") as u8, 1);
        assert_eq!(probe.half(seconds), since);
        probe.set_word(time, 0);
        probe.ask(from, &[since.into(), time]).expect("it is a time");
        assert_eq!(probe.word(time), known);
        probe.set_word(time, 0);
        assert_eq!(probe.ask(to, &[time, seconds]).expect("it does not fit") as u8, 0);
    }
}

/// ddi: RtlImageDirectoryEntryToData, RtlImageNtHeader, on the image of the kernel.
#[test]
fn parts_of_an_image() {
    let mut probe = Probe::plain();
    let (base, size) = (probe.machine.kernel_images().images[0].base.0, probe.place(0));
    let headers = probe.ask("RtlImageNtHeader", &[base]).expect("it is an image");
    assert_eq!(probe.half(headers), 0x4550);
    let exports = probe.ask("RtlImageDirectoryEntryToData", &[base, 1, 0, size]).expect("it is an image");
    assert_eq!(u64::from(probe.half(headers + 0x88)), exports - base);
    assert_eq!(probe.half(headers + 0x8C), probe.half(size));
    check!(probe, "RtlImageDirectoryEntryToData", [base, 1, 2, size] => 0);
    check!(probe, "RtlImageDirectoryEntryToData", [base, 1, 200, size] => 0);
    let other = probe.place(1);
    check!(probe, "RtlImageNtHeader", [other] => 0);
    assert!(probe.refused("RtlImageDirectoryEntryToData", &[base, 0, 0, size]).contains("FALSE"));
}

/// ddi: vDbgPrintEx, vDbgPrintExWithPrefix.
#[test]
fn printing_with_a_list_of_arguments() {
    let mut probe = Probe::plain();
    let [format, list, prefix] = [0, 1, 2].map(|index| probe.place(index));
    probe.set_bytes(format, b"%d!\0");
    probe.set_word(list, 7);
    probe.set_bytes(prefix, b"it: \0");
    check_status!(probe, "vDbgPrintEx", [0, 0, format, list] => SUCCESS);
    check_status!(probe, "vDbgPrintExWithPrefix", [prefix, 0, 0, format, list] => SUCCESS);
    let printed: Vec<String> = probe
        .machine
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            kernel::EventKind::Printed { text } => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(printed, ["7!", "it: 7!"]);
    check!(probe, "DbgQueryDebugFilterState", [0, 0] => 1);
    check_status!(probe, "DbgSetDebugFilterState", [0, 0, 1] => SUCCESS);
    assert!(probe.refused("DbgSetDebugFilterState", &[0, 0, 0]).contains("FALSE"));
}

//! Strings with a count, conversions, numbers, GUIDs, bitmaps, calendar time.

use super::{check, check_flag, check_status};
use crate::probe::Probe;

/// A UNICODE_STRING with room for 16 units at a place.
fn empty(probe: &mut Probe, index: u64) -> u64 {
    let place = probe.place(index);
    let buffer = probe.ask("ExAllocatePoolWithTag", &[0, 32, 1]).expect("there is memory");
    probe.set_bytes(buffer, &[0x77; 32]);
    probe.set_word(place, 32 << 16);
    probe.set_word(place + 8, buffer);
    place
}

fn narrow(probe: &mut Probe, place: u64) -> Vec<u8> {
    let (length, buffer) = (probe.half(place) & 0xFFFF, probe.word(place + 8));
    probe.bytes(buffer, length.into())
}

/// ddi: RtlInitUnicodeString, RtlInitAnsiString, RtlCopyUnicodeString, RtlAppendUnicodeToString.
#[test]
fn strings_are_made_and_appended_to() {
    let mut probe = Probe::plain();
    let [string, text, other] = [0, 1, 3].map(|index| probe.place(index));
    probe.set_bytes(text, b"abc\0");
    for name in ["RtlInitAnsiString", "RtlInitString"] {
        probe.ask(name, &[string, text]).expect("it returns");
        assert_eq!((probe.half(string), probe.word(string + 8)), (3 | 4 << 16, text), "{name}");
        probe.ask(name, &[string, 0]).expect("it returns");
        assert_eq!((probe.half(string), probe.word(string + 8)), (0, 0));
    }
    probe.set_bytes(text, &[b'a', 0, b'b', 0, 0, 0]);
    probe.ask("RtlInitUnicodeString", &[string, text]).expect("it returns");
    assert_eq!((probe.half(string), probe.text_at(string)), (4 | 6 << 16, "ab".to_owned()));
    let target = empty(&mut probe, 2);
    probe.ask("RtlCopyUnicodeString", &[target, string]).expect("it returns");
    check_status!(probe, "RtlAppendUnicodeToString", [target, text] => SUCCESS);
    check_status!(probe, "RtlAppendUnicodeStringToString", [target, string] => SUCCESS);
    assert_eq!(probe.text_at(target), "ababab");
    let long = probe.unicode(other, "0123456789abcdef");
    check_status!(probe, "RtlAppendUnicodeStringToString", [target, long] => BUFFER_TOO_SMALL);
    check_flag!(probe, "RtlCreateUnicodeString", [other, text] => true);
    assert_eq!(probe.text_at(other), "ab");
    probe.ask("RtlFreeUnicodeString", &[other]).expect("it is from pool");
    assert_eq!((probe.word(other), probe.word(other + 8)), (0, 0));
}

/// ddi: RtlCompareUnicodeString, RtlEqualUnicodeString, RtlUpcaseUnicodeString, RtlDowncaseUnicodeString.
#[test]
fn strings_are_compared_with_and_without_case() {
    let mut probe = Probe::plain();
    let (first, second) = (probe.unicode(probe.place(0), "Äb"), probe.unicode(probe.place(1), "äB"));
    check_flag!(probe, "RtlEqualUnicodeString", [first, second, 1] => true);
    check_flag!(probe, "RtlEqualUnicodeString", [first, second, 0] => false);
    check!(probe, "RtlCompareUnicodeString", [first, second, 1] => 0);
    assert!((probe.ask("RtlCompareUnicodeString", &[first, second, 0]).expect("it returns") as i32) < 0);
    let target = empty(&mut probe, 2);
    for (name, expected) in [("RtlUpcaseUnicodeString", "ÄB"), ("RtlDowncaseUnicodeString", "äb")] {
        assert_eq!(probe.ask(name, &[target, first, 0]).expect("it returns"), 0);
        assert_eq!(probe.text_at(target), expected, "{name}");
    }
}

/// ddi: RtlUnicodeStringToAnsiString, RtlAnsiStringToUnicodeString, RtlMultiByteToUnicodeN and their sizes.
#[test]
fn strings_are_converted() {
    let mut probe = Probe::plain();
    let [ansi, wide, at, written] = [0, 1, 2, 3].map(|index| probe.place(index));
    let source = probe.unicode(probe.place(4), "abc");
    check!(probe, "RtlxUnicodeStringToAnsiSize", [source] => 4);
    check_status!(probe, "RtlUnicodeStringToAnsiString", [ansi, source, 1] => SUCCESS);
    assert_eq!(narrow(&mut probe, ansi), b"abc");
    check!(probe, "RtlxAnsiStringToUnicodeSize", [ansi] => 8);
    check_status!(probe, "RtlAnsiStringToUnicodeString", [wide, ansi, 1] => SUCCESS);
    assert_eq!(probe.text_at(wide), "abc");
    let bytes = probe.word(ansi + 8);
    probe.set_word(at, bytes + 1);
    check!(probe, "RtlAnsiCharToUnicodeChar", [at] => u64::from(b'b'));
    assert_eq!(probe.word(at), bytes + 2);
    let target = probe.place(5);
    check_status!(probe, "RtlMultiByteToUnicodeN", [target, 4, written, bytes, 3] => SUCCESS);
    assert_eq!((probe.half(written), probe.bytes(target, 4)), (4, vec![b'a', 0, b'b', 0]));
    check_status!(probe, "RtlUnicodeToMultiByteN", [written + 8, 8, written, target, 4] => SUCCESS);
    assert_eq!((probe.half(written), probe.bytes(written + 8, 2)), (2, b"ab".to_vec()));
    probe.ask("RtlFreeAnsiString", &[ansi]).expect("it is from pool");
    probe.ask("RtlFreeUnicodeString", &[wide]).expect("it is from pool");
}

/// ddi: RtlIntegerToUnicodeString, RtlUnicodeStringToInteger, RtlCharToInteger.
#[test]
fn numbers_are_text() {
    let mut probe = Probe::plain();
    let (target, value, text) = (empty(&mut probe, 0), probe.place(1), probe.place(2));
    check_status!(probe, "RtlIntegerToUnicodeString", [255, 16, target] => SUCCESS);
    assert_eq!(probe.text_at(target), "FF");
    check_status!(probe, "RtlInt64ToUnicodeString", [1 << 33, 0, target] => SUCCESS);
    assert_eq!(probe.text_at(target), "8589934592");
    check_status!(probe, "RtlIntegerToUnicodeString", [1, 3, target] => INVALID_PARAMETER);
    let number = probe.unicode(probe.place(3), "0x1F");
    check_status!(probe, "RtlUnicodeStringToInteger", [number, 0, value] => SUCCESS);
    assert_eq!(probe.half(value), 31);
    probe.set_bytes(text, b" -12\0");
    check_status!(probe, "RtlCharToInteger", [text, 10, value] => SUCCESS);
    assert_eq!(probe.half(value) as i32, -12);
}

/// ddi: RtlGUIDFromString, RtlStringFromGUID, ExUuidCreate.
#[test]
fn guids_are_text() {
    let mut probe = Probe::plain();
    let text = probe.unicode(probe.place(0), "{4D36E978-E325-11CE-BFC1-08002BE10318}");
    let (guid, back) = (probe.place(1), probe.place(2));
    check_status!(probe, "RtlGUIDFromString", [text, guid] => SUCCESS);
    assert_eq!(probe.word(guid), 0x11CE_E325_4D36_E978);
    check_status!(probe, "RtlStringFromGUID", [guid, back] => SUCCESS);
    assert_eq!(probe.text_at(back), "{4D36E978-E325-11CE-BFC1-08002BE10318}");
    let bad = probe.unicode(probe.place(3), "4D36E978");
    check_status!(probe, "RtlGUIDFromString", [bad, guid] => INVALID_PARAMETER);
    check_status!(probe, "ExUuidCreate", [guid] => SUCCESS);
    let first = probe.word(guid);
    check_status!(probe, "ExUuidCreate", [guid] => SUCCESS);
    assert_ne!(first, probe.word(guid));
    assert_eq!(probe.bytes(guid + 7, 1)[0] & 0xF0, 0x40, "version 4");
}

/// ddi: RtlInitializeBitMap and what follows it.
#[test]
fn bitmaps() {
    let mut probe = Probe::plain();
    let (map, buffer) = (probe.place(0), probe.place(1));
    probe.set_word(buffer, 0);
    probe.ask("RtlInitializeBitMap", &[map, buffer, 20]).expect("it returns");
    probe.ask("RtlSetBits", &[map, 3, 4]).expect("it returns");
    probe.ask("RtlSetBit", &[map, 10]).expect("it returns");
    assert_eq!(probe.word(buffer), 0x478);
    check!(probe, "RtlNumberOfSetBits", [map] => 5);
    check!(probe, "RtlNumberOfClearBits", [map] => 15);
    check_flag!(probe, "RtlTestBit", [map, 10] => true);
    check_flag!(probe, "RtlAreBitsSet", [map, 3, 4] => true);
    check_flag!(probe, "RtlAreBitsSet", [map, 3, 5] => false);
    check_flag!(probe, "RtlAreBitsClear", [map, 0, 3] => true);
    check!(probe, "RtlFindSetBits", [map, 2, 0] => 3);
    check!(probe, "RtlFindClearBits", [map, 4, 5] => 11);
    check!(probe, "RtlFindClearBits", [map, 10, 0] => 0xFFFF_FFFF);
    check!(probe, "RtlFindClearBitsAndSet", [map, 3, 0] => 0);
    assert_eq!(probe.word(buffer), 0x47F);
    probe.ask("RtlClearBit", &[map, 10]).expect("it returns");
    probe.ask("RtlClearBits", &[map, 0, 2]).expect("it returns");
    assert_eq!(probe.word(buffer), 0x7C);
    probe.ask("RtlSetAllBits", &[map]).expect("it returns");
    assert_eq!(probe.word(buffer), 0xF_FFFF);
    probe.ask("RtlClearAllBits", &[map]).expect("it returns");
    assert_eq!(probe.word(buffer), 0);
    for (set, least, most) in [(0x50, 4, 6), (1 << 63, 63, 63)] {
        check!(probe, "RtlFindLeastSignificantBit", [set] => least);
        check!(probe, "RtlFindMostSignificantBit", [set] => most);
    }
    assert_eq!(probe.ask("RtlFindLeastSignificantBit", &[0]).expect("it returns") as i8, -1);
}

/// ddi: RtlTimeToTimeFields, RtlTimeFieldsToTime, ExSystemTimeToLocalTime.
#[test]
fn calendar_time() {
    let mut probe = Probe::plain();
    let [time, fields, back] = [0, 1, 2].map(|index| probe.place(index));
    // 2024-01-01, a Monday, and 90 minutes.
    let known = 133_485_408_000_000_000 + 54_000_000_000;
    probe.set_word(time, known);
    probe.ask("RtlTimeToTimeFields", &[time, fields]).expect("it returns");
    let values: Vec<u16> =
        probe.bytes(fields, 16).chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    assert_eq!(values, [2024, 1, 1, 1, 30, 0, 0, 1]);
    check_flag!(probe, "RtlTimeFieldsToTime", [fields, back] => true);
    assert_eq!(probe.word(back), known);
    for name in ["ExSystemTimeToLocalTime", "ExLocalTimeToSystemTime"] {
        probe.set_word(back, 0);
        probe.ask(name, &[time, back]).expect("it returns");
        assert_eq!(probe.word(back), known, "{name}: the machine lives in UTC");
    }
    probe.set_bytes(fields + 2, &[13, 0]);
    check_flag!(probe, "RtlTimeFieldsToTime", [fields, back] => false);
}

/// ddi: RtlGetVersion, RtlVerifyVersionInfo, PsGetVersion.
#[test]
fn the_version_of_the_system() {
    let mut probe = Probe::plain();
    let [info, slot] = [0, 8].map(|index| probe.place(index));
    probe.machine.write_u32(nt_types::Va(info), 276).expect("it can be written");
    check_status!(probe, "RtlGetVersion", [info] => SUCCESS);
    assert_eq!([4, 8, 12, 16].map(|offset| probe.half(info + offset)), [10, 0, 19_041, 2]);
    let mask = probe.ask("VerSetConditionMask", &[0, 2, 3]).expect("it returns");
    probe.machine.write_u32(nt_types::Va(info), 284).expect("it can be written");
    check_status!(probe, "RtlVerifyVersionInfo", [info, 2, mask] => SUCCESS);
    probe.machine.write_u32(nt_types::Va(info + 4), 11).expect("it can be written");
    check_status!(probe, "RtlVerifyVersionInfo", [info, 2, mask] => REVISION_MISMATCH);
    check_flag!(probe, "IoIsWdmVersionAvailable", [1, 0x20] => true);
    check_flag!(probe, "IoIsWdmVersionAvailable", [9, 0] => false);
    check_flag!(probe, "RtlIsNtDdiVersionAvailable", [0x0601_0000] => true);
    check_flag!(probe, "RtlIsNtDdiVersionAvailable", [0x0B00_0000] => false);
    probe.ask("RtlIsServicePackVersionInstalled", &[0x0A00_0000]).expect("it returns");
    check!(probe, "PsGetVersion", [slot, slot + 8, slot + 16, 0] => 0);
    assert_eq!([0, 8, 16].map(|offset| probe.half(slot + offset)), [10, 0, 19_041]);
}

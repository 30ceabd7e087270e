//! The registry by handle and by path; security descriptors.

use nt_types::Va;
use nt_types::constants as c;
use nt_types::layout::rtl_query_registry_table as table;

use super::{check, check_flag, check_status};
use crate::probe::Probe;

const PARTIAL: u64 = c::KEY_VALUE_PARTIAL_INFORMATION as u64;
const BASIC: u64 = c::KEY_BASIC_INFORMATION as u64;

/// ddi: ZwCreateKey, ZwSetValueKey, ZwEnumerateKey, ZwDeleteKey and their kin.
#[test]
fn keys_and_values_by_handle() {
    let mut probe = Probe::plain();
    let [slot, done, buffer, result] = [0, 1, 2, 3].map(|index| probe.place(index));
    let attributes = probe.attributes(probe.place(4), "\\Registry\\Machine\\Software\\Own", 0);
    check_status!(probe, "ZwOpenKeyEx", [slot, 0, attributes, 0] => OBJECT_NAME_NOT_FOUND);
    for disposition in [c::REG_CREATED_NEW_KEY, c::REG_OPENED_EXISTING_KEY] {
        check_status!(probe, "ZwCreateKey", [slot, 0, attributes, 0, 0, 0, done] => SUCCESS);
        assert_eq!(probe.half(done), disposition);
    }
    check_status!(probe, "ZwOpenKeyEx", [slot, 0, attributes, 0] => SUCCESS);
    let key = probe.word(slot);
    let name = probe.unicode(probe.place(6), "Value");
    probe.set_word(buffer, 7);
    check_status!(probe, "ZwSetValueKey", [key, name, 0, 4, buffer, 4] => SUCCESS);
    check_status!(probe, "ZwQueryValueKey", [key, name, PARTIAL, buffer, 0x40, result] => SUCCESS);
    assert_eq!((probe.half(buffer + 8), probe.half(buffer + 12)), (4, 7));
    check_status!(probe, "ZwEnumerateValueKey", [key, 0, PARTIAL, buffer, 0x40, result] => SUCCESS);
    check_status!(probe, "ZwEnumerateValueKey", [key, 1, PARTIAL, buffer, 0x40, result] => NO_MORE_ENTRIES);
    let full = u64::from(c::KEY_FULL_INFORMATION);
    check_status!(probe, "ZwQueryKey", [key, full, buffer, 0x40, result] => SUCCESS);
    check_status!(probe, "ZwFlushKey", [key] => SUCCESS);
    check_status!(probe, "ZwDeleteValueKey", [key, name] => SUCCESS);
    check_status!(probe, "ZwDeleteValueKey", [key, name] => OBJECT_NAME_NOT_FOUND);
    let parent = probe.attributes(probe.place(8), "\\Registry\\Machine\\Software", 0);
    check_status!(probe, "ZwOpenKey", [slot, 0, parent] => SUCCESS);
    let above = probe.word(slot);
    let names: Vec<String> = (0..8)
        .map_while(|index| {
            let status = probe.ask("ZwEnumerateKey", &[above, index, BASIC, buffer, 0x70, result]).expect("it returns");
            let length = u64::from(probe.half(buffer + 12));
            let units = probe.bytes(buffer + 16, length);
            let units: Vec<u16> = units.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            (status == 0).then(|| String::from_utf16_lossy(&units))
        })
        .collect();
    assert!(names.contains(&"Own".to_owned()), "{names:?}");
    check_status!(probe, "ZwDeleteKey", [key] => SUCCESS);
    check_status!(probe, "ZwQueryKey", [key, full, buffer, 0x40, result] => KEY_DELETED);
}

/// ddi: RtlWriteRegistryValue, RtlQueryRegistryValues and their kin.
#[test]
fn values_by_path() {
    let mut probe = Probe::plain();
    let [path, name, data] = [0, 1, 2].map(|index| probe.place(index));
    let wide = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    probe.set_bytes(path, &wide("Own\\Sub"));
    probe.set_bytes(name, &wide("V"));
    let services = u64::from(c::RTL_REGISTRY_SERVICES);
    check_status!(probe, "RtlCheckRegistryKey", [services, path] => OBJECT_NAME_NOT_FOUND);
    check_status!(probe, "RtlCreateRegistryKey", [services, path] => SUCCESS);
    check_status!(probe, "RtlCheckRegistryKey", [services, path] => SUCCESS);
    probe.set_word(data, 0x1234);
    check_status!(probe, "RtlWriteRegistryValue", [services, path, name, 4, data, 4] => SUCCESS);
    let entries = probe.place(4);
    for query in ["RtlQueryRegistryValues", "RtlQueryRegistryValuesEx"] {
        for offset in (0..2 * table::SIZEOF).step_by(8) {
            probe.set_word(entries + offset, 0);
        }
        let direct = c::RTL_QUERY_REGISTRY_DIRECT | c::RTL_QUERY_REGISTRY_REQUIRED;
        let flags = direct | c::RTL_QUERY_REGISTRY_TYPECHECK;
        let kind = c::REG_DWORD << c::RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
        probe.machine.write_u32(table::FLAGS.at(Va(entries)), flags).expect("it can be written");
        probe.machine.write_u32(table::DEFAULT_TYPE.at(Va(entries)), kind).expect("it can be written");
        probe.set_word(table::NAME.at(Va(entries)).0, name);
        probe.set_word(table::ENTRY_CONTEXT.at(Va(entries)).0, data + 8);
        probe.set_word(data + 8, 0);
        assert_eq!(probe.ask(query, &[services, path, entries, 0, 0]).expect("it returns"), 0, "{query}");
        assert_eq!(probe.half(data + 8), 0x1234, "{query}");
    }
    check_status!(probe, "RtlDeleteRegistryValue", [services, path, name] => SUCCESS);
    check_status!(probe, "RtlDeleteRegistryValue", [services, path, name] => OBJECT_NAME_NOT_FOUND);
    assert_eq!(
        probe.ask("RtlQueryRegistryValues", &[services, path, entries, 0, 0]).expect("it returns") as u32,
        nt_types::NtStatus::OBJECT_NAME_NOT_FOUND.0
    );
}

/// ddi: RtlInitializeSid and its kin.
#[test]
fn security_identifiers() {
    let mut probe = Probe::plain();
    let [sid, other, authority] = [0, 1, 2].map(|index| probe.place(index));
    check!(probe, "RtlLengthRequiredSid", [2] => 16);
    probe.set_bytes(authority, &[0, 0, 0, 0, 0, 5]);
    check_status!(probe, "RtlInitializeSid", [sid, authority, 2] => SUCCESS);
    for (index, value) in [(0, 32), (1, 544)] {
        let at = probe.ask("RtlSubAuthoritySid", &[sid, index]).expect("it returns");
        probe.machine.write_u32(Va(at), value).expect("it can be written");
    }
    let count = probe.ask("RtlSubAuthorityCountSid", &[sid]).expect("it returns");
    assert_eq!(probe.bytes(count, 1), [2]);
    check!(probe, "RtlLengthSid", [sid] => 16);
    check_flag!(probe, "RtlValidSid", [sid] => true);
    check_status!(probe, "RtlCopySid", [16, other, sid] => SUCCESS);
    check_status!(probe, "RtlCopySid", [15, other, sid] => BUFFER_TOO_SMALL);
    check_flag!(probe, "RtlEqualSid", [sid, other] => true);
    probe.set_bytes(other, &[2]);
    check_flag!(probe, "RtlValidSid", [other] => false);
}

/// ddi: RtlCreateSecurityDescriptor, RtlCreateAcl, RtlAbsoluteToSelfRelativeSD and their kin.
#[test]
fn security_descriptors() {
    let mut probe = Probe::plain();
    let [sid, list, descriptor, relative, slot, flag] = [0, 1, 2, 3, 6, 7].map(|index| probe.place(index));
    probe.set_bytes(sid, &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
    check_status!(probe, "RtlCreateAcl", [list, 4, 2] => BUFFER_TOO_SMALL);
    check_status!(probe, "RtlCreateAcl", [list, 0x40, 2] => SUCCESS);
    check_status!(probe, "RtlAddAccessAllowedAce", [list, 2, 0x1F, sid] => SUCCESS);
    check_status!(probe, "RtlAddAccessAllowedAceEx", [list, 2, 3, 0x1F, sid] => SUCCESS);
    assert_eq!(probe.half(list + 4) & 0xFFFF, 2, "two entries");
    check_status!(probe, "RtlCreateSecurityDescriptor", [descriptor, 2] => UNKNOWN_REVISION);
    check_status!(probe, "RtlCreateSecurityDescriptor", [descriptor, 1] => SUCCESS);
    check_status!(probe, "RtlSetDaclSecurityDescriptor", [descriptor, 1, list, 0] => SUCCESS);
    check_status!(probe, "RtlSetOwnerSecurityDescriptor", [descriptor, sid, 0] => SUCCESS);
    check_status!(probe, "RtlSetGroupSecurityDescriptor", [descriptor, sid, 0] => SUCCESS);
    check_flag!(probe, "RtlValidSecurityDescriptor", [descriptor] => true);
    let length = probe.ask("RtlLengthSecurityDescriptor", &[descriptor]).expect("it returns");
    probe.set_word(slot, 8);
    check_status!(probe, "RtlAbsoluteToSelfRelativeSD", [descriptor, relative, slot] => BUFFER_TOO_SMALL);
    assert!(u64::from(probe.half(slot)) <= length);
    check_status!(probe, "RtlAbsoluteToSelfRelativeSD", [descriptor, relative, slot] => SUCCESS);
    for form in [descriptor, relative] {
        check_status!(probe, "RtlGetDaclSecurityDescriptor", [form, flag, slot, flag + 8] => SUCCESS);
        let found = probe.word(slot);
        assert_eq!((probe.bytes(flag, 1), probe.half(found + 4) & 0xFFFF), (vec![1], 2));
        for name in ["RtlGetOwnerSecurityDescriptor", "RtlGetGroupSecurityDescriptor"] {
            assert_eq!(probe.ask(name, &[form, slot, flag]).expect("it returns"), 0, "{name}");
            let found = probe.word(slot);
            check_flag!(probe, "RtlEqualSid", [found, sid] => true);
        }
        check_status!(probe, "RtlGetSaclSecurityDescriptor", [form, flag, slot, flag + 8] => SUCCESS);
        assert_eq!(probe.bytes(flag, 1), [0], "there is none");
    }
    check_status!(probe, "SeCaptureSecurityDescriptor", [descriptor, 0, 1, 1, slot] => SUCCESS);
    let captured = probe.word(slot);
    check_flag!(probe, "RtlValidSecurityDescriptor", [captured] => true);
    check_status!(probe, "SeReleaseSecurityDescriptor", [captured, 0, 1] => SUCCESS);
}

/// ddi: SeCaptureSubjectContext, SeSinglePrivilegeCheck, ZwSetSecurityObject: the local system may do everything.
#[test]
fn the_local_system_may_do_everything() {
    let mut probe = Probe::plain();
    let (context, descriptor, slot) = (probe.place(0), probe.place(1), probe.place(2));
    for name in ["SeCaptureSubjectContext", "SeLockSubjectContext", "SeUnlockSubjectContext", "SeReleaseSubjectContext"]
    {
        probe.ask(name, &[context]).expect("it returns");
    }
    check_flag!(probe, "SeSinglePrivilegeCheck", [7, 0] => true);
    check_flag!(probe, "SeTokenIsAdmin", [context] => true);
    check_status!(probe, "ZwCreateEvent", [slot, 0, 0, 0, 0] => SUCCESS);
    let handle = probe.word(slot);
    check_status!(probe, "RtlCreateSecurityDescriptor", [descriptor, 1] => SUCCESS);
    for name in ["ZwSetSecurityObject", "NtSetSecurityObject"] {
        assert_eq!(probe.ask(name, &[handle, 4, descriptor]).expect("it returns"), 0, "{name}");
        assert_eq!(probe.ask(name, &[0x7770, 4, descriptor]).expect("it returns") as u32, 0xC000_0008, "{name}");
    }
}

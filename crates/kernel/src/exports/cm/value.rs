//! Registry values (ddi: ZwQueryValueKey, ZwSetValueKey, ZwEnumerateValueKey, ZwDeleteValueKey).

use nt_types::{NtStatus, Va, constants as c};

use super::query::{Information, store};
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;
use crate::registry::Value;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ZwDeleteValueKey(handle: u64, name: Va), PASSIVE),
    export!(Ntoskrnl, ZwEnumerateValueKey(handle: u64, index: u32, kind: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwQueryValueKey(handle: u64, name: Va, kind: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwSetValueKey(handle: u64, name: Va, index: u32, kind: u32, data: Va, size: u32), PASSIVE),
];

fn ZwQueryValueKey(
    m: &mut Machine,
    handle: u64,
    name: Va,
    kind: u32,
    information: Va,
    length: u32,
    result: Va,
) -> Outcome {
    m.no_registry_callbacks("ZwQueryValueKey")?;
    let name = m.read_text(name)?;
    let key = match m.key_of(handle) {
        Ok(key) => key,
        Err(status) => return Ok(Next::status(status)),
    };
    let Some(value) = m.cm.registry.value(key, &name) else {
        return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND));
    };
    match described(value, kind) {
        Some(answer) => store(m, &answer, information, length, result),
        None => Err(m.refuse("ZwQueryValueKey", format!("`KeyValueInformationClass` {kind}"))),
    }
}

fn ZwEnumerateValueKey(
    m: &mut Machine,
    handle: u64,
    index: u32,
    kind: u32,
    information: Va,
    length: u32,
    result: Va,
) -> Outcome {
    m.no_registry_callbacks("ZwEnumerateValueKey")?;
    let key = match m.key_of(handle) {
        Ok(key) => key,
        Err(status) => return Ok(Next::status(status)),
    };
    let Some(value) = m.cm.registry.values(key).get(index as usize) else {
        return Ok(Next::status(NtStatus::NO_MORE_ENTRIES));
    };
    match described(value, kind) {
        Some(answer) => store(m, &answer, information, length, result),
        None => Err(m.refuse("ZwEnumerateValueKey", format!("`KeyValueInformationClass` {kind}"))),
    }
}

fn described(value: &Value, kind: u32) -> Option<Information> {
    Some(match kind {
        c::KEY_VALUE_BASIC_INFORMATION => Information::value_basic(value),
        c::KEY_VALUE_FULL_INFORMATION => Information::value_full(value, 4),
        c::KEY_VALUE_FULL_INFORMATION_ALIGN64 => Information::value_full(value, 8),
        c::KEY_VALUE_PARTIAL_INFORMATION => Information::value_partial(value),
        c::KEY_VALUE_PARTIAL_INFORMATION_ALIGN64 => Information::value_partial_align64(value),
        _ => return None,
    })
}

fn ZwSetValueKey(m: &mut Machine, handle: u64, name: Va, _index: u32, kind: u32, data: Va, size: u32) -> Outcome {
    m.no_registry_callbacks("ZwSetValueKey")?;
    let name = m.read_text(name)?;
    let data = m.read_bytes(data, size.into())?;
    Ok(Next::status(match m.key_of(handle) {
        Ok(key) if m.cm.registry.set_value(key, Value { name, kind, data }) => NtStatus::SUCCESS,
        Ok(_) => NtStatus::INSUFFICIENT_RESOURCES,
        Err(status) => status,
    }))
}

fn ZwDeleteValueKey(m: &mut Machine, handle: u64, name: Va) -> Outcome {
    m.no_registry_callbacks("ZwDeleteValueKey")?;
    let name = m.read_text(name)?;
    Ok(Next::status(match m.key_of(handle) {
        Ok(key) if m.cm.registry.delete_value(key, &name) => NtStatus::SUCCESS,
        Ok(_) => NtStatus::OBJECT_NAME_NOT_FOUND,
        Err(status) => status,
    }))
}

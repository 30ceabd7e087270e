//! Registry keys by handle (ddi: ZwOpenKey, ZwCreateKey, ZwDeleteKey, ZwEnumerateKey, ZwQueryKey).

use nt_types::{NtStatus, Va, constants as c};

use super::query::{Information, store};
use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::{Attributes, Object};
use crate::machine::Machine;
use crate::registry::KeyId;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ZwCreateKey(handle: Va, access: u32, attributes: Va, index: u32, class: Va, options: u32, disposition: Va), PASSIVE),
    export!(Ntoskrnl, ZwDeleteKey(handle: u64), PASSIVE),
    export!(Ntoskrnl, ZwEnumerateKey(handle: u64, index: u32, kind: u32, information: Va, length: u32, result: Va), PASSIVE),
    export!(Ntoskrnl, ZwFlushKey(handle: u64), PASSIVE),
    export!(Ntoskrnl, ZwOpenKey(handle: Va, access: u32, attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenKeyEx(handle: Va, access: u32, attributes: Va, options: u32), PASSIVE),
    export!(Ntoskrnl, ZwQueryKey(handle: u64, kind: u32, information: Va, length: u32, result: Va), PASSIVE),
];

fn ZwOpenKey(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.no_registry_callbacks("ZwOpenKey")?;
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    match m.key_named(&attributes) {
        Ok(key) => Ok(Next::status(m.give_handle(handle, Object::Key(key), attributes.kernel())?)),
        Err(status) => Ok(Next::status(status)),
    }
}

fn ZwOpenKeyEx(m: &mut Machine, handle: Va, access: u32, attributes: Va, _options: u32) -> Outcome {
    ZwOpenKey(m, handle, access, attributes)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ZwCreateKey(
    m: &mut Machine,
    handle: Va,
    _access: u32,
    attributes: Va,
    _index: u32,
    _class: Va,
    _options: u32,
    disposition: Va,
) -> Outcome {
    m.no_registry_callbacks("ZwCreateKey")?;
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    let known = m.key_named(&attributes);
    if !disposition.is_null() {
        let done = if known.is_ok() { c::REG_OPENED_EXISTING_KEY } else { c::REG_CREATED_NEW_KEY };
        m.write_u32(disposition, done)?;
    }
    let key = match known {
        Err(NtStatus::OBJECT_NAME_NOT_FOUND) => m.new_key(&attributes),
        other => other,
    };
    match key {
        Ok(key) => Ok(Next::status(m.give_handle(handle, Object::Key(key), attributes.kernel())?)),
        Err(status) => Ok(Next::status(status)),
    }
}

fn ZwDeleteKey(m: &mut Machine, handle: u64) -> Outcome {
    m.no_registry_callbacks("ZwDeleteKey")?;
    Ok(Next::status(match m.key_of(handle) {
        Ok(key) if m.cm.registry.delete(key) => NtStatus::SUCCESS,
        Ok(_) => NtStatus::CANNOT_DELETE,
        Err(status) => status,
    }))
}

fn ZwFlushKey(m: &mut Machine, handle: u64) -> Outcome {
    m.no_registry_callbacks("ZwFlushKey")?;
    Ok(Next::status(m.key_of(handle).err().unwrap_or(NtStatus::SUCCESS)))
}

fn ZwEnumerateKey(
    m: &mut Machine,
    handle: u64,
    index: u32,
    kind: u32,
    information: Va,
    length: u32,
    result: Va,
) -> Outcome {
    m.no_registry_callbacks("ZwEnumerateKey")?;
    let key = match m.key_of(handle) {
        Ok(key) => key,
        Err(status) => return Ok(Next::status(status)),
    };
    let child = m.cm.registry.children(key).nth(index as usize);
    match child {
        Some(child) => describe(m, "ZwEnumerateKey", child, kind, Buffer { information, length, result }),
        None => Ok(Next::status(NtStatus::NO_MORE_ENTRIES)),
    }
}

fn ZwQueryKey(m: &mut Machine, handle: u64, kind: u32, information: Va, length: u32, result: Va) -> Outcome {
    m.no_registry_callbacks("ZwQueryKey")?;
    match m.key_of(handle) {
        Ok(key) => describe(m, "ZwQueryKey", key, kind, Buffer { information, length, result }),
        Err(status) => Ok(Next::status(status)),
    }
}

/// Where information about a key goes.
#[derive(Clone, Copy)]
struct Buffer {
    information: Va,
    length: u32,
    result: Va,
}

fn describe(m: &mut Machine, routine: &'static str, key: KeyId, kind: u32, buffer: Buffer) -> Outcome {
    let information = match kind {
        c::KEY_BASIC_INFORMATION => Information::key_basic(&m.cm.registry, key),
        c::KEY_NODE_INFORMATION => Information::key_node(&m.cm.registry, key),
        c::KEY_FULL_INFORMATION => Information::key_full(&m.cm.registry, key),
        c::KEY_NAME_INFORMATION => Information::key_name(&m.cm.registry, key),
        _ => return Err(m.refuse(routine, format!("`KeyInformationClass` {kind}"))),
    };
    store(m, &information, buffer.information, buffer.length, buffer.result)
}

impl Machine {
    /// The key that a handle leads to.
    pub(super) fn key_of(&mut self, handle: u64) -> Result<KeyId, NtStatus> {
        match self.ob.handles.get(handle) {
            Some(Object::Key(key)) if self.cm.registry.is_deleted(*key) => Err(NtStatus::KEY_DELETED),
            Some(Object::Key(key)) => Ok(*key),
            Some(_) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
            None => Err(NtStatus::INVALID_HANDLE),
        }
    }

    /// The key that attributes name: absolute, or relative to an open key.
    fn key_named(&mut self, attributes: &Attributes) -> Result<KeyId, NtStatus> {
        let registry = &self.cm.registry;
        let found = match attributes.root {
            0 if !attributes.name.starts_with('\\') => return Err(NtStatus::OBJECT_PATH_SYNTAX_BAD),
            0 => registry.find(&attributes.name),
            root => {
                let root = self.key_of(root)?;
                self.cm.registry.find_below(root, &attributes.name)
            }
        };
        found.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
    }

    /// A new key; all keys above it must exist.
    fn new_key(&mut self, attributes: &Attributes) -> Result<KeyId, NtStatus> {
        let path = attributes.name.trim_end_matches('\\');
        let (above, name) = path.rsplit_once('\\').unwrap_or(("", path));
        let parent = match attributes.root {
            0 => self.cm.registry.find(above),
            root => {
                let root = self.key_of(root)?;
                self.cm.registry.find_below(root, above)
            }
        };
        let parent = parent.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
        self.cm.registry.create_child(parent, name).ok_or(NtStatus::INSUFFICIENT_RESOURCES)
    }

    /// The key of a driver below `Services`, as the service controller makes it before a driver loads.
    pub(crate) fn make_service_key(&mut self, path: &str, image: &str) {
        use crate::registry::Value;
        const KERNEL_DRIVER: u32 = 1;
        const DEMAND_START: u32 = 3;
        const ERROR_NORMAL: u32 = 1;
        let registry = &mut self.cm.registry;
        let Some(key) = registry.create(path) else { return };
        let standard = [
            Value::string("ImagePath", &format!("\\SystemRoot\\System32\\drivers\\{image}")),
            Value::dword("Type", KERNEL_DRIVER),
            Value::dword("Start", DEMAND_START),
            Value::dword("ErrorControl", ERROR_NORMAL),
        ];
        for value in standard {
            if registry.value(key, &value.name).is_none() {
                registry.set_value(key, value);
            }
        }
    }
}

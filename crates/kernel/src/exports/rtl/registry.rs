//! The registry by path (ddi: RtlWriteRegistryValue, RtlCheckRegistryKey, RtlCreateRegistryKey, RtlDeleteRegistryValue).

use nt_types::{NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::Object;
use crate::machine::Machine;
use crate::registry::{KeyId, Value};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlCheckRegistryKey(relative: u32, path: Va), PASSIVE),
    export!(Ntoskrnl, RtlCreateRegistryKey(relative: u32, path: Va), PASSIVE),
    export!(Ntoskrnl, RtlDeleteRegistryValue(relative: u32, path: Va, name: Va), PASSIVE),
    export!(Ntoskrnl, RtlWriteRegistryValue(relative: u32, path: Va, name: Va, kind: u32, data: Va, length: u32), PASSIVE),
];

/// What `RelativeTo` values stand for, by value.
const ROOTS: [&str; 6] = [
    "",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\",
    "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\",
    "\\Registry\\Machine\\Hardware\\DeviceMap\\",
    "\\Registry\\User\\.Default\\",
];

/// A key that a `RelativeTo` and a path name.
pub(super) enum Named {
    /// It exists.
    Key(KeyId),
    /// It does not.
    Missing(String),
    /// The parameters name none.
    Invalid(NtStatus),
}

impl Machine {
    pub(super) fn registry_key(&mut self, relative: u32, path: Va) -> Result<Named, Trap> {
        if relative & c::RTL_REGISTRY_HANDLE != 0 {
            return Ok(match self.ob.handles.get(path.0) {
                Some(Object::Key(key)) => Named::Key(*key),
                _ => Named::Invalid(NtStatus::INVALID_HANDLE),
            });
        }
        let root = relative & !(c::RTL_REGISTRY_OPTIONAL | c::RTL_REGISTRY_HANDLE);
        let Some(root) = ROOTS.get(root as usize) else { return Ok(Named::Invalid(NtStatus::INVALID_PARAMETER)) };
        let rest = if path.is_null() { String::new() } else { self.read_wide_text(path)? };
        let path = format!("{root}{}", if root.is_empty() { rest.as_str() } else { rest.trim_start_matches('\\') });
        Ok(self.cm.registry.find(&path).map_or(Named::Missing(path), Named::Key))
    }
}

fn RtlCheckRegistryKey(m: &mut Machine, relative: u32, path: Va) -> Outcome {
    Ok(Next::status(match m.registry_key(relative, path)? {
        Named::Key(_) => NtStatus::SUCCESS,
        Named::Missing(_) => NtStatus::OBJECT_NAME_NOT_FOUND,
        Named::Invalid(status) => status,
    }))
}

fn RtlCreateRegistryKey(m: &mut Machine, relative: u32, path: Va) -> Outcome {
    let named = m.registry_key(relative, path)?;
    Ok(Next::status(create(m, named).err().unwrap_or(NtStatus::SUCCESS)))
}

fn create(m: &mut Machine, named: Named) -> Result<KeyId, NtStatus> {
    match named {
        Named::Key(key) => Ok(key),
        Named::Missing(path) => m.cm.registry.create(&path).ok_or(NtStatus::OBJECT_NAME_INVALID),
        Named::Invalid(status) => Err(status),
    }
}

fn RtlWriteRegistryValue(
    m: &mut Machine,
    relative: u32,
    path: Va,
    name: Va,
    kind: u32,
    data: Va,
    length: u32,
) -> Outcome {
    let name = if name.is_null() { String::new() } else { m.read_wide_text(name)? };
    let data = m.read_bytes(data, length.into())?;
    let named = m.registry_key(relative, path)?;
    Ok(Next::status(match create(m, named) {
        Ok(key) if m.cm.registry.set_value(key, Value { name, kind, data }) => NtStatus::SUCCESS,
        Ok(_) => NtStatus::INSUFFICIENT_RESOURCES,
        Err(status) => status,
    }))
}

fn RtlDeleteRegistryValue(m: &mut Machine, relative: u32, path: Va, name: Va) -> Outcome {
    let name = m.read_wide_text(name)?;
    Ok(Next::status(match m.registry_key(relative, path)? {
        Named::Key(key) if m.cm.registry.delete_value(key, &name) => NtStatus::SUCCESS,
        Named::Key(_) | Named::Missing(_) => NtStatus::OBJECT_NAME_NOT_FOUND,
        Named::Invalid(status) => status,
    }))
}

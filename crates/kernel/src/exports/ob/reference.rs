//! References to objects (ddi: ObReferenceObjectByHandle, ObfReferenceObject, ObfDereferenceObject, ObQueryNameString).

use nt_types::layout::{driver_object, unicode_string};
use nt_types::{NtStatus, Va, constants as c};

use super::{Object, ObjectType};
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ObDereferenceObjectDeferDelete(object: Va), DISPATCH),
    export!(Ntoskrnl, ObOpenObjectByPointer(object: Va, attributes: u32, state: Va, access: u32, kind: Va, mode: u8, handle: Va), APC),
    export!(Ntoskrnl, ObQueryNameString(object: Va, information: Va, length: u32, needed: Va), APC),
    export!(Ntoskrnl, ObReferenceObjectByHandle(handle: u64, access: u32, kind: Va, mode: u8, object: Va, information: Va), PASSIVE),
    export!(Ntoskrnl, ObReferenceObjectByPointer(object: Va, access: u32, kind: Va, mode: u8), DISPATCH),
    export!(Ntoskrnl, ObfDereferenceObject(object: Va), DISPATCH),
    export!(Ntoskrnl, ObfDereferenceObjectWithTag(object: Va, tag: u32), DISPATCH),
    export!(Ntoskrnl, ObfReferenceObject(object: Va), DISPATCH),
    export!(Ntoskrnl, ObfReferenceObjectWithTag(object: Va, tag: u32), DISPATCH),
];

/// The pseudo handles of the current process and thread.
pub(crate) const CURRENT_PROCESS: u64 = u64::MAX;
pub(crate) const CURRENT_THREAD: u64 = u64::MAX - 1;

fn ObfReferenceObject(m: &mut Machine, object: Va) -> Outcome {
    m.ob.counted.reference(object);
    Ok(Next::VOID)
}

fn ObfReferenceObjectWithTag(m: &mut Machine, object: Va, _tag: u32) -> Outcome {
    ObfReferenceObject(m, object)
}

fn ObReferenceObjectByPointer(m: &mut Machine, object: Va, _access: u32, kind: Va, _mode: u8) -> Outcome {
    if !m.is_of_type(object, kind)? {
        return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH));
    }
    m.ob.counted.reference(object);
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ObfDereferenceObject(m: &mut Machine, object: Va) -> Outcome {
    m.dereference_object(object)
}

fn ObfDereferenceObjectWithTag(m: &mut Machine, object: Va, _tag: u32) -> Outcome {
    m.dereference_object(object)
}

fn ObDereferenceObjectDeferDelete(m: &mut Machine, object: Va) -> Outcome {
    m.dereference_object(object)
}

fn ObReferenceObjectByHandle(
    m: &mut Machine,
    handle: u64,
    access: u32,
    kind: Va,
    _mode: u8,
    object: Va,
    information: Va,
) -> Outcome {
    m.probe_write(object, 8)?;
    let body = match m.object_of(handle) {
        None => return Ok(Next::status(NtStatus::INVALID_HANDLE)),
        Some(Object::Body(_, body)) => body,
        Some(other) => {
            let what = format!("a handle of a {:?}, which has no body here", other.kind());
            return Err(m.refuse("ObReferenceObjectByHandle", what));
        }
    };
    if !m.is_of_type(body, kind)? {
        return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH));
    }
    if !information.is_null() {
        // OBJECT_HANDLE_INFORMATION: attributes, granted access.
        m.write_u32(information, 0)?;
        m.write_u32(information + 4, access)?;
    }
    m.write_u64(object, body.0)?;
    m.ob.counted.reference(body);
    Ok(Next::status(NtStatus::SUCCESS))
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ObOpenObjectByPointer(
    m: &mut Machine,
    object: Va,
    attributes: u32,
    _state: Va,
    _access: u32,
    kind: Va,
    _mode: u8,
    handle: Va,
) -> Outcome {
    m.probe_write(handle, 8)?;
    if !m.is_of_type(object, kind)? {
        return Ok(Next::status(NtStatus::OBJECT_TYPE_MISMATCH));
    }
    let kind = m.type_of_body(object)?.unwrap_or(ObjectType::Device);
    let status = m.give_handle(handle, Object::Body(kind, object), attributes & c::OBJ_KERNEL_HANDLE != 0)?;
    if status.is_success() {
        m.ob.counted.reference(object);
    }
    Ok(Next::status(status))
}

fn ObQueryNameString(m: &mut Machine, object: Va, information: Va, length: u32, needed: Va) -> Outcome {
    let name = m.name_of_body(object)?;
    let bytes = if name.is_empty() { 0 } else { 2 * name.encode_utf16().count() as u64 + 2 };
    let total = unicode_string::SIZEOF + bytes;
    m.write_u32(needed, total as u32)?;
    if u64::from(length) < total {
        return Ok(Next::status(NtStatus::INFO_LENGTH_MISMATCH));
    }
    match name.is_empty() {
        true => m.fill_bytes(information, 0, unicode_string::SIZEOF)?,
        false => m.write_text_with_buffer(information, information + unicode_string::SIZEOF, &name).map(|_| ())?,
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

impl Machine {
    /// What a handle leads to, pseudo handles included.
    pub(crate) fn object_of(&mut self, handle: u64) -> Option<Object> {
        match handle {
            CURRENT_PROCESS => Some(Object::Body(ObjectType::Process, self.current_process())),
            CURRENT_THREAD => Some(Object::Body(ObjectType::Thread, self.thread().object)),
            _ => self.ob.handles.get(handle).cloned(),
        }
    }

    /// The type of a body, by what is known of it or by what stands in it.
    pub(crate) fn type_of_body(&mut self, body: Va) -> Result<Option<ObjectType>, Trap> {
        if let Some(kind) = self.ob.counted.kind_of(body) {
            return Ok(Some(kind));
        }
        if body == self.current_process() {
            return Ok(Some(ObjectType::Process));
        }
        if self.threads.iter().any(|thread| thread.object == body) {
            return Ok(Some(ObjectType::Thread));
        }
        Ok(match u32::from(self.read_u16(body)?) {
            c::IO_TYPE_DEVICE => Some(ObjectType::Device),
            c::IO_TYPE_DRIVER => Some(ObjectType::Driver),
            c::IO_TYPE_FILE => Some(ObjectType::File),
            _ => None,
        })
    }

    /// True where a type parameter allows this body: NULL allows all.
    fn is_of_type(&mut self, body: Va, kind: Va) -> Result<bool, Trap> {
        if kind.is_null() {
            return Ok(true);
        }
        let own = self.type_of_body(body)?;
        Ok(own.and_then(|own| self.type_object(own)) == Some(kind))
    }

    /// The name of a device or driver; empty for what has none.
    fn name_of_body(&mut self, body: Va) -> Result<String, Trap> {
        match self.type_of_body(body)? {
            Some(ObjectType::Driver) => self.read_text(driver_object::DRIVER_NAME.at(body)),
            Some(ObjectType::Device) => {
                let named = self.io.names.devices().find(|(device, _)| *device == body);
                Ok(named.map_or(String::new(), |(_, name)| name.to_owned()))
            }
            _ => Ok(String::new()),
        }
    }

    /// Takes back a reference; with the last one the object goes.
    pub(crate) fn dereference_object(&mut self, body: Va) -> Outcome {
        match self.ob.counted.dereference(body) {
            Some(ObjectType::File) => self.close_file(body),
            Some(kind) => {
                if kind == ObjectType::Callback {
                    self.callback_deleted(body);
                }
                self.io.names.remove_object(body);
                self.pool_free(body);
                Ok(Next::status(NtStatus::SUCCESS))
            }
            None => Ok(Next::status(NtStatus::SUCCESS)),
        }
    }
}

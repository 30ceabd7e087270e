//! Objects by name: events, sections, directories, symbolic links, drivers (ddi: ZwCreateEvent, ZwOpenSection,
//! ZwOpenSymbolicLinkObject, IoCreateNotificationEvent).

use nt_types::layout::dispatcher_header;
use nt_types::{NtStatus, Va};

use super::{Object, ObjectType};
use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoCreateNotificationEvent(name: Va, handle: Va), PASSIVE),
    export!(Ntoskrnl, IoCreateSynchronizationEvent(name: Va, handle: Va), PASSIVE),
    export!(Ntoskrnl, ObReferenceObjectByName(name: Va, attributes: u32, state: Va, access: u32, kind: Va, mode: u8, context: Va, object: Va), PASSIVE),
    export!(Ntoskrnl, ZwClearEvent(handle: u64), PASSIVE),
    export!(Ntoskrnl, ZwCreateEvent(handle: Va, access: u32, attributes: Va, kind: u32, state: bool), PASSIVE),
    export!(Ntoskrnl, ZwOpenEvent(handle: Va, access: u32, attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwOpenSymbolicLinkObject(handle: Va, access: u32, attributes: Va), PASSIVE),
    export!(Ntoskrnl, ZwQuerySymbolicLinkObject(handle: u64, target: Va, length: Va), PASSIVE),
    export!(Ntoskrnl, ZwResetEvent(handle: u64, previous: Va), PASSIVE),
    export!(Ntoskrnl, ZwSetEvent(handle: u64, previous: Va), PASSIVE),
];

/// KeInitializeEvent's object types.
const NOTIFICATION_EVENT: u8 = 0;
const SYNCHRONIZATION_EVENT: u8 = 1;

fn ZwCreateEvent(m: &mut Machine, handle: Va, _access: u32, attributes: Va, kind: u32, state: bool) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    let kind = if kind == 0 { NOTIFICATION_EVENT } else { SYNCHRONIZATION_EVENT };
    if let Some(known) = m.named_event(&attributes.name) {
        let (status, event) = (NtStatus::OBJECT_NAME_EXISTS, known);
        if !attributes.open_if() {
            return Ok(Next::status(NtStatus::OBJECT_NAME_COLLISION));
        }
        m.open_event(handle, event, attributes.kernel())?;
        return Ok(Next::status(status));
    }
    let event = m.new_event(&attributes.name, kind, state)?;
    Ok(Next::status(m.open_event(handle, event, attributes.kernel())?))
}

fn ZwOpenEvent(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    match m.named_event(&attributes.name) {
        Some(event) => Ok(Next::status(m.open_event(handle, event, attributes.kernel())?)),
        None => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
    }
}

fn IoCreateNotificationEvent(m: &mut Machine, name: Va, handle: Va) -> Outcome {
    create_named(m, name, handle, NOTIFICATION_EVENT)
}

fn IoCreateSynchronizationEvent(m: &mut Machine, name: Va, handle: Va) -> Outcome {
    create_named(m, name, handle, SYNCHRONIZATION_EVENT)
}

/// A named event is opened where it exists; a new one is signalled at first, as documented.
fn create_named(m: &mut Machine, name: Va, handle: Va, kind: u8) -> Outcome {
    m.probe_write(handle, 8)?;
    let name = m.read_text(name)?;
    let event = match m.named_event(&name) {
        Some(event) => event,
        None => m.new_event(&name, kind, true)?,
    };
    let opened = m.open_event(handle, event, true)?;
    Ok(Next::pointer(if opened.is_success() { event } else { Va::NULL }))
}

fn ZwSetEvent(m: &mut Machine, handle: u64, previous: Va) -> Outcome {
    change_event(m, handle, previous, true)
}

fn ZwResetEvent(m: &mut Machine, handle: u64, previous: Va) -> Outcome {
    change_event(m, handle, previous, false)
}

fn ZwClearEvent(m: &mut Machine, handle: u64) -> Outcome {
    change_event(m, handle, Va::NULL, false)
}

fn change_event(m: &mut Machine, handle: u64, previous: Va, is_set: bool) -> Outcome {
    let Some(Object::Body(ObjectType::Event, event)) = m.object_of(handle) else {
        return Ok(Next::status(NtStatus::INVALID_HANDLE));
    };
    let before = m.signal_state(event)?;
    if !previous.is_null() {
        m.write_u32(previous, before as u32)?;
    }
    match is_set {
        true => m.set_event(event).map(drop)?,
        false => m.set_signal_state(event, 0)?,
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

/// Reserved for system use; drivers find others by it.
#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn ObReferenceObjectByName(
    m: &mut Machine,
    name: Va,
    _attributes: u32,
    _state: Va,
    _access: u32,
    kind: Va,
    _mode: u8,
    _context: Va,
    object: Va,
) -> Outcome {
    m.probe_write(object, 8)?;
    let name = m.read_text(name)?;
    let found = match Some(kind) == m.type_object(ObjectType::Driver) {
        true => m.driver_named(&name)?,
        false => m.io.names.resolve(&name).filter(|(_, rest)| rest.is_empty()).map(|(device, _)| device),
    };
    let Some(found) = found else { return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)) };
    m.write_u64(object, found.0)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn ZwOpenSymbolicLinkObject(m: &mut Machine, handle: Va, _access: u32, attributes: Va) -> Outcome {
    m.probe_write(handle, 8)?;
    let attributes = m.read_attributes(attributes)?;
    match m.io.names.target_of(&attributes.name) {
        Some(target) => Ok(Next::status(m.give_handle(handle, Object::Link(target), attributes.kernel())?)),
        None => Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
    }
}

fn ZwQuerySymbolicLinkObject(m: &mut Machine, handle: u64, target: Va, length: Va) -> Outcome {
    let Some(Object::Link(path)) = m.object_of(handle) else { return Ok(Next::status(NtStatus::INVALID_HANDLE)) };
    let units: Vec<u16> = path.encode_utf16().collect();
    if !length.is_null() {
        m.write_u32(length, 2 * units.len() as u32)?;
    }
    let fits = m.store_units(target, &units)?;
    Ok(Next::status(if fits { NtStatus::SUCCESS } else { NtStatus::BUFFER_TOO_SMALL }))
}

impl Machine {
    fn named_event(&self, name: &str) -> Option<Va> {
        if name.is_empty() { None } else { self.io.names.object(name) }
    }

    fn new_event(&mut self, name: &str, kind: u8, state: bool) -> Result<Va, Trap> {
        let Some(event) = self.kernel_object(dispatcher_header::SIZEOF, *b"Even") else { return Err(self.no_pool()) };
        self.initialize_header(event, kind, dispatcher_header::SIZEOF, u32::from(state))?;
        if !name.is_empty() {
            self.io.names.add_object(name, event);
        }
        Ok(event)
    }

    /// The handle holds a reference; the name of an event goes with its last one.
    fn open_event(&mut self, slot: Va, event: Va, kernel: bool) -> Result<NtStatus, Trap> {
        let status = self.give_handle(slot, Object::Body(ObjectType::Event, event), kernel)?;
        match self.ob.counted.kind_of(event) {
            Some(_) => self.ob.counted.reference(event),
            None => self.ob.counted.add(event, ObjectType::Event),
        }
        Ok(status)
    }
}

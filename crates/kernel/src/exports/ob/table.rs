//! Handles and counted objects.

use std::collections::BTreeMap;

use nt_types::constants as c;
use nt_types::layout::{object_attributes, unicode_string};
use nt_types::{NtStatus, Va};

use crate::call::Trap;
use crate::machine::Machine;
use crate::registry::KeyId;

/// The types of objects that handles and pointers lead to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ObjectType {
    Callback,
    Device,
    Directory,
    Driver,
    Event,
    File,
    Key,
    Process,
    Section,
    Semaphore,
    SymbolicLink,
    Thread,
    Token,
}

/// Exported variables that hold the address of a type.
pub(super) const TYPE_VARIABLES: &[(ObjectType, &str)] = &[
    (ObjectType::Device, "IoDeviceObjectType"),
    (ObjectType::Driver, "IoDriverObjectType"),
    (ObjectType::Event, "ExEventObjectType"),
    (ObjectType::File, "IoFileObjectType"),
    (ObjectType::Process, "PsProcessType"),
    (ObjectType::Section, "MmSectionObjectType"),
    (ObjectType::Semaphore, "ExSemaphoreObjectType"),
    (ObjectType::Thread, "PsThreadType"),
    (ObjectType::Token, "SeTokenObjectType"),
];

/// What a handle leads to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Object {
    /// An object with a body in memory.
    Body(ObjectType, Va),
    /// A registry key.
    Key(KeyId),
    /// The section `\Device\PhysicalMemory`.
    PhysicalMemory,
    /// A symbolic link, and where it leads.
    Link(String),
}

impl Object {
    /// Its type.
    pub(crate) fn kind(&self) -> ObjectType {
        match self {
            Object::Body(kind, _) => *kind,
            Object::Key(_) => ObjectType::Key,
            Object::PhysicalMemory => ObjectType::Section,
            Object::Link(_) => ObjectType::SymbolicLink,
        }
    }
}

/// Open handles.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Handles {
    open: BTreeMap<u64, Object>,
    issued: u64,
}

/// Kernel handles have the upper bits set, as OBJ_KERNEL_HANDLE makes them.
const KERNEL_HANDLE: u64 = 0xFFFF_FFFF_8000_0000;
/// Most handles at a time.
const MAX_HANDLES: usize = 1 << 16;

impl Handles {
    /// A new handle; `None` where there are too many.
    pub(crate) fn open(&mut self, object: Object, kernel: bool) -> Option<u64> {
        if self.open.len() >= MAX_HANDLES || self.issued >= 0x1000_0000 {
            return None;
        }
        self.issued += 1;
        let handle = 4 * self.issued + if kernel { KERNEL_HANDLE } else { 0 };
        self.open.insert(handle, object);
        Some(handle)
    }

    /// What a handle leads to. The two low bits do not count, as documented.
    pub(crate) fn get(&self, handle: u64) -> Option<&Object> {
        self.open.get(&(handle & !3))
    }

    pub(crate) fn close(&mut self, handle: u64) -> Option<Object> {
        self.open.remove(&(handle & !3))
    }

    /// Handles that lead to this body.
    pub(crate) fn count_of(&self, body: Va) -> usize {
        self.open.values().filter(|object| matches!(object, Object::Body(_, other) if *other == body)).count()
    }
}

/// References to objects that end with their last one. Other objects live as long as whoever made them says.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Counted {
    references: BTreeMap<Va, (ObjectType, u64)>,
}

impl Counted {
    /// A new object with one reference.
    pub(crate) fn add(&mut self, body: Va, kind: ObjectType) {
        self.references.insert(body, (kind, 1));
    }

    pub(crate) fn reference(&mut self, body: Va) {
        if let Some((_, count)) = self.references.get_mut(&body) {
            *count += 1;
        }
    }

    /// Takes back a reference; the type where it was the last.
    pub(crate) fn dereference(&mut self, body: Va) -> Option<ObjectType> {
        let (kind, count) = self.references.get_mut(&body)?;
        *count -= 1;
        let (kind, last) = (*kind, *count == 0);
        if last {
            self.references.remove(&body);
        }
        last.then_some(kind)
    }

    /// The type of a counted object.
    pub(crate) fn kind_of(&self, body: Va) -> Option<ObjectType> {
        self.references.get(&body).map(|(kind, _)| *kind)
    }
}

/// OBJECT_ATTRIBUTES, as far as they matter here.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    /// The root directory handle, or 0.
    pub(crate) root: u64,
    /// The name.
    pub(crate) name: String,
    flags: u32,
}

impl Attributes {
    /// True where the handle must be a kernel handle.
    pub(crate) fn kernel(&self) -> bool {
        self.flags & c::OBJ_KERNEL_HANDLE != 0
    }

    /// True for OBJ_OPENIF.
    pub(crate) fn open_if(&self) -> bool {
        self.flags & c::OBJ_OPENIF != 0
    }
}

impl Machine {
    /// Reads an OBJECT_ATTRIBUTES; a null pointer is an object without a name.
    pub(crate) fn read_attributes(&mut self, attributes: Va) -> Result<Attributes, Trap> {
        if attributes.is_null() {
            return Ok(Attributes { root: 0, name: String::new(), flags: 0 });
        }
        let root = self.read_u64(object_attributes::ROOT_DIRECTORY.at(attributes))?;
        let name = self.read_va(object_attributes::OBJECT_NAME.at(attributes))?;
        let flags = self.read_u32(object_attributes::ATTRIBUTES.at(attributes))?;
        let name = if name.is_null() { String::new() } else { self.read_text(name)? };
        Ok(Attributes { root, name, flags })
    }

    /// Makes a handle and stores it; the caller has probed `slot`.
    pub(crate) fn give_handle(&mut self, slot: Va, object: Object, kernel: bool) -> Result<NtStatus, Trap> {
        match self.ob.handles.open(object, kernel) {
            Some(handle) => self.write_u64(slot, handle).map(|()| NtStatus::SUCCESS),
            None => Ok(NtStatus::INSUFFICIENT_RESOURCES),
        }
    }

    /// The address of an object type.
    pub(crate) fn type_object(&self, kind: ObjectType) -> Option<Va> {
        self.ob.types.iter().find(|(known, _)| *known == kind).map(|(_, address)| *address)
    }

    /// Text as a guest UNICODE_STRING whose buffer follows at `buffer`; the number of bytes that the buffer takes.
    pub(crate) fn write_text_with_buffer(&mut self, string: Va, buffer: Va, text: &str) -> Result<u64, Trap> {
        let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let length = (units.len() - 2).min(0xFFFC) as u16;
        self.write_u16(unicode_string::LENGTH.at(string), length)?;
        self.write_u16(unicode_string::MAXIMUM_LENGTH.at(string), length + 2)?;
        self.write_u64(unicode_string::BUFFER.at(string), buffer.0)?;
        self.write_bytes(buffer, &units)?;
        Ok(units.len() as u64)
    }
}

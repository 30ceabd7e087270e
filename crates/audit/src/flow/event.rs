//! What a function does that matters, relative to its entry.

use super::facts::{Facts, Held};
use super::irql::IrqlSet;
use super::value::Value;
use crate::code::ImportId;
use crate::ddi::{Parent, Role};

/// Something that a function does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// The instruction.
    pub(crate) at: u32,
    /// Length of the instruction in bytes.
    pub(crate) length: u8,
    pub(crate) kind: EventKind,
    /// The level before it.
    pub(crate) irql: IrqlSet,
    /// What is held before it.
    pub(crate) held: Held,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum EventKind {
    /// A call, or a jump that is one.
    Call {
        target: Target,
        /// The parameters of which something is known.
        arguments: Arguments,
    },
    /// Data of the image are read or written.
    Touch { rva: u32, access: Access },
    /// IRQL is raised, by an import or by a write to CR8.
    Raise { by: Option<ImportId>, to: IrqlSet },
    /// A value is stored in the image.
    StoreGlobal { rva: u32, value: Value },
    /// The address of code is stored so many bytes from the address in a parameter.
    StoreParameter { parameter: u8, offset: i32, code: u32, indexed: bool },
    /// The address of code is stored so many bytes from the address in a field of what a parameter points to.
    StoreField { parameter: u8, field: i32, offset: i32, code: u32 },
    /// In a driver that locks sections: a handle of one of these, or a value of which nothing is known if there are none, is
    /// stored at an address; if that is not known either, the handle goes where it is not followed.
    KeepsHandle { place: Value, sections: Facts },
    /// The address of the block of pool that the call at an offset allocates is stored at an address.
    KeepsBlock { place: Value, by: u32 },
    /// In a driver that locks sections: something that is no handle is stored at an address.
    Sets { place: Value },
    /// In a driver that locks sections: what lies in memory decided the way to a call.
    Tested { place: Value },
    /// The address of code is handed to the system for a purpose.
    Register { role: Role, code: u32 },
    /// An object of KMDF is created with this execution level, 0 where it inherits one; `None` where it is not known.
    ExecutionLevel { of: Parent, level: Option<u8> },
    /// DO_POWER_PAGABLE is set in a device object that was just created, or cleared in another one.
    PowerPagable { sets: bool },
    /// The address of code goes where it is not followed.
    Escapes { code: u32 },
    /// A handle of a section is used as an address.
    Dereference,
    /// The level is compared with APC_LEVEL, as PAGED_CODE of checked builds does.
    ComparesWithApc,
    /// An assertion fails: `int 2Ch`.
    AssertionFails,
    /// After this, some sections are locked once or twice more than at the entry, whatever the way, and nothing that follows
    /// unlocks any.
    Locks { once: Facts, twice: Facts },
    /// After this, some sections are unlocked once or twice more than the function locked them, whatever the way.
    Unlocks { once: Facts, twice: Facts },
    /// A negative NTSTATUS becomes the result while these facts hold.
    Fails,
    /// A negative NTSTATUS is at hand, a section is locked, and nothing that follows unlocks it or keeps its handle.
    Loses,
    /// A conditional jump after which a section is locked and nothing unlocks it or keeps its handle, as after the other way of
    /// the jump; `fails` where a call failed on this way.
    Forgets { fails: bool },
    /// A conditional jump after which nothing is unlocked, as after the other way of the jump; what lies at a place decides.
    Skips { place: Value },
    /// A device object is deleted, a section is locked, and nobody but the extension of the device has the handle.
    LosesDevice,
}

/// The parameters of a call, in [`super::Events`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Arguments {
    pub(super) first: u32,
    pub(super) count: u8,
}

/// How data are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What is called.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Target {
    /// A function of the image, by index.
    Function(u32),
    Import(ImportId),
    /// One of the functions at a place or in a table of the image, by offset of the place; what is there is looked up
    /// when all stores are known.
    Place {
        rva: u32,
        table: bool,
    },
    /// What lies near a parameter, as the value says; what is there depends on what the parameter is.
    Loaded(Value),
    Unknown,
}

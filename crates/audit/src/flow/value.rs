//! What is known of a value.

use super::irql::IrqlSet;
use crate::code::ImportId;

/// What is known of the value of a register or of a place on the stack.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// Nothing.
    #[default]
    Unknown,
    /// It is this number.
    Number(u64),
    /// An offset in the image.
    Image(u32),
    /// The address of an import.
    Import(ImportId),
    /// The stack pointer at entry plus so many bytes.
    Stack(i32),
    /// A parameter plus so many bytes; the first is number 0.
    Parameter(u8, i32),
    /// What lies so many bytes from the address in a parameter, plus so many bytes.
    Field(u8, i32, i32),
    /// What lies at an offset in the image.
    Global(u32),
    /// An entry of the table at an offset in the image.
    Entry(u32),
    /// `Irp->Tail.Overlay.CurrentStackLocation` plus so many bytes.
    StackLocation(i32),
    /// A level of IRQL.
    Irql(IrqlSet),
    /// The handle of a section; which one is not always known.
    Handle(Option<u8>),
    /// The address of a block of pool.
    Pool {
        /// Paged pool.
        paged: bool,
    },
}

impl Value {
    /// What is known where either may be the case.
    pub(crate) fn join(self, other: Value) -> Value {
        match (self, other) {
            (one, other) if one == other => one,
            (Value::Irql(one), Value::Irql(other)) => Value::Irql(one.join(other)),
            (Value::Handle(_), Value::Handle(_)) => Value::Handle(None),
            _ => Value::Unknown,
        }
    }

    /// The value plus a number.
    pub(crate) fn plus(self, offset: i64) -> Value {
        let moved = |at: i32| i32::try_from(i64::from(at) + offset).ok();
        let moved_rva = |at: u32| u32::try_from(i64::from(at) + offset).ok();
        match self {
            Value::Number(number) => Value::Number(number.wrapping_add(offset as u64)),
            Value::Image(rva) => moved_rva(rva).map_or(Value::Unknown, Value::Image),
            Value::Stack(at) => moved(at).map_or(Value::Unknown, Value::Stack),
            Value::Parameter(n, at) => moved(at).map_or(Value::Unknown, |at| Value::Parameter(n, at)),
            Value::Field(n, field, at) => moved(at).map_or(Value::Unknown, |at| Value::Field(n, field, at)),
            Value::StackLocation(at) => moved(at).map_or(Value::Unknown, Value::StackLocation),
            _ if offset == 0 => self,
            _ => Value::Unknown,
        }
    }

    /// The value as a number.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

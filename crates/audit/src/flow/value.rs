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
    /// One of these offsets in the image, as the way here decides, or something else; 0 stands for none.
    Among([u32; 3]),
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
            (one @ (Value::Image(_) | Value::Among(_)), other) | (other, one @ (Value::Image(_) | Value::Among(_))) => {
                other.addresses().fold(Value::Among(one.offsets()), Value::or)
            }
            _ => Value::Unknown,
        }
    }

    /// One offset more that the value may be, while there is room: those that were there first stay, so that joining
    /// comes to an end.
    fn or(self, rva: u32) -> Value {
        let mut offsets = self.offsets();
        if !offsets.contains(&rva)
            && let Some(free) = offsets.iter_mut().find(|offset| **offset == 0)
        {
            *free = rva;
            offsets.sort_unstable_by_key(|offset| if *offset == 0 { u32::MAX } else { *offset });
        }
        Value::Among(offsets)
    }

    fn offsets(self) -> [u32; 3] {
        match self {
            Value::Image(rva) => [rva, 0, 0],
            Value::Among(offsets) => offsets,
            _ => [0; 3],
        }
    }

    /// The offsets in the image that it may be.
    pub(crate) fn addresses(self) -> impl Iterator<Item = u32> {
        self.offsets().into_iter().filter(|offset| *offset != 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever comes together in whatever order ends in a value that nothing changes any more.
    #[test]
    fn joining_comes_to_an_end() {
        let values = [1, 2, 3, 4, 5].map(Value::Image).into_iter().chain([Value::Unknown, Value::Number(7)]);
        let values: Vec<Value> = values.collect();
        for first in &values {
            let all = |value: Value| values.iter().fold(value, |all, value| all.join(*value));
            let joined = all(*first);
            assert_eq!(all(joined), joined, "{first:?}");
            assert_eq!(joined.addresses().count(), 3);
        }
        assert_eq!(Value::Image(1).join(Value::Image(1)), Value::Image(1));
        assert_eq!(Value::Image(2).join(Value::Unknown).join(Value::Image(1)), Value::Among([1, 2, 0]));
    }
}

//! What is known of a value.

use super::computed::Form;
use super::irql::IrqlSet;
use crate::code::ImportId;

/// Set in what [`Value::packed`] makes of a field.
const FIELD: u32 = 1 << 31;

/// Stands for a parameter: the device object that the function itself, or what it calls, created.
pub(crate) const CREATED: u8 = u8::MAX;

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
    /// One of these, as the way here decides, or something else: offsets in the image, or what [`Value::packed`] makes of
    /// others; 0 stands for none.
    Among([u32; 3]),
    /// What the call at this offset returned, in a driver that locks sections.
    Result(u32),
    /// The address of an import.
    Import(ImportId),
    /// The stack pointer at entry plus so many bytes.
    Stack(i32),
    /// A parameter plus so many bytes; the first is number 0. [`CREATED`] is none of them.
    Parameter(u8, i32),
    /// What lies so many bytes from the address in a parameter, plus so many bytes.
    Field(u8, i32, i32),
    /// What lies so many bytes (the second number) from the address in such a field (the first), plus so many bytes.
    Inner(u8, i32, i32, i32),
    /// What lies so many bytes (the last number) from the address in what `Inner` says.
    Deep(u8, i32, i32, i32),
    /// What lies at an offset in the image.
    Global(u32),
    /// An entry of the table at an offset in the image.
    Entry(u32),
    /// The address of an interrupt sync object.
    InterruptSync,
    /// The address of the table of its methods plus so many bytes.
    SyncMethods(u32),
    /// `Irp->Tail.Overlay.CurrentStackLocation` plus so many bytes.
    StackLocation(i32),
    /// `IrpSp->MajorFunction` minus a number.
    Major(u8),
    /// A level of IRQL.
    Irql(IrqlSet),
    /// What code computed from such a level. Never the level itself.
    Computed(IrqlSet, Form),
    /// The handle of a section; which one is not always known.
    Handle(Option<u8>),
    /// The address of a block of pool plus so many bytes.
    Pool {
        /// Paged pool.
        paged: bool,
        /// The offset of the call that allocates it, in a driver that locks sections; 0 where it is not known.
        by: u32,
        at: i32,
    },
    /// What lies so many bytes from the start of the block of pool that the call at an offset allocates.
    InPool(u32, i32),
}

impl Value {
    /// What is known where either may be the case.
    pub(crate) fn join(self, other: Value) -> Value {
        match (self, other) {
            (one, other) if one == other => one,
            (Value::Irql(one), Value::Irql(other)) => Value::Irql(one.join(other)),
            (Value::Handle(_), Value::Handle(_)) => Value::Handle(None),
            (Value::Pool { paged, .. }, Value::Pool { paged: other, .. }) if paged == other => {
                Value::Pool { paged, by: 0, at: 0 }
            }
            (one @ (Value::Image(_) | Value::Among(_)), other) | (other, one @ (Value::Image(_) | Value::Among(_))) => {
                other
                    .all_packed()
                    .into_iter()
                    .filter(|packed| *packed != 0)
                    .fold(Value::Among(one.all_packed()), Value::or)
            }
            _ => Value::Unknown,
        }
    }

    /// One more that the value may be, while there is room: those that were there first stay, so that joining comes to an
    /// end.
    fn or(self, packed: u32) -> Value {
        let mut all = self.all_packed();
        if !all.contains(&packed)
            && let Some(free) = all.iter_mut().find(|packed| **packed == 0)
        {
            *free = packed;
            all.sort_unstable_by_key(|packed| if *packed == 0 { u32::MAX } else { *packed });
        }
        Value::Among(all)
    }

    fn all_packed(self) -> [u32; 3] {
        match self {
            Value::Among(all) => all,
            other => [other.packed(), 0, 0],
        }
    }

    /// An offset in the image, or what lies near a parameter, in 32 bits; 0 for anything else. Fields take the upper half
    /// of the numbers, where no image is so large: a bit for `Inner`, the parameter, and 11 bits for each offset.
    fn packed(self) -> u32 {
        let small = |at: i32| u32::try_from(at).ok().filter(|at| *at < 1 << 11);
        let fields = |inner: u32, n: u8, one, other| {
            small(one)
                .zip(small(other))
                .map(|(one, other)| FIELD | inner << 30 | u32::from(n) << 22 | one << 11 | other)
        };
        match self {
            Value::Image(rva) if rva < FIELD => rva,
            Value::Field(n, field, offset) => fields(0, n, field, offset).unwrap_or(0),
            Value::Inner(n, field, inner, 0) => fields(1, n, field, inner).unwrap_or(0),
            _ => 0,
        }
    }

    fn unpacked(packed: u32) -> Value {
        let (n, one, other) = ((packed >> 22) as u8, (packed >> 11 & 0x7ff) as i32, (packed & 0x7ff) as i32);
        match (packed & FIELD != 0, packed >> 30 & 1) {
            (false, _) => Value::Image(packed),
            (true, 0) => Value::Field(n, one, other),
            (true, _) => Value::Inner(n, one, other, 0),
        }
    }

    /// Everything that it may be, as far as that is known.
    pub(crate) fn alternatives(self) -> impl Iterator<Item = Value> {
        let (one, several) = match self {
            Value::Among(all) => (None, all),
            other => (Some(other), [0; 3]),
        };
        one.into_iter().chain(several.into_iter().filter(|packed| *packed != 0).map(Value::unpacked))
    }

    /// The offsets in the image that it may be.
    pub(crate) fn addresses(self) -> impl Iterator<Item = u32> {
        self.all_packed().into_iter().filter(|packed| *packed != 0 && packed & FIELD == 0)
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
            Value::Inner(n, field, inner, at) => {
                moved(at).map_or(Value::Unknown, |at| Value::Inner(n, field, inner, at))
            }
            Value::Pool { by: 0, .. } => self,
            Value::Pool { paged, by, at } => moved(at).map_or(Value::Unknown, |at| Value::Pool { paged, by, at }),
            Value::SyncMethods(at) => moved_rva(at).map_or(Value::Unknown, Value::SyncMethods),
            Value::StackLocation(at) => moved(at).map_or(Value::Unknown, Value::StackLocation),
            Value::Computed(level, form) => Value::computed(level, form.plus(offset)),
            Value::Irql(level) => Value::computed(level, Form::SAME.plus(offset)),
            Value::Major(less) => u8::try_from(i64::from(less) - offset).map_or(Value::Unknown, Value::Major),
            _ if offset == 0 => self,
            _ => Value::Unknown,
        }
    }

    /// What lies at this address, near a parameter or in the image where that is written to.
    pub(crate) fn pointee(self) -> Value {
        match self {
            Value::Image(rva) => Value::Global(rva),
            Value::Parameter(n, at) => Value::Field(n, at, 0),
            Value::Field(n, field, at) => Value::Inner(n, field, at, 0),
            Value::Inner(n, field, inner, at) => Value::Deep(n, field, inner, at),
            Value::Pool { by, at, .. } if by != 0 => Value::InPool(by, at),
            _ => Value::Unknown,
        }
    }

    /// Does it lie in memory that outlives the function?
    pub(crate) fn is_memory(self) -> bool {
        matches!(
            self,
            Value::Global(_) | Value::Field(_, _, 0) | Value::Inner(_, _, _, 0) | Value::Deep(..) | Value::InPool(..)
        )
    }

    /// A number that follows from a level.
    pub(crate) fn computed(level: IrqlSet, form: Form) -> Value {
        if form == Form::SAME { Value::Irql(level) } else { Value::Computed(level, form) }
    }

    /// Is it a number, or one that follows from a level in a way that is not known?
    pub(crate) fn may_tell_level(self) -> bool {
        matches!(self, Value::Number(_) | Value::Computed(_, Form::Somehow))
    }

    /// The level that the value follows from, and how.
    pub(crate) fn of_level(self) -> Option<(IrqlSet, Form)> {
        match self {
            Value::Irql(level) => Some((level, Form::SAME)),
            Value::Computed(level, form) => Some((level, form)),
            _ => None,
        }
    }

    /// What is left of it in so many bytes, as far as that matters.
    pub(crate) fn truncated(self, bytes: usize) -> Value {
        match self {
            Value::Computed(level, form) => Value::Computed(level, form.truncated(bytes)),
            value => value,
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
        let field = Value::Inner(CREATED, 8, 0x18, 0);
        let joined = Value::Image(2).join(Value::Field(0, 0x40, 0)).join(field);
        let alternatives: Vec<Value> = joined.alternatives().collect();
        assert_eq!(alternatives, [Value::Image(2), Value::Field(0, 0x40, 0), field]);
        assert_eq!(joined.addresses().collect::<Vec<_>>(), [2]);
        assert_eq!(Value::Image(2).join(Value::Unknown).join(Value::Image(1)), Value::Among([1, 2, 0]));
    }
}

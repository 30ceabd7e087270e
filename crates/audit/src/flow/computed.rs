//! Numbers that code computes from a level of IRQL.

use iced_x86::Mnemonic;

use super::irql::Levels;

/// Levels have so many bits.
const LEVEL: u8 = 0xf;

/// How a number follows from a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// `(level >> shift & mask) + plus`, in so many bytes.
    Part { shift: u8, mask: u8, plus: i8, bytes: u8 },
    /// 1 at these levels, 0 at others.
    Is(Levels),
    /// In a way that is not followed.
    Somehow,
}

impl Form {
    /// The level itself.
    pub(crate) const SAME: Form = Form::Part { shift: 0, mask: LEVEL, plus: 0, bytes: 8 };

    /// The number at a level; `None` if that is not known.
    pub(super) fn at(self, level: u8) -> Option<u64> {
        match self {
            Form::Part { shift, mask, plus, bytes } => {
                let part = u64::from(level.checked_shr(shift.into()).unwrap_or(0) & mask);
                Some(part.wrapping_add_signed(plus.into()) & of_bytes(bytes))
            }
            Form::Is(levels) => Some(u64::from(levels.has(level))),
            Form::Somehow => None,
        }
    }

    /// Is it the same number, whether it is taken to have a sign or not, at each of these levels?
    pub(super) fn has_no_sign(self, levels: Levels) -> bool {
        (0..16).filter(|level| levels.has(*level)).all(|level| self.at(level).is_some_and(|number| number < 0x80))
    }

    /// What is left of it in so many bytes.
    pub(super) fn truncated(self, size: usize) -> Form {
        match self {
            Form::Part { shift, mask, plus, bytes } if plus != 0 => {
                Form::Part { shift, mask, plus, bytes: bytes.min(size as u8) }
            }
            form => form,
        }
    }

    /// The number plus another one.
    pub(crate) fn plus(self, number: i64) -> Form {
        let sum = |plus: i8| i8::try_from(i64::from(plus).checked_add(number)?).ok();
        match self {
            form if number == 0 => form,
            Form::Part { shift, mask, plus, bytes } => match sum(plus) {
                Some(0) => Form::Part { shift, mask, plus: 0, bytes: 8 },
                Some(plus) => Form::Part { shift, mask, plus, bytes },
                None => Form::Somehow,
            },
            Form::Is(_) | Form::Somehow => Form::Somehow,
        }
    }

    /// What an instruction makes of it and of another number.
    pub(super) fn with(self, mnemonic: Mnemonic, number: u64) -> Form {
        match (mnemonic, self) {
            (Mnemonic::Add, form) => form.plus(number as i64),
            (Mnemonic::Sub, form) => form.plus((number as i64).wrapping_neg()),
            (Mnemonic::Shr, Form::Part { shift, mask, plus: 0, bytes }) if number < 8 => {
                Form::Part { shift: shift + number as u8, mask: mask >> number, plus: 0, bytes }
            }
            (Mnemonic::And, Form::Part { shift, mask, plus: 0, bytes }) => {
                Form::Part { shift, mask: mask & number as u8, plus: 0, bytes }
            }
            (Mnemonic::And, Form::Is(levels)) if number & 1 != 0 => Form::Is(levels),
            (Mnemonic::Xor, Form::Is(levels)) if number == 1 => Form::Is(levels.others()),
            (Mnemonic::Or | Mnemonic::Xor, form) if number == 0 => form,
            _ => Form::Somehow,
        }
    }
}

/// All bits that so many bytes have.
fn of_bytes(bytes: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(bytes.clamp(1, 8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_what_instructions_compute() {
        let at = |form: Form| (0..16).map(|level| form.at(level).expect("it is known")).collect::<Vec<_>>();
        let number = |compute: fn(u64) -> u64| (0..16).map(compute).collect::<Vec<_>>();
        let (and, shr, sub, add) = (Mnemonic::And, Mnemonic::Shr, Mnemonic::Sub, Mnemonic::Add);
        assert_eq!(at(Form::SAME), number(|level| level));
        assert_eq!(at(Form::SAME.with(and, 0xfe).with(shr, 1)), number(|level| level >> 1));
        assert_eq!(at(Form::SAME.with(shr, 2).with(and, 1)), number(|level| level >> 2 & 1));
        assert_eq!(at(Form::SAME.with(sub, 2).truncated(4)), number(|level| u64::from((level as u32).wrapping_sub(2))));
        assert_eq!(at(Form::SAME.with(sub, 2).truncated(1)), number(|level| u64::from((level as u8).wrapping_sub(2))));
        assert_eq!(Form::SAME.with(sub, 2).truncated(1).with(add, 2), Form::SAME);
        assert_eq!(
            at(Form::Is(Levels::with(|level| level > 1)).with(Mnemonic::Xor, 1)),
            number(|level| (level < 2).into())
        );
        for unknown in
            [Form::SAME.with(sub, 2).with(and, 1), Form::SAME.with(Mnemonic::Xor, 1), Form::SAME.plus(1 << 40)]
        {
            assert_eq!(unknown.at(3), None);
        }
    }
}

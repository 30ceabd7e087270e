//! The flags after an instruction that looks at the current level.

use iced_x86::ConditionCode;

use super::irql::{Levels, Range};

/// The levels at which each flag is set. That says of every comparison with a constant, whatever the compiler makes of it,
/// where a jump leads at which level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags {
    zero: Levels,
    carry: Levels,
    sign: Levels,
    /// The sign is another than that of the true difference says: `SF != OF`.
    less: Levels,
}

impl Flags {
    /// After a subtraction of numbers of so many bytes; the operands are given by level. A bitwise operation leaves the flags
    /// that the subtraction of zero from its result leaves.
    pub(crate) fn of_difference(bytes: usize, operands: impl Fn(u8) -> (u64, u64)) -> Flags {
        let unused = 64 - 8 * bytes.clamp(1, 8) as u32;
        let with = |is: fn(u64, u64) -> bool| {
            Levels::with(|level| {
                let (one, other) = operands(level);
                is(one << unused, other << unused)
            })
        };
        Flags {
            zero: with(|one, other| one == other),
            carry: with(|one, other| one < other),
            sign: with(|one, other| (one.wrapping_sub(other) as i64) < 0),
            less: with(|one, other| (one as i64) < (other as i64)),
        }
    }

    /// The levels at which a condition is met; `None` if it is about other flags.
    pub(crate) fn met_at(self, condition: ConditionCode) -> Option<Levels> {
        let Flags { zero, carry, sign, less } = self;
        Some(match condition {
            ConditionCode::e => zero,
            ConditionCode::ne => zero.others(),
            ConditionCode::b => carry,
            ConditionCode::ae => carry.others(),
            ConditionCode::be => carry.or(zero),
            ConditionCode::a => carry.or(zero).others(),
            ConditionCode::s => sign,
            ConditionCode::ns => sign.others(),
            ConditionCode::l => less,
            ConditionCode::ge => less.others(),
            ConditionCode::le => less.or(zero),
            ConditionCode::g => less.or(zero).others(),
            _ => return None,
        })
    }

    /// Is this `level > APC_LEVEL`, of a number without sign?
    pub(crate) fn tell_above_apc(self) -> bool {
        self.met_at(ConditionCode::a) == Some(Levels::of(Range::new(2, 15)))
    }
}

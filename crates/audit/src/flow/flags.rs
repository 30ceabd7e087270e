//! The flags after an instruction that looks at the current level.

use iced_x86::{ConditionCode, Mnemonic};

use super::irql::{Levels, Range};

/// The levels at which each flag is set; `None` where that is not known. That says of every comparison with a constant, whatever
/// the compiler makes of it, where a jump leads at which level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags {
    zero: Option<Levels>,
    carry: Option<Levels>,
    sign: Option<Levels>,
    /// The sign is another than that of the true result: `SF != OF`.
    less: Option<Levels>,
}

/// The flags at one level; `None` for one that is not known.
#[derive(Clone, Copy)]
struct Outcome {
    zero: Option<bool>,
    carry: Option<bool>,
    sign: Option<bool>,
    less: Option<bool>,
}

impl Flags {
    /// The level decides them, but not in a way that is known.
    pub(crate) const UNKNOWN: Flags = Flags { zero: None, carry: None, sign: None, less: None };

    /// After an instruction with operands of so many bytes, which are given by level.
    pub(crate) fn after(mnemonic: Mnemonic, bytes: usize, operands: impl Fn(u8) -> Option<(u64, u64)>) -> Flags {
        let bits = 8 * bytes.clamp(1, 8) as u32;
        let outcome = |level| operands(level).and_then(|(one, other)| outcome(mnemonic, bits, one, other));
        let mut outcomes = [Outcome { zero: None, carry: None, sign: None, less: None }; 16];
        for (level, known) in outcomes.iter_mut().enumerate() {
            let Some(outcome) = outcome(level as u8) else { return Flags::UNKNOWN };
            *known = outcome;
        }
        let with = |flag: fn(&Outcome) -> Option<bool>| {
            outcomes
                .iter()
                .all(|outcome| flag(outcome).is_some())
                .then(|| Levels::with(|level| flag(&outcomes[usize::from(level)]) == Some(true)))
        };
        Flags { zero: with(|o| o.zero), carry: with(|o| o.carry), sign: with(|o| o.sign), less: with(|o| o.less) }
    }

    /// The levels at which a condition is met; `None` if that is not known.
    pub(crate) fn met_at(self, condition: ConditionCode) -> Option<Levels> {
        let Flags { zero, carry, sign, less } = self;
        let either = |one: Option<Levels>, other: Option<Levels>| Some(one?.or(other?));
        match condition {
            ConditionCode::e => zero,
            ConditionCode::ne => zero.map(Levels::others),
            ConditionCode::b => carry,
            ConditionCode::ae => carry.map(Levels::others),
            ConditionCode::be => either(carry, zero),
            ConditionCode::a => either(carry, zero).map(Levels::others),
            ConditionCode::s => sign,
            ConditionCode::ns => sign.map(Levels::others),
            ConditionCode::l => less,
            ConditionCode::ge => less.map(Levels::others),
            ConditionCode::le => either(less, zero),
            ConditionCode::g => either(less, zero).map(Levels::others),
            _ => None,
        }
    }

    /// Is this `level > APC_LEVEL`, of a number without sign?
    pub(crate) fn tell_above_apc(self) -> bool {
        self.met_at(ConditionCode::a) == Some(Levels::of(Range::new(2, 15)))
    }
}

/// What an instruction makes of two numbers of so many bits.
fn outcome(mnemonic: Mnemonic, bits: u32, one: u64, other: u64) -> Option<Outcome> {
    let unused = 64 - bits;
    Some(match mnemonic {
        Mnemonic::Cmp | Mnemonic::Sub => difference(one << unused, other << unused),
        // These leave the carry as it was.
        Mnemonic::Dec => Outcome { carry: None, ..difference(one << unused, other << unused) },
        Mnemonic::Inc => Outcome { carry: None, ..sum(one << unused, other << unused) },
        Mnemonic::Add => sum(one << unused, other << unused),
        // A bitwise operation leaves the flags that the subtraction of zero from its result leaves.
        Mnemonic::Test | Mnemonic::And => difference((one & other) << unused, 0),
        Mnemonic::Or => difference((one | other) << unused, 0),
        Mnemonic::Xor => difference((one ^ other) << unused, 0),
        Mnemonic::Shr => {
            let (number, count) = (one << unused >> unused, other as u32 & if bits == 64 { 63 } else { 31 });
            let before_last = number.checked_shr(count.checked_sub(1)?).unwrap_or(0);
            Outcome { carry: Some(before_last & 1 != 0), less: None, ..difference(before_last >> 1, 0) }
        }
        Mnemonic::Bt => {
            let bit = one.checked_shr(other as u32 % bits).unwrap_or(0) & 1;
            Outcome { zero: None, carry: Some(bit != 0), sign: None, less: None }
        }
        _ => return None,
    })
}

/// Of numbers that have their sign in the highest bit.
fn difference(one: u64, other: u64) -> Outcome {
    Outcome {
        zero: Some(one == other),
        carry: Some(one < other),
        sign: Some((one.wrapping_sub(other) as i64) < 0),
        less: Some((one as i64) < (other as i64)),
    }
}

fn sum(one: u64, other: u64) -> Outcome {
    let (sum, carry) = one.overflowing_add(other);
    let less = i128::from(one as i64) + i128::from(other as i64) < 0;
    Outcome { zero: Some(sum == 0), carry: Some(carry), sign: Some((sum as i64) < 0), less: Some(less) }
}

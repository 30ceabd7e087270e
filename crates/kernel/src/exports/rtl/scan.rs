//! Strings that are measured or compared page by page: what is done stays done while the next page comes in, so that the work
//! on strings which memory does not hold at one time grows with their length only.

use nt_types::{PAGE_SIZE, Va};

use super::crt::Unit;
use crate::call::{Next, Outcome, Then, Trap};
use crate::exports::rtl;
use crate::machine::Machine;

/// Work on strings, and how many units of it are done.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Scan {
    unit: Unit,
    work: Work,
    limit: u64,
    done: u64,
}

#[derive(Clone, Copy, Hash, Debug)]
enum Work {
    /// How many units come before the NUL.
    Length(Va),
    Compare(Comparison),
}

/// Two strings and what makes them alike.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Comparison {
    pub(super) first: Va,
    pub(super) second: Va,
    pub(super) fold: Fold,
    /// They end with a NUL.
    pub(super) ends_with_nul: bool,
    /// The order where no unit within the limit differs.
    pub(super) otherwise: i32,
}

/// Which letters count as the same.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) enum Fold {
    None,
    Lower,
    Upper,
}

impl Scan {
    /// Measures a string, up to `limit` units.
    pub(super) fn length(m: &mut Machine, unit: Unit, string: Va, limit: u64) -> Outcome {
        Scan { unit, work: Work::Length(string), limit, done: 0 }.run(m)
    }

    /// The difference of the first units that differ, within `limit`.
    pub(super) fn compare(m: &mut Machine, unit: Unit, comparison: Comparison, limit: u64) -> Outcome {
        Scan { unit, work: Work::Compare(comparison), limit, done: 0 }.run(m)
    }

    /// Goes on to the end of a page, as a whole or not at all.
    pub(super) fn run(mut self, m: &mut Machine) -> Outcome {
        let start = match self.work {
            Work::Length(string) => string,
            Work::Compare(comparison) => comparison.first,
        };
        let size = self.unit.size();
        let at = start.0.wrapping_add(self.done.wrapping_mul(size));
        let piece = ((PAGE_SIZE - at % PAGE_SIZE) / size).max(1).min(self.limit - self.done);
        for _ in 0..piece {
            let end = match self.work {
                Work::Length(string) => (self.read(m, string)? == 0).then_some(self.done),
                Work::Compare(comparison) => self.difference(m, comparison)?.map(|order| u64::from(order as u32)),
            };
            if let Some(value) = end {
                return Ok(Next::Return(value));
            }
            self.done += 1;
        }
        if self.done < self.limit {
            return Ok(Next::Continue(Then::Rtl(rtl::Then::Scan(self)), 0));
        }
        Ok(Next::Return(match self.work {
            Work::Length(_) => self.limit,
            Work::Compare(comparison) => u64::from(comparison.otherwise as u32),
        }))
    }

    fn read(&self, m: &mut Machine, string: Va) -> Result<u16, Trap> {
        self.unit.read(m, Va(string.0.wrapping_add(self.done.wrapping_mul(self.unit.size()))))
    }

    /// The order of the strings, if their next units decide it.
    fn difference(&self, m: &mut Machine, comparison: Comparison) -> Result<Option<i32>, Trap> {
        let fold = |unit: u16| match comparison.fold {
            Fold::None => unit,
            Fold::Lower => self.unit.lower(unit),
            Fold::Upper => self.unit.upper(unit),
        };
        let (first, second) = (fold(self.read(m, comparison.first)?), fold(self.read(m, comparison.second)?));
        let ended = comparison.ends_with_nul && first == 0;
        Ok((first != second || ended).then(|| i32::from(first) - i32::from(second)))
    }
}

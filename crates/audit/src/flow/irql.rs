//! Sets of IRQLs, relative to a function's entry.

use nt_types::Irql;

/// The levels from `low` to `high`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Range {
    pub(crate) low: u8,
    pub(crate) high: u8,
}

impl Range {
    /// Any level.
    pub(crate) const ANY: Range = Range::new(0, 15);

    pub(crate) const fn new(low: u8, high: u8) -> Range {
        Range { low, high }
    }

    /// A page fault is fatal at some of these levels.
    pub(crate) fn may_not_fault(self) -> bool {
        self.high >= Irql::DISPATCH.level()
    }

    /// A page fault is fatal at each of these levels (R160).
    pub(crate) fn never_faults(self) -> bool {
        self.low >= Irql::DISPATCH.level()
    }
}

/// Any levels: bit n stands for level n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Levels(u16);

impl Levels {
    pub(crate) const NONE: Levels = Levels(0);
    pub(crate) const ANY: Levels = Levels(u16::MAX);

    /// Those of a range.
    pub(crate) const fn of(range: Range) -> Levels {
        Levels(u16::MAX << range.low & u16::MAX >> (15 - range.high))
    }

    /// Those of which this is true.
    pub(crate) fn with(is: impl Fn(u8) -> bool) -> Levels {
        Levels((0..16).filter(|level| is(*level)).fold(0, |levels, level| levels | 1 << level))
    }

    pub(crate) const fn or(self, other: Levels) -> Levels {
        Levels(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Levels) -> Levels {
        Levels(self.0 & other.0)
    }

    pub(crate) const fn others(self) -> Levels {
        Levels(!self.0)
    }

    pub(crate) const fn has(self, level: u8) -> bool {
        self.0 >> level & 1 != 0
    }

    /// From the lowest to the highest.
    fn hull(self) -> Option<Range> {
        let (low, high) = (self.0.trailing_zeros() as u8, self.0.leading_zeros() as u8);
        (self != Levels::NONE).then(|| Range::new(low, 15 - high))
    }
}

/// A set of levels: that of the entry as far as it is one of some, a level from before the entry, and absolute ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IrqlSet {
    /// The level at entry, if it is one of these.
    entry: Levels,
    /// The level that a caller had before it raised: what a routine leaves that ends what its caller began.
    restored: bool,
    absolute: Levels,
}

impl IrqlSet {
    /// The level at entry.
    pub(crate) const ENTRY: IrqlSet = IrqlSet { entry: Levels::ANY, ..IrqlSet::NONE };
    /// The level before the caller raised.
    pub(crate) const RESTORED: IrqlSet = IrqlSet { restored: true, ..IrqlSet::NONE };
    /// No level: code that is not reached.
    pub(crate) const NONE: IrqlSet = IrqlSet { entry: Levels::NONE, restored: false, absolute: Levels::NONE };

    pub(crate) const fn absolute(range: Range) -> IrqlSet {
        IrqlSet { absolute: Levels::of(range), ..IrqlSet::NONE }
    }

    pub(crate) fn join(self, other: IrqlSet) -> IrqlSet {
        IrqlSet {
            entry: self.entry.or(other.entry),
            restored: self.restored || other.restored,
            absolute: self.absolute.or(other.absolute),
        }
    }

    /// All that it may be, at whatever entry.
    pub(crate) fn levels(self) -> Levels {
        if self.restored { Levels::ANY } else { self.entry.or(self.absolute) }
    }

    /// Those of the set that are among `levels`, where control goes on only then.
    pub(crate) fn within(self, levels: Levels) -> IrqlSet {
        IrqlSet { entry: self.entry.and(levels), restored: self.restored, absolute: self.absolute.and(levels) }
    }

    /// The levels where the entry has those of `entry`; none where such code is not reached.
    pub(crate) fn at(self, entry: Range) -> Option<Range> {
        let restored = if self.restored { Levels::of(Range::new(0, entry.high)) } else { Levels::NONE };
        self.entry.and(Levels::of(entry)).or(restored).or(self.absolute).hull()
    }

    /// The set seen from the caller: `entry` is the caller's level at the call, `saved` its level before it raised.
    pub(crate) fn seen_by_caller(self, entry: IrqlSet, saved: Option<IrqlSet>) -> IrqlSet {
        let mut set = IrqlSet { absolute: self.absolute, ..IrqlSet::NONE };
        if self.entry != Levels::NONE {
            set = set.join(entry.within(self.entry));
        }
        if self.restored {
            set = set.join(saved.unwrap_or(IrqlSet::RESTORED));
        }
        set
    }

    /// The absolute levels, where there are no others.
    pub(crate) fn only_absolute(self) -> Option<Range> {
        self.absolute.hull().filter(|_| self.entry == Levels::NONE && !self.restored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_keeps_what_each_side_may_be() {
        let joined = IrqlSet::ENTRY.join(IrqlSet::absolute(Range::new(2, 2)));
        assert_eq!(joined.at(Range::new(0, 0)), Some(Range::new(0, 2)));
        assert_eq!(joined.at(Range::new(5, 9)), Some(Range::new(2, 9)));
    }

    #[test]
    fn a_test_of_the_level_makes_code_unreachable_elsewhere() {
        let low = IrqlSet::ENTRY.within(Levels::of(Range::new(0, 1)));
        assert_eq!(low.at(Range::new(2, 2)), None);
        assert_eq!(low.at(Range::new(0, 2)), Some(Range::new(0, 1)));
        let other = IrqlSet::ENTRY.within(Levels::of(Range::new(2, 2)).others());
        assert_eq!(other.at(Range::new(2, 2)), None);
        assert_eq!(other.at(Range::new(0, 2)), Some(Range::new(0, 1)));
        assert_eq!(other.at(Range::ANY), Some(Range::ANY));
    }

    #[test]
    fn a_callee_that_restores_gives_back_what_its_caller_had() {
        let raised = IrqlSet::absolute(Range::new(2, 2));
        let before = IrqlSet::ENTRY;
        assert_eq!(IrqlSet::RESTORED.seen_by_caller(raised, Some(before)), IrqlSet::ENTRY);
        assert_eq!(IrqlSet::RESTORED.seen_by_caller(raised, None), IrqlSet::RESTORED);
        assert_eq!(IrqlSet::ENTRY.seen_by_caller(raised, None), raised);
    }
}

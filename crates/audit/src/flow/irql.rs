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

    fn hull(self, other: Range) -> Range {
        Range::new(self.low.min(other.low), self.high.max(other.high))
    }

    fn within(self, other: Range) -> Option<Range> {
        let both = Range::new(self.low.max(other.low), self.high.min(other.high));
        (both.low <= both.high).then_some(both)
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

/// A set of levels: that of the entry as far as it lies in a range, a level from before the entry, and absolute ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IrqlSet {
    /// The level at entry, if it lies in this range.
    entry: Option<Range>,
    /// The level that a caller had before it raised: what a routine leaves that ends what its caller began.
    restored: bool,
    absolute: Option<Range>,
}

impl IrqlSet {
    /// The level at entry.
    pub(crate) const ENTRY: IrqlSet = IrqlSet { entry: Some(Range::ANY), restored: false, absolute: None };
    /// The level before the caller raised.
    pub(crate) const RESTORED: IrqlSet = IrqlSet { entry: None, restored: true, absolute: None };
    /// No level: code that is not reached.
    pub(crate) const NONE: IrqlSet = IrqlSet { entry: None, restored: false, absolute: None };

    pub(crate) const fn absolute(range: Range) -> IrqlSet {
        IrqlSet { entry: None, restored: false, absolute: Some(range) }
    }

    pub(crate) fn join(self, other: IrqlSet) -> IrqlSet {
        IrqlSet {
            entry: either(self.entry, other.entry),
            restored: self.restored || other.restored,
            absolute: either(self.absolute, other.absolute),
        }
    }

    /// The levels of the set that lie in `range`, where control goes on only then.
    pub(crate) fn within(self, range: Range) -> IrqlSet {
        IrqlSet {
            entry: self.entry.and_then(|entry| entry.within(range)),
            restored: self.restored,
            absolute: self.absolute.and_then(|absolute| absolute.within(range)),
        }
    }

    /// The levels where the entry has those of `entry`; none where such code is not reached.
    pub(crate) fn at(self, entry: Range) -> Option<Range> {
        let from_entry = self.entry.and_then(|range| range.within(entry));
        let restored = self.restored.then_some(Range::new(0, entry.high));
        either(either(from_entry, restored), self.absolute)
    }

    /// The set seen from the caller: `entry` is the caller's level at the call, `saved` its level before it raised.
    pub(crate) fn seen_by_caller(self, entry: IrqlSet, saved: Option<IrqlSet>) -> IrqlSet {
        let mut set = IrqlSet { absolute: self.absolute, ..IrqlSet::NONE };
        if let Some(range) = self.entry {
            set = set.join(entry.within(range));
        }
        if self.restored {
            set = set.join(saved.unwrap_or(IrqlSet::RESTORED));
        }
        set
    }

    /// The absolute levels, where there are no others.
    pub(crate) fn only_absolute(self) -> Option<Range> {
        if self.entry.is_none() && !self.restored { self.absolute } else { None }
    }
}

fn either(one: Option<Range>, other: Option<Range>) -> Option<Range> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.hull(other)),
        (one, other) => one.or(other),
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
        let low = IrqlSet::ENTRY.within(Range::new(0, 1));
        assert_eq!(low.at(Range::new(2, 2)), None);
        assert_eq!(low.at(Range::new(0, 2)), Some(Range::new(0, 1)));
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

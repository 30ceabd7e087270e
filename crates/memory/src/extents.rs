//! Free numbers, in runs.

use std::collections::BTreeMap;
use std::ops::Range;

/// Which numbers of a range are free. Always hands out the lowest, so that equal requests get equal answers.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Extents {
    /// End and start of each free run below `fresh`; never adjacent to one another nor to `fresh`. By their ends, because runs
    /// are taken from their start and mostly given back from last to first, which changes no end.
    free: BTreeMap<u64, u64>,
    /// From here on everything is free.
    fresh: u64,
    end: u64,
}

impl Extents {
    /// Everything from `start` up to but not including `end` is free.
    pub(crate) fn new(start: u64, end: u64) -> Extents {
        Extents { free: BTreeMap::new(), fresh: start, end }
    }

    /// Everything in these ranges is free; they are in order, not empty, and do not touch.
    pub(crate) fn of(ranges: impl Iterator<Item = Range<u64>>) -> Extents {
        ranges.fold(Extents::new(0, 0), |mut all, range| {
            if all.fresh < all.end {
                all.free.insert(all.end, all.fresh);
            }
            (all.fresh, all.end) = (range.start, range.end);
            all
        })
    }

    /// Takes the lowest run of `count` numbers.
    pub(crate) fn take(&mut self, count: u64) -> Option<u64> {
        self.take_below(count, self.end)
    }

    /// Takes the lowest run of `count` numbers if all of them are less than `limit`.
    pub(crate) fn take_below(&mut self, count: u64, limit: u64) -> Option<u64> {
        let limit = limit.min(self.end);
        let Some((&end, run)) = self.free.iter_mut().find(|(end, start)| **end - **start >= count) else {
            let start = self.fresh;
            self.fresh = start.checked_add(count).filter(|end| *end <= limit)?;
            return Some(start);
        };
        let start = *run;
        if start + count > limit {
            return None;
        }
        *run += count;
        if *run == end {
            self.free.remove(&end);
        }
        Some(start)
    }

    /// Takes this number if it is free.
    pub(crate) fn take_at(&mut self, number: u64) -> bool {
        if (self.fresh..self.end).contains(&number) {
            if number > self.fresh {
                self.free.insert(number, self.fresh);
            }
            self.fresh = number + 1;
            return true;
        }
        let run = self.free.range(number + 1..).next().map(|(&end, &start)| (start, end));
        let Some((start, end)) = run.filter(|(start, _)| *start <= number) else { return false };
        self.free.remove(&end);
        for (start, end) in [(start, number), (number + 1, end)] {
            if start < end {
                self.free.insert(end, start);
            }
        }
        true
    }

    /// Gives back a run that was taken, or a part or union of such runs.
    pub(crate) fn give(&mut self, start: u64, count: u64) {
        let end = start + count;
        let start = self.free.remove(&start).unwrap_or(start);
        if end == self.fresh {
            self.fresh = start;
            return;
        }
        match self.free.range_mut(end + 1..).next() {
            Some((_, next)) if *next == end => *next = start,
            _ => drop(self.free.insert(end, start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_numbers_are_taken_from_anywhere() {
        let mut extents = Extents::new(10, 20);
        assert!(extents.take_at(13) && !extents.take_at(13) && !extents.take_at(20) && !extents.take_at(9));
        assert!(extents.take_at(11) && extents.take_at(19));
        assert_eq!((extents.take(2), extents.take(1), extents.take(5)), (Some(14), Some(10), None));
        for (start, count) in [(10, 2), (13, 3), (19, 1)] {
            extents.give(start, count);
        }
        assert_eq!(extents.take(10), Some(10));
    }

    #[test]
    fn lowest_first_and_coalescing() {
        let mut extents = Extents::new(10, 20);
        assert_eq!(extents.take(4), Some(10));
        assert_eq!(extents.take(4), Some(14));
        assert_eq!(extents.take(4), None);
        extents.give(10, 2);
        extents.give(14, 1);
        extents.give(12, 2);
        assert_eq!(extents.take(5), Some(10));
        extents.give(10, 8);
        assert!(extents.free.is_empty() && extents.fresh == 10);
        assert_eq!(extents.take_below(4, 13), None);
        assert_eq!(extents.take(10), Some(10));
    }

    /// What lies between two ranges is never handed out, neither alone nor in a run.
    #[test]
    fn ranges_with_a_gap() {
        let mut extents = Extents::of([1..4, 10..20, 30..32].into_iter());
        assert_eq!((extents.take(4), extents.take(4)), (Some(10), Some(14)));
        assert!(!extents.take_at(4) && !extents.take_at(9) && extents.take_at(30));
        assert_eq!(
            (extents.take(3), extents.take(3), extents.take(2), extents.take(1)),
            (Some(1), None, Some(18), Some(31))
        );
        for (start, count) in [(1, 3), (10, 10), (30, 2)] {
            extents.give(start, count);
        }
        assert_eq!((extents.take(11), extents.take(10), extents.take(3)), (None, Some(10), Some(1)));
    }

    proptest! {
        /// Nothing is handed out twice, and a request fails only if no run is free.
        #[test]
        fn agrees_with_a_bit_array(steps in prop::collection::vec((any::<bool>(), 1u64..6), 1..200)) {
            let mut extents = Extents::new(0, 64);
            let mut used = [false; 64];
            let mut runs = Vec::new();
            for (take, count) in steps {
                if take {
                    let lowest = (0..=64 - count as usize).find(|&s| used[s..s + count as usize].iter().all(|u| !u));
                    prop_assert_eq!(extents.take(count), lowest.map(|s| s as u64));
                    if let Some(start) = lowest {
                        used[start..start + count as usize].fill(true);
                        runs.push((start, count));
                    }
                } else if !runs.is_empty() {
                    let (start, length) = runs.swap_remove(count as usize % runs.len());
                    extents.give(start as u64, length);
                    used[start..start + length as usize].fill(false);
                }
            }
        }
    }
}

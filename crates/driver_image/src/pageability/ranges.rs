//! Sets of pages as sorted ranges.

use core::ops::Range;

/// A set of page numbers, kept as sorted ranges that neither touch nor overlap.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct PageRanges(Vec<Range<u32>>);

impl PageRanges {
    /// The union of half-open ranges in ascending order of their start; a range that ends before it starts is empty.
    pub(super) fn from_ranges(ranges: impl Iterator<Item = (i64, i64)>) -> PageRanges {
        let mut merged: Vec<Range<u32>> = Vec::new();
        for (start, end) in ranges.filter(|(start, end)| start < end) {
            let (start, end) = (start as u32, end as u32);
            match merged.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => merged.push(start..end),
            }
        }
        PageRanges(merged)
    }

    /// Is the page in the set?
    pub fn contains(&self, page: u32) -> bool {
        let after = self.0.partition_point(|range| range.end <= page);
        self.0.get(after).is_some_and(|range| range.contains(&page))
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// The pages, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().cloned().flatten()
    }

    /// Number of pages.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// True for the empty set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

//! Runs of whole pages.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use nt_types::{PAGE_SHIFT, Va};

/// A run of consecutive pages, by page number (address divided by the page size).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageRun {
    /// Number of the first page.
    pub first: u64,
    /// How many pages.
    pub count: u64,
}

impl PageRun {
    /// `count` pages from page number `first` on.
    pub const fn new(first: u64, count: u64) -> Self {
        PageRun { first, count }
    }

    /// `count` pages from the page that holds `start` on.
    pub const fn at(start: Va, count: u64) -> Self {
        Self::new(start.page(), count)
    }

    /// Address of the first byte.
    pub const fn start(self) -> Va {
        Va(self.first << PAGE_SHIFT)
    }

    /// The page numbers, in ascending order.
    pub const fn pages(self) -> Range<u64> {
        self.first..self.first.saturating_add(self.count)
    }

    /// True if the page with this number belongs to the run.
    pub const fn contains(self, page: u64) -> bool {
        page >= self.first && page - self.first < self.count
    }

    /// True for a run of no pages.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The pages that belong to both runs.
    pub fn intersection(self, other: PageRun) -> PageRun {
        let first = self.first.max(other.first);
        let end = self.pages().end.min(other.pages().end);
        PageRun { first, count: end.saturating_sub(first) }
    }
}

impl fmt::Debug for PageRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{} pages", self.start(), self.count)
    }
}

/// Ascending runs of pages that do not touch each other. A single run, the usual case, needs no allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Runs {
    first: PageRun,
    rest: Vec<PageRun>,
}

impl Runs {
    /// No pages.
    pub const fn new() -> Self {
        Runs { first: PageRun { first: 0, count: 0 }, rest: Vec::new() }
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = PageRun> + Clone + '_ {
        (!self.first.is_empty()).then_some(self.first).into_iter().chain(self.rest.iter().copied())
    }

    /// The page numbers, ascending.
    pub fn pages(&self) -> impl Iterator<Item = u64> + Clone + '_ {
        self.iter().flat_map(PageRun::pages)
    }

    /// How many pages.
    pub fn page_count(&self) -> u64 {
        self.iter().map(|run| run.count).sum()
    }

    /// True if there is no page.
    pub const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Appends a run that lies above all runs so far and does not touch them.
    fn push(&mut self, run: PageRun) {
        if self.first.is_empty() {
            self.first = run;
        } else if !run.is_empty() {
            self.rest.push(run);
        }
    }
}

impl FromIterator<u64> for Runs {
    /// Collects ascending page numbers.
    fn from_iter<I: IntoIterator<Item = u64>>(pages: I) -> Self {
        let (mut runs, mut open) = (Runs::new(), PageRun::default());
        for page in pages {
            if open.pages().end == page {
                open.count += 1;
            } else {
                runs.push(open);
                open = PageRun { first: page, count: 1 };
            }
        }
        runs.push(open);
        runs
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

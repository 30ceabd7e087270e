//! Host memory for pages, used again: exploration makes and drops forks by the thousand, and memory fresh from the host
//! costs several times as much as copying a page.

use std::sync::{Arc, Mutex, PoisonError};

use crate::frames::Page;

/// Most pages that are kept for later: 16 MiB.
const KEEP: usize = 4096;

/// Pages that nobody uses, of one family of forks.
#[derive(Default)]
pub(crate) struct PagePool {
    unused: Mutex<Vec<Box<Page>>>,
}

/// Pages that go back to their pool when they are dropped.
pub(crate) struct Pages {
    pub(crate) pages: Vec<Box<Page>>,
    pool: Arc<PagePool>,
}

impl Pages {
    /// No pages, of a pool of their own.
    pub(crate) fn new() -> Pages {
        Pages { pages: Vec::new(), pool: Arc::default() }
    }

    /// No pages, of the same pool.
    pub(crate) fn empty(&self) -> Pages {
        Pages { pages: Vec::new(), pool: Arc::clone(&self.pool) }
    }

    /// Adds a page that holds anything, and returns its index.
    pub(crate) fn add(&mut self) -> u32 {
        let unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.pages.push(unused.unwrap_or_else(|| Box::new([0; 4096])));
        self.pages.len() as u32 - 1
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let mut unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEEP.saturating_sub(unused.len());
        let kept = self.pages.len().min(room);
        unused.extend(self.pages.drain(..kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_used_again() {
        let mut first = Pages::new();
        assert_eq!((first.add(), first.add()), (0, 1));
        let mut second = first.empty();
        let address = first.pages[1].as_ptr();
        drop(first);
        assert_eq!((second.add(), second.add()), (0, 1));
        assert_eq!(second.pages[0].as_ptr(), address);
        assert!(second.pool.unused.lock().unwrap().is_empty());
    }
}

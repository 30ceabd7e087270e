//! Host memory for pages, used again: exploration makes and drops forks by the thousand, and memory fresh from the host
//! costs several times as much as copying a page.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use twox_hash::XxHash3_128;

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
    /// Hash of each page, once somebody has asked for it and until it is written again. Pages that forks share are hashed
    /// once for all of them.
    hashes: Vec<OnceLock<u128>>,
    pool: Arc<PagePool>,
}

impl Pages {
    /// No pages, of a pool of their own.
    pub(crate) fn new() -> Pages {
        Pages { pages: Vec::new(), hashes: Vec::new(), pool: Arc::default() }
    }

    /// No pages, of the same pool.
    pub(crate) fn empty(&self) -> Pages {
        Pages { pages: Vec::new(), hashes: Vec::new(), pool: Arc::clone(&self.pool) }
    }

    /// Adds a page that holds anything, and returns its index.
    pub(crate) fn add(&mut self) -> u32 {
        let unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.pages.push(unused.unwrap_or_else(|| Box::new([0; 4096])));
        self.hashes.push(OnceLock::new());
        self.pages.len() as u32 - 1
    }

    /// Hash of the content of a page.
    pub(crate) fn hash(&self, index: usize) -> u128 {
        *self.hashes[index].get_or_init(|| hash(&self.pages[index]))
    }

    /// The page is about to be written.
    pub(crate) fn forget_hash(&mut self, index: usize) {
        self.hashes[index].take();
    }
}

/// Hash of the content of a page.
pub(crate) fn hash(page: &Page) -> u128 {
    XxHash3_128::oneshot(page)
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

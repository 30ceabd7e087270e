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

    /// Adds a page with this content.
    pub(crate) fn push(&mut self, content: &Page) {
        let unused = self.pool.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        self.pages.push(match unused {
            Some(mut page) => {
                *page = *content;
                page
            }
            None => Box::new(*content),
        });
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
    fn pages_are_used_again_with_new_content() {
        let mut first = Pages::new();
        first.push(&[1; 4096]);
        let mut second = first.empty();
        let address = first.pages[0].as_ptr();
        drop(first);
        second.push(&[2; 4096]);
        assert_eq!((second.pages[0].as_ptr(), *second.pages[0]), (address, [2; 4096]));
        assert!(second.pool.unused.lock().unwrap().is_empty());
    }
}

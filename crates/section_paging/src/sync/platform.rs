//! What the thread-safe form asks of the host: one atomic word, and a lock that can be waited on.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::paging::Paging;

/// Where the callers run. A kernel or a model checker brings its own; `Threads`, with the feature `std`, is the standard
/// library.
pub trait Platform {
    /// The fast path of one section; `AtomicU64` where nothing speaks against it.
    type Word: Word;
    /// Everything else.
    type Monitor: Monitor<Paging>;
}

/// An atomic 64-bit word. A successful exchange acquires and releases.
pub trait Word: Send + Sync {
    /// A word with this value.
    fn new(value: u64) -> Self;
    /// The value now.
    fn load(&self) -> u64;
    /// Replaces `old` by `new`; false, possibly spuriously, if the value was another one.
    fn exchange(&self, old: u64, new: u64) -> bool;
    /// Replaces the value, and returns the old one.
    fn swap(&self, new: u64) -> u64;
}

/// A value that one caller at a time may use, and whose changes can be waited for.
pub trait Monitor<T>: Send + Sync {
    /// A monitor that holds the value.
    fn new(value: T) -> Self;
    /// Runs `f` while nobody else uses the value.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
    /// Runs `f` as [`Self::with`] does, and again after each [`Self::wake_all`], until it returns something. No wake may
    /// be lost between a run of `f` and the sleep after it.
    fn wait_until<R>(&self, f: impl FnMut(&mut T) -> Option<R>) -> R;
    /// Wakes every caller that sleeps in [`Self::wait_until`].
    fn wake_all(&self);
}

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        AtomicU64::new(value)
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn exchange(&self, old: u64, new: u64) -> bool {
        self.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn swap(&self, new: u64) -> u64 {
        self.swap(new, Ordering::AcqRel)
    }
}

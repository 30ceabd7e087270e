//! What the thread-safe form asks of the host: one atomic word, and a lock that can be waited on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::paging::Paging;

/// Where the callers run. [`Threads`] is the standard library; a kernel or a model checker brings its own.
pub trait Platform {
    /// The fast path of one section.
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

/// Threads of the standard library.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Platform for Threads {
    type Word = AtomicU64;
    type Monitor = ThreadMonitor<Paging>;
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

/// A mutex and a condition variable.
#[derive(Debug)]
pub struct ThreadMonitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> ThreadMonitor<T> {
    /// A poisoned lock is no reason to stop: the machine never panics half way through a change.
    fn enter(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Monitor<T> for ThreadMonitor<T> {
    fn new(value: T) -> Self {
        ThreadMonitor { value: Mutex::new(value), changed: Condvar::new() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.enter())
    }

    fn wait_until<R>(&self, mut f: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut value = self.enter();
        loop {
            if let Some(result) = f(&mut value) {
                return result;
            }
            value = self.changed.wait(value).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wake_all(&self) {
        self.changed.notify_all();
    }
}

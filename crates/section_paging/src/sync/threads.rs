//! The threads of the standard library.

use core::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::platform::{Monitor, Platform};
use super::{Host, SharedPaging};
use crate::paging::{Config, Paging};

/// Threads of the standard library.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

impl Platform for Threads {
    type Word = AtomicU64;
    type Monitor = ThreadMonitor<Paging>;
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

impl<H: Host> SharedPaging<H, Threads> {
    /// A machine without images, for threads of the standard library. `config.call_sites` is ignored.
    pub fn new(config: Config, host: H) -> Self {
        Self::on_platform(config, host)
    }
}

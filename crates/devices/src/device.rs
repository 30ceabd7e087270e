//! What a device model offers to the bus.

use std::any::Any;
use std::fmt::Debug;
use std::hash::Hasher;

use crate::mishap::Mishap;

/// A hardware model.
///
/// Time is virtual, in nanoseconds since the start of the machine. The bus calls [`advance`](Device::advance) before
/// each access, so an access happens at the time of the last advance. No method panics, whatever the arguments.
pub trait Device: Any + Debug + Send + Sync {
    /// What reports call it.
    fn name(&self) -> &str;

    /// Lets everything happen that is due until `now_ns`. A time before the last one changes nothing.
    fn advance(&mut self, now_ns: u64);

    /// When something will happen by itself next; after `advance(t)` it is later than `t`.
    fn next_deadline(&self) -> Option<u64>;

    /// True while the device asserts its interrupt line.
    fn interrupt(&self) -> bool;

    /// Reads `_width` bytes (1, 2, 4 or 8, at most what the range was claimed with) at `_offset` into its port range.
    fn port_read(&mut self, _offset: u16, _width: u8) -> u64 {
        u64::MAX
    }

    /// Writes `_width` bytes at `_offset` into its port range.
    fn port_write(&mut self, _offset: u16, _width: u8, _value: u64) {}

    /// Reads `_width` bytes at `_offset` into its device memory.
    fn memory_read(&mut self, _offset: u64, _width: u8) -> u64 {
        u64::MAX
    }

    /// Writes `_width` bytes at `_offset` into its device memory.
    fn memory_write(&mut self, _offset: u64, _width: u8, _value: u64) {}

    /// What the world outside may do to it now.
    fn mishaps(&self) -> &'static [Mishap] {
        &[]
    }

    /// The world outside does this to it; what is not among its mishaps changes nothing.
    fn befall(&mut self, _mishap: Mishap) {}

    /// Feeds a hasher everything that can influence what the device will do from `now_ns` on, with how long it is to each
    /// moment, not when that is: two that feed the same at different times go on alike.
    fn hash_at(&self, now_ns: u64, state: &mut dyn Hasher);

    /// A copy that shares nothing with this one.
    fn clone_box(&self) -> Box<dyn Device>;
}

impl Clone for Box<dyn Device> {
    fn clone(&self) -> Box<dyn Device> {
        (**self).clone_box()
    }
}

//! What is known of handles of sections from all of a driver.

use std::collections::BTreeMap;

/// Which section a handle stands for that lies in memory, call by call.
#[derive(Default)]
pub(crate) struct Handles {
    /// The driver locks sections, so that it matters where handles go.
    pub(super) any: bool,
    /// By address of the call that is given the handle: index of the section.
    of_call: BTreeMap<u32, usize>,
}

impl Handles {
    /// Nothing is known yet.
    pub(super) fn unknown(any: bool) -> Handles {
        Handles { any, of_call: BTreeMap::new() }
    }

    /// Known for these calls.
    pub(crate) fn known(of_call: impl Iterator<Item = (u32, usize)>) -> Handles {
        Handles { any: true, of_call: of_call.collect() }
    }

    pub(super) fn of_call(&self, at: u32) -> Option<usize> {
        self.of_call.get(&at).copied()
    }
}

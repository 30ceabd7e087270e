//! The call sites of outstanding locks (D24).

use alloc::vec::Vec;

use nt_types::Va;

/// A place that locked a section.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallSite {
    /// Return address of the lock call.
    pub address: Va,
    /// How many locks came from there.
    pub locks: u32,
}

/// Where a section was locked since its count was last zero, oldest first.
///
/// Nobody owns a lock, so an unlock cannot say which of them it ends: every place remains a suspect until the count is
/// zero again. At most [`Config::call_sites`](crate::Config::call_sites) places are told apart.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct CallSites {
    sites: Vec<CallSite>,
    /// Locks from places beyond the limit.
    others: u32,
}

impl CallSites {
    /// The places, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = CallSite> + '_ {
        self.sites.iter().copied()
    }

    /// Locks from places that exceeded the limit and were only counted.
    pub const fn others(&self) -> u32 {
        self.others
    }

    pub(crate) fn record(&mut self, address: Va, limit: usize) {
        let room = self.sites.len() < limit;
        match self.sites.iter_mut().find(|site| site.address == address) {
            Some(site) => site.locks = site.locks.saturating_add(1),
            None if room => self.sites.push(CallSite { address, locks: 1 }),
            None => self.others = self.others.saturating_add(1),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sites.clear();
        self.others = 0;
    }
}

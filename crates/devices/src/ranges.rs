//! Address ranges that devices claim.

use std::collections::BTreeMap;

use crate::bus::{BusError, DeviceId};

/// Addresses `base` to `base + length - 1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AddressRange {
    /// First address.
    pub base: u64,
    /// Number of addresses.
    pub length: u64,
}

/// A range, its device and the widest access that the device takes in one cycle, in bytes.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Claim {
    pub(crate) range: AddressRange,
    pub(crate) device: DeviceId,
    width: u8,
}

impl Claim {
    fn last(&self) -> u64 {
        self.range.base + (self.range.length - 1)
    }

    /// Bytes of the cycle that serves the next `wanted` bytes at `address`: aligned, a power of two, no wider than the
    /// device takes and not beyond the range.
    pub(crate) fn cycle(&self, address: u64, wanted: u8) -> u8 {
        let left = (self.last() - address).saturating_add(1).min(wanted.min(self.width).into()).max(1);
        1 << left.ilog2().min(address.trailing_zeros())
    }
}

/// Claimed ranges of one address space, without overlaps.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Claims {
    by_base: BTreeMap<u64, Claim>,
}

impl Claims {
    /// Claims `range` for `device`. `limit` is the last address of the space.
    pub(crate) fn add(&mut self, device: DeviceId, range: AddressRange, width: u8, limit: u64) -> Result<(), BusError> {
        let last = range.length.checked_sub(1).and_then(|more| range.base.checked_add(more));
        let last = last.filter(|last| *last <= limit).ok_or(BusError::BadRange(range))?;
        if !matches!(width, 1 | 2 | 4 | 8) {
            return Err(BusError::BadWidth(width));
        }
        let below = self.by_base.range(..=last).next_back().map(|(_, claim)| *claim);
        if let Some(other) = below.filter(|claim| claim.last() >= range.base) {
            return Err(BusError::Overlap { range, other: other.range });
        }
        self.by_base.insert(range.base, Claim { range, device, width });
        Ok(())
    }

    /// The claim that covers `address`.
    pub(crate) fn find(&self, address: u64) -> Option<Claim> {
        let (_, claim) = self.by_base.range(..=address).next_back()?;
        (claim.last() >= address).then_some(*claim)
    }

    /// Gives up everything that `device` claimed.
    pub(crate) fn remove(&mut self, device: DeviceId) {
        self.by_base.retain(|_, claim| claim.device != device);
    }

    /// What `device` claimed, by address.
    pub(crate) fn of(&self, device: DeviceId) -> Vec<AddressRange> {
        self.by_base.values().filter(|claim| claim.device == device).map(|claim| claim.range).collect()
    }
}

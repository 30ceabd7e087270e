//! Which addresses of each region are free.

use std::collections::BTreeMap;

use nt_types::{PAGE_SHIFT, Va};
use section_paging::Handle;

use crate::extents::Extents;
use crate::pte::pte_address;
use crate::types::Region;

/// Images begin at multiples of 64 KiB, with a gap of at least a page before the next.
const IMAGE_UNIT_PAGES: u64 = 16;
/// Pages of a region: 256 GiB.
const REGION_PAGES: u64 = 1 << 26;

const REGIONS: [Region; 7] = [
    Region::User,
    Region::PagedPool,
    Region::KernelStack,
    Region::NonpagedPool,
    Region::SpecialPool,
    Region::SystemMapping,
    Region::Image,
];

impl Region {
    /// First address.
    ///
    /// | region | from |
    /// |---|---|
    /// | user | `0x0000000000010000` |
    /// | paged pool | `0xFFFFA88000000000` |
    /// | kernel stacks | `0xFFFFD00000000000` |
    /// | nonpaged pool | `0xFFFFE18000000000` |
    /// | special pool | `0xFFFFE60000000000` |
    /// | system mappings | `0xFFFFF28000000000` |
    /// | images | `0xFFFFF80000000000` |
    ///
    /// Each is 256 GiB long. Where NT maps its page tables (from `0xFFFFF68000000000`) and where section handles lie
    /// ([`section_paging::Handle::RANGE`]) nothing is ever mapped. KUSER_SHARED_DATA lies at `0xFFFFF78000000000`.
    pub const fn base(self) -> Va {
        match self {
            Region::User => Va(0x1_0000),
            Region::PagedPool => Va(0xFFFF_A880_0000_0000),
            Region::KernelStack => Va(0xFFFF_D000_0000_0000),
            Region::NonpagedPool => Va(0xFFFF_E180_0000_0000),
            Region::SpecialPool => Va(0xFFFF_E600_0000_0000),
            Region::SystemMapping => Va(0xFFFF_F280_0000_0000),
            Region::Image => Va(0xFFFF_F800_0000_0000),
        }
    }

    /// The region that holds `va`.
    pub fn of(va: Va) -> Option<Region> {
        REGIONS.into_iter().find(|region| va >= region.base() && va - region.base() < REGION_PAGES << PAGE_SHIFT)
    }
}

/// Which address ranges are reserved.
#[derive(Clone, Hash)]
pub(crate) struct Regions {
    free: BTreeMap<Region, Extents>,
    /// Pages of each reserved range, by its address.
    reserved: BTreeMap<Va, u64>,
}

impl Regions {
    pub(crate) fn new() -> Regions {
        let all = |region: Region| {
            let first = region.base().page();
            (region, Extents::new(first, first + REGION_PAGES))
        };
        Regions { free: REGIONS.map(all).into(), reserved: BTreeMap::new() }
    }

    /// Takes the lowest free range. A kernel stack and a block of special pool get one page more, below it.
    pub(crate) fn take(&mut self, region: Region, pages: u64) -> Option<Va> {
        let (before, after) = margins(region, pages)?;
        let first = self.free.get_mut(&region)?.take(before.checked_add(pages)?.checked_add(after)?)?;
        let va = Va((first + before) << PAGE_SHIFT);
        self.reserved.insert(va, pages);
        Some(va)
    }

    /// Pages of the range that was taken at `va`.
    pub(crate) fn reserved(&self, va: Va) -> Option<u64> {
        self.reserved.get(&va).copied()
    }

    /// The range that was taken and holds `va`: where it begins, and its pages.
    pub(crate) fn around(&self, va: Va) -> Option<(Va, u64)> {
        let (&start, &pages) = self.reserved.range(..=va).next_back()?;
        (va.page() - start.page() < pages).then_some((start, pages))
    }

    /// Gives back the range that was taken at `va` and returns its pages. Ranges of images stay taken (D28), and those of special
    /// pool, so that a late access finds nothing there.
    pub(crate) fn give(&mut self, va: Va) -> Option<u64> {
        let region = Region::of(va)?;
        let pages = self.reserved.remove(&va)?;
        let (before, after) = margins(region, pages)?;
        if !matches!(region, Region::Image | Region::SpecialPool) {
            self.free.get_mut(&region)?.give(va.page() - before, before + pages + after);
        }
        Some(pages)
    }
}

/// Pages before and after a range that belong to it and are never mapped.
fn margins(region: Region, pages: u64) -> Option<(u64, u64)> {
    Some(match region {
        Region::KernelStack | Region::SpecialPool => (1, 0),
        Region::Image => (0, pages.checked_add(1)?.checked_next_multiple_of(IMAGE_UNIT_PAGES)? - pages),
        _ => (0, 0),
    })
}

/// True if nothing may be mapped in the pages from `va` on.
pub(crate) fn is_forbidden(va: Va, pages: u64) -> bool {
    let end = va.0.saturating_add(pages.saturating_mul(1 << PAGE_SHIFT));
    let meets = |start: u64, last: u64| va.0 <= last && end > start;
    meets(pte_address(Va(0)), pte_address(Va(u64::MAX))) || meets(Handle::RANGE.start, Handle::RANGE.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_do_not_meet_one_another_or_forbidden_ranges() {
        for region in REGIONS {
            assert!(!is_forbidden(region.base(), REGION_PAGES));
            assert_eq!(Region::of(region.base()), Some(region));
            assert_eq!(Region::of(region.base() + ((REGION_PAGES << PAGE_SHIFT) - 1)), Some(region));
        }
        assert_eq!(Region::of(Va(0xFFFF_F780_0000_0000)), None);
        assert!(is_forbidden(Va(Handle::RANGE.start), 1) && is_forbidden(Va(Handle::RANGE.end - 1).page_down(), 1));
    }

    #[test]
    fn image_ranges_are_never_reused() {
        let mut regions = Regions::new();
        let first = regions.take(Region::Image, 15).unwrap();
        let second = regions.take(Region::Image, 16).unwrap();
        assert_eq!((second - first, regions.take(Region::Image, 1).unwrap() - second), (0x1_0000, 0x2_0000));
        assert_eq!((regions.give(first), regions.give(first), regions.give(first + 0x1000)), (Some(15), None, None));
        assert!(regions.take(Region::Image, 1).unwrap() > second);
    }

    #[test]
    fn special_pool_has_a_page_before_each_block_and_uses_none_twice() {
        let mut regions = Regions::new();
        let first = regions.take(Region::SpecialPool, 1).unwrap();
        assert_eq!(first, Region::SpecialPool.base() + 0x1000);
        assert_eq!(regions.give(first), Some(1));
        assert_eq!(regions.take(Region::SpecialPool, 1).unwrap() - first, 0x2000);
    }

    #[test]
    fn stacks_have_a_guard_page_below_and_are_reused() {
        let mut regions = Regions::new();
        let first = regions.take(Region::KernelStack, 6).unwrap();
        assert_eq!(first, Region::KernelStack.base() + 0x1000);
        let second = regions.take(Region::KernelStack, 6).unwrap();
        assert_eq!(second - first, 7 << PAGE_SHIFT);
        regions.give(first);
        assert_eq!(regions.take(Region::KernelStack, 6), Some(first));
        assert_eq!(regions.take(Region::KernelStack, u64::MAX), None);
    }
}

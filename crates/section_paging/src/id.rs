//! What names an image and a section, and the handle that drivers hold.

use core::fmt;
use core::num::NonZeroU32;
use core::ops::Range;

/// Log2 of the distance between two handles.
const SPACING_BITS: u32 = 4;
const INDEX_BITS: u32 = 16;
const SERIAL_BITS: u32 = 19;
const HANDLE_BASE: u64 = 0xFFFF_B780_0000_0000;

/// A loaded or unloaded image: its load serial. Serials ascend and are never reused (D19).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(NonZeroU32);

impl ImageId {
    /// Serials that fit into a handle.
    pub(crate) const LIMIT: u32 = (1 << SERIAL_BITS) - 1;

    /// The serial, from 1.
    pub const fn serial(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_slot(slot: usize) -> Option<Self> {
        let serial = u32::try_from(slot).ok()?.checked_add(1)?;
        if serial > Self::LIMIT { None } else { NonZeroU32::new(serial).map(ImageId) }
    }

    pub(crate) const fn slot(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image {}", self.0)
    }
}

/// A section of an image: its position in the section headers, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId {
    /// The image.
    pub image: ImageId,
    /// Position among the section headers.
    pub index: u16,
}

impl fmt::Debug for SectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} section {}", self.image, self.index)
    }
}

/// The value that a lock returns to the driver (D19).
///
/// A driver may pass any value where a handle is expected, so a `Handle` claims and proves nothing: each use is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u64);

impl Handle {
    /// The addresses that handles occupy: one entry of the top-level page table. A kernel must never map anything there,
    /// so that a driver which dereferences a handle faults (K07).
    pub const RANGE: Range<u64> = HANDLE_BASE..HANDLE_BASE + (1 << (SERIAL_BITS + INDEX_BITS + SPACING_BITS));

    /// The value that a driver passed.
    pub const fn from_value(value: u64) -> Self {
        Handle(value)
    }

    /// The value to hand to the driver.
    pub const fn value(self) -> u64 {
        self.0
    }

    pub(crate) fn of(section: SectionId) -> Self {
        let name = (u64::from(section.image.serial()) << INDEX_BITS) | u64::from(section.index);
        Handle(HANDLE_BASE + (name << SPACING_BITS))
    }

    /// The section that this value names if it was ever issued, which must be checked.
    #[inline]
    pub fn names(self) -> Option<SectionId> {
        // Values below the base, above the range or between two handles all become too large to be a name.
        let name = self.0.wrapping_sub(HANDLE_BASE).rotate_right(SPACING_BITS);
        if name >> (SERIAL_BITS + INDEX_BITS) != 0 {
            return None;
        }
        let image = ImageId(NonZeroU32::new((name >> INDEX_BITS) as u32)?);
        Some(SectionId { image, index: (name & 0xFFFF) as u16 })
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

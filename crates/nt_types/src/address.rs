//! Addresses and page arithmetic.

use core::fmt;
use core::ops::{Add, Sub};

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;

/// A guest virtual address, in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Va(pub u64);

/// An offset in bytes from the base of a loaded image.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rva(pub u32);

impl Va {
    /// The null address.
    pub const NULL: Va = Va(0);

    /// Number of the page that holds this address.
    pub const fn page(self) -> u64 {
        self.0 >> PAGE_SHIFT
    }

    /// First address of the page that holds this address (`rdn` of BEHAVIOUR.md).
    pub const fn page_down(self) -> Va {
        Va(self.0 & !(PAGE_SIZE - 1))
    }

    /// First page boundary at or after this address (`rup` of BEHAVIOUR.md); wraps at the top of the address space.
    pub const fn page_up(self) -> Va {
        Va(self.0.wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1))
    }

    /// Offset in bytes within the page.
    pub const fn page_offset(self) -> usize {
        (self.0 & (PAGE_SIZE - 1)) as usize
    }

    /// True for the null address.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// True where bits 63 to 47 are all equal, as a processor without LA57 requires.
    pub const fn is_canonical(self) -> bool {
        ((self.0 << 16) as i64 >> 16) as u64 == self.0
    }

    /// True for the upper half of the canonical address space.
    pub const fn is_kernel(self) -> bool {
        self.0 >= 0xFFFF_8000_0000_0000
    }

    /// This address plus `bytes`, wrapping.
    pub const fn offset(self, bytes: u64) -> Va {
        Va(self.0.wrapping_add(bytes))
    }
}

impl Add<u64> for Va {
    type Output = Va;
    fn add(self, bytes: u64) -> Va {
        self.offset(bytes)
    }
}

impl Add<Rva> for Va {
    type Output = Va;
    fn add(self, rva: Rva) -> Va {
        self.offset(u64::from(rva.0))
    }
}

impl Sub<Va> for Va {
    type Output = u64;
    fn sub(self, other: Va) -> u64 {
        self.0.wrapping_sub(other.0)
    }
}

macro_rules! hex_display {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:#x})", stringify!($type), self.0)
            }
        }
    };
}
hex_display!(Va);
hex_display!(Rva);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_rounding() {
        assert_eq!(Va(0x1fff).page_down(), Va(0x1000));
        assert_eq!(Va(0x1001).page_up(), Va(0x2000));
        assert_eq!(Va(0x1000).page_up(), Va(0x1000));
    }

    #[test]
    fn canonical_halves() {
        assert!(Va(0x7fff_ffff_ffff).is_canonical());
        assert!(!Va(0x8000_0000_0000).is_canonical());
        assert!(Va(0xFFFF_8000_0000_0000).is_canonical());
    }
}

//! Pool handled wrongly.

use nt_types::{Irql, Va};

use super::evidence::{Home, Tag};

/// Pool handled wrongly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PoolMisuse {
    /// Freed twice (0xC2).
    FreedTwice {
        /// The address.
        address: Va,
        /// The tag of the block.
        tag: Tag,
    },
    /// Freed with an address that pool never returned (0xC2).
    NotPool {
        /// The address.
        address: Va,
        /// What is there.
        home: Option<Home>,
    },
    /// Freed with another tag than it was allocated with (0xC2).
    WrongTag {
        /// The address.
        address: Va,
        /// Tag passed.
        passed: Tag,
        /// Tag of the block.
        actual: Tag,
    },
    /// Bytes beyond the block were written (0xC2).
    Overrun {
        /// The address.
        address: Va,
        /// The tag of the block.
        tag: Tag,
        /// Size of the block in bytes.
        bytes: u64,
    },
    /// Allocated or freed above the IRQL its type allows (0xC2, or 0xC4/0x01, 0x02, 0x11, 0x12 with the verifier).
    AboveIrql {
        /// The routine.
        routine: String,
        /// Paged or nonpaged.
        paged: bool,
        /// IRQL of the call.
        irql: Irql,
    },
    /// Allocated with size 0, or with a type that does not exist.
    BadArgument {
        /// The routine.
        routine: String,
        /// Number of the argument from 1.
        argument: u8,
        /// Its value.
        value: u64,
    },
}

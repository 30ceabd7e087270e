//! Pool handled wrongly.

use nt_types::{Irql, Va};

use super::evidence::{Home, Tag};
use crate::diagnostic::Diagnostic;
use crate::words::{Rule, Words, on_verifier};

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
    /// Bytes before or after a block of special pool were written (0xC1).
    Overwritten {
        /// The address.
        address: Va,
        /// The tag of the block.
        tag: Tag,
        /// Size of the block in bytes.
        bytes: u64,
        /// Where.
        at: Va,
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

const POOL_CALLER: Rule =
    Rule { text: "pool is freed once, with its own address and tag", source: "Bug Check 0xC2 BAD_POOL_CALLER" };
const POOL_SIZE: Rule = Rule {
    text: "only the bytes asked for belong to the caller",
    source: "Bug Check 0xC1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
};
const POOL_IRQL: Rule = Rule {
    text: "paged pool is for `APC_LEVEL` and below, nonpaged pool for `DISPATCH_LEVEL` and below",
    source: "ExAllocatePool2",
};

impl PoolMisuse {
    pub(super) fn words(&self, report: &Diagnostic) -> Words {
        match self {
            PoolMisuse::FreedTwice { address, tag } => {
                on_verifier(report, format!("pool block with tag `{tag}` freed twice"), POOL_CALLER)
                    .label(format!("second free of `{address}`"))
                    .help("clear the pointer when the block is freed")
            }
            PoolMisuse::NotPool { address, home } => {
                let what = home.as_ref().map_or("nothing is there".to_owned(), |home| format!("it lies in {home}"));
                on_verifier(report, format!("`{address}` freed, which is no pool block"), POOL_CALLER).note(what)
            }
            PoolMisuse::WrongTag { address, passed, actual } => {
                on_verifier(report, format!("pool block freed with tag `{passed}`"), POOL_CALLER)
                    .note(format!("the block at `{address}` was allocated with tag `{actual}`"))
            }
            PoolMisuse::Overwritten { address, tag, bytes, at } => {
                let side = if at < address { "before" } else { "after" };
                on_verifier(report, format!("memory {side} a pool block with tag `{tag}` was written"), POOL_SIZE)
                    .label("found when the block is freed")
                    .note(format!("the block at `{address}` has {}; `{at}` was written", crate::plural(*bytes, "byte")))
                    .help("look between the allocation and the free for an index that goes too far")
            }
            PoolMisuse::AboveIrql { routine, paged, irql } => {
                let kind = if *paged { "paged" } else { "nonpaged" };
                on_verifier(report, format!("`{routine}` called for {kind} pool at `{irql}`"), POOL_IRQL)
            }
            PoolMisuse::BadArgument { routine, argument, value } => {
                on_verifier(report, format!("`{routine}` called with {value:#x} as argument {argument}"), POOL_CALLER)
            }
        }
    }
}

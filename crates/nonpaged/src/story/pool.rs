//! Pool: blocks freed wrongly, and blocks left behind.

use kernel::{EventKind, PoolMisuse};
use nt_types::Va;
use report::Diagnostic;
use report::cause::{self, Cause, Holder, Home, Tag, UnloadMisuse};

use super::scene::{Block, Scene};

impl Block<'_> {
    /// Where it lies.
    pub(super) fn home(&self) -> Home {
        if self.paged { Home::PagedPool(self.tag) } else { Home::NonpagedPool(self.tag) }
    }
}

/// Bug checks 0xC2 and, of special pool, 0xC1.
pub(super) fn misuse(scene: &Scene<'_>, misuse: PoolMisuse) -> Diagnostic {
    let (address, misuse) = match misuse {
        PoolMisuse::NotABlock { address } => (address, not_a_block(scene, address)),
        PoolMisuse::WrongTag { address, passed, actual } => {
            (address, cause::PoolMisuse::WrongTag { address, passed: Tag(passed), actual: Tag(actual) })
        }
        PoolMisuse::Overwritten { address, at } => {
            let (tag, bytes) = scene.block(address).map_or((Tag([b'?'; 4]), 0), |block| (block.tag, block.bytes));
            (address, cause::PoolMisuse::Overwritten { address, tag, bytes, at })
        }
    };
    Diagnostic { because: history(scene, address), ..Diagnostic::from(Cause::Pool(misuse)) }
}

fn not_a_block(scene: &Scene<'_>, address: Va) -> cause::PoolMisuse {
    match scene.block(address) {
        Some(block) if block.freed.is_some() => cause::PoolMisuse::FreedTwice { address, tag: block.tag },
        Some(block) => cause::PoolMisuse::NotPool { address, home: Some(block.home()) },
        None => {
            let home = scene.spot(address).map(|_| scene.home(address));
            cause::PoolMisuse::NotPool { address, home }
        }
    }
}

/// How the block that holds an address was freed and allocated.
pub(super) fn history(scene: &Scene<'_>, address: Va) -> Vec<report::Event> {
    let Some(block) = scene.block(address) else { return Vec::new() };
    let home = block.home();
    let allocated = report::EventKind::Allocated { home: home.clone(), bytes: block.bytes };
    let freed = block.freed.map(|event| scene.told(event, report::EventKind::Freed { home }));
    freed.into_iter().chain([scene.told(block.allocated, allocated)]).collect()
}

/// A block that its driver left behind.
pub(super) fn leak(scene: &Scene<'_>, address: Va, bytes: u64, tag: Tag) -> Diagnostic {
    let holder = scene.last(|event| match event.kind {
        EventKind::Allocated { address: block, .. } if block == address => {
            Some(Holder { at: scene.where_of(event)?.place, step: event.step })
        }
        _ => None,
    });
    let holders = holder.into_iter().collect();
    Diagnostic::from(Cause::Unload(UnloadMisuse::PoolLeak { tag, blocks: 1, bytes, holders }))
}

//! Tables: the image page by page, the summary of a run, and many drivers.

mod advice;
pub mod fleet;
mod map;
mod requests;
mod summary;
mod watched;

pub use advice::{Advice, Doubt, Doubtful, Move, Moved, SectionUses, Split, Used, Uses};
pub use map::{Map, Run, Totals};
pub use requests::{RequestAnswer, RequestMade};
pub use summary::{Sample, SectionUse, Summary};
pub use watched::{WatchedSection, WatchedStep};

/// `28.0 KiB`, for people; machines get bytes.
fn kib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / 1024;
    format!("{}.{} KiB", tenths / 10, tenths % 10)
}

/// The same, but bytes where there are few.
fn size(bytes: u64) -> String {
    if bytes < 1024 { crate::plural(bytes, "byte") } else { kib(bytes) }
}

/// Pages in bytes.
pub(crate) fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(nt_types::PAGE_SIZE)
}

#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::needless_pass_by_value, reason = "a ticket is given back by value, so that it is used once")]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod call_sites;
mod failure;
mod finding;
mod id;
mod image;
mod load;
mod lock;
mod pages;
mod paging;
mod step;
pub mod sync;
mod table;
mod whole;

pub use call_sites::{CallSite, CallSites};
pub use failure::{
    COUNT_OVERFLOW, Failure, LOCK_OF_NONEXISTENT_SECTION, Operation, Reason, UNLOCK_OF_UNLOCKED_SECTION,
};
pub use finding::{Finding, LockedSection};
pub use id::{Handle, ImageId, SectionId};
pub use image::{ImageKind, NewImage, NewSection};
pub use load::LoadError;
pub use pages::{PageRun, Runs};
pub use paging::{Config, ImageState, PageState, Paging, SectionState};
pub use step::{
    Answer, DpcFlush, Event, Loaded, LockStep, LockWait, Locked, PageEntireStep, PagedEntire, ResetStep, Restore,
    Transition, UnloadStep, Unlocked, WholeWait,
};
pub use table::UnloadedImage;

//! What a routine answers, and the tickets of the calls that are not done yet.
//!
//! A ticket is plain data. It is cloned only together with the machine that issued it, and given back once.

use alloc::vec::Vec;

use nt_types::Va;

use crate::finding::Finding;
use crate::id::{Handle, ImageId, SectionId};
use crate::pages::Runs;

/// What a caller waits for. [`Paging::is_over`](crate::Paging::is_over) says when it may go on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// The end of a first lock of this section (D21).
    Transition(SectionId),
    /// The end of `MmPageEntireDriver` or `MmResetDriverPaging` on this image (D38).
    WholeDriver(ImageId),
    /// The end of all calls inside the memory manager on this image (D29).
    Calls(ImageId),
}

/// The first answer of a routine, and the findings that the call gave rise to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub struct Answer<Step> {
    /// What happens next.
    pub step: Step,
    /// What the driver should not have done.
    pub findings: Vec<Finding>,
}

/// How a lock goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum LockStep {
    /// Every page was resident: the lock is complete.
    Locked(Locked),
    /// Another caller is bringing in this section. Wait for [`LockWait::event`], then
    /// [`Paging::resume_lock`](crate::Paging::resume_lock).
    Wait(LockWait),
    /// Bring in the pages, then [`Paging::finish`](crate::Paging::finish).
    PageIn(Transition),
}

/// A lock that is complete.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Locked {
    /// The section.
    pub section: SectionId,
    /// What `MmLockPagableDataSection` returns.
    pub handle: Handle,
    /// The count now.
    pub count: u32,
}

/// One lock call on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct LockCall {
    /// What the caller passed, for the bug check.
    pub(crate) value: u64,
    pub(crate) section: SectionId,
    pub(crate) caller: Va,
}

/// A lock that waits for another caller.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use = "an image with a call inside cannot be unloaded"]
pub struct LockWait {
    pub(crate) call: LockCall,
}

impl LockWait {
    /// The section.
    pub const fn section(&self) -> SectionId {
        self.call.section
    }

    /// What it waits for.
    pub const fn event(&self) -> Event {
        Event::Transition(self.call.section)
    }
}

/// A first lock in progress: its pages are pinned and must be brought in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use = "the section stays in transition until `finish` or `abort`"]
pub struct Transition {
    pub(crate) call: LockCall,
    pub(crate) pages: Runs,
}

impl Transition {
    /// The section.
    pub const fn section(&self) -> SectionId {
        self.call.section
    }

    /// The pages that must be resident before [`Paging::finish`](crate::Paging::finish). Some may be already.
    pub const fn pages(&self) -> &Runs {
        &self.pages
    }
}

/// An unlock that is complete.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Unlocked {
    /// The section.
    pub section: SectionId,
    /// The count now.
    pub count: u32,
    /// The pages that became eligible.
    pub newly_eligible: Runs,
    /// What the driver should not have done.
    pub findings: Vec<Finding>,
}

/// How `MmPageEntireDriver` goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum PageEntireStep {
    /// Nothing to do: the value to return, `NULL` if the address lies in no image.
    Done(Va),
    /// Another such call is in progress on the image. Wait for [`WholeWait::event`], then
    /// [`Paging::resume_page_entire`](crate::Paging::resume_page_entire).
    Wait(WholeWait),
    /// Let all DPCs that are queued now run, on every processor; then
    /// [`Paging::finish_page_entire`](crate::Paging::finish_page_entire).
    FlushDpcs(DpcFlush),
}

/// How `MmResetDriverPaging` goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum ResetStep {
    /// Nothing to do.
    Done,
    /// Another such call is in progress on the image. Wait for [`WholeWait::event`], then
    /// [`Paging::resume_reset`](crate::Paging::resume_reset).
    Wait(WholeWait),
    /// Bring in the pages, then [`Paging::finish_reset`](crate::Paging::finish_reset).
    PageIn(Restore),
}

/// A call of one of the two routines that waits for another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use = "an image with a call inside cannot be unloaded"]
pub struct WholeWait {
    pub(crate) image: ImageId,
}

impl WholeWait {
    /// The driver.
    pub const fn image(&self) -> ImageId {
        self.image
    }

    /// What it waits for.
    pub const fn event(&self) -> Event {
        Event::WholeDriver(self.image)
    }
}

/// `MmPageEntireDriver` between its start and its effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use = "nothing is pageable before `finish_page_entire`"]
pub struct DpcFlush {
    pub(crate) image: ImageId,
}

impl DpcFlush {
    /// The driver.
    pub const fn image(&self) -> ImageId {
        self.image
    }
}

/// `MmPageEntireDriver` is complete.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PagedEntire {
    /// The value to return.
    pub base: Va,
    /// The pages that became eligible.
    pub newly_eligible: Runs,
}

/// `MmResetDriverPaging` in progress: the override is cleared, the nonpageable pages must be brought in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use = "the image stays busy until `finish_reset` or `abort_reset`"]
pub struct Restore {
    pub(crate) image: ImageId,
    pub(crate) pages: Runs,
}

impl Restore {
    /// The driver.
    pub const fn image(&self) -> ImageId {
        self.image
    }

    /// The pages that must be resident before [`Paging::finish_reset`](crate::Paging::finish_reset).
    pub const fn pages(&self) -> &Runs {
        &self.pages
    }
}

/// An image was loaded.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Loaded {
    /// Its name in this machine.
    pub image: ImageId,
    /// The pages that are eligible from the start.
    pub newly_eligible: Runs,
}

/// How an unload goes on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub enum UnloadStep {
    /// Calls are inside the memory manager on this image. Wait for [`Event::Calls`], then unload again.
    Wait {
        /// How many calls.
        calls: u32,
    },
    /// The image is gone.
    Unloaded {
        /// Pages that stay allocated because a section was locked (D28).
        leaked: Runs,
    },
}

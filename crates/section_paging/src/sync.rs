//! The six routines for callers on real threads.
//!
//! [`SharedPaging`] is a [`Paging`] behind a monitor, with a fast path in front: locking a section that is locked already,
//! or was unlocked and not evicted since, is one atomic exchange. Callers that must wait sleep in the monitor; pages come
//! in through [`Host`], outside of it, so that different sections come in at the same time.
//!
//! Call sites (D24) and foreign callers (K06) are not recorded here: they would need a write that callers share.

mod platform;
#[cfg(feature = "std")]
mod threads;
mod words;

use alloc::vec::Vec;
use core::fmt;

use nt_types::Va;

pub use self::platform::{Monitor, Platform, Word};
#[cfg(feature = "std")]
pub use self::threads::{ThreadMonitor, Threads};
use self::words::Words;
use crate::failure::Failure;
use crate::finding::Finding;
use crate::id::{Handle, ImageId, SectionId};
use crate::image::NewImage;
use crate::load::LoadError;
use crate::pages::{PageRun, Runs};
use crate::paging::{Config, Paging};
use crate::step::{Event, LockStep, Locked, PageEntireStep, ResetStep, UnloadStep};

/// What the routines need from the memory manager around them.
pub trait Host {
    /// Why a page could not be brought in.
    type Error;

    /// Returns when every one of these pages is resident. Called without any lock, by several threads at once; none of the
    /// pages may be evicted meanwhile.
    ///
    /// # Errors
    /// If a page cannot be read. The routine that needed it fails with this error, and nobody sees a partial lock (D26).
    fn page_in(&self, pages: &Runs) -> Result<(), Self::Error>;

    /// Returns when all DPCs that are queued now have run, on every processor (R124).
    fn flush_queued_dpcs(&self);

    /// Is told what a driver should not have done.
    fn report(&self, finding: Finding) {
        let _ignored = finding;
    }
}

/// Why a lock or unlock did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error<E> {
    /// NT stops with the bug check 0x1A.
    Failure(Failure),
    /// The pages could not be brought in: NT stops with the bug check 0x7A.
    PageIn(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failure(failure) => failure.fmt(f),
            Error::PageIn(error) => write!(f, "the pages cannot be brought in: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}

impl<E> From<Failure> for Error<E> {
    fn from(failure: Failure) -> Self {
        Error::Failure(failure)
    }
}

/// The machine, shared by threads.
pub struct SharedPaging<H, P: Platform> {
    host: H,
    words: Words<P::Word>,
    paging: P::Monitor,
    count_limit: u32,
}

impl<H: Host, P: Platform> SharedPaging<H, P> {
    /// A machine without images. `config.call_sites` is ignored.
    pub fn on_platform(config: Config, host: H) -> Self {
        let paging = P::Monitor::new(Paging::new(Config { call_sites: 0, ..config }));
        SharedPaging { host, words: Words::new(), paging, count_limit: config.count_limit.get() }
    }

    /// The surroundings.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// As [`Paging::load`].
    ///
    /// # Errors
    /// As [`Paging::load`].
    pub fn load(&self, new: &NewImage<'_>) -> Result<ImageId, LoadError> {
        self.paging.with(|paging| {
            let loaded = paging.load(new)?;
            self.words.add(loaded.image, new.sections.len());
            Ok(loaded.image)
        })
    }

    /// `MmLockPagableDataSection`. Returns when every page of the section is resident.
    ///
    /// # Errors
    /// As [`Paging::lock_by_address`], or the error of [`Host::page_in`].
    pub fn lock_by_address(&self, address: Va) -> Result<Handle, Error<H::Error>> {
        let answer = self.paging.with(|paging| {
            if let Some(section) = paging.section_at(address) {
                self.withdraw(paging, section);
            }
            let answer = paging.lock_by_address(address, Va::NULL)?;
            self.publish_locked(paging, &answer.step);
            Ok::<_, Failure>(answer)
        })?;
        answer.findings.into_iter().for_each(|finding| self.host.report(finding));
        Ok(self.complete_lock(answer.step)?.handle)
    }

    /// `MmLockPagableSectionByHandle`. Returns when every page of the section is resident.
    ///
    /// # Errors
    /// As [`Paging::lock_by_handle`], or the error of [`Host::page_in`].
    #[inline]
    pub fn lock_by_handle(&self, handle: Handle) -> Result<(), Error<H::Error>> {
        if self.word_of(handle).is_some_and(|word| words::lock(word, self.count_limit)) {
            return Ok(());
        }
        self.lock_in_monitor(handle)
    }

    /// `MmUnlockPagableImageSection`.
    ///
    /// # Errors
    /// As [`Paging::unlock`].
    #[inline]
    pub fn unlock(&self, handle: Handle) -> Result<(), Failure> {
        if self.word_of(handle).is_some_and(words::unlock) {
            return Ok(());
        }
        self.unlock_in_monitor(handle)
    }

    #[inline]
    fn word_of(&self, handle: Handle) -> Option<&P::Word> {
        self.words.get(handle.names()?)
    }

    /// Not inlined, so that the fast path stays one of a few instructions.
    #[cold]
    #[inline(never)]
    fn lock_in_monitor(&self, handle: Handle) -> Result<(), Error<H::Error>> {
        let step = self.paging.with(|paging| {
            handle.names().inspect(|section| self.withdraw(paging, *section));
            let step = paging.lock_by_handle(handle, Va::NULL)?.step;
            self.publish_locked(paging, &step);
            Ok::<_, Failure>(step)
        })?;
        self.complete_lock(step).map(|_| ())
    }

    #[cold]
    #[inline(never)]
    fn unlock_in_monitor(&self, handle: Handle) -> Result<(), Failure> {
        self.paging.with(|paging| {
            handle.names().inspect(|section| self.withdraw(paging, *section));
            paging.unlock(handle, Va::NULL).map(|_| ())
        })
    }

    /// `MmPageEntireDriver`. Returns the base of the image, `NULL` if the address lies in none.
    pub fn page_entire(&self, address: Va, interrupt_connected: bool) -> Va {
        let answer = self.paging.with(|paging| paging.page_entire(address, interrupt_connected));
        answer.findings.into_iter().for_each(|finding| self.host.report(finding));
        let mut step = answer.step;
        loop {
            step = match step {
                PageEntireStep::Done(base) => return base,
                PageEntireStep::Wait(wait) => self.after(wait.event(), |paging| paging.resume_page_entire(wait)),
                PageEntireStep::FlushDpcs(flush) => {
                    self.host.flush_queued_dpcs();
                    let image = flush.image();
                    return self.leave(image, |paging| paging.finish_page_entire(flush)).base;
                }
            }
        }
    }

    /// `MmResetDriverPaging`. Returns when every nonpageable page is resident.
    ///
    /// # Errors
    /// The error of [`Host::page_in`].
    pub fn reset(&self, address: Va, interrupt_connected: bool) -> Result<(), H::Error> {
        let answer = self.paging.with(|paging| paging.reset(address, interrupt_connected));
        answer.findings.into_iter().for_each(|finding| self.host.report(finding));
        let mut step = answer.step;
        loop {
            step = match step {
                ResetStep::Done => return Ok(()),
                ResetStep::Wait(wait) => self.after(wait.event(), |paging| paging.resume_reset(wait)),
                ResetStep::PageIn(restore) => {
                    let result = self.host.page_in(restore.pages());
                    let image = restore.image();
                    self.leave(image, |paging| match result {
                        Ok(()) => paging.finish_reset(restore),
                        Err(_) => paging.abort_reset(restore),
                    });
                    return result;
                }
            }
        }
    }

    /// As [`Paging::discard`].
    pub fn discard(&self, image: ImageId, sections: &[u16], pages: &[PageRun]) {
        let findings = self.paging.with(|paging| {
            sections.iter().for_each(|index| self.withdraw(paging, SectionId { image, index: *index }));
            paging.discard(image, sections, pages)
        });
        findings.into_iter().for_each(|finding| self.host.report(finding));
    }

    /// As [`Paging::unload`]; returns when the calls inside have ended. The pages that leak, or `None` if the image is not
    /// loaded.
    pub fn unload(&self, image: ImageId) -> Option<Runs> {
        loop {
            let answer = self.paging.with(|paging| {
                self.withdraw_image(paging, image);
                paging.unload(image)
            })?;
            answer.findings.into_iter().for_each(|finding| self.host.report(finding));
            match answer.step {
                UnloadStep::Unloaded { leaked } => return Some(leaked),
                UnloadStep::Wait { .. } => self.after(Event::Calls(image), |_| ()),
            }
        }
    }

    /// Runs `evict` if the page with this number is eligible, and says whether it was. While it runs no lock can begin, so
    /// it should only unmap the page and do its writing later.
    pub fn evict(&self, page: u64, evict: impl FnOnce()) -> bool {
        self.paging.with(|paging| {
            self.withdraw_idle(paging, page);
            let eligible = paging.is_eligible(page);
            if eligible {
                evict();
            }
            eligible
        })
    }

    /// Looks at the machine with all counts exact. Slow: for reports.
    pub fn inspect<R>(&self, look: impl FnOnce(&Paging) -> R) -> R {
        self.paging.with(|paging| {
            let images: Vec<ImageId> = paging.images().map(|image| image.image).collect();
            images.into_iter().for_each(|image| self.withdraw_image(paging, image));
            look(paging)
        })
    }

    /// Goes on with a lock until it is complete.
    fn complete_lock(&self, mut step: LockStep) -> Result<Locked, Error<H::Error>> {
        loop {
            step = match step {
                LockStep::Locked(locked) => return Ok(locked),
                LockStep::Wait(wait) => {
                    let (event, section) = (wait.event(), wait.section());
                    self.after(event, |paging| {
                        self.withdraw(paging, section);
                        let step = paging.resume_lock(wait)?;
                        self.publish_locked(paging, &step);
                        Ok::<_, Failure>(step)
                    })?
                }
                LockStep::PageIn(transition) => {
                    let result = self.host.page_in(transition.pages());
                    let image = transition.section().image;
                    let locked = self.leave(image, |paging| match result {
                        Ok(()) => {
                            let locked = paging.finish(transition)?;
                            self.publish(paging, locked);
                            Ok(locked)
                        }
                        Err(error) => {
                            paging.abort(transition);
                            Err(Error::PageIn(error))
                        }
                    })?;
                    LockStep::Locked(locked)
                }
            }
        }
    }

    /// Sleeps until the event is over, then does what comes next before anybody else.
    fn after<R>(&self, event: Event, next: impl FnOnce(&mut Paging) -> R) -> R {
        let mut next = Some(next);
        let mut go_on =
            |paging: &mut Paging| if paging.is_over(event) { next.take().map(|next| next(paging)) } else { None };
        let result = self.paging.wait_until(&mut go_on);
        self.paging.wake_all();
        result
    }

    /// Ends a call inside an image, and wakes those who may wait for that: calls inside, and unload.
    fn leave<R>(&self, image: ImageId, end: impl FnOnce(&mut Paging) -> R) -> R {
        self.paging.with(|paging| {
            let result = end(paging);
            if paging.image(image).is_some_and(|image| image.calls > 0 || image.closing) {
                self.paging.wake_all();
            }
            result
        })
    }

    fn publish_locked(&self, paging: &Paging, step: &LockStep) {
        if let LockStep::Locked(locked) = step {
            self.publish(paging, *locked);
        }
    }

    /// Hands the count of a locked section to its word, unless new calls must fail.
    fn publish(&self, paging: &Paging, locked: Locked) {
        let open = paging.image(locked.section.image).is_some_and(|image| !image.closing);
        if let Some(word) = self.words.get(locked.section).filter(|_| open) {
            words::publish(word, locked.count);
        }
    }

    /// Brings the exact count of a section back into the machine.
    fn withdraw(&self, paging: &mut Paging, section: SectionId) {
        if let Some(count) = self.words.get(section).and_then(words::withdraw) {
            paging.set_count(section, count);
        }
    }

    fn withdraw_image(&self, paging: &mut Paging, image: ImageId) {
        paging.section_ids(image).for_each(|section| self.withdraw(paging, section));
    }

    /// Unpins the page from sections that nobody has locked any more.
    fn withdraw_idle(&self, paging: &mut Paging, page: u64) {
        for section in paging.sections_covering(page) {
            if self.words.get(section).is_some_and(words::withdraw_idle) {
                paging.set_count(section, 0);
            }
        }
    }
}

/// What only the thread-safe form needs.
impl Paging {
    fn section_ids(&self, image: ImageId) -> impl Iterator<Item = SectionId> + use<> {
        let count = self.table.get(image).map_or(0, |image| image.sections.len());
        (0..count).map(move |index| SectionId { image, index: index as u16 })
    }

    /// The sections whose pages (D22) include this one.
    fn sections_covering(&self, page: u64) -> Vec<SectionId> {
        let Some(image) = self.table.at_page(page) else { return Vec::new() };
        self.section_ids(image.id).filter(|id| image.section_run(id.index).contains(page)).collect()
    }

    /// Replaces the count of a locked section.
    fn set_count(&mut self, id: SectionId, count: u32) {
        let image = self.inside(id.image);
        image.section_mut(id.index).count = count;
        if count == 0 {
            let _newly_eligible = image.release(id.index);
        }
    }
}

impl<H: fmt::Debug, P: Platform> fmt::Debug for SharedPaging<H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPaging").field("host", &self.host).finish_non_exhaustive()
    }
}

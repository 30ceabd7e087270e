//! Lock and unlock: exact counts, one transition for each section (D16 to D25).
//!
//! What these functions answer is larger than the work behind it, hence `#[inline]`: moving the answer about cost more
//! than half of a lock by handle.

use alloc::vec::Vec;

use nt_types::Va;

use crate::failure::{Failure, Operation, Reason};
use crate::finding::Finding;
use crate::id::{Handle, SectionId};
use crate::image::Image;
use crate::pages::Runs;
use crate::paging::{Config, Paging};
use crate::step::{Answer, LockCall, LockStep, LockWait, Locked, Transition, Unlocked};

impl Paging {
    /// `MmLockPagableDataSection`, and the macro `MmLockPagableCodeSection`: locks the section that holds `address`.
    ///
    /// `caller` is the return address in the calling driver; null if there is none. IRQL <= APC_LEVEL; the caller of this
    /// function checks that (D39, D40).
    ///
    /// # Errors
    /// [`Reason::NoModule`], [`Reason::NoSection`], [`Reason::Discarded`] or [`Reason::CountOverflow`]; nothing has
    /// changed, and the run ends with [`Failure::bug_check`].
    pub fn lock_by_address(&mut self, address: Va, caller: Va) -> Result<Answer<LockStep>, Failure> {
        let fail = |reason| Failure { operation: Operation::Lock, value: address.0, reason };
        let image = self.table.at(address).filter(|image| !image.closing).ok_or(fail(Reason::NoModule))?;
        let index = image.section_at(address).ok_or(fail(Reason::NoSection))?;
        let section = image.section_id(index);
        let advice = image.lock_by_address_advice(index);
        let step = self.begin(LockCall { value: address.0, section, caller })?;
        let mut findings = self.foreign(section, caller);
        findings.extend(advice);
        Ok(Answer { step, findings })
    }

    /// `MmLockPagableSectionByHandle`: locks the section that the handle names, at any count (R14).
    ///
    /// # Errors
    /// [`Reason::UnknownHandle`], [`Reason::StaleHandle`], [`Reason::Discarded`] or [`Reason::CountOverflow`]; nothing
    /// has changed, and the run ends with [`Failure::bug_check`].
    #[inline]
    pub fn lock_by_handle(&mut self, handle: Handle, caller: Va) -> Result<Answer<LockStep>, Failure> {
        let fail = |reason| Failure { operation: Operation::Lock, value: handle.value(), reason };
        let section = self.validate(handle).map_err(fail)?;
        let step = self.begin(LockCall { value: handle.value(), section, caller })?;
        Ok(Answer { step, findings: self.foreign(section, caller) })
    }

    /// Goes on with a lock after the event it waited for is over.
    ///
    /// # Errors
    /// As the lock itself: everything is validated again (D6).
    pub fn resume_lock(&mut self, wait: LockWait) -> Result<LockStep, Failure> {
        self.inside(wait.call.section.image).calls -= 1;
        self.begin(wait.call)
    }

    /// Ends a first lock: all its pages are resident, the count is 1.
    ///
    /// # Errors
    /// [`Reason::Discarded`] if the section was discarded in the meantime (D6, D12).
    ///
    /// # Panics
    /// If the ticket was used before, or belongs to another machine.
    #[inline]
    pub fn finish(&mut self, transition: Transition) -> Result<Locked, Failure> {
        let call = transition.call;
        let config = self.config;
        let image = self.inside(call.section.image);
        image.end_transition(call.section.index);
        if image.section_mut(call.section.index).discarded {
            // NT stops here; elsewhere the pages kept on the edges may be evicted again.
            let _newly_eligible = image.unpin(image.section_run(call.section.index));
            return Err(call.failure(Reason::Discarded));
        }
        Ok(image.count_up(call, &config))
    }

    /// Ends a first lock whose pages cannot be brought in, as if it had never begun (D26). Returns the pages that became
    /// eligible.
    ///
    /// # Panics
    /// If the ticket was used before, or belongs to another machine.
    pub fn abort(&mut self, transition: Transition) -> Runs {
        let section = transition.section();
        let image = self.inside(section.image);
        image.end_transition(section.index);
        image.unpin(image.section_run(section.index))
    }

    /// `MmUnlockPagableImageSection`: takes back one lock. Evicts nothing (R101).
    ///
    /// # Errors
    /// [`Reason::UnknownHandle`], [`Reason::StaleHandle`] or [`Reason::CountZero`]; nothing has changed, and the run ends
    /// with [`Failure::bug_check`].
    #[inline]
    pub fn unlock(&mut self, handle: Handle, caller: Va) -> Result<Unlocked, Failure> {
        let fail = |reason| Failure { operation: Operation::Unlock, value: handle.value(), reason };
        let id = self.validate(handle).map_err(fail)?;
        let image = self.inside(id.image);
        let section = image.section_mut(id.index);
        section.count = section.count.checked_sub(1).ok_or(fail(Reason::CountZero))?;
        let count = section.count;
        let newly_eligible = if count == 0 { image.release(id.index) } else { Runs::new() };
        Ok(Unlocked { section: id, count, newly_eligible, findings: self.foreign(id, caller) })
    }

    /// The section that a handle names, for a call that starts now (D19).
    #[inline]
    fn validate(&self, handle: Handle) -> Result<SectionId, Reason> {
        let id = handle.names().ok_or(Reason::UnknownHandle)?;
        let Some(image) = self.table.get(id.image) else {
            return Err(if self.table.was_issued(id) { Reason::StaleHandle } else { Reason::UnknownHandle });
        };
        match image.sections.get(usize::from(id.index)) {
            Some(section) if section.issued && image.closing => Err(Reason::StaleHandle),
            Some(section) if section.issued => Ok(id),
            _ => Err(Reason::UnknownHandle),
        }
    }

    /// The rule of D21.
    #[inline]
    fn begin(&mut self, call: LockCall) -> Result<LockStep, Failure> {
        let config = self.config;
        let image = self.inside(call.section.image);
        let section = image.section_mut(call.section.index);
        if section.discarded {
            return Err(call.failure(Reason::Discarded));
        }
        if section.transition {
            image.calls += 1;
            return Ok(LockStep::Wait(LockWait { call }));
        }
        if section.count == config.count_limit.get() {
            return Err(call.failure(Reason::CountOverflow));
        }
        if section.count > 0 {
            return Ok(LockStep::Locked(image.count_up(call, &config)));
        }
        Ok(LockStep::PageIn(Transition { pages: image.begin_transition(call.section.index), call }))
    }

    /// K06: the return address lies outside the section's image.
    #[inline]
    fn foreign(&self, section: SectionId, caller: Va) -> Vec<Finding> {
        if caller.is_null() || self.table.get(section.image).is_some_and(|owner| owner.contains(caller)) {
            return Vec::new();
        }
        alloc::vec![Finding::ForeignLock { section, caller: self.image_at(caller) }]
    }
}

impl LockCall {
    const fn failure(&self, reason: Reason) -> Failure {
        Failure { operation: Operation::Lock, value: self.value, reason }
    }
}

impl Image {
    /// K01 and K18, before the lock. A section that has a handle, or whose first lock is on its way, was locked by address.
    fn lock_by_address_advice(&self, index: u16) -> impl Iterator<Item = Finding> + use<> {
        let (id, section) = (self.section_id(index), &self.sections[usize::from(index)]);
        let nonpageable = !section.pageable && !self.overridden;
        let repeated = section.issued || section.transition;
        let first = nonpageable.then_some(Finding::LockNonpageable { section: id });
        first.into_iter().chain(repeated.then_some(Finding::RepeatLockByAddress { section: id }))
    }

    #[inline]
    fn begin_transition(&mut self, index: u16) -> Runs {
        self.section_mut(index).transition = true;
        self.calls += 1;
        self.pin(self.section_run(index))
    }

    #[inline]
    fn end_transition(&mut self, index: u16) {
        let section = self.section_mut(index);
        assert!(section.transition, "a transition ends once");
        section.transition = false;
        self.calls -= 1;
    }

    /// One lock more. The pages are pinned and resident.
    #[inline]
    fn count_up(&mut self, call: LockCall, config: &Config) -> Locked {
        let section = self.section_mut(call.section.index);
        section.count += 1;
        section.issued = true;
        if config.call_sites > 0 {
            section.call_sites.get_or_insert_default().record(call.caller, config.call_sites);
        }
        Locked { section: call.section, handle: Handle::of(call.section), count: section.count }
    }

    /// The count is zero: nobody holds the pages for this section any more.
    #[inline]
    pub(crate) fn release(&mut self, index: u16) -> Runs {
        if let Some(sites) = &mut self.section_mut(index).call_sites {
            sites.clear();
        }
        self.unpin(self.section_run(index))
    }
}

//! The six routines, from the driver's side (ddi: MmLockPagableDataSection, MmLockPagableSectionByHandle,
//! MmUnlockPagableImageSection, MmPageEntireDriver, MmResetDriverPaging; the code macro is the data routine, R71).
//!
//! What they mean is `section_paging`; here is what they cost: pages that must come in, other callers to wait for, and
//! the IRQL rule.

use engine::{Access, Fault, PageFault};
use nt_types::{PAGE_SHIFT, Va};
use section_paging::{
    Answer, DpcFlush, Event, Failure, Handle, ImageId, LockStep, LockWait, Locked, PageEntireStep, Reason, ResetStep,
    Restore, Runs, SectionId, Transition, WholeWait,
};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, mm};
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::stop::{Cause, StopKind};
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, MmLockPagableDataSection(address: Va; ..), APC),
    // An alias that some import libraries offer (D15).
    export!(Ntoskrnl, MmLockPagableImageSection = MmLockPagableDataSection(address: Va; ..), APC),
    export!(Ntoskrnl, MmLockPagableSectionByHandle(handle: u64; ..), APC),
    export!(Ntoskrnl, MmPageEntireDriver(address: Va; ..), APC),
    export!(Ntoskrnl, MmResetDriverPaging(address: Va; ..), APC),
    export!(Ntoskrnl, MmUnlockPagableImageSection(handle: u64; ..), APC),
];

/// Where one of the routines was called from.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Site {
    caller: Va,
    /// What a lock by address was given.
    address: Option<Va>,
}

/// Continuations of the six routines.
#[derive(Clone, Hash, Debug)]
pub enum PagingThen {
    /// Another caller's first lock has ended.
    ResumeLock(LockWait, Site),
    /// Reads for a first lock have ended.
    FinishLock(Transition, Site),
    /// Another page-entire or reset has ended.
    ResumePageEntire(WholeWait, Site),
    /// The DPCs queued before have run.
    FinishPageEntire(DpcFlush, Site),
    /// Another page-entire or reset has ended.
    ResumeReset(WholeWait, Site),
    /// Reads for a reset have ended.
    FinishReset(Restore, Site),
}

impl PagingThen {
    fn site(&self) -> Site {
        match self {
            PagingThen::ResumeLock(_, site)
            | PagingThen::FinishLock(_, site)
            | PagingThen::ResumePageEntire(_, site)
            | PagingThen::FinishPageEntire(_, site)
            | PagingThen::ResumeReset(_, site)
            | PagingThen::FinishReset(_, site) => *site,
        }
    }

    /// Where the call returns to.
    pub(crate) fn caller(&self) -> Va {
        self.site().caller
    }

    /// The image that it works on.
    pub(crate) fn image(&self) -> ImageId {
        match self {
            PagingThen::ResumeLock(wait, _) => wait.section().image,
            PagingThen::FinishLock(transition, _) => transition.section().image,
            PagingThen::ResumePageEntire(wait, _) | PagingThen::ResumeReset(wait, _) => wait.image(),
            PagingThen::FinishPageEntire(flush, _) => flush.image(),
            PagingThen::FinishReset(restore, _) => restore.image(),
        }
    }

    /// The section, where it works on one.
    pub(crate) fn section(&self) -> Option<SectionId> {
        match self {
            PagingThen::ResumeLock(wait, _) => Some(wait.section()),
            PagingThen::FinishLock(transition, _) => Some(transition.section()),
            _ => None,
        }
    }

    /// A call of MmPageEntireDriver for this image that is in progress.
    pub(super) fn pages_entirely(&self, image: ImageId) -> bool {
        matches!(self, PagingThen::FinishPageEntire(flush, _) if flush.image() == image)
    }

    pub(super) fn run(self, m: &mut Machine, _status: u64) -> Outcome {
        match self {
            PagingThen::ResumeLock(wait, site) => {
                let step = m.memory.paging_mut().resume_lock(wait).map_err(|failure| fail(m, site, failure))?;
                lock_step(m, site, step)
            }
            PagingThen::FinishLock(transition, site) => bring_in_for_lock(m, site, transition),
            PagingThen::ResumePageEntire(wait, site) => {
                let step = m.memory.paging_mut().resume_page_entire(wait);
                page_entire_step(m, site, step)
            }
            PagingThen::FinishPageEntire(flush, site) => flush_dpcs(m, site, flush),
            PagingThen::ResumeReset(wait, site) => {
                let step = m.memory.paging_mut().resume_reset(wait);
                reset_step(m, site, step)
            }
            PagingThen::FinishReset(restore, site) => bring_in_for_reset(m, site, restore),
        }
    }
}

fn MmLockPagableDataSection(m: &mut Machine, call: &Call, address: Va) -> Outcome {
    let site = Site { address: Some(address), ..begin(m, call) };
    let caller = owner_of(m, site);
    let answer = m.memory.paging_mut().lock_by_address(address, caller);
    lock(m, site, answer)
}

fn MmLockPagableSectionByHandle(m: &mut Machine, call: &Call, handle: u64) -> Outcome {
    let site = begin(m, call);
    let caller = owner_of(m, site);
    let answer = m.memory.paging_mut().lock_by_handle(Handle::from_value(handle), caller);
    lock(m, site, answer)
}

fn MmUnlockPagableImageSection(m: &mut Machine, call: &Call, handle: u64) -> Outcome {
    let site = begin(m, call);
    let caller = owner_of(m, site);
    let unlocked = m.memory.paging_mut().unlock(Handle::from_value(handle), caller);
    let unlocked = unlocked.map_err(|failure| fail(m, site, failure))?;
    m.record_at(site.caller, EventKind::SectionUnlocked { section: unlocked.section, count: unlocked.count });
    found(m, unlocked.findings, site);
    m.unlocked_with_requests(unlocked.section, unlocked.count, site.caller);
    m.settle();
    Ok(Next::VOID)
}

fn MmPageEntireDriver(m: &mut Machine, call: &Call, address: Va) -> Outcome {
    let site = begin(m, call);
    m.check_opening(address);
    let connected = m.has_connected_interrupt(address);
    let Answer { step, findings } = m.memory.paging_mut().page_entire(address, connected);
    found(m, findings, site);
    page_entire_step(m, site, step)
}

fn MmResetDriverPaging(m: &mut Machine, call: &Call, address: Va) -> Outcome {
    let site = begin(m, call);
    m.opening_began(address);
    let connected = m.has_connected_interrupt(address);
    let Answer { step, findings } = m.memory.paging_mut().reset(address, connected);
    found(m, findings, site);
    reset_step(m, site, step)
}

/// Whose code made the call; null where that is unknown: a routine that jumped here as its last act left the kernel as
/// the place to return to.
fn owner_of(m: &Machine, site: Site) -> Va {
    if m.kernel_images.holds(site.caller) { Va::NULL } else { site.caller }
}

fn begin(m: &mut Machine, call: &Call) -> Site {
    m.memory.set_step(m.steps());
    Site { caller: call.return_address, address: None }
}

fn fail(m: &mut Machine, site: Site, failure: Failure) -> Trap {
    check_owner_of_failed(m, site, failure);
    let check = failure.bug_check(site.caller);
    m.stop_at(site.caller, StopKind::BugCheck(check, Cause::Section(failure))).into()
}

/// K06 for a call that fails: a handle that another driver got, and kept (D18).
fn check_owner_of_failed(m: &mut Machine, site: Site, failure: Failure) {
    let section = Handle::from_value(failure.value).names().filter(|_| failure.reason != Reason::UnknownHandle);
    let caller = m.memory.paging().image_at(site.caller);
    if let Some(section) = section.filter(|section| caller != Some(section.image)) {
        let finding = section_paging::Finding::ForeignLock { section, caller };
        m.find(FindingKind::Paging(finding), site.caller);
    }
}

fn found(m: &mut Machine, findings: Vec<section_paging::Finding>, site: Site) {
    for finding in findings {
        let kind = match (finding, site.address) {
            (section_paging::Finding::LockNonpageable { section }, Some(address)) => {
                FindingKind::K01LockNonpageable { section, address }
            }
            (finding, _) => FindingKind::Paging(finding),
        };
        m.find(kind, site.caller);
    }
}

fn wait(on: WaitOn, then: PagingThen) -> Outcome {
    Ok(Next::Wait(Wait::on(on), Then::Mm(mm::Then::Paging(then))))
}

fn lock(m: &mut Machine, site: Site, answer: Result<Answer<LockStep>, Failure>) -> Outcome {
    let Answer { step, findings } = answer.map_err(|failure| fail(m, site, failure))?;
    found(m, findings, site);
    lock_step(m, site, step)
}

fn lock_step(m: &mut Machine, site: Site, step: LockStep) -> Outcome {
    match step {
        LockStep::Locked(locked) => Ok(locked_now(m, site, locked)),
        LockStep::Wait(other) => wait(WaitOn::Paging(other.event()), PagingThen::ResumeLock(other, site)),
        LockStep::PageIn(transition) => bring_in_for_lock(m, site, transition),
    }
}

/// D21 (3): the lock ends when the last page is resident. Also after the reads, so that nothing is taken for granted.
fn bring_in_for_lock(m: &mut Machine, site: Site, transition: Transition) -> Outcome {
    if let Some(page) = absent_above_apc(m, transition.pages()) {
        let _newly_eligible = m.memory.paging_mut().abort(transition);
        return Err(touched_above_apc(page));
    }
    let tickets = bring_in(m, transition.pages())?;
    if !tickets.is_empty() {
        return wait(WaitOn::PageReads(tickets), PagingThen::FinishLock(transition, site));
    }
    let section = transition.section();
    let locked = m.memory.paging_mut().finish(transition);
    m.wake_all_on(&WaitOn::Paging(Event::Transition(section)));
    let locked = locked.map_err(|failure| fail(m, site, failure))?;
    Ok(locked_now(m, site, locked))
}

fn locked_now(m: &mut Machine, site: Site, locked: Locked) -> Next {
    m.record_at(site.caller, EventKind::SectionLocked { section: locked.section, count: locked.count });
    m.image_calls_changed(locked.section.image);
    Next::Return(locked.handle.value())
}

fn page_entire_step(m: &mut Machine, site: Site, step: PageEntireStep) -> Outcome {
    match step {
        PageEntireStep::Done(base) => Ok(Next::pointer(base)),
        PageEntireStep::Wait(other) => wait(WaitOn::Paging(other.event()), PagingThen::ResumePageEntire(other, site)),
        PageEntireStep::FlushDpcs(flush) => match m.dpc_flush_point() {
            Some(point) => wait(WaitOn::DpcFlush(point), PagingThen::FinishPageEntire(flush, site)),
            None => flush_dpcs(m, site, flush),
        },
    }
}

fn flush_dpcs(m: &mut Machine, site: Site, flush: DpcFlush) -> Outcome {
    let image = flush.image();
    let paged = m.memory.paging_mut().finish_page_entire(flush);
    m.record_at(site.caller, EventKind::DriverPaged { base: paged.base });
    m.wake_all_on(&WaitOn::Paging(Event::WholeDriver(image)));
    m.image_calls_changed(image);
    m.settle();
    Ok(Next::pointer(paged.base))
}

fn reset_step(m: &mut Machine, site: Site, step: ResetStep) -> Outcome {
    match step {
        ResetStep::Done => Ok(Next::VOID),
        ResetStep::Wait(other) => wait(WaitOn::Paging(other.event()), PagingThen::ResumeReset(other, site)),
        ResetStep::PageIn(restore) => bring_in_for_reset(m, site, restore),
    }
}

/// D36: returns only when every page is resident.
fn bring_in_for_reset(m: &mut Machine, site: Site, restore: Restore) -> Outcome {
    if let Some(page) = absent_above_apc(m, restore.pages()) {
        m.memory.paging_mut().abort_reset(restore);
        return Err(touched_above_apc(page));
    }
    let tickets = bring_in(m, restore.pages())?;
    if !tickets.is_empty() {
        return wait(WaitOn::PageReads(tickets), PagingThen::FinishReset(restore, site));
    }
    let (image, pages) = (restore.image(), restore.pages().iter().map(|run| run.count).sum());
    let base = m.memory.paging().image(image).map_or(Va::NULL, |image| image.base);
    m.memory.paging_mut().finish_reset(restore);
    m.record_at(site.caller, EventKind::DriverPagingReset { base, pages });
    m.wake_all_on(&WaitOn::Paging(Event::WholeDriver(image)));
    m.image_calls_changed(image);
    Ok(Next::VOID)
}

/// Starts the reads that a set of pages needs.
fn bring_in(m: &mut Machine, pages: &Runs) -> Result<Vec<memory::ReadTicket>, Trap> {
    let range = m.memory.begin_page_in_runs(pages.iter()).map_err(|error| m.in_page_stop(&error, error.va))?;
    for ticket in &range.tickets {
        m.page_read_began(*ticket);
    }
    Ok(range.tickets)
}

/// The first page that is not in memory, where the IRQL does not allow to wait for it.
fn absent_above_apc(m: &mut Machine, pages: &Runs) -> Option<Va> {
    if m.irql().may_fault() {
        return None;
    }
    let absent = |page: &Va| !matches!(m.memory.page_state(*page), memory::PageState::Resident { .. });
    pages.iter().flat_map(|run| run.pages()).map(|page| Va(page << PAGE_SHIFT)).find(absent)
}

/// D40: the memory manager itself touches an absent page of the driver at this IRQL, which is 0xD3.
fn touched_above_apc(page: Va) -> Trap {
    Trap::Fault(Fault::Page(PageFault { address: page.0, access: Access::Read, protection: false }))
}

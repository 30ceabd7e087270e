//! The machine and the model side by side: every call goes to both, and both must answer the same.

use std::num::NonZeroU32;

use nt_types::Va;
use section_paging::{
    Config, DpcFlush, Event, Failure, Finding, Handle, ImageId, ImageKind, LockStep, LockWait, LockedSection,
    PageEntireStep, Paging, ResetStep, Restore, Runs, SectionId, Transition, UnloadStep, WholeWait,
};

use crate::model::{Model, Outcome, Pages};
use crate::world::{BASE, INIT, Layout, load, runs_at};

/// A call that a caller may begin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Operation {
    LockAddress(u16),
    LockHandle(u16),
    Unlock(u16),
    PageEntire,
    Reset,
    Discard,
    Unload,
}

/// Where a caller is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Caller {
    Idle,
    Waits(LockWait),
    /// The pages are not there yet.
    Reads(Transition),
    /// The pages are there.
    HasRead(Transition),
    PageEntireWaits(WholeWait),
    Flushes(DpcFlush),
    ResetWaits(WholeWait),
    ResetReads(Restore),
    ResetHasRead(Restore),
    Unloads,
}

/// Both, the pages in memory, and the callers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Play {
    pub(crate) paging: Paging,
    pub(crate) model: Model,
    pub(crate) resident: Pages,
    pub(crate) callers: Vec<Caller>,
    /// Completed locks minus unlocks of each section, from the answers alone.
    balance: Vec<u32>,
    image: ImageId,
    init_pages: Vec<(u64, u64)>,
}

impl Play {
    /// The image is loaded, its load map out.
    pub(crate) fn new(layout: &Layout, callers: usize, limit: u32) -> Self {
        let count_limit = NonZeroU32::new(limit).unwrap();
        let mut paging = Paging::new(Config { count_limit, call_sites: 0, ..Config::default() });
        let image = load(&mut paging, layout, BASE, ImageKind::Driver);
        let model = Model::new(layout, limit);
        let resident = model.pages().filter(|page| !model.eligible().contains(page)).collect();
        let init_pages = layout.init_pages.clone();
        let balance = vec![0; layout.sections.len()];
        Play { paging, model, resident, callers: vec![Caller::Idle; callers], balance, image, init_pages }
    }

    /// The value that a driver would hold for a section: its handle if there is one, else what it would be.
    fn handle(section: u16) -> Handle {
        Handle::from_value(Handle::RANGE.start + (1 << 20) + (u64::from(section) << 4))
    }

    fn address(&self, section: u16) -> Va {
        let id = SectionId { image: self.image, index: section };
        let in_page = [0x1000, 0x2080, 0x4080, 0x5080][usize::from(section)];
        assert!(self.model.gone || self.paging.section(id).is_some());
        BASE + in_page
    }

    /// An idle caller begins a call. True unless NT would have stopped here.
    pub(crate) fn begin(&mut self, caller: usize, operation: Operation) -> bool {
        let (outcome, next) = match operation {
            Operation::LockAddress(section) => {
                let begun = self.paging.lock_by_address(self.address(section), Va::NULL).map(|answer| answer.step);
                (self.model.lock(section, false), lock_step(begun))
            }
            Operation::LockHandle(section) => {
                let begun = self.paging.lock_by_handle(Self::handle(section), Va::NULL).map(|answer| answer.step);
                (self.model.lock(section, true), lock_step(begun))
            }
            Operation::Unlock(section) => {
                let unlocked = self.paging.unlock(Self::handle(section), Va::NULL);
                let seen =
                    unlocked.map(|it| Outcome::Unlocked(it.section.index, it.count, relative(&it.newly_eligible)));
                (self.model.unlock(section), (seen.unwrap_or_else(failure), Caller::Idle))
            }
            Operation::PageEntire => {
                let step = self.paging.page_entire(BASE, false).step;
                (self.model.page_entire(), page_entire_step(step))
            }
            Operation::Reset => (self.model.reset(), self.begin_reset()),
            Operation::Discard => {
                let findings = self.paging.discard(self.image, &[INIT], &runs_at(BASE, &self.init_pages));
                (self.model.discard(), (Outcome::Discarded(locked(&findings)), Caller::Idle))
            }
            Operation::Unload => (self.model.unload(), self.unload()),
        };
        self.settle(caller, &outcome, next)
    }

    /// True if the caller has something to do.
    pub(crate) fn can_advance(&self, caller: usize) -> bool {
        match &self.callers[caller] {
            Caller::Idle => false,
            Caller::Waits(wait) => self.paging.is_over(wait.event()),
            Caller::PageEntireWaits(wait) | Caller::ResetWaits(wait) => self.paging.is_over(wait.event()),
            Caller::Unloads => self.paging.is_over(Event::Calls(self.image)),
            _ => true,
        }
    }

    /// True if the caller reads pages, which may fail.
    pub(crate) fn can_fail(&self, caller: usize) -> bool {
        matches!(self.callers[caller], Caller::Reads(_) | Caller::ResetReads(_))
    }

    /// A caller goes on by one step. True unless NT would have stopped here.
    pub(crate) fn advance(&mut self, caller: usize) -> bool {
        let paging = &mut self.paging;
        let (outcome, next) = match std::mem::replace(&mut self.callers[caller], Caller::Idle) {
            Caller::Idle => unreachable!("an idle caller begins"),
            Caller::Waits(wait) => {
                let section = wait.section().index;
                (self.model.resume_lock(section), lock_step(paging.resume_lock(wait)))
            }
            Caller::Reads(transition) => {
                self.resident.extend(relative(transition.pages()).difference(&self.model.discarded));
                self.callers[caller] = Caller::HasRead(transition);
                return true;
            }
            Caller::HasRead(transition) => {
                let section = transition.section().index;
                let finished = paging.finish(transition).map(LockStep::Locked);
                (self.model.finish_lock(section), lock_step(finished))
            }
            Caller::PageEntireWaits(wait) => {
                (self.model.resume_page_entire(), page_entire_step(paging.resume_page_entire(wait)))
            }
            Caller::Flushes(flush) => {
                let pages = relative(&paging.finish_page_entire(flush).newly_eligible);
                (self.model.finish_page_entire(), (Outcome::PagedEntire(pages), Caller::Idle))
            }
            Caller::ResetWaits(wait) => (self.model.resume_reset(), reset_step(paging.resume_reset(wait))),
            Caller::ResetReads(restore) => {
                self.resident.extend(relative(restore.pages()).difference(&self.model.discarded));
                self.callers[caller] = Caller::ResetHasRead(restore);
                return true;
            }
            Caller::ResetHasRead(restore) => {
                paging.finish_reset(restore);
                self.model.finish_reset();
                (Outcome::Nothing, (Outcome::Nothing, Caller::Idle))
            }
            Caller::Unloads => (self.model.unload(), self.unload()),
        };
        self.settle(caller, &outcome, next)
    }

    /// The read of a caller fails.
    pub(crate) fn fail_read(&mut self, caller: usize) {
        let (outcome, seen) = match std::mem::replace(&mut self.callers[caller], Caller::Idle) {
            Caller::Reads(transition) => {
                let section = transition.section().index;
                let pages = relative(&self.paging.abort(transition));
                (self.model.abort_lock(section), Outcome::Aborted(pages))
            }
            Caller::ResetReads(restore) => {
                self.paging.abort_reset(restore);
                self.model.abort_reset();
                (Outcome::Nothing, Outcome::Nothing)
            }
            other => unreachable!("{other:?} reads nothing"),
        };
        self.settle(caller, &outcome, (seen, Caller::Idle));
    }

    fn begin_reset(&mut self) -> (Outcome, Caller) {
        let answer = self.paging.reset(BASE, false);
        if answer.findings.is_empty() { reset_step(answer.step) } else { (Outcome::NoModule, Caller::Idle) }
    }

    fn unload(&mut self) -> (Outcome, Caller) {
        let Some(answer) = self.paging.unload(self.image) else { return (Outcome::Nothing, Caller::Idle) };
        match answer.step {
            UnloadStep::Wait { .. } => (Outcome::Wait, Caller::Unloads),
            UnloadStep::Unloaded { leaked } => {
                (Outcome::Unloaded(relative(&leaked), locked(&answer.findings)), Caller::Idle)
            }
        }
    }

    /// Compares, trims at once, and checks the invariants.
    fn settle(&mut self, caller: usize, expected: &Outcome, (seen, next): (Outcome, Caller)) -> bool {
        assert_eq!(&seen, expected, "the model disagrees, in {self:#?}");
        match seen {
            Outcome::Locked(section, _) => self.balance[usize::from(section)] += 1,
            Outcome::Unlocked(section, ..) => self.balance[usize::from(section)] -= 1,
            _ => (),
        }
        self.callers[caller] = next;
        self.compare();
        let eligible = self.model.eligible();
        self.resident.retain(|page| !eligible.contains(page) && !self.model.discarded.contains(page));
        self.check_residency();
        !matches!(expected, Outcome::Failure(_))
    }

    /// The whole state of the machine is that of the model.
    fn compare(&self) {
        let Some(image) = self.paging.image(self.image) else { return assert!(self.model.gone) };
        assert_eq!(
            (image.overridden, image.busy, image.calls, image.closing),
            (self.model.overridden, self.model.busy, self.model.inside, self.model.unloading)
        );
        let eligible = self.model.eligible();
        assert_eq!(relative(&self.paging.eligible(self.image)), eligible);
        for page in self.model.pages() {
            let state = self.paging.page(BASE.page() + page).unwrap();
            assert_eq!(usize::from(state.pins), self.model.pins(page));
            assert_eq!(state.discarded, self.model.discarded.contains(&page));
            assert_eq!(self.paging.is_eligible(BASE.page() + page), eligible.contains(&page));
        }
        for (index, expected) in self.model.sections.iter().enumerate() {
            let state = self.paging.section(SectionId { image: self.image, index: index as u16 }).unwrap();
            assert_eq!((state.count, state.in_transition), (expected.count, expected.in_transition));
            assert_eq!(state.count, self.balance[index], "completed locks minus unlocks");
            assert_eq!(state.discarded, expected.discarded);
        }
    }

    /// Section 12: count > 0 implies every page of D22 resident; without a reset on its way, every page that is not
    /// eligible, not discarded and not on its way in is resident.
    fn check_residency(&self) {
        for (index, _) in self.model.sections.iter().enumerate().filter(|(_, section)| section.count > 0) {
            let missing = &(&self.model.range(index as u16) - &self.model.discarded) - &self.resident;
            assert!(missing.is_empty(), "{missing:?} of locked section {index} are out");
        }
        if self.callers.iter().any(|caller| matches!(caller, Caller::ResetReads(_))) {
            return;
        }
        let may_be_out = &self.model.eligible() | &self.model.discarded;
        for page in self.model.pages().filter(|page| self.model.pins(*page) == 0) {
            let may_be_out = may_be_out.contains(&page);
            assert!(may_be_out || self.resident.contains(&page), "page {page} is out and not eligible");
        }
    }
}

fn relative(runs: &Runs) -> Pages {
    runs.pages().map(|page| page - BASE.page()).collect()
}

fn failure(failure: Failure) -> Outcome {
    Outcome::Failure(failure.reason)
}

fn lock_step(step: Result<LockStep, Failure>) -> (Outcome, Caller) {
    match step {
        Err(error) => (failure(error), Caller::Idle),
        Ok(LockStep::Locked(locked)) => {
            assert_eq!(locked.handle, Play::handle(locked.section.index), "one handle for each section");
            (Outcome::Locked(locked.section.index, locked.count), Caller::Idle)
        }
        Ok(LockStep::Wait(wait)) => (Outcome::Wait, Caller::Waits(wait)),
        Ok(LockStep::PageIn(transition)) => (Outcome::PageIn(relative(transition.pages())), Caller::Reads(transition)),
    }
}

fn page_entire_step(step: PageEntireStep) -> (Outcome, Caller) {
    match step {
        PageEntireStep::Done(base) => {
            assert_eq!(base, Va::NULL);
            (Outcome::NoModule, Caller::Idle)
        }
        PageEntireStep::Wait(wait) => (Outcome::Wait, Caller::PageEntireWaits(wait)),
        PageEntireStep::FlushDpcs(flush) => (Outcome::FlushDpcs, Caller::Flushes(flush)),
    }
}

fn reset_step(step: ResetStep) -> (Outcome, Caller) {
    match step {
        ResetStep::Done => (Outcome::Nothing, Caller::Idle),
        ResetStep::Wait(wait) => (Outcome::Wait, Caller::ResetWaits(wait)),
        ResetStep::PageIn(restore) => (Outcome::Restore(relative(restore.pages())), Caller::ResetReads(restore)),
    }
}

/// The sections that K05 or K25 list.
fn locked(findings: &[Finding]) -> Vec<(u16, u32)> {
    let list = |finding: &Finding| -> Vec<LockedSection> {
        match finding {
            Finding::UnloadWithLocks { locked, .. } | Finding::LockOfDiscarded { locked } => locked.clone(),
            _ => vec![],
        }
    };
    findings.iter().flat_map(list).map(|locked| (locked.section.index, locked.count)).collect()
}

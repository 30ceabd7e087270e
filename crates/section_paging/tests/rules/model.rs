//! The reference model: one image, written for being obvious. Nothing is kept that can be derived, nothing is fast.

use std::collections::BTreeSet;

use section_paging::Reason;

use crate::world::{INIT, Layout};

/// Page numbers counted from the base of the image.
pub(crate) type Pages = BTreeSet<u64>;

/// What is true of the image.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Model {
    pub(crate) sections: Vec<Section>,
    size_pages: u64,
    load_map: Pages,
    init_pages: Pages,
    pub(crate) discarded: Pages,
    pub(crate) overridden: bool,
    /// One of the two whole-driver routines is in progress.
    pub(crate) busy: bool,
    /// Calls that have begun and not ended.
    pub(crate) inside: u32,
    pub(crate) unloading: bool,
    pub(crate) gone: bool,
    limit: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Section {
    first_byte: u64,
    end_byte: u64,
    pub(crate) count: u32,
    pub(crate) in_transition: bool,
    pub(crate) has_handle: bool,
    pub(crate) discarded: bool,
}

/// What a call or the end of one answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    Failure(Reason),
    Wait,
    PageIn(Pages),
    /// Section, count after the lock.
    Locked(u16, u32),
    /// Section, count after the unlock, pages that became eligible.
    Unlocked(u16, u32, Pages),
    /// Pages that became eligible.
    Aborted(Pages),
    NoModule,
    FlushDpcs,
    PagedEntire(Pages),
    Nothing,
    Restore(Pages),
    /// Sections that were locked, with their counts.
    Discarded(Vec<(u16, u32)>),
    /// Pages that leak, sections that were locked.
    Unloaded(Pages, Vec<(u16, u32)>),
}

impl Model {
    pub(crate) fn new(layout: &Layout, limit: u32) -> Self {
        let expand = |runs: &[(u64, u64)]| runs.iter().flat_map(|&(first, count)| first..first + count).collect();
        let section = |new: &section_paging::NewSection| Section {
            first_byte: u64::from(new.va),
            end_byte: u64::from(new.va) + u64::from(new.span),
            count: 0,
            in_transition: false,
            has_handle: false,
            discarded: false,
        };
        Model {
            sections: layout.sections.iter().map(section).collect(),
            size_pages: u64::from(layout.size_bytes).div_ceil(4096),
            load_map: expand(&layout.load_map),
            init_pages: expand(&layout.init_pages),
            discarded: Pages::new(),
            overridden: false,
            busy: false,
            inside: 0,
            unloading: false,
            gone: false,
            limit,
        }
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        0..self.size_pages
    }

    /// D22: the pages that hold a byte of the section.
    pub(crate) fn range(&self, section: u16) -> Pages {
        let section = &self.sections[usize::from(section)];
        let holds_a_byte = |page: &u64| section.first_byte < (page + 1) * 4096 && section.end_byte > page * 4096;
        self.pages().filter(holds_a_byte).collect()
    }

    pub(crate) fn pins(&self, page: u64) -> usize {
        let pinning = |index: &u16| {
            let section = &self.sections[usize::from(*index)];
            (section.count > 0 || section.in_transition) && self.range(*index).contains(&page)
        };
        (0..self.sections.len() as u16).filter(pinning).count()
    }

    pub(crate) fn eligible(&self) -> Pages {
        let pageable = |page: &u64| self.overridden || self.load_map.contains(page);
        let free = |page: &u64| self.pins(*page) == 0 && !self.discarded.contains(page);
        self.pages().filter(|page| pageable(page) && free(page)).collect()
    }

    /// Pages that became eligible by the change.
    fn newly_eligible(&mut self, change: impl FnOnce(&mut Self)) -> Pages {
        let before = self.eligible();
        change(self);
        self.eligible().difference(&before).copied().collect()
    }

    /// D16 and D21. `by_handle` uses the handle of the section.
    pub(crate) fn lock(&mut self, section: u16, by_handle: bool) -> Outcome {
        if by_handle && !self.sections[usize::from(section)].has_handle {
            return Outcome::Failure(Reason::UnknownHandle);
        }
        if self.unloading {
            return Outcome::Failure(if by_handle { Reason::StaleHandle } else { Reason::NoModule });
        }
        self.lock_inside(section)
    }

    pub(crate) fn resume_lock(&mut self, section: u16) -> Outcome {
        self.inside -= 1;
        self.lock_inside(section)
    }

    fn lock_inside(&mut self, index: u16) -> Outcome {
        let pages = self.range(index).difference(&self.discarded).copied().collect();
        let section = &mut self.sections[usize::from(index)];
        if section.discarded {
            Outcome::Failure(Reason::Discarded)
        } else if section.in_transition {
            self.inside += 1;
            Outcome::Wait
        } else if section.count == self.limit {
            Outcome::Failure(Reason::CountOverflow)
        } else if section.count > 0 {
            section.count += 1;
            Outcome::Locked(index, section.count)
        } else {
            section.in_transition = true;
            self.inside += 1;
            Outcome::PageIn(pages)
        }
    }

    pub(crate) fn finish_lock(&mut self, index: u16) -> Outcome {
        self.inside -= 1;
        let section = &mut self.sections[usize::from(index)];
        section.in_transition = false;
        if section.discarded {
            return Outcome::Failure(Reason::Discarded);
        }
        section.count = 1;
        section.has_handle = true;
        Outcome::Locked(index, 1)
    }

    pub(crate) fn abort_lock(&mut self, section: u16) -> Outcome {
        self.inside -= 1;
        Outcome::Aborted(self.newly_eligible(|model| model.sections[usize::from(section)].in_transition = false))
    }

    /// D23.
    pub(crate) fn unlock(&mut self, section: u16) -> Outcome {
        let state = &self.sections[usize::from(section)];
        if !state.has_handle {
            Outcome::Failure(Reason::UnknownHandle)
        } else if self.unloading {
            Outcome::Failure(Reason::StaleHandle)
        } else if state.count == 0 {
            Outcome::Failure(Reason::CountZero)
        } else {
            let pages = self.newly_eligible(|model| model.sections[usize::from(section)].count -= 1);
            Outcome::Unlocked(section, self.sections[usize::from(section)].count, pages)
        }
    }

    pub(crate) fn page_entire(&mut self) -> Outcome {
        if self.unloading { Outcome::NoModule } else { self.page_entire_inside() }
    }

    pub(crate) fn resume_page_entire(&mut self) -> Outcome {
        self.inside -= 1;
        self.page_entire_inside()
    }

    fn page_entire_inside(&mut self) -> Outcome {
        self.inside += 1;
        if self.busy {
            return Outcome::Wait;
        }
        self.busy = true;
        Outcome::FlushDpcs
    }

    pub(crate) fn finish_page_entire(&mut self) -> Outcome {
        self.leave();
        Outcome::PagedEntire(self.newly_eligible(|model| model.overridden = true))
    }

    pub(crate) fn reset(&mut self) -> Outcome {
        if self.unloading { Outcome::NoModule } else { self.reset_inside() }
    }

    pub(crate) fn resume_reset(&mut self) -> Outcome {
        self.inside -= 1;
        self.reset_inside()
    }

    fn reset_inside(&mut self) -> Outcome {
        if self.busy {
            self.inside += 1;
            return Outcome::Wait;
        }
        if !self.overridden {
            return Outcome::Nothing;
        }
        self.inside += 1;
        self.busy = true;
        self.overridden = false;
        Outcome::Restore(self.pages().filter(|p| !self.load_map.contains(p) && !self.discarded.contains(p)).collect())
    }

    pub(crate) fn finish_reset(&mut self) {
        self.leave();
    }

    pub(crate) fn abort_reset(&mut self) {
        self.leave();
        self.overridden = true;
    }

    fn leave(&mut self) {
        self.busy = false;
        self.inside -= 1;
    }

    /// D11, D13.
    pub(crate) fn discard(&mut self) -> Outcome {
        let init = &mut self.sections[usize::from(INIT)];
        let first = !init.discarded && !self.gone;
        let locked = if first && init.count > 0 { vec![(INIT, init.count)] } else { vec![] };
        init.discarded = true;
        self.discarded = self.init_pages.clone();
        Outcome::Discarded(locked)
    }

    /// D28, D29.
    pub(crate) fn unload(&mut self) -> Outcome {
        if self.gone {
            return Outcome::Nothing;
        }
        self.unloading = true;
        if self.inside > 0 {
            return Outcome::Wait;
        }
        self.gone = true;
        let leaked = self.pages().filter(|page| self.pins(*page) > 0 && !self.discarded.contains(page)).collect();
        let counts = self.sections.iter().enumerate().map(|(index, section)| (index as u16, section.count));
        Outcome::Unloaded(leaked, counts.filter(|(_, count)| *count > 0).collect())
    }
}

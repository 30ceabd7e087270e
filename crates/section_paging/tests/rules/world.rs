//! A small memory manager around the machine: it knows which pages are resident, and does every call to its end.

use std::collections::BTreeSet;

use nt_types::Va;
use section_paging::{
    Config, Failure, Finding, Handle, ImageId, ImageKind, LockStep, NewImage, NewSection, PageEntireStep, PageRun,
    Paging, ResetStep, Runs, SectionId, UnloadStep,
};

/// Where the test driver is loaded.
pub(crate) const BASE: Va = Va(0xFFFF_F800_0010_0000);

/// Section indexes of the test driver.
pub(crate) const TEXT: u16 = 0;
pub(crate) const PAGEA: u16 = 1;
pub(crate) const PAGEB: u16 = 2;
pub(crate) const INIT: u16 = 3;

/// A driver layout.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) size_bytes: u32,
    pub(crate) sections: Vec<NewSection>,
    /// First page and number of pages, counted from the base.
    pub(crate) load_map: Vec<(u64, u64)>,
    /// What D9 frees when initialisation ends.
    pub(crate) init_pages: Vec<(u64, u64)>,
}

/// Sections aligned to pages: header 0, .text 1-2, PAGEA 3-5, PAGEB 6-7, INIT 8.
pub(crate) fn aligned() -> Layout {
    Layout {
        size_bytes: 0x9000,
        sections: sections(&[
            (0x1000, 0x1800, false),
            (0x3000, 0x2800, true),
            (0x6000, 0x1100, true),
            (0x8000, 0x900, false),
        ]),
        load_map: vec![(3, 5)],
        init_pages: vec![(8, 1)],
    }
}

/// Sections aligned to 0x80 (R37): .text 1-2, PAGEA 2-4, PAGEB 4-5, INIT 5-6; by R43 only 3 and 4 are pageable.
pub(crate) fn dense() -> Layout {
    Layout {
        size_bytes: 0x6880,
        sections: sections(&[
            (0x1000, 0x1080, false),
            (0x2080, 0x2000, true),
            (0x4080, 0x1000, true),
            (0x5080, 0x1800, false),
        ]),
        load_map: vec![(3, 2)],
        init_pages: vec![(6, 1)],
    }
}

fn sections(rows: &[(u32, u32, bool)]) -> Vec<NewSection> {
    rows.iter().map(|&(va, span, pageable)| NewSection { va, span, pageable }).collect()
}

pub(crate) fn runs_at(base: Va, relative: &[(u64, u64)]) -> Vec<PageRun> {
    relative.iter().map(|&(first, count)| PageRun::new(base.page() + first, count)).collect()
}

/// Loads a layout into a bare machine.
pub(crate) fn load(paging: &mut Paging, layout: &Layout, base: Va, kind: ImageKind) -> ImageId {
    let load_map = runs_at(base, &layout.load_map);
    let (sections, size_bytes) = (&layout.sections[..], layout.size_bytes);
    paging.load(&NewImage { name: "test.sys", kind, base, size_bytes, sections, load_map: &load_map }).unwrap().image
}

/// When pages are evicted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Trim {
    Never,
    AtOnce,
}

/// The memory manager.
pub(crate) struct World {
    pub(crate) paging: Paging,
    pub(crate) resident: BTreeSet<u64>,
    pub(crate) trim: Trim,
    /// Numbers of all findings so far.
    pub(crate) findings: Vec<u8>,
    /// How often DPCs were flushed.
    pub(crate) flushes: u32,
}

impl World {
    /// One driver, loaded at [`BASE`], its load map out (D1).
    pub(crate) fn new(layout: &Layout, trim: Trim) -> (Self, ImageId) {
        Self::with_config(layout, trim, Config::default())
    }

    pub(crate) fn with_config(layout: &Layout, trim: Trim, config: Config) -> (Self, ImageId) {
        let paging = Paging::new(config);
        let mut world = World { paging, resident: BTreeSet::new(), trim, findings: Vec::new(), flushes: 0 };
        let image = world.load(layout, BASE);
        (world, image)
    }

    pub(crate) fn load(&mut self, layout: &Layout, base: Va) -> ImageId {
        self.load_as(layout, base, ImageKind::Driver)
    }

    pub(crate) fn load_as(&mut self, layout: &Layout, base: Va, kind: ImageKind) -> ImageId {
        let image = load(&mut self.paging, layout, base, kind);
        let pages = self.paging.image(image).unwrap().pages;
        self.resident.extend(pages.pages().filter(|page| !self.paging.is_eligible(*page)));
        image
    }

    pub(crate) fn lock_address(&mut self, address: Va) -> Result<Handle, Failure> {
        self.lock_address_from(address, Va::NULL)
    }

    pub(crate) fn lock_address_from(&mut self, address: Va, caller: Va) -> Result<Handle, Failure> {
        let answer = self.paging.lock_by_address(address, caller)?;
        self.note(&answer.findings);
        self.complete(answer.step)
    }

    pub(crate) fn lock(&mut self, handle: Handle) -> Result<Handle, Failure> {
        let answer = self.paging.lock_by_handle(handle, Va::NULL)?;
        self.note(&answer.findings);
        self.complete(answer.step)
    }

    fn complete(&mut self, step: LockStep) -> Result<Handle, Failure> {
        let locked = match step {
            LockStep::Locked(locked) => locked,
            LockStep::PageIn(transition) => {
                self.page_in(transition.pages());
                self.paging.finish(transition)?
            }
            LockStep::Wait(_) => unreachable!("this world has one caller"),
        };
        self.check();
        Ok(locked.handle)
    }

    pub(crate) fn unlock(&mut self, handle: Handle) -> Result<u32, Failure> {
        let unlocked = self.paging.unlock(handle, Va::NULL)?;
        self.note(&unlocked.findings);
        self.became_eligible(&unlocked.newly_eligible);
        Ok(unlocked.count)
    }

    pub(crate) fn page_entire(&mut self, address: Va, interrupt: bool) -> Va {
        let answer = self.paging.page_entire(address, interrupt);
        self.note(&answer.findings);
        match answer.step {
            PageEntireStep::Done(base) => base,
            PageEntireStep::Wait(_) => unreachable!("this world has one caller"),
            PageEntireStep::FlushDpcs(flush) => {
                self.flushes += 1;
                let done = self.paging.finish_page_entire(flush);
                self.became_eligible(&done.newly_eligible);
                done.base
            }
        }
    }

    pub(crate) fn reset(&mut self, address: Va, interrupt: bool) {
        let answer = self.paging.reset(address, interrupt);
        self.note(&answer.findings);
        if let ResetStep::PageIn(restore) = answer.step {
            self.page_in(restore.pages());
            self.paging.finish_reset(restore);
        }
        self.check();
    }

    pub(crate) fn discard(&mut self, image: ImageId, layout: &Layout) {
        let base = self.paging.image(image).unwrap().base;
        let pages = runs_at(base, &layout.init_pages);
        let findings = self.paging.discard(image, &[INIT], &pages);
        self.note(&findings);
        pages.iter().flat_map(|run| run.pages()).for_each(|page| {
            self.resident.remove(&page);
        });
    }

    /// Unloads; the pages that leak.
    pub(crate) fn unload(&mut self, image: ImageId) -> Runs {
        let answer = self.paging.unload(image).unwrap();
        self.note(&answer.findings);
        match answer.step {
            UnloadStep::Unloaded { leaked } => leaked,
            UnloadStep::Wait { .. } => unreachable!("this world has one caller"),
        }
    }

    /// A trim pass: evicts every eligible page.
    pub(crate) fn trim_pass(&mut self) {
        self.resident.retain(|page| !self.paging.is_eligible(*page));
        self.check();
    }

    pub(crate) fn count(&self, image: ImageId, index: u16) -> u32 {
        self.paging.section(SectionId { image, index }).unwrap().count
    }

    /// Resident pages of the first image, counted from [`BASE`].
    pub(crate) fn resident(&self) -> Vec<u64> {
        self.resident.iter().map(|page| page - BASE.page()).collect()
    }

    /// Eligible pages of an image, counted from [`BASE`].
    pub(crate) fn eligible(&self, image: ImageId) -> Vec<u64> {
        self.paging.eligible(image).pages().map(|page| page - BASE.page()).collect()
    }

    fn page_in(&mut self, pages: &Runs) {
        self.resident.extend(pages.pages());
    }

    fn became_eligible(&mut self, pages: &Runs) {
        assert!(pages.pages().all(|page| self.paging.is_eligible(page)));
        if self.trim == Trim::AtOnce {
            pages.pages().for_each(|page| {
                self.resident.remove(&page);
            });
        }
        self.check();
    }

    fn note(&mut self, findings: &[Finding]) {
        self.findings.extend(findings.iter().map(Finding::number));
    }

    /// The invariants of section 12 that hold at any time: n > 0 implies every page of D22 resident; no page outside
    /// "eligible" was evicted.
    pub(crate) fn check(&self) {
        for image in self.paging.images() {
            for page in image.pages.pages() {
                let state = self.paging.page(page).unwrap();
                let out = !self.resident.contains(&page);
                assert!(!out || state.is_eligible() || state.discarded, "page {page:#x} left memory: {state:?}");
            }
        }
    }
}

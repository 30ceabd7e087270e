//! What the machine costs in memory, counted by the allocator: at most 64 bytes a section and 16 bytes a page.
#![expect(clippy::print_stdout, reason = "`--nocapture` shows the figures")]

use std::alloc::System;

use nt_types::Va;
use section_paging::sync::{Host, SharedPaging};
use section_paging::{Config, ImageKind, LockStep, NewImage, NewSection, PageRun, Paging, Runs};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MODULES: u32 = 200;

/// Sections, and pages of each section.
const SHAPES: [(u32, u32); 3] = [(20, 1), (20, 3), (8, 40)];

fn load_all(sections: u32, pages: u32, mut load: impl FnMut(&NewImage<'_>)) {
    let section = |n| NewSection { va: (1 + n * pages) << 12, span: pages << 12, pageable: true };
    let sections: Vec<_> = (0..sections).map(section).collect();
    let size_bytes = (1 + sections.len() as u32 * pages) << 12;
    for module in 0..u64::from(MODULES) {
        let base = Va(0xFFFF_F800_0000_0000 + module * u64::from(size_bytes));
        let load_map = [PageRun::at(base + 0x1000, u64::from(sections.len() as u32 * pages))];
        load(&NewImage {
            name: "test.sys",
            kind: ImageKind::Driver,
            base,
            size_bytes,
            sections: &sections,
            load_map: &load_map,
        });
    }
}

fn budget(sections: u32, pages: u32) -> usize {
    (MODULES * (64 * sections + 16 * (sections * pages + 1))) as usize
}

struct Resident;

impl Host for Resident {
    type Error = ();

    fn page_in(&self, _: &Runs) -> Result<(), ()> {
        Ok(())
    }

    fn flush_queued_dpcs(&self) {}
}

/// Counts what is allocated for good, all sections locked. One test, because the allocator counts for all threads.
#[test]
fn bookkeeping_stays_within_its_budget() {
    for (sections, pages) in SHAPES {
        let region = Region::new(ALLOCATOR);
        let mut paging = Paging::new(Config { call_sites: 0, ..Config::default() });
        load_all(sections, pages, |new| {
            paging.load(new).unwrap();
            for section in new.sections {
                let step = paging.lock_by_address(new.base + u64::from(section.va), Va::NULL).unwrap().step;
                let LockStep::PageIn(transition) = step else { panic!() };
                paging.finish(transition).unwrap();
            }
        });
        check("pure", sections, pages, &region);
        drop(paging);

        let region = Region::new(ALLOCATOR);
        let shared = SharedPaging::new(Config::default(), Resident);
        load_all(sections, pages, |new| {
            shared.load(new).unwrap();
            for section in new.sections {
                shared.lock_by_address(new.base + u64::from(section.va)).unwrap();
            }
        });
        check("shared", sections, pages, &region);
    }
}

fn check(form: &str, sections: u32, pages: u32, region: &Region<'_, System>) {
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    let budget = budget(sections, pages);
    assert!(bytes > 0 && bytes <= budget, "{form}, {sections} sections of {pages} pages: {bytes} bytes of {budget}");
    let each = bytes as f64 / f64::from(MODULES * sections);
    println!(
        "{form}: {sections} sections of {pages} pages: {each:.0} bytes a section with its pages, {:.2} of the budget",
        bytes as f64 / budget as f64
    );
}

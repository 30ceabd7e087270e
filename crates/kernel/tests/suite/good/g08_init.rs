//! G8: INIT with Reinitialize, and discardable sections that are not last (R38, R56 to R59, R205).

use devices::Bus;
use driver_image::pageability::DiscardMode;
use driver_image::{Image, SectionFlags};
use kernel::{EventKind, Options, Routine};
use memory::{Absence, MemoryConfig, PageState, TrimPolicy};
use nt_types::{PAGE_SIZE, Va};

use super::{both, code};
use crate::sample::{Lab, Setup};

/// What each reading of the tables in INIT and BOOTDATA adds up to.
const TABLES: u32 = 100 + 23 + 3 + 5 + 7 + 11;

fn all() -> impl Iterator<Item = String> {
    both("init/init").into_iter().chain(both("init/init-not-last"))
}

/// D10, R59: INIT and BOOTDATA are there in DriverEntry and in all three calls of Reinitialize, which read them.
#[test]
fn g8_d10_init_is_usable_in_all_three_reinitialize_calls() {
    for path in all() {
        let mut lab = Lab::new(Setup::TRIMMED);
        let base = lab.load(&path).expect("the driver starts");
        let file = lab.open(base).expect("it opens");
        assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), 3 | (4 * TABLES) << 16, "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// D10: the pages go once, after the last call has returned and before any request is sent.
#[test]
fn g8_d10_init_is_freed_after_the_last_call() {
    for path in all() {
        let mut lab = Lab::new(Setup::TRIMMED);
        let base = lab.load(&path).expect("the driver starts");
        lab.open(base).expect("it opens");
        let order = lab.events(|event| match event.kind {
            EventKind::Left { what: Routine::DriverEntry, .. } => Some("DriverEntry left"),
            EventKind::Discarded { .. } => Some("discarded"),
            EventKind::IrpSent { .. } => Some("sent"),
            _ => None,
        });
        assert_eq!(order, ["DriverEntry left", "discarded", "sent"], "{path}");
        assert!(["INIT", "BOOTDATA"].iter().all(|name| lab.section(base, name).discarded), "{path}");
        assert!(!lab.section(base, "PAGE").discarded, "{path}");
    }
}

/// The pages that D9 frees, by its formulas: page numbers from the base.
fn documented(image: &Image) -> Vec<u64> {
    let (align, size) = (u64::from(image.headers().section_alignment), u64::from(image.headers().size_of_image));
    let sections = image.sections();
    let member = |index: usize| {
        let section = &sections[index];
        section.raw_name == *b"INIT\0\0\0\0" || section.flags.has(SectionFlags::DISCARDABLE)
    };
    let mut pages = Vec::new();
    let mut first = 0;
    while first < sections.len() {
        let end = (first..sections.len()).take_while(|index| member(*index)).count() + first;
        if end > first {
            let last = &sections[end - 1];
            let s = u64::from(sections[first].rva.0).div_ceil(PAGE_SIZE);
            let after = (u64::from(last.rva.0) + u64::from(last.span())).next_multiple_of(align);
            let e = if end == sections.len() { size.div_ceil(PAGE_SIZE) } else { after / PAGE_SIZE };
            pages.extend(s..e.max(s));
        }
        first = end + 1;
    }
    pages
}

/// The pages that R54 frees: from the last section backwards while each is discardable.
fn tail(image: &Image) -> Vec<u64> {
    let discardable = image.sections().iter().rev().take_while(|it| it.flags.has(SectionFlags::DISCARDABLE));
    let lowest = discardable.map(|section| u64::from(section.rva.0)).min();
    let end = u64::from(image.headers().size_of_image).div_ceil(PAGE_SIZE);
    lowest.map_or(Vec::new(), |lowest| (lowest.div_ceil(PAGE_SIZE)..end).collect())
}

/// D9, R54: exactly the pages of the rule are freed, at both alignments, with the default rule and with `tail`.
#[test]
fn g8_d9_the_ranges_of_both_rules_at_both_alignments() {
    for path in all() {
        for (discard, rule) in
            [(DiscardMode::Documented, documented as fn(&Image) -> Vec<u64>), (DiscardMode::Tail, tail)]
        {
            let options = Options { discard, ..Options::default() };
            let memory = MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() };
            let mut lab = Lab::with(options, memory, Bus::new());
            let base = lab.load(&path).expect("the driver starts");
            let driver = lab.machine.modules().driver_at(base).expect("it is loaded");
            let (expected, pages) = (rule(&driver.image), driver.size.div_ceil(PAGE_SIZE));
            let discarded = |page: &u64| {
                lab.machine.memory.page_state(base + page * PAGE_SIZE) == PageState::Absent(Absence::Discarded)
            };
            let freed: Vec<u64> = (0..pages).filter(discarded).collect();
            assert_eq!(freed, expected, "{path}, {discard:?}");
        }
    }
}

/// R54, D9: with INIT before PAGE the two rules differ: the flag alone, from the end, keeps INIT.
#[test]
fn g8_r54_the_two_rules_differ_where_init_is_not_last() {
    for path in both("init/init-not-last") {
        let mut lab = Lab::new(Setup::NEVER);
        let base = lab.load(&path).expect("the driver starts");
        let image = &lab.machine.modules().driver_at(base).expect("it is loaded").image;
        let (by_name, by_flag) = (documented(image), tail(image));
        assert!(by_name.len() > by_flag.len(), "{path}: {by_name:?}, {by_flag:?}");
    }
}

/// R57: a DriverEntry that fails frees the image; neither Unload nor Reinitialize is called, and nothing is left.
#[test]
fn g8_r57_a_failing_driver_entry_frees_the_image() {
    for path in both("init/init-fails") {
        let mut lab = Lab::new(Setup::TRIMMED);
        let frames = lab.machine.memory.counters().frames_used;
        let base = lab.load(&path).expect("no bug check");
        assert!(lab.machine.modules().driver_at(base).is_none(), "{path}");
        assert_eq!(lab.machine.memory.page_state(base), PageState::Absent(Absence::Freed), "{path}");
        let called = lab.events(|event| match event.kind {
            EventKind::Entered { what, .. } => Some(what),
            _ => None,
        });
        assert_eq!(called, [Routine::DriverEntry], "{path}");
        let unloaded = lab.events(|event| match event.kind {
            EventKind::Unloaded { leaked_pages, .. } => Some(leaked_pages),
            _ => None,
        });
        assert_eq!(unloaded, [0], "{path}");
        let counters = lab.machine.memory.counters();
        assert_eq!(counters.frames_leaked, 0, "{path}");
        assert!(counters.frames_used <= frames + SLACK, "{path}: {} of {frames} frames", counters.frames_used);
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// Frames of page tables and of the kernel's own objects that stay.
const SLACK: u32 = 16;

/// R38, R57: what DriverEntry queued dies with it, and the name of its image is remembered (D30).
#[test]
fn g8_d30_a_driver_that_failed_is_remembered() {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load("init/init-fails").expect("no bug check");
    let gone = lab.machine.modules().unloaded_at(Va(base.0 + 0x1000)).expect("it is remembered");
    assert_eq!(gone.name, "init-fails.sys");
}

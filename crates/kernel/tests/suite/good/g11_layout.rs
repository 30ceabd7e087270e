//! G11: every odd way in which a section can be pageable or not (R41 to R44, R208).

use driver_image::Image;
use nt_types::{PAGE_SIZE, Va};

use super::code;
use crate::sample::{Lab, Setup};

fn loaded(path: &str) -> (Lab, Va) {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load(path).expect("the driver starts");
    (lab, base)
}

/// Pages that are pageable at load, from the base.
fn load_map(lab: &Lab, base: Va) -> Vec<u64> {
    let pages = lab.machine.modules().driver_at(base).expect("it is loaded").size.div_ceil(PAGE_SIZE);
    let first = base.0 / PAGE_SIZE;
    let paging = lab.machine.memory.paging();
    (0..pages).filter(|page| paging.page(first + page).is_some_and(|page| page.in_load_map)).collect()
}

/// R43 as it is written, for any alignment.
fn r43(image: &Image) -> Vec<u64> {
    let (align, sections) = (i64::from(image.headers().section_alignment), image.sections());
    let by_name = |index: usize| {
        let name = &sections[index].raw_name[..4];
        name == b"PAGE" || name == b".eda"
    };
    let (page, last_page) = (PAGE_SIZE as i64, i64::from(image.headers().size_of_image - 1) / PAGE_SIZE as i64);
    let mut pages = Vec::new();
    let mut first = 0;
    while first < sections.len() {
        let end = (first..sections.len()).take_while(|index| by_name(*index)).count() + first;
        if end > first {
            let (i, j) = (&sections[first], &sections[end - 1]);
            let from = (i64::from(i.rva.0) + page - 1) / page;
            let to = (i64::from(j.rva.0) + i64::from(j.span()) + align - 1 - page).div_euclid(page);
            pages.extend((from..=to.min(last_page)).map(|page| page as u64));
        }
        first = end + 1;
    }
    pages
}

/// Pages of a section, from the base.
fn pages(lab: &Lab, base: Va, section: &str) -> Vec<u64> {
    lab.pages(base, section).into_iter().map(|page| (page - base) / PAGE_SIZE).collect()
}

/// R43: the load map of each image is what the formula says.
#[test]
fn g11_r43_the_load_map_is_what_the_formula_says() {
    for path in ["layout/layout", "layout/layout-a80", "layout/small", "layout/small-a80", "serial/serial-a80"] {
        let (lab, base) = loaded(path);
        let image = &lab.machine.modules().driver_at(base).expect("it is loaded").image;
        assert_eq!(load_map(&lab, base), r43(image), "{path}");
    }
}

/// R43 d, K15: a small PAGE section inside shared pages is pageable nowhere; aligned to pages it is one page.
#[test]
fn g11_r43d_a_tiny_section_in_shared_pages_is_pageable_nowhere() {
    let (mut lab, base) = loaded("layout/small-a80");
    assert!(lab.section(base, "PAGE").pageable && load_map(&lab, base).is_empty());
    lab.evict(base, "PAGE");
    assert!(lab.is_whole(base, "PAGE"));
    let file = lab.open(base).expect("it opens");
    assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), 42);
    let (lab, base) = loaded("layout/small");
    assert_eq!(load_map(&lab, base), pages(&lab, base, "PAGE"));
}

/// R43 e: a page that two neighbouring PAGE sections share is pageable.
#[test]
fn g11_r43e_a_page_of_two_page_sections_is_pageable() {
    let (mut lab, base) = loaded("layout/layout-a80");
    let (tiny, neighbour) = (pages(&lab, base, "PAGEA"), pages(&lab, base, "PAGEFLAG"));
    let shared = tiny.iter().copied().find(|page| neighbour.contains(page)).expect("they share one");
    assert!(load_map(&lab, base).contains(&shared));
    let file = lab.open(base).expect("it opens");
    lab.ask(file, code(0), 0).expect("both run");
    lab.evict_all();
    assert!(!lab.is_resident(base + shared * PAGE_SIZE));
}

/// R43 a: the page that PAGE shares with code before it, which is not pageable, stays.
#[test]
fn g11_r43a_a_page_shared_with_code_before_it_stays() {
    let (mut lab, base) = loaded("layout/layout-a80");
    let (before, page) = (pages(&lab, base, "NONPAGED"), pages(&lab, base, "PAGE"));
    let shared = before.iter().copied().find(|it| page.contains(it)).expect("they share one");
    assert!(!load_map(&lab, base).contains(&shared) && load_map(&lab, base).contains(&(shared + 1)));
    lab.evict_all();
    assert!(lab.is_resident(base + shared * PAGE_SIZE));
}

/// R41: `.edatbl` begins as an export table does and is pageable; NOT_PAGED counts for nothing; of a longer name the image
/// has eight letters, and the first four decide.
#[test]
fn g11_r41_names_decide_and_flags_do_not() {
    let (lab, base) = loaded("layout/layout");
    let map = load_map(&lab, base);
    for section in [".edatbl", "PAGE", "PAGEA", "PAGEFLAG", "PAGELONG"] {
        assert!(lab.section(base, section).pageable, "{section}");
        assert!(pages(&lab, base, section).iter().all(|page| map.contains(page)), "{section}");
    }
    let driver = lab.machine.modules().driver_at(base).expect("it is loaded");
    let flagged = driver.image.sections().iter().find(|it| it.name() == "PAGEFLAG").expect("it has one");
    assert!(flagged.flags.has(driver_image::SectionFlags::NOT_PAGED));
}

/// R39, R42, D3, K16: `page` and INITDATA are ordinary: they stay, and are not discarded.
#[test]
fn g11_r42_lower_case_and_longer_init_names_are_ordinary() {
    for path in ["layout/layout", "layout/layout-a80"] {
        let (mut lab, base) = loaded(path);
        let file = lab.open(base).expect("it opens");
        lab.evict_all();
        for section in ["page", "INITDATA", "NONPAGED"] {
            assert!(!lab.section(base, section).pageable && lab.is_whole(base, section), "{path}: {section}");
        }
        assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), 36, "{path}");
        assert_eq!(lab.ask(file, code(0), 0).expect("no bug check"), 37, "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

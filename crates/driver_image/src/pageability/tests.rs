//! The arithmetic of BEHAVIOUR.md section 2, from tables and against a reference that looks at single bytes.

use nt_types::{PAGE_SIZE, Rva};
use proptest::prelude::*;

use super::{DiscardMode, PageClass, PageProtection, discard_set, load_map, page_map, page_protection, section_pages};
use crate::{Headers, Section, SectionFlags};

const PLAIN: u32 = SectionFlags::READ;
const DISCARDABLE: u32 = SectionFlags::READ | SectionFlags::DISCARDABLE;

#[derive(Debug)]
struct Layout {
    headers: Headers,
    sections: Vec<Section>,
}

/// An image from `(name, start, span, flags)`; it ends where the last section does, rounded up to the alignment.
fn layout(align: u32, sections: &[(&str, u32, u32, u32)]) -> Layout {
    let end = sections.iter().map(|(_, start, span, _)| start + span).max().unwrap_or(align);
    let sections = sections.iter().map(|&(name, start, span, flags)| section(name, start, span, flags)).collect();
    Layout { headers: Headers::with_layout(align, 0x400, end.next_multiple_of(align)), sections }
}

fn section(name: &str, start: u32, span: u32, flags: u32) -> Section {
    let mut raw_name = [0; 8];
    raw_name[..name.len()].copy_from_slice(name.as_bytes());
    let flags = SectionFlags(flags);
    Section { raw_name, rva: Rva(start), raw_size: 0, virtual_size: span, raw_offset: 0, flags }
}

impl Layout {
    fn load_map(&self) -> Vec<u32> {
        load_map(&self.headers, &self.sections).iter().collect()
    }

    fn discarded(&self, mode: DiscardMode) -> (Vec<usize>, Vec<u32>) {
        let set = discard_set(&self.headers, &self.sections, mode);
        (set.sections, set.pages.iter().collect())
    }

    fn classes(&self) -> Vec<PageClass> {
        let pages = page_map(&self.headers, &self.sections, DiscardMode::Documented);
        pages.into_iter().map(|page| page.class).collect()
    }
}

/// R2, R3, R39, R42, R150, D3: the first four bytes decide, in capitals; no flag and no other spelling does.
#[test]
fn r41_names_decide_and_flags_do_not() {
    let names = ["PAGE", "PAGE_PWR", "PAGESER", "PAGEabcd", ".edata", ".edabcde"];
    for name in names {
        let map = layout(0x1000, &[(name, 0x1000, 0x1000, PLAIN | SectionFlags::NOT_PAGED)]).load_map();
        assert_eq!(map, [1], "{name}");
    }
    for name in [
        ".text", ".data", ".rdata", ".pdata", ".idata", ".reloc", "INIT", "INITDATA", "init", "page", "Page", "pAGE",
        "PAG", ".rsrc", "xPAGE", ".ed",
    ] {
        assert_eq!(layout(0x1000, &[(name, 0x1000, 0x1000, PLAIN)]).load_map(), [0u32; 0], "{name}");
    }
}

#[test]
fn r43a_a_page_shared_with_a_preceding_nonpageable_section_stays_nonpaged() {
    let sub_page = layout(0x80, &[(".text", 0x400, 0x1080, PLAIN), ("PAGE", 0x1480, 0x1b80, PLAIN)]);
    assert_eq!(sub_page.load_map(), [2], "page 1 is shared, page 2 is PAGE's own");
    // At page alignment nothing is shared, and nothing is lost.
    let aligned = layout(0x1000, &[(".text", 0x1000, 0x480, PLAIN), ("PAGE", 0x2000, 0x1b80, PLAIN)]);
    assert_eq!(aligned.load_map(), [2, 3]);
}

#[test]
fn r43b_with_page_alignment_the_partial_last_page_is_pageable() {
    for span in [1, 0x80, 0xfff, 0x1000] {
        assert_eq!(layout(0x1000, &[("PAGE", 0x1000, span, PLAIN)]).load_map(), [1], "{span:#x}");
    }
    assert_eq!(layout(0x1000, &[("PAGE", 0x1000, 0x1001, PLAIN)]).load_map(), [1, 2]);
    assert_eq!(layout(0x1000, &[("PAGE", 0x1000, 0, PLAIN), (".data", 0x1000, 8, PLAIN)]).load_map(), [0u32; 0]);
}

#[test]
fn r43c_below_page_alignment_the_last_page_needs_a_section_that_reaches_its_end() {
    let map = |span| layout(0x80, &[("PAGE", 0x1000, span, PLAIN), (".data", 0x3000, 0x80, PLAIN)]).load_map();
    assert_eq!(map(0x1f80), [1], "rounded up to 0x80 it ends at 0x2f80");
    assert_eq!(map(0x1f81), [1, 2], "rounded up to 0x80 it ends at 0x3000");
    assert_eq!(map(0x2000), [1, 2]);
    assert_eq!(map(0xf80), [0u32; 0]);
    // The same spans at page alignment reach every page they touch.
    let aligned = layout(0x1000, &[("PAGE", 0x1000, 0x1f80, PLAIN), (".data", 0x3000, 0x80, PLAIN)]);
    assert_eq!(aligned.load_map(), [1, 2]);
}

#[test]
fn r43d_a_small_section_inside_shared_pages_is_pageable_nowhere() {
    let sub_page =
        layout(0x80, &[(".text", 0x400, 0x800, PLAIN), ("PAGE", 0xc00, 0x600, PLAIN), (".data", 0x1200, 0x100, PLAIN)]);
    assert_eq!(sub_page.load_map(), [0u32; 0]);
    assert_eq!(sub_page.classes()[0], PageClass::Edge { stuck_bytes: 0x400 });
    assert_eq!(sub_page.classes()[1], PageClass::Edge { stuck_bytes: 0x200 });
    let aligned = layout(0x1000, &[(".text", 0x1000, 0x800, PLAIN), ("PAGE", 0x2000, 0x600, PLAIN)]);
    assert_eq!(aligned.load_map(), [2]);
}

#[test]
fn r43e_a_page_shared_by_adjacent_pageable_sections_is_pageable() {
    let sub_page = layout(0x80, &[("PAGEA", 0x1000, 0x1480, PLAIN), ("PAGEB", 0x2480, 0xb80, PLAIN)]);
    assert_eq!(sub_page.load_map(), [1, 2]);
    let split = layout(
        0x80,
        &[("PAGEA", 0x1000, 0x1400, PLAIN), (".data", 0x2400, 0x80, PLAIN), ("PAGEB", 0x2480, 0xb80, PLAIN)],
    );
    assert_eq!(split.load_map(), [1], "something between them breaks the run");
    let aligned = layout(0x1000, &[("PAGEA", 0x1000, 0x1480, PLAIN), ("PAGEB", 0x3000, 0xb80, PLAIN)]);
    assert_eq!(aligned.load_map(), [1, 2, 3]);
}

#[test]
fn r43_an_alignment_above_a_page_takes_the_gap_too() {
    let map = layout(0x4000, &[("PAGE", 0x4000, 0x1000, PLAIN), (".data", 0x8000, 0x10, PLAIN)]).load_map();
    assert_eq!(map, [4, 5, 6, 7], "the formula of R43 as it stands: 0x5000 + 0x4000 - 1 - 0x1000 lies in page 7");
}

#[test]
fn r44_the_larger_of_raw_and_virtual_size_counts() {
    let mut image = layout(0x1000, &[("PAGE", 0x1000, 0x2800, PLAIN)]);
    image.sections[0].raw_size = 0x200;
    assert_eq!(image.load_map(), [1, 2, 3], "a bss tail is part of the section");
    image.sections[0] = Section { raw_size: 0x2800, virtual_size: 0x10, ..image.sections[0] };
    assert_eq!(image.load_map(), [1, 2, 3]);
}

#[test]
fn d2_a_range_ends_with_the_image() {
    let mut image = layout(0x80, &[("PAGE", 0x1000, 0x1f80, PLAIN)]);
    assert_eq!(image.load_map(), [1], "the image ends at 0x2f80, inside page 2");
    image.headers = Headers::with_layout(0x4000, 0x400, 0x3000);
    assert_eq!(image.load_map(), [1, 2]);
}

/// R55, D3: INIT by its whole name and discardable sections by their flag, anywhere; `INITKDBG` is not `INIT`.
#[test]
fn d9_documented_takes_init_by_name_and_discardable_by_flag_anywhere() {
    let image = layout(
        0x1000,
        &[
            (".text", 0x1000, 0x800, PLAIN),
            ("INIT", 0x2000, 0x800, PLAIN),
            (".data", 0x3000, 0x800, PLAIN),
            ("setup", 0x4000, 0x800, DISCARDABLE),
            ("INITKDBG", 0x5000, 0x800, PLAIN),
            (".reloc", 0x6000, 0x80, DISCARDABLE),
        ],
    );
    assert_eq!(image.discarded(DiscardMode::Documented), (vec![1, 3, 5], vec![2, 4, 6]));
    assert_eq!(image.discarded(DiscardMode::Tail), (vec![5], vec![6]), "R54: only the flagged tail");
}

#[test]
fn d9_a_page_shared_with_a_kept_section_is_kept() {
    let image = layout(
        0x80,
        &[
            (".text", 0x400, 0xd00, PLAIN),
            ("INIT", 0x1100, 0x2100, DISCARDABLE),
            (".rsrc", 0x3200, 0x100, PLAIN),
            (".reloc", 0x3300, 0x80, DISCARDABLE),
        ],
    );
    assert_eq!(image.discarded(DiscardMode::Documented), (vec![1, 3], vec![2]));
    assert_eq!(image.discarded(DiscardMode::Tail), (vec![3], vec![]), "0x3300 rounds up past the image's last page");
    let kept = discard_set(&image.headers, &image.sections, DiscardMode::Documented).kept_bytes(&image.sections);
    assert_eq!(kept, [Rva(0x1100)..Rva(0x2000), Rva(0x3000)..Rva(0x3200), Rva(0x3300)..Rva(0x3380)], "D11");
}

#[test]
fn d9_the_last_run_frees_to_the_end_of_the_image_although_its_page_is_partial() {
    let image = layout(0x80, &[(".text", 0x400, 0xc00, PLAIN), ("INIT", 0x1000, 0x1080, PLAIN)]);
    assert_eq!(image.discarded(DiscardMode::Documented), (vec![1], vec![1, 2]));
    assert_eq!(image.discarded(DiscardMode::Tail), (vec![], vec![]), "R54 does not look at the name");
}

#[test]
fn r54_an_image_of_discardable_sections_alone_goes_whole() {
    let image = layout(0x1000, &[("a", 0x1000, 0x10, DISCARDABLE), ("b", 0x2000, 0x10, DISCARDABLE)]);
    assert_eq!(image.discarded(DiscardMode::Tail), (vec![0, 1], vec![1, 2]));
}

#[test]
fn d22_the_range_of_a_section_starts_rounded_down() {
    assert_eq!(section_pages(&section("PAGE", 0x1480, 0xb80, PLAIN)), 1..2);
    assert_eq!(section_pages(&section("PAGE", 0x1480, 0xb81, PLAIN)), 1..3);
    assert_eq!(section_pages(&section("PAGE", 0x1480, 1, PLAIN)), 1..2);
    assert!(section_pages(&section("PAGE", 0x1480, 0, PLAIN)).is_empty(), "span 0 contains no address");
}

/// R53: what shares a page shares its protection.
#[test]
fn d8_protection_is_the_union_and_headers_are_read_only() {
    let (read, write, execute) = (SectionFlags::READ, SectionFlags::WRITE, SectionFlags::EXECUTE);
    let image = layout(
        0x80,
        &[
            (".text", 0x1000, 0x1100, read | execute),
            (".data", 0x2100, 0x100, read | write),
            ("INIT", 0x2200, 0x1000, read | execute | SectionFlags::DISCARDABLE),
        ],
    );
    let protection = |page| page_protection(&image.headers, &image.sections, page);
    let allows = |read, write, execute| PageProtection { read, write, execute };
    assert_eq!(protection(0), allows(true, false, false));
    assert_eq!(protection(1), allows(true, false, true));
    assert_eq!(protection(2), allows(true, true, true));
    assert_eq!(protection(3), allows(true, false, true), "discarded sections count");
    let shared = layout(0x80, &[(".data", 0x400, 0x80, read | write)]);
    assert_eq!(page_protection(&shared.headers, &shared.sections, 0), allows(true, true, false));
}

/// Any layout that the parser lets through: ascending, aligned, at most 40 pages.
fn any_layout() -> impl Strategy<Value = Layout> {
    let names = prop::sample::select(vec![".text", "PAGE", "PAGESER", ".edata", "INIT", "INIT2", ".data"]);
    let section = (names, 0u32..3, 0u32..0x3200, any::<bool>());
    let align = prop::sample::select(vec![0x20u32, 0x80, 0x800, 0x1000, 0x2000]);
    (align, prop::collection::vec(section, 1..8)).prop_map(|(align, sections)| {
        let mut end = 0x400u32;
        let placed: Vec<(&str, u32, u32, u32)> = sections
            .into_iter()
            .map(|(name, gap, span, discardable)| {
                let start = end.next_multiple_of(align) + gap * align;
                end = start + span;
                (name, start, span, if discardable { DISCARDABLE } else { PLAIN })
            })
            .collect();
        layout(align, &placed)
    })
}

/// The run of sections around `index` whose members satisfy `member`.
fn run_around(sections: &[Section], index: usize, member: impl Fn(&Section) -> bool) -> (usize, usize) {
    let mut first = index;
    while first > 0 && member(&sections[first - 1]) {
        first -= 1;
    }
    let mut last = index;
    while last + 1 < sections.len() && member(&sections[last + 1]) {
        last += 1;
    }
    (first, last)
}

/// Does every byte of the page satisfy `holds`?
fn every_byte(page: u32, holds: impl Fn(u64) -> bool) -> bool {
    (0..PAGE_SIZE).all(|offset| holds(u64::from(page) * PAGE_SIZE + offset))
}

fn naive_pageable(image: &Layout, page: u32) -> bool {
    let sections = &image.sections;
    let slack = u64::from(image.headers.section_alignment) - 1;
    (0..sections.len()).filter(|&index| sections[index].is_pageable_by_name()).any(|index| {
        let (first, last) = run_around(sections, index, Section::is_pageable_by_name);
        every_byte(page, |byte| byte >= u64::from(sections[first].rva.0) && byte < sections[last].end() + slack)
    })
}

fn naive_discarded(image: &Layout, page: u32, member: impl Fn(&Section) -> bool) -> bool {
    let sections = &image.sections;
    let align = u64::from(image.headers.section_alignment);
    (0..sections.len()).filter(|&index| member(&sections[index])).any(|index| {
        let (first, last) = run_around(sections, index, &member);
        let end = match last + 1 == sections.len() {
            true => u64::MAX,
            false => sections[last].end().next_multiple_of(align),
        };
        every_byte(page, |byte| byte >= u64::from(sections[first].rva.0) && byte < end)
    })
}

proptest! {
    #[test]
    fn load_map_agrees_with_single_bytes(image in any_layout()) {
        let map = load_map(&image.headers, &image.sections);
        for page in 0..image.headers.page_count() {
            prop_assert_eq!(map.contains(page), naive_pageable(&image, page), "page {}", page);
        }
        prop_assert!(map.iter().all(|page| page < image.headers.page_count()));
    }

    #[test]
    fn discard_set_agrees_with_single_bytes(image in any_layout()) {
        let set = discard_set(&image.headers, &image.sections, DiscardMode::Documented);
        let member = |section: &Section| section.is_init() || section.flags.has(SectionFlags::DISCARDABLE);
        for page in 0..image.headers.page_count() {
            prop_assert_eq!(set.pages.contains(page), naive_discarded(&image, page, member), "page {}", page);
        }
    }

    #[test]
    fn no_page_of_a_kept_section_is_discarded(image in any_layout()) {
        for mode in [DiscardMode::Documented, DiscardMode::Tail] {
            let set = discard_set(&image.headers, &image.sections, mode);
            for (index, section) in image.sections.iter().enumerate() {
                let kept = !set.sections.contains(&index);
                prop_assert!(!kept || section_pages(section).all(|page| !set.pages.contains(page)));
            }
        }
    }

    #[test]
    fn every_page_has_one_class_and_edges_count_their_bytes(image in any_layout()) {
        let pages = page_map(&image.headers, &image.sections, DiscardMode::Documented);
        let discarded = discard_set(&image.headers, &image.sections, DiscardMode::Documented);
        prop_assert_eq!(pages.len(), image.headers.page_count() as usize);
        for page in &pages {
            let leaving = |byte: u64| image.sections.iter().enumerate().any(|(index, section)| {
                section.contains(Rva(byte as u32))
                    && (section.is_pageable_by_name() || discarded.sections.contains(&index))
            });
            let start = u64::from(page.page) * PAGE_SIZE;
            let count = (start..start + PAGE_SIZE).filter(|&byte| leaving(byte)).count() as u32;
            match page.class {
                PageClass::Edge { stuck_bytes } => prop_assert_eq!(stuck_bytes, count),
                PageClass::Nonpaged => prop_assert_eq!(count, 0),
                PageClass::Pageable | PageClass::Discarded => {}
            }
        }
    }
}

//! Findings about an image that need no run: K15, K16, K17, K24 and K27 of BEHAVIOUR.md section 10, and A05.

use driver_image::pageability::{PageRanges, load_map, section_pages};
use driver_image::{Image, ImportedSymbol, Section, SectionFlags};
use nt_types::{PAGE_SIZE, storport};
use report::cause::{Cause, Layout};
use report::{Diagnostic, Place};

/// What the sections of an image show, in header order; what its imports and all sections together show comes last. `name` is the image's file
/// name.
pub fn findings(name: &str, image: &Image) -> Vec<Diagnostic> {
    let pageable = load_map(image.headers(), image.sections());
    let alignment = image.headers().section_alignment;
    let each = image.sections().iter().flat_map(|section| {
        let odd_name = suspicious_name(section).or_else(|| long_name(image, section));
        let layouts = [pageable_nowhere(&pageable, alignment, section), odd_name, mixed(section)];
        layouts.into_iter().flatten().map(|layout| in_section(name, section, layout))
    });
    let together = [true, false].into_iter().filter_map(|code| small(image.sections(), code));
    let together = prohibited_imports(image).into_iter().chain(together);
    each.chain(together.map(|layout| Diagnostic::from(Cause::Layout(layout)))).collect()
}

fn in_section(name: &str, section: &Section, layout: Layout) -> Diagnostic {
    let place =
        Place { image: name.to_owned(), section: Some(section.name()), rva: section.rva, symbol: None, source: None };
    Diagnostic { at: Some(place.into()), ..Diagnostic::from(Cause::Layout(layout)) }
}

/// K15.
fn pageable_nowhere(pageable: &PageRanges, alignment: u32, section: &Section) -> Option<Layout> {
    let nowhere = !section_pages(section).any(|page| pageable.contains(page));
    (section.is_pageable_by_name() && section.span() > 0 && nowhere).then(|| Layout::PageableNowhere {
        section: section.name(),
        bytes: section.span(),
        alignment,
    })
}

/// K16 (D3). A name that begins with INIT does what its author meant if the section is flagged discardable.
fn suspicious_name(section: &Section) -> Option<Layout> {
    let prefix: [u8; 4] = section.raw_name[..4].try_into().expect("a name has eight bytes");
    let looks_pageable = prefix.eq_ignore_ascii_case(b"PAGE") && !section.is_pageable_by_name();
    let discarded = section.is_init() || section.flags.has(SectionFlags::DISCARDABLE);
    let looks_discarded = prefix.eq_ignore_ascii_case(b"INIT") && !discarded;
    (looks_pageable || looks_discarded).then(|| Layout::SuspiciousName { section: section.name() })
}

/// K16: the name that the author gave stands where the loader does not look.
fn long_name(image: &Image, section: &Section) -> Option<Layout> {
    let name = image.long_name(section)?;
    let looks = |prefix: &[u8]| name.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let discarded = section.flags.has(SectionFlags::DISCARDABLE);
    (looks(b"PAGE") || looks(b"INIT") && !discarded).then(|| Layout::LongName { section: name, header: section.name() })
}

/// K17, and A05 for sections that stay. Linkers used to make `INIT` both; it is gone before anybody could write to it.
fn mixed(section: &Section) -> Option<Layout> {
    let (name, flags) = (section.name(), section.flags);
    let both = flags.has(SectionFlags::EXECUTE | SectionFlags::WRITE);
    match section.is_pageable_by_name() {
        true => both.then_some(Layout::MixedSection { section: name }),
        false => (both && !flags.has(SectionFlags::DISCARDABLE)).then_some(Layout::WritableCode { section: name }),
    }
}

/// K24: what a Storport miniport imports and should not (R144). The rule is one for physical miniports; what a miniport hands
/// to Storport says which it is.
fn prohibited_imports(image: &Image) -> Vec<Layout> {
    let modules = image.imports();
    if !modules.iter().any(|module| module.name.eq_ignore_ascii_case("storport.sys")) {
        return Vec::new();
    }
    let prohibited = modules.iter().flat_map(|module| &module.imports).filter_map(|import| match &import.symbol {
        ImportedSymbol::Name { name, .. } if storport::prohibited_ddis().any(|prohibited| prohibited == name) => {
            Some(Layout::ProhibitedImport { routine: name.clone() })
        }
        _ => None,
    });
    let prohibited: Vec<Layout> = prohibited.collect();
    let exempt = !prohibited.is_empty() && audit::is_virtual_miniport(image).unwrap_or(false);
    if exempt { Vec::new() } else { prohibited }
}

/// K27 for code, or for data.
fn small(sections: &[Section], code: bool) -> Option<Layout> {
    let of_kind =
        |section: &&Section| section.is_pageable_by_name() && section.flags.has(SectionFlags::EXECUTE) == code;
    let bytes: u64 = sections.iter().filter(of_kind).map(|section| u64::from(section.virtual_size)).sum();
    (1..PAGE_SIZE).contains(&bytes).then_some(Layout::SmallPageable { code, bytes })
}

#[cfg(test)]
mod tests {
    use driver_image::builder::{CODE, PeBuilder, VARIABLES};

    use super::*;

    /// Codes and titles for an image with these sections.
    fn found(alignment: u32, sections: &[(&str, SectionFlags, usize)]) -> Vec<String> {
        let mut builder = PeBuilder::new();
        builder.layout(alignment, if alignment < 0x1000 { 0x400 } else { 0x1000 });
        for (name, flags, bytes) in sections {
            builder.section(name, *flags, &vec![0xc3; *bytes]);
        }
        let image = Image::parse(builder.build()).expect("the builder's images are sound");
        findings("x.sys", &image).iter().map(|report| format!("{}: {}", report.code(), report.title())).collect()
    }

    #[test]
    fn ordinary_sections_show_nothing() {
        let sections =
            [(".text", CODE, 0x1000), ("PAGE", CODE, 0x1000), ("PAGEDATA", VARIABLES, 0x1000), ("INIT", CODE, 9)];
        assert_eq!(found(0x1000, &sections), [""; 0]);
    }

    /// R43(d), K15: it is told that none of its pages can leave.
    #[test]
    fn a_small_section_in_shared_pages_is_pageable_nowhere() {
        let sections = [(".text", CODE, 0x200), ("PAGE", CODE, 0x80), (".data", VARIABLES, 0x80)];
        let title = "K15: section `PAGE` has no page that can leave memory";
        assert_eq!(found(0x80, &sections), [title, "K27: 128 bytes of pageable code in all"]);
    }

    /// R39, R42, D3, K16: it is told that they mean nothing.
    #[test]
    fn names_that_miss_their_purpose_are_suspicious() {
        let discardable = SectionFlags(CODE.0 | SectionFlags::DISCARDABLE);
        let sections = [("page", CODE, 1), ("Init", CODE, 1), ("INITDATA", CODE, 1), ("INITCODE", discardable, 1)];
        let title = |name| format!("K16: section name `{name}` has no effect on paging");
        assert_eq!(found(0x1000, &sections), ["page", "Init", "INITDATA"].map(title));
    }

    /// K16: GNU linkers write long names into a table of their own, and the loader sees `/4`.
    #[test]
    fn a_long_name_is_suspicious_where_it_looks_pageable() {
        let mut builder = PeBuilder::new();
        for name in ["/4", "/15", "/99"] {
            builder.section(name, CODE, &[0xc3]);
        }
        let mut file = builder.build();
        let (header, table) = (usize::from(file[0x3c]) + 4, file.len() as u32);
        file[header + 8..header + 12].copy_from_slice(&table.to_le_bytes());
        file.extend(b"\x1b\0\0\0PAGECONFIG\0.debug_info\0");
        let image = Image::parse(file).expect("the builder's images are sound");
        let found: Vec<_> = findings("x.sys", &image).iter().map(|report| report.title().to_owned()).collect();
        assert_eq!(found, ["section name `PAGECONFIG` has no effect on paging"]);
    }

    /// A05: the same flags in a section that stays.
    #[test]
    fn writable_code_that_stays_is_told() {
        let both = SectionFlags(CODE.0 | SectionFlags::WRITE);
        assert_eq!(found(0x1000, &[(".text", both, 300)]), ["A05: section `.text` is both executable and writable"]);
    }

    /// R144, K24: each name of the list, and only where a Storport miniport imports it.
    #[test]
    fn imports_that_a_miniport_should_not_have() {
        let symbol = |name: &str| ImportedSymbol::Name { name: name.into(), hint: 0 };
        let prohibited: Vec<ImportedSymbol> = storport::prohibited_ddis().map(symbol).collect();
        let found = |kernel: &[ImportedSymbol], port: &str| {
            let mut builder = PeBuilder::new();
            builder.section(".text", CODE, &[0xc3]);
            builder.imports(&[("ntoskrnl.exe", kernel), (port, &[symbol("PortInitialize")])]);
            let image = Image::parse(builder.build()).expect("the builder's images are sound");
            findings("x.sys", &image).iter().map(|report| report.title().to_owned()).collect::<Vec<_>>()
        };
        let titles = storport::prohibited_ddis().map(|name| format!("Storport miniport imports `{name}`"));
        assert_eq!(found(&prohibited, "STORPORT.SYS"), titles.collect::<Vec<_>>());
        assert_eq!(prohibited.len(), 351);
        assert!(found(&[symbol("RtlCopyMemory")], "storport.sys").is_empty());
        assert!(found(&prohibited, "scsiport.sys").is_empty());
    }

    /// R4, R10, K17, K27: it is told that both cost more than they give.
    #[test]
    fn code_and_data_in_one_small_section() {
        let both = SectionFlags(CODE.0 | SectionFlags::WRITE);
        let titles = ["K17: section `PAGE` is both executable and writable", "K27: 300 bytes of pageable code in all"];
        assert_eq!(found(0x1000, &[("PAGE", both, 300)]), titles);
    }
}

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::pageability::DiscardMode;
use driver_image::{Image, SectionFlags};
use nt_types::Rva;
use report::table::{Advice, Map, Move};
use report::{Ended, Place, Symbol, Verdict, draw, explain, json};

use crate::{assert_golden, fixture};

/// Sections as drivers have them, in an image with this alignment.
fn image(alignment: u32, headers: u32) -> Image {
    let mut builder = PeBuilder::new();
    builder.layout(alignment, headers);
    builder.section(".text", CODE, &[0xc3; 0x1400]);
    builder.section(".rdata", CONSTANTS, &[1; 0x300]);
    builder.section(".data", VARIABLES, &[2; 0x80]);
    builder.section("PAGESER", CODE, &[0xc3; 0x2600]);
    builder.section("PAGEDATA", VARIABLES, &[3; 0x900]);
    builder.section("INIT", SectionFlags(CODE.0 | SectionFlags::DISCARDABLE), &[0xc3; 0x600]);
    builder.section(".rsrc", CONSTANTS, &[4; 0x200]);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

#[test]
fn map_of_page_aligned_sections() {
    let map = Map::new("sample.sys", &image(0x1000, 0x1000), DiscardMode::Documented);
    assert_golden("map.txt", &map.text());
    assert_golden("map.json", &json::map(&map, &[], None));
}

/// Images whose sections share pages (R37).
#[test]
fn map_of_sections_that_share_pages() {
    let map = Map::new("sample.sys", &image(0x80, 0x400), DiscardMode::Tail);
    assert_golden("map_shared.txt", &map.text());
}

#[test]
fn map_accounts_for_each_page_once() {
    for (alignment, headers) in [(0x1000, 0x1000), (0x80, 0x400)] {
        let image = image(alignment, headers);
        let map = Map::new("sample.sys", &image, DiscardMode::Documented);
        let mut next = 0;
        for run in &map.runs {
            assert_eq!(run.page, next, "runs leave no gap");
            next += run.pages;
        }
        let totals = map.totals;
        assert_eq!(next, image.headers().page_count());
        assert_eq!(totals.nonpaged + totals.edge + totals.pageable + totals.discarded, totals.pages);
        assert_eq!(totals.pages, next);
    }
}

#[test]
fn advice_says_what_it_is_worth() {
    let function = |rva: u32, name: Option<&str>| Place {
        image: "x.sys".into(),
        section: Some(".text".into()),
        rva: Rva(rva),
        symbol: name.map(|name| Symbol { name: name.into(), offset: 0 }),
        source: None,
    };
    let moves = vec![
        Move { function: function(0x1000, Some("Start")), bytes: 3000, init: false },
        Move { function: function(0x2000, None), bytes: 200, init: false },
        Move { function: function(0x3000, Some("Setup")), bytes: 100, init: true },
    ];
    let merges = vec![(vec!["PAGEA".to_owned(), "PAGEB".to_owned()], 5300)];
    let advice = Advice { moves, merges, pageable_code: 5000 };
    assert_eq!((advice.pages(false), advice.pages(true)), (1, 0), "904 bytes lie in the last page already");
    let map = Map::new("sample.sys", &image(0x1000, 0x1000), DiscardMode::Documented);
    assert_golden("advice.txt", &advice.text());
    assert_golden("advice.json", &json::map(&map, &[], Some(&advice)));
    assert_eq!(Advice::default().text(), "\nnothing could move\n");
}

#[test]
fn summary_of_a_run() {
    assert_golden("summary.txt", &fixture::summary().text());
}

#[test]
fn verdict_of_the_worked_example() {
    let text = draw::verdict(&Verdict::new(Ended::BugCheck, &[fixture::worked()]), false);
    let line = "error: stopped at the first bug check; 1 error, 0 warnings (exit code 10)\n";
    assert!(text.starts_with(line), "{text}");
}

#[test]
fn list_of_explanations() {
    assert_golden("explain_list.txt", &explain::list());
}

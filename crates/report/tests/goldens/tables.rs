use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::pageability::DiscardMode;
use driver_image::{Image, SectionFlags};
use nt_types::{Irql, Rva};
use report::table::{Advice, Doubt, Doubtful, Map, Move, Moved, SectionUses, Split, Used, Uses};
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
        Move { function: function(0x1000, Some("Start")), bytes: 3000, to: Moved::Page, uses: None },
        Move { function: function(0x2000, None), bytes: 200, to: Moved::Page, uses: None },
        Move { function: function(0x3000, Some("Setup")), bytes: 100, to: Moved::Init, uses: None },
    ];
    let merges = vec![(vec!["PAGEA".to_owned(), "PAGEB".to_owned()], 5300)];
    let functions = vec![(function(0x7000, Some("Open")), 3000), (function(0x8000, Some("Close")), 2000)];
    let splits = vec![Split { section: "PAGESER".to_owned(), functions, bytes: 5000 }];
    let doubtful = [(0x9000, Doubt::Unseen), (0x9100, Doubt::Pointer), (0x9200, Doubt::Pointer)]
        .map(|(rva, why)| Doubtful { function: function(rva, Some("Called")), bytes: 40, why });
    let advice = Advice { moves, doubtful: doubtful.into(), splits, merges, pageable_code: 5000, used: None };
    let pages = (advice.pages(Moved::Page), advice.pages(Moved::Init));
    assert_eq!(pages, (1, 0), "904 bytes lie in the last page already");
    let map = Map::new("sample.sys", &image(0x1000, 0x1000), DiscardMode::Documented);
    assert_golden("advice.txt", &advice.text());
    assert_golden("advice.json", &json::map(&map, &[], Some(&advice)));
    assert_eq!(Advice::default().text(), "\nnothing could move\n");
}

#[test]
fn advice_from_logs() {
    let function = |rva: u32, name: &str| Place {
        image: "x.sys".into(),
        section: Some(".text".into()),
        rva: Rva(rva),
        symbol: Some(Symbol { name: name.into(), offset: 0 }),
        source: None,
    };
    let uses = |times, after_initialisation| Uses { times, highest_irql: Irql::APC, after_initialisation };
    let one = |rva, name, bytes, to, uses| Move { function: function(rva, name), bytes, to, uses: Some(uses) };
    let moves = vec![
        one(0x1000, "Start", 3000, Moved::Page, uses(1, true)),
        one(0x2000, "Repair", 200, Moved::Page, uses(0, false)),
        one(0x2100, "Parse", 4100, Moved::Apart, uses(57, true)),
        one(0x4000, "Setup", 100, Moved::Init, uses(1, false)),
    ];
    let section = |name: &str, pages_ran, pages_together| SectionUses {
        name: name.into(),
        functions: 9,
        bytes: 9000,
        ran: 2,
        bytes_ran: 1500,
        pages: 3,
        pages_ran,
        pages_together,
    };
    let sections = vec![section("PAGE", 2, 1), section("PAGEX", 1, 1), SectionUses::default()];
    let used = Used {
        logs: 2,
        requests: 30,
        functions: 25,
        ran: 14,
        raised: 3,
        bytes_raised: 1100,
        stay: vec![function(0x5000, "Poll")],
        sections,
    };
    let advice = Advice { moves, used: Some(used), ..Advice::default() };
    let map = Map::new("sample.sys", &image(0x1000, 0x1000), DiscardMode::Documented);
    assert_golden("advice_logs.txt", &advice.text());
    assert_golden("advice_logs.json", &json::map(&map, &[], Some(&advice)));
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

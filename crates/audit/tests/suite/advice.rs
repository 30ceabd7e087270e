//! Layout advice on the samples.

use audit::{Advice, Destination, Merge};
use driver_image::Image;
use driver_image::builder::{CODE, PeBuilder};
use iced_x86::code_asm::rcx;

use crate::assembled::{Section, Source};
use crate::common::{drivers, name, symbols};

fn advice(driver: &str) -> (Advice, Vec<(String, Destination)>) {
    let path = drivers().join(driver);
    let (image, symbols) = symbols(&path);
    let (advice, incomplete) = audit::advise(&image, &[]).expect("the samples can be laid out");
    assert!(incomplete.is_complete(), "{incomplete:?}");
    let moves = advice.functions.iter().filter_map(|one| Some((name(&symbols, one.function), one.to?))).collect();
    (advice, moves)
}

/// What only DriverEntry calls could be discarded; what Unload calls could be pageable; what holds a spin lock stays.
#[test]
fn r10_functions_that_need_not_stay() {
    let (_, moves) = advice("mixer/mixer.sys");
    let expected = [("SampleCreateDevice", Destination::Init), ("SampleDeleteDevice", Destination::Page)];
    assert_eq!(moves, expected.map(|(name, to)| (name.to_owned(), to)));
}

/// A routine that is called at DISPATCH_LEVEL, by a DPC or under a spin lock, stays.
#[test]
fn what_runs_at_dispatch_level_stays() {
    for driver in ["broken/x01-spin-lock-in-page-fixed.sys", "broken/x03-helper-in-paged-file-fixed.sys"] {
        let (_, moves) = advice(driver);
        let names: Vec<&str> = moves.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.iter().any(|name| ["X01Callback", "X03Helper", "X03Dpc"].contains(name)), "{names:?}");
    }
}

/// R10: small pageable sections of one kind are better one.
#[test]
fn r10_small_sections_that_could_be_one() {
    let mut builder = PeBuilder::new();
    builder.section(".text", CODE, &[0xc3; 16]);
    builder.section("PAGEA", CODE, &[0xc3; 300]);
    builder.section("PAGEB", CODE, &[0xc3; 5000]);
    let image = Image::parse(builder.build()).expect("the builder's images are sound");
    let merges = audit::advise(&image, &[]).expect("it can be laid out").0.merges;
    assert_eq!(merges, [Merge { sections: vec!["PAGEA".into(), "PAGEB".into()], bytes: 5300 }]);
    assert_eq!(advice("serial/serial.sys").0.merges, [], "a section that is locked is one on purpose");
}

/// R10: what is purely pageable is kept apart from what is locked: a routine of a locked section that runs at PASSIVE_LEVEL
/// could leave it, one that raises could not, and neither could where nothing locks the section.
#[test]
fn r10_what_need_not_be_locked() {
    let source = |lock: &'static str| {
        let driver = Source::new(&[lock, "KeAcquireSpinLockRaiseToDpc"]).text(move |r| {
            r.address(rcx, Section::Page, 1)?;
            r.import(lock)?;
            r.routine(Section::Page, 0)?;
            r.routine(Section::Page, 1)?;
            r.ret()
        });
        let driver = driver.page(|r| r.ret()).page(|r| {
            r.import("KeAcquireSpinLockRaiseToDpc")?;
            r.ret()
        });
        let image = driver.build();
        let (advice, _) = audit::advise(&image, &[]).expect("it can be laid out");
        let paged = |one: &&audit::Placed| {
            image.section_at(one.function).is_some_and(|index| image.sections()[index].name() == "PAGE")
        };
        advice.functions.iter().filter(paged).map(|one| one.to).collect::<Vec<_>>()
    };
    assert_eq!(source("MmLockPagableDataSection"), [Some(Destination::Page), None]);
    assert_eq!(source("ExFreePool"), [None, None]);
}

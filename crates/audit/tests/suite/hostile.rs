//! Images that mean harm: nothing may panic, hang or grow without bound.

use driver_image::builder::{CODE, CONSTANTS, PeBuilder};
use driver_image::{Directory, Image};
use nt_types::Rva;
use proptest::prelude::*;

use crate::common::drivers;

/// An image with one section of these bytes, entered at its start.
fn of_code(code: &[u8]) -> Image {
    let mut builder = PeBuilder::new();
    let start = builder.section(".text", CODE, code);
    builder.entry_point(start);
    Image::parse(builder.build()).expect("the builder's images are sound")
}

fn serial() -> Vec<u8> {
    std::fs::read(drivers().join("serial/serial.sys")).expect("the sample is there")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_code_is_audited(code in proptest::collection::vec(any::<u8>(), 1..4096)) {
        audit::audit(&of_code(&code), &[Rva(0x1000), Rva(0x1001)]).expect("it can be laid out");
    }

    #[test]
    fn changed_drivers_are_audited(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..24)) {
        let mut bytes = serial();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(image) = Image::parse(bytes) {
            // Tables that contradict themselves are an error, nothing worse.
            let _ = audit::audit(&image, &[]);
        }
    }
}

/// Each instruction jumps into the middle of the next: overlapping code, as packers make it.
#[test]
fn overlapping_code_ends() {
    let code: Vec<u8> = [0xeb, 0xff, 0xc0, 0x74, 0xfb].repeat(4000);
    let audit = audit::audit(&of_code(&code), &[]).expect("it can be laid out");
    assert!(audit.extent.instructions <= code.len() as u64);
}

/// A function that calls itself, and two that call each other.
#[test]
fn recursion_ends() {
    let code = [0xe8, 0xfb, 0xff, 0xff, 0xff, 0xe8, 0x01, 0x00, 0x00, 0x00, 0xc3, 0xe8, 0xf0, 0xff, 0xff, 0xff, 0xc3];
    let audit = audit::audit(&of_code(&code), &[]).expect("it can be laid out");
    assert_eq!(audit.extent.functions, 2);
}

/// Bytes that are no instruction are told, not passed over.
#[test]
fn what_does_not_decode_is_told() {
    let audit = audit::audit(&of_code(&[0x90, 0x06, 0xc3]), &[]).expect("it can be laid out");
    assert_eq!(audit.incomplete.undecoded_functions, 1);
    assert!(!audit.incomplete.is_complete());
}

/// Every entry of a large function table covers all code: the whole would cost without end.
#[test]
fn overlapping_functions_are_cut_off() {
    let mut builder = PeBuilder::new();
    let code = vec![0x90; 200_000];
    let text = builder.section(".text", CODE, &code);
    let unwind = builder.section(".xdata", CONSTANTS, &[1, 0, 0, 0]);
    let entry = |index: u32| [text.0 + index, text.0 + code.len() as u32, unwind.0].map(u32::to_le_bytes).concat();
    let table: Vec<u8> = (0..20_000).flat_map(entry).collect();
    let functions = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, functions, table.len() as u32);
    let image = Image::parse(builder.build()).expect("the builder's images are sound");
    let audit = audit::audit(&image, &[]).expect("it can be laid out");
    assert!(audit.incomplete.too_many_functions);
    assert!(audit.extent.instructions < 8 * u64::from(image.headers().size_of_image) + (4 << 20), "{:?}", audit.extent);
}

/// A packer leaves an empty section for the code that it unpacks: what is not there is not looked at.
#[test]
fn code_that_is_made_at_run_time_is_told() {
    let mut builder = PeBuilder::new();
    builder.section_of_size("UPX0", CODE, &[], 0x2000);
    let start = builder.section("UPX1", CODE, &[0xc3]);
    builder.entry_point(start);
    let image = Image::parse(builder.build()).expect("the builder's images are sound");
    let audit = audit::audit(&image, &[]).expect("it can be laid out");
    assert_eq!(audit.incomplete.empty_code_sections, 1);
    assert_eq!(audit::audit(&of_code(&[0xc3]), &[]).expect("it can be laid out").incomplete.empty_code_sections, 0);
}

/// A function table that cannot be read is told: without it, functions are found by calls alone.
#[test]
fn a_function_table_that_cannot_be_read_is_told() {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, &[0xc3]);
    builder.entry_point(text);
    builder.directory(Directory::Exception, text, 12 << 20);
    let image = Image::parse(builder.build()).expect("the builder's images are sound");
    let audit = audit::audit(&image, &[]).expect("it can be laid out");
    assert!(audit.incomplete.unreadable_function_table);
}

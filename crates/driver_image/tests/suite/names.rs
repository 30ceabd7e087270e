//! Names and source lines, from exports and from the PDBs of the sample drivers.

use std::fs;
use std::path::{Path, PathBuf};

use driver_image::builder::{CODE, PeBuilder};
use driver_image::symbols::{PdbError, Symbols};
use driver_image::{Image, PdbId};
use nt_types::Rva;
use proptest::prelude::*;

use crate::support::full_image;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn sample(name: &str) -> (Image, Vec<u8>) {
    let read = |extension| fs::read(repository(&format!("drivers/serial/{name}.{extension}"))).unwrap();
    (Image::parse(read("sys")).unwrap(), read("pdb"))
}

#[test]
fn exports_name_only_the_functions_they_start() {
    let image = Image::parse(full_image(0x1000).build()).unwrap();
    let symbols = Symbols::from_exports(&image).unwrap();
    let name = |rva: u32| symbols.symbolize(Rva(rva)).map(|symbol| (symbol.name, symbol.offset));
    assert_eq!(name(0x1000), Some(("Exported", 0)));
    assert_eq!(name(0x10ff), Some(("Exported", 0xff)));
    assert_eq!(name(0x1120), Some(("Exported", 0x120)), "a detached part of the function");
    assert_eq!(name(0x1180), None, "past its end");
    assert_eq!(name(0x1210), Some(("Handled", 0x10)));
    assert_eq!(name(0x1310), None, "another function, which nobody names");
    assert_eq!(name(0x1500), None);
    assert_eq!(name(0x4008), Some(("Variable", 8)));
    assert_eq!(name(0x5000), None, "another section");
    assert_eq!(name(0x800), None, "the headers");
    assert_eq!(symbols.find("Handled"), Some(Rva(0x1200)));
    assert_eq!(symbols.find("handled"), None);
}

#[test]
fn a_pdb_names_every_function_and_the_line_where_it_starts() {
    for name in ["serial", "serial-a80", "serial-broken"] {
        let (image, pdb) = sample(name);
        let symbols = Symbols::from_pdb(&image, &pdb).unwrap();
        for function in image.functions().unwrap() {
            let symbol = symbols.symbolize(function.begin).expect("every function has a name");
            assert_eq!(symbol.offset, 0, "{}", symbol.name);
            let line = symbol.line.expect("every function has a line");
            let source = fs::read_to_string(repository(&line.file.replace('\\', "/"))).unwrap();
            let declaration: Vec<&str> = source.lines().take(line.line as usize).collect();
            let near = declaration[declaration.len().saturating_sub(4)..].concat();
            assert!(near.contains(symbol.name), "{} is not near line {} of {}", symbol.name, line.line, line.file);
        }
    }
}

#[test]
fn inside_a_function_the_name_stays_and_the_line_moves_on() {
    let (image, pdb) = sample("serial");
    let symbols = Symbols::from_pdb(&image, &pdb).unwrap();
    let entry = image.headers().entry_point.unwrap();
    assert_eq!(symbols.find("DriverEntry"), Some(entry));
    let functions = image.functions().unwrap();
    let function = functions.into_iter().find(|function| function.begin == entry).unwrap();
    let lines = (function.begin.0..function.end.0).map(|rva| {
        let symbol = symbols.symbolize(Rva(rva)).unwrap();
        assert_eq!((symbol.name, symbol.offset), ("DriverEntry", rva - entry.0));
        symbol.line.unwrap().line
    });
    let lines: Vec<u32> = lines.collect();
    let distinct = lines.iter().collect::<std::collections::BTreeSet<_>>();
    assert!(distinct.len() > 5, "{distinct:?}");
    assert_eq!(symbols.line_of(function.end), None, "padding belongs to no line");
}

#[test]
fn a_pdb_of_another_build_is_refused() {
    let (image, _) = sample("serial");
    let (other, pdb) = sample("serial-a80");
    let id = |image: &Image| image.pdb_reference().unwrap().unwrap().id;
    match Symbols::from_pdb(&image, &pdb) {
        Err(PdbError::Mismatch { image: wanted, pdb }) => assert_eq!((wanted, pdb), (id(&image), id(&other))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_pdb_is_refused() {
    let (image, pdb) = sample("serial");
    assert!(matches!(Symbols::from_pdb(&image, b""), Err(PdbError::NotPdb)));
    assert!(matches!(Symbols::from_pdb(&image, &[0; 4096]), Err(PdbError::NotPdb)));
    assert!(matches!(Symbols::from_pdb(&image, &pdb[..0x1000]), Err(PdbError::Malformed(_))));
    let mut builder = PeBuilder::new();
    builder.section(".text", CODE, &[0xc3]);
    let nameless = Image::parse(builder.build()).unwrap();
    assert!(matches!(Symbols::from_pdb(&nameless, &pdb), Err(PdbError::NoReference)));
}

#[test]
fn an_identity_prints_as_debuggers_write_it() {
    let guid = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    assert_eq!(PdbId { guid, age: 2 }.to_string(), "00112233-4455-6677-8899-aabbccddeeff age 2");
}

#[test]
fn every_page_of_a_pdb_is_needed_or_not_but_never_fatal() {
    let (image, pdb) = sample("serial");
    let page = 0x1000;
    let results: Vec<bool> = (0..pdb.len() / page)
        .map(|index| {
            let mut damaged = pdb.clone();
            damaged[index * page..(index + 1) * page].fill(0xff);
            Symbols::from_pdb(&image, &damaged).is_ok()
        })
        .collect();
    assert!(!results[0] && results.contains(&true), "{results:?}");
    for length in (0..pdb.len()).step_by(0x333) {
        assert!(Symbols::from_pdb(&image, &pdb[..length]).is_err(), "{length:#x} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn changed_bytes_of_a_pdb_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let (image, mut pdb) = sample("serial");
        for (place, value) in edits {
            let place = place.index(pdb.len());
            pdb[place] = value;
        }
        if let Ok(symbols) = Symbols::from_pdb(&image, &pdb) {
            (0..image.headers().size_of_image).step_by(0x40).for_each(|rva| {
                symbols.symbolize(Rva(rva));
            });
        }
    }
}

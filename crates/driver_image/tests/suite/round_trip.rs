//! What the builder writes is what the parser reads.

use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use driver_image::{ExportTarget, Image, ImportedSymbol, SectionFlags};
use nt_types::{Rva, Va};

fn by_name(name: &str) -> ImportedSymbol {
    ImportedSymbol::Name { name: name.into(), hint: 7 }
}

fn sample() -> (PeBuilder, Vec<Rva>) {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, &[0xc3; 0x20]);
    let data = builder.section_of_size(".data", VARIABLES, &0x1_4000_1000u64.to_le_bytes(), 0x2800);
    builder.entry_point(text);
    builder.exports("sample.sys", &[("Second", Rva(text.0 + 1)), ("First", text), ("Data", data)]);
    let kernel = [by_name("IoCreateDevice"), ImportedSymbol::Ordinal(9)];
    let slots = builder.imports(&[("ntoskrnl.exe", &kernel), ("hal.dll", &[by_name("KfRaiseIrql")])]);
    builder.relocations(&[data]);
    (builder, slots)
}

#[test]
fn sections_keep_order_names_and_sizes() {
    let image = Image::parse(sample().0.build()).unwrap();
    let names: Vec<String> = image.sections().iter().map(|section| section.name()).collect();
    assert_eq!(names, [".text", ".data", ".edata", ".idata", ".reloc"]);
    assert_eq!(image.sections()[1].rva, Rva(0x2000));
    assert_eq!(image.sections()[1].span(), 0x2800);
    assert_eq!(image.sections()[2].rva, Rva(0x5000));
    assert_eq!(image.section_at(Rva(0x47ff)), Some(1));
    assert_eq!(image.section_at(Rva(0x4800)), None);
    assert_eq!(image.headers().entry_point, Some(Rva(0x1000)));
}

#[test]
fn imports_by_name_and_ordinal_have_their_slots() {
    let (builder, slots) = sample();
    let image = Image::parse(builder.build()).unwrap();
    let modules: Vec<&str> = image.imports().iter().map(|module| module.name.as_str()).collect();
    assert_eq!(modules, ["ntoskrnl.exe", "hal.dll"]);
    let imports: Vec<_> = image.imports().iter().flat_map(|module| module.imports.clone()).collect();
    assert_eq!(imports.iter().map(|import| import.slot).collect::<Vec<_>>(), slots);
    let symbols: Vec<_> = imports.into_iter().map(|import| import.symbol).collect();
    assert_eq!(symbols, [by_name("IoCreateDevice"), ImportedSymbol::Ordinal(9), by_name("KfRaiseIrql")]);
}

#[test]
fn exports_are_found_by_name_and_ordinal() {
    let exports = Image::parse(sample().0.build()).unwrap().exports().unwrap();
    assert_eq!(exports.module, "sample.sys");
    assert_eq!(exports.by_name("Second"), Some(&ExportTarget::Rva(Rva(0x1001))));
    assert_eq!(exports.by_ordinal(1), exports.by_name("Data"));
    assert_eq!(exports.by_ordinal(3), exports.by_name("Second"));
    assert_eq!(exports.by_ordinal(0), None);
    assert_eq!(exports.by_ordinal(4), None);
    assert_eq!(exports.by_name("Third"), None);
    assert_eq!(exports.named().count(), 3);
}

#[test]
fn a_mapped_image_is_relocated_and_zero_filled() {
    let image = Image::parse(sample().0.build()).unwrap();
    let base = Va(0xFFFF_F800_0001_0000);
    let bytes = image.map_at(base).unwrap();
    assert_eq!(bytes.len(), image.headers().size_of_image as usize);
    assert_eq!(bytes[0x1000..0x1020], [0xc3; 0x20]);
    assert_eq!(bytes[0x2000..0x2008], (base.0 + 0x1000).to_le_bytes());
    assert!(bytes[0x2008..0x5000].iter().all(|&byte| byte == 0));
    let unmoved = image.map_at(image.headers().preferred_base).unwrap();
    assert_eq!(unmoved[0x2000..0x2008], 0x1_4000_1000u64.to_le_bytes());
}

#[test]
fn an_export_driver_needs_no_entry_point() {
    let mut builder = PeBuilder::new();
    let text = builder.section(".text", CODE, &[0xc3]);
    builder.exports("library.sys", &[("Function", text)]);
    assert_eq!(Image::parse(builder.build()).unwrap().headers().entry_point, None);
}

#[test]
fn sections_of_one_name_stay_apart() {
    let mut builder = PeBuilder::new();
    let places = [1u8, 2, 3].map(|byte| builder.section("PAGE", CODE, &[byte; 0x1800]));
    let image = Image::parse(builder.build()).unwrap();
    for (index, place) in places.into_iter().enumerate() {
        assert_eq!(image.sections()[index].rva, place);
        assert_eq!(image.section_at(Rva(place.0 + 0x17ff)), Some(index));
    }
}

#[test]
fn names_show_what_is_not_printable() {
    let mut file = sample().0.build();
    file[0x148..0x150].copy_from_slice(b"A\xff\0B\"\0\0\0");
    let image = Image::parse(file).unwrap();
    assert_eq!(image.sections()[0].name(), r#"A\xff\x00B\""#);
    assert_eq!(&image.sections()[0].raw_name, b"A\xff\0B\"\0\0\0");
}

#[test]
fn r36_flags_have_the_values_of_the_linker() {
    assert_eq!(SectionFlags::NOT_PAGED, 0x0800_0000);
    assert_eq!(SectionFlags::DISCARDABLE, 0x0200_0000);
}

#[test]
fn the_builder_repeats_itself() {
    assert_eq!(sample().0.build(), sample().0.build());
}

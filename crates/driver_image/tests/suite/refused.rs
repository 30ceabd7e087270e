//! Bad input: one clear error each, and never a panic.

use driver_image::{Directory, Image, ImageError, MAX_IMAGE_SIZE};
use nt_types::{Rva, Va};
use proptest::prelude::*;

use crate::support::{BASE, exercise, full_image};

/// Offsets in a file of the builder: the PE signature lies right after the DOS header.
const FILE_HEADER: usize = 0x44;
const OPTIONAL_HEADER: usize = 0x58;
const DIRECTORIES: usize = 0xc8;
const SECTIONS: usize = 0x148;

/// The error for a full image in which `bytes` stand at `offset`.
fn error_with(offset: usize, bytes: &[u8]) -> ImageError {
    let mut file = full_image(0x1000).build();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    Image::parse(file).expect_err("the image is to be refused")
}

fn error_with_u32(offset: usize, value: u32) -> ImageError {
    error_with(offset, &value.to_le_bytes())
}

/// Offset in the file of a field of section `index`.
fn section_field(index: usize, field: usize) -> usize {
    SECTIONS + 40 * index + field
}

fn directory_field(directory: Directory, field: usize) -> usize {
    DIRECTORIES + 8 * directory as usize + field
}

#[test]
fn what_is_no_x64_driver_is_refused_by_name() {
    let empty = ImageError::Truncated { what: "the DOS header", needed: 64, available: 0 };
    assert_eq!(Image::parse(*b"").unwrap_err(), empty);
    assert_eq!(Image::parse(*b"\x7fELF and more").unwrap_err(), ImageError::NotPe("`MZ`"));
    assert_eq!(error_with(0x40, b"NE\0\0"), ImageError::NotPe("`PE`"));
    assert_eq!(error_with(FILE_HEADER, &[0x4c, 0x01]), ImageError::Machine(0x14c));
    assert_eq!(error_with(FILE_HEADER, &[0x64, 0xaa]), ImageError::Machine(0xaa64));
    assert_eq!(error_with(FILE_HEADER + 18, &[0x20, 0]), ImageError::NotExecutable(0x20));
    assert_eq!(error_with(OPTIONAL_HEADER, &[0x0b, 0x01]), ImageError::OptionalHeaderMagic(0x10b));
    assert_eq!(error_with(OPTIONAL_HEADER + 68, &[2, 0]), ImageError::Subsystem(2));
    assert_eq!(error_with(FILE_HEADER + 16, &[96, 0]), ImageError::OptionalHeaderSize(96));
}

#[test]
fn messages_are_sentences_with_values() {
    let message = |error: ImageError| error.to_string();
    assert_eq!(message(ImageError::Machine(0x14c)), "the image is for machine `0x14c`, not for x64 (`0x8664`)");
    assert_eq!(message(ImageError::NotPe("`MZ`")), "not a PE image: no `MZ` signature");
    let outside = ImageError::TableOutside { directory: Directory::Import, rva: Rva(0x9000), length: 20 };
    assert_eq!(message(outside), "the import directory points outside the image: `0x14` bytes at `0x9000`");
}

#[test]
fn sizes_and_alignments_that_cannot_be() {
    let size_of_image = OPTIONAL_HEADER + 56;
    assert_eq!(error_with_u32(size_of_image, 0), ImageError::ImageSize(0));
    assert_eq!(error_with_u32(size_of_image, MAX_IMAGE_SIZE + 1), ImageError::ImageSize(MAX_IMAGE_SIZE + 1));
    assert_eq!(error_with_u32(size_of_image, u32::MAX), ImageError::ImageSize(u32::MAX));
    let alignment = |field, value| ImageError::Alignment { field, value };
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 32, 0), alignment("SectionAlignment", 0));
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 32, 0x1001), alignment("SectionAlignment", 0x1001));
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 36, 0x300), alignment("FileAlignment", 0x300));
    let headers = |size| ImageError::HeadersSize { size, used: 0x350 };
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 60, 0x200), headers(0x200));
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 60, u32::MAX), headers(u32::MAX));
    assert_eq!(error_with_u32(OPTIONAL_HEADER + 16, 0x10000), ImageError::EntryPoint(Rva(0x10000)));
    let wrapping = ImageError::Base { base: Va(0xffff_ffff_ffff_f000), size: 0x10000 };
    assert_eq!(error_with(OPTIONAL_HEADER + 24, &0xffff_ffff_ffff_f000u64.to_le_bytes()), wrapping);
}

#[test]
fn sections_that_overlap_wrap_or_leave() {
    let overlap = |index, rva, previous_end| ImageError::SectionOverlap { index, rva: Rva(rva), previous_end };
    assert_eq!(error_with_u32(section_field(0, 12), 0), overlap(0, 0, 0x400));
    assert_eq!(error_with_u32(section_field(2, 12), 0x1000), overlap(2, 0x1000, 0x2200));
    assert_eq!(error_with_u32(section_field(0, 8), 0x1001), overlap(1, 0x2000, 0x2001));
    assert_eq!(error_with_u32(section_field(7, 12), 0xb000), overlap(8, 0xb000, 0xc200));
    let unaligned = ImageError::SectionAlignment { index: 1, rva: Rva(0x2010) };
    assert_eq!(error_with_u32(section_field(1, 12), 0x2010), unaligned);
    let outside = |end| ImageError::SectionOutside { index: 12, end };
    assert_eq!(error_with_u32(section_field(12, 8), 0x2000), outside(0x11000));
    assert_eq!(error_with_u32(section_field(12, 8), u32::MAX), outside(0x1_0000_efff));
    assert_eq!(error_with_u32(section_field(12, 12), 0xffff_f000), outside(0xffff_f200));
    let shared = ImageError::RawOverlap { index: 0, offset: 0x400 };
    assert_eq!(error_with_u32(section_field(1, 20), 0x400), shared);
    assert_eq!(error_with(FILE_HEADER + 2, &[0, 0]), ImageError::SectionCount(0));
    assert_eq!(error_with(FILE_HEADER + 2, &[0xff, 0xff]), ImageError::SectionCount(0xffff));
}

#[test]
fn raw_bytes_past_the_end_of_the_file() {
    let truncated = |needed| ImageError::Truncated { what: "a section", needed, available: 0x4e00 };
    assert_eq!(error_with_u32(section_field(1, 20), 0x4d00), truncated(0x4f00));
    assert_eq!(error_with_u32(section_field(1, 20), u32::MAX), truncated(0x1_0000_01ff));
}

#[test]
fn tables_that_point_outside() {
    for directory in [Directory::Import, Directory::BaseRelocation] {
        let error = error_with_u32(directory_field(directory, 0), 0x10_0000);
        let found = matches!(error, ImageError::TableOutside { directory: found, .. } if found == directory);
        assert!(found, "{error}");
    }
    for directory in
        [Directory::Export, Directory::Exception, Directory::LoadConfig, Directory::Resource, Directory::Debug]
    {
        let mut file = full_image(0x1000).build();
        let field = directory_field(directory, 0);
        file[field..field + 4].copy_from_slice(&0x10_0000u32.to_le_bytes());
        let error = exercise(&file).expect_err("the table is outside");
        let found = matches!(error, ImageError::TableOutside { directory: found, .. } if found == directory);
        assert!(found, "{error}");
    }
    let signature = directory_field(Directory::Security, 0);
    let truncated = ImageError::Truncated { what: "the signature", needed: 0x4f00, available: 0x4e00 };
    assert_eq!(error_with(signature, &[0, 0x4e, 0, 0, 0, 1, 0, 0]), truncated);
}

#[test]
fn relocations_that_x64_does_not_have() {
    let relocations = 0x4c00 + 8;
    assert_eq!(error_with(relocations, &[0, 0x30]), ImageError::RelocationType { kind: 3, rva: Rva(0x4000) });
    let size = ImageError::Malformed {
        directory: Directory::BaseRelocation,
        rva: Rva(0xf000),
        reason: "a block has an impossible size",
    };
    assert_eq!(error_with_u32(0x4c04, 4), size);
    assert_eq!(error_with_u32(0x4c04, 0x1000), size);
    let outside = ImageError::TableOutside { directory: Directory::BaseRelocation, rva: Rva(0xfff9), length: 8 };
    assert_eq!(error_with(0x4c00, &[0, 0xf0, 0, 0, 12, 0, 0, 0, 0xf9, 0xaf]), outside);
}

#[test]
fn an_image_without_relocations_lies_at_its_preferred_base_or_nowhere() {
    let mut file = full_image(0x1000).build();
    file[FILE_HEADER + 18] |= 1;
    let image = Image::parse(file).unwrap();
    let preferred = image.headers().preferred_base;
    assert_eq!(image.map_at(BASE).unwrap_err(), ImageError::NotRelocatable(preferred));
    assert!(image.map_at(preferred).is_ok());
    let unaligned = Va(BASE.0 + 0x800);
    assert_eq!(image.map_at(unaligned).unwrap_err(), ImageError::Base { base: unaligned, size: 0x10000 });
}

#[test]
fn every_truncation_is_an_error() {
    for alignment in [0x1000, 0x80] {
        let file = full_image(alignment).build();
        exercise(&file).expect("the whole file is fine");
        for length in 0..file.len() {
            assert!(Image::parse(&file[..length]).is_err(), "{length:#x} bytes of {:#x}", file.len());
        }
    }
}

#[test]
fn no_change_of_one_byte_panics() {
    let original = full_image(0x80).build();
    let mut refused = 0;
    for offset in 0..original.len().min(0x1000) {
        for value in [0x00, 0xff, original[offset] ^ 1, original[offset] ^ 0x80] {
            let mut file = original.clone();
            file[offset] = value;
            refused += usize::from(exercise(&file).is_err());
        }
    }
    assert!(refused > 300, "only {refused} changes were noticed");
}

/// Values that fields of headers and tables are likely to be wrong with.
fn any_field() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), 0u32..0x400, (0u32..0x20).prop_map(|page| page << 12)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_fields_never_panic(
        dense in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any_field()), 1..12),
    ) {
        let mut file = full_image(if dense { 0x80 } else { 0x1000 }).build();
        for (place, value) in edits {
            let place = 4 * place.index(file.len() / 4);
            file[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
        // What it says is tested above; here it must only come to an end.
        let _end = exercise(&file);
    }
}

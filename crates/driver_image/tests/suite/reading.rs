//! The same tables, read from the file, from a mapped image, and from memory that may be out.

use driver_image::builder::{CODE, PeBuilder};
use driver_image::unwind::{UnwindInfo, UnwindTail, find_function, functions, primary_function};
use driver_image::{Directory, ExportTarget, Exports, Image, ImageError, ImportedSymbol, MappedImage, ReadImage};
use nt_types::{PAGE_SIZE, Rva};

use crate::support::{BASE, full_image};

/// Guest memory as a kernel sees it: one page is out.
struct Guest {
    image: Vec<u8>,
    page_out: u32,
}

#[derive(Debug, PartialEq)]
enum GuestError {
    Fault(u32),
    Image(ImageError),
}

impl From<ImageError> for GuestError {
    fn from(error: ImageError) -> GuestError {
        GuestError::Image(error)
    }
}

impl ReadImage for Guest {
    type Error = GuestError;

    fn read(&mut self, rva: Rva, out: &mut [u8]) -> Result<(), GuestError> {
        if rva.0 / PAGE_SIZE as u32 == self.page_out {
            return Err(GuestError::Fault(rva.0));
        }
        Ok(MappedImage(&self.image).read(rva, out)?)
    }
}

#[test]
fn a_mapped_image_decodes_as_its_file_does() {
    let image = Image::parse(full_image(0x80).build()).unwrap();
    let bytes = image.map_at(BASE).unwrap();
    let mut mapped = MappedImage(&bytes);
    let table = |directory| image.headers().directory(directory);
    assert_eq!(Exports::read(&mut mapped, table(Directory::Export)), image.exports());
    assert_eq!(functions(&mut mapped, table(Directory::Exception)), image.functions());
    for function in image.functions().unwrap() {
        let from_file = UnwindInfo::read(&mut image.clone(), function.unwind_info);
        assert_eq!(UnwindInfo::read(&mut mapped, function.unwind_info), from_file);
    }
    assert_eq!(mapped.read(Rva(0x4080), &mut [0]), Err(ImageError::Outside { rva: Rva(0x4080), length: 1 }));
}

#[test]
fn a_page_that_is_out_ends_the_decoding_with_its_fault() {
    let image = Image::parse(full_image(0x1000).build()).unwrap();
    let (table, start) = (image.headers().directory(Directory::Exception), Rva(0x1010));
    let mut guest = Guest { image: image.map_at(BASE).unwrap(), page_out: table.rva.0 / PAGE_SIZE as u32 };
    let fault = find_function(&mut guest, table, start).unwrap_err();
    assert!(matches!(fault, GuestError::Fault(rva) if table.contains(Rva(rva))));
    guest.page_out = u32::MAX;
    let (_, function) = find_function(&mut guest, table, start).unwrap().expect("the page is back");
    guest.page_out = function.unwind_info.0 / PAGE_SIZE as u32;
    assert_eq!(UnwindInfo::read(&mut guest, function.unwind_info), Err(GuestError::Fault(function.unwind_info.0)));
}

#[test]
fn functions_are_found_by_any_of_their_bytes() {
    let image = Image::parse(full_image(0x1000).build()).unwrap();
    let table = image.headers().directory(Directory::Exception);
    let begin = |rva: u32| find_function(&mut image.clone(), table, Rva(rva)).unwrap().map(|(_, found)| found.begin.0);
    let expected = [
        (0x0fff, None),
        (0x1000, Some(0x1000)),
        (0x10ff, Some(0x1000)),
        (0x1100, Some(0x1100)),
        (0x117f, Some(0x1100)),
        (0x1180, None),
        (0x1200, Some(0x1200)),
        (0x13ff, Some(0x1300)),
        (0x1400, None),
        (u32::MAX, None),
    ];
    for (rva, function) in expected {
        assert_eq!(begin(rva), function, "{rva:#x}");
    }
    let (_, part) = find_function(&mut image.clone(), table, Rva(0x1100)).unwrap().unwrap();
    assert_eq!(primary_function(&mut image.clone(), part).unwrap().begin, Rva(0x1000));
}

#[test]
fn an_offset_in_an_epilog_counts_from_its_start() {
    let image = Image::parse(full_image(0x1000).build()).unwrap();
    let function = image.functions().unwrap()[3];
    let info = UnwindInfo::read(&mut image.clone(), function.unwind_info).unwrap();
    let offset = |before_end: u32| info.offset_in_epilog(function, Rva(function.end.0 - before_end));
    assert_eq!([offset(33), offset(32), offset(27), offset(26)], [None, Some(0), Some(5), None]);
    assert_eq!([offset(7), offset(6), offset(1), offset(0)], [None, Some(0), Some(5), None]);
    let version_1 = UnwindInfo::read(&mut image.clone(), image.functions().unwrap()[0].unwind_info).unwrap();
    assert_eq!((version_1.epilogs.as_ref(), version_1.offset_in_epilog(function, function.begin)), (None, None));
}

/// The full image with `bytes` at an offset in memory.
fn patched(rva: Rva, bytes: &[u8]) -> Image {
    let mut file = full_image(0x80).build(); // below page alignment, file and memory are laid out alike
    file[rva.0 as usize..rva.0 as usize + bytes.len()].copy_from_slice(bytes);
    Image::parse(file).unwrap()
}

fn unwind_info_of(bytes: &[u8]) -> Result<UnwindInfo, ImageError> {
    let rva = Rva(0xa80);
    UnwindInfo::read(&mut patched(rva, bytes), rva)
}

#[test]
fn unwind_data_that_makes_no_sense_is_refused() {
    assert!(unwind_info_of(&[0x01, 4, 2, 0, 4, 0x42, 1, 0x30]).is_ok());
    let refused: [(&[u8], &str); 5] = [
        (&[0x03, 4, 2, 0], "unwind information has a version other than 1 and 2"),
        (&[0x01, 4, 1, 0, 4, 0x06], "an unwind code does not exist"),
        (&[0x01, 4, 1, 0, 4, 0x2a], "an unwind code does not exist"),
        (&[0x01, 4, 1, 0, 4, 0x01], "an unwind code is cut off"),
        (&[0x29, 4, 0, 0], "unwind information is chained and has a handler"),
    ];
    for (bytes, expected) in refused {
        match unwind_info_of(bytes) {
            Err(ImageError::Malformed { directory: Directory::Exception, reason, .. }) => assert_eq!(reason, expected),
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
}

#[test]
fn a_chain_that_returns_to_itself_is_refused() {
    let chained = [0x21, 0, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0x80, 0x0a, 0, 0];
    let image = patched(Rva(0xa80), &chained);
    let part = image.functions().unwrap()[0];
    let info = UnwindInfo::read(&mut image.clone(), part.unwind_info).unwrap();
    assert_eq!(info.tail, UnwindTail::Chained(part));
    assert!(matches!(primary_function(&mut image.clone(), part), Err(ImageError::Malformed { .. })));
}

#[test]
fn an_indirect_entry_takes_the_unwind_data_of_another_one() {
    let first = patched(Rva(0xb00), &[]).functions().unwrap()[0];
    let indirect = patched(Rva(0xb00 + 12 + 8), &(0xb00u32 | 1).to_le_bytes());
    let second = indirect.functions().unwrap()[1];
    assert_eq!((second.begin, second.unwind_info), (Rva(0x500), first.unwind_info));
    let circular = patched(Rva(0xb00 + 8), &(0xb00u32 | 1).to_le_bytes());
    assert!(matches!(circular.functions(), Err(ImageError::Malformed { .. })));
}

#[test]
fn an_export_that_points_into_its_directory_is_forwarded() {
    let image = Image::parse(full_image(0x80).build()).unwrap();
    let table = image.headers().directory(Directory::Export);
    let (targets, strings) = (Rva(table.rva.0 + 40), table.rva.0 + 40 + 3 * 10);
    let exports = patched(targets, &strings.to_le_bytes()).exports().unwrap();
    assert_eq!(exports.by_ordinal(1), Some(&ExportTarget::Forwarder("full.sys".into())));
    let unused = patched(targets, &[0; 4]).exports().unwrap();
    assert_eq!((unused.by_ordinal(1), unused.numbered().count()), (None, 2));
}

#[test]
fn imports_without_a_lookup_table_are_read_from_the_address_table() {
    let image = Image::parse(full_image(0x80).build()).unwrap();
    let table = image.headers().directory(Directory::Import);
    assert_eq!(patched(table.rva, &[0; 4]).imports(), image.imports());
    assert_eq!(image.imports()[0].imports[2].symbol, ImportedSymbol::Ordinal(9));
}

#[test]
fn many_entries_cannot_share_one_long_name() {
    let mut builder = PeBuilder::new();
    let exports: Vec<String> = (0..4000).map(|index| format!("{index:0>500}")).collect();
    let text = builder.section(".text", CODE, &[0xc3]);
    builder.exports("long.sys", &exports.iter().map(|name| (name.as_str(), text)).collect::<Vec<_>>());
    let refused = Image::parse(builder.build()).unwrap().exports().unwrap_err();
    assert!(matches!(refused, ImageError::Malformed { directory: Directory::Export, .. }), "{refused}");
}

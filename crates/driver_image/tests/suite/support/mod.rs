//! An image that has one of everything, and the means to look at all of it.

mod dump;
mod resource;

use driver_image::builder::{CODE, CONSTANTS, PeBuilder, VARIABLES};
use driver_image::pageability::{DiscardMode, page_map};
use driver_image::symbols::Symbols;
use driver_image::unwind::{UnwindInfo, find_function, primary_function};
use driver_image::{Directory, Image, ImageError, ImportedSymbol, SectionFlags};
use nt_types::{Rva, Va};

pub(crate) use dump::dump;

/// A load base as NT would choose it.
pub(crate) const BASE: Va = Va(0xFFFF_F800_1000_0000);

const PAGEABLE: SectionFlags = SectionFlags(CODE.0 & !SectionFlags::NOT_PAGED);
const INIT: SectionFlags = SectionFlags(PAGEABLE.0 | SectionFlags::DISCARDABLE);

/// Little-endian words as bytes.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn import(name: &str) -> ImportedSymbol {
    ImportedSymbol::Name { name: name.into(), hint: 0 }
}

/// An image with one of everything, its sections aligned to `alignment`.
pub(crate) fn full_image(alignment: u32) -> PeBuilder {
    let mut builder = PeBuilder::new();
    builder.layout(alignment, 0x400);
    let text = builder.section(".text", CODE, &[0xc3; 0x680]);
    unwind_sections(&mut builder, text);
    let data = builder.section_of_size(".data", VARIABLES, &[0; 0x40], 0x300);
    load_config(&mut builder, data);
    debug_directory(&mut builder);
    builder.section("PAGE", PAGEABLE, &[0xc3; 0x1234]);
    builder.section("PAGE", PAGEABLE, &[0xc3; 0x1100]);
    let kernel = [import("IoCreateDevice"), import("MmLockPagableDataSection"), ImportedSymbol::Ordinal(9)];
    builder.imports(&[("ntoskrnl.exe", &kernel), ("hal.dll", &[import("HalGetInterruptVector")])]);
    builder.exports("full.sys", &[("Exported", text), ("Handled", Rva(text.0 + 0x200)), ("Variable", data)]);
    let init = builder.section("INIT", INIT, &[0xc3; 0x900]);
    builder.entry_point(init);
    let resources = resource::version_resource(builder.next_rva());
    let rsrc = builder.section(".rsrc", CONSTANTS, &resources);
    builder.directory(Directory::Resource, rsrc, resources.len() as u32);
    builder.relocations(&[data, Rva(data.0 + 8)]);
    builder
}

/// `.xdata` and `.pdata`: a plain function, a detached part of it, one with a handler, one of version 2.
fn unwind_sections(builder: &mut PeBuilder, text: Rva) {
    let xdata = builder.next_rva();
    let plain = [0x01, 4, 2, 0, 4, 0x42, 1, 0x30]; // sub rsp, 28h; push rbx
    let part_of_plain = [[0x21, 0, 0, 0].to_vec(), words(&[text.0, text.0 + 0x100, xdata.0])].concat();
    let with_handler = [
        [0x19, 0x12, 6, 0x35, 0x12, 0x68, 2, 0, 0xb, 0x03, 7, 0x01, 0x20, 0, 1, 0x50].to_vec(),
        words(&[text.0 + 0x600, 0x1234]),
    ];
    let version_2 = [0x02, 4, 4, 0, 6, 0x16, 0x20, 0x06, 4, 0x42, 1, 0x30];
    let blob = [plain.to_vec(), part_of_plain, with_handler.concat(), version_2.to_vec()];
    let starts: Vec<u32> =
        blob.iter().scan(xdata.0, |at, piece| Some(std::mem::replace(at, *at + piece.len() as u32))).collect();
    builder.section(".xdata", CONSTANTS, &blob.concat());
    let extents = [(0, 0x100), (0x100, 0x180), (0x200, 0x300), (0x300, 0x400)];
    let entries = extents.iter().zip(starts).flat_map(|((begin, end), info)| [text.0 + begin, text.0 + end, info]);
    let table = words(&entries.collect::<Vec<u32>>());
    let pdata = builder.section(".pdata", CONSTANTS, &table);
    builder.directory(Directory::Exception, pdata, table.len() as u32);
}

/// A load configuration of 0x98 bytes: it ends after `GuardFlags`.
fn load_config(builder: &mut PeBuilder, data: Rva) {
    let mut bytes = vec![0; 0x98];
    bytes[..4].copy_from_slice(&0x98u32.to_le_bytes());
    for (offset, place) in [(0x58, data.0 + 0x10), (0x70, data.0 + 0x18), (0x78, data.0 + 0x20)] {
        let address = 0x1_4000_0000u64 + u64::from(place);
        bytes[offset..offset + 8].copy_from_slice(&address.to_le_bytes());
    }
    bytes[0x90] = 0x42;
    let at = builder.section(".rdata", CONSTANTS, &bytes);
    builder.directory(Directory::LoadConfig, at, bytes.len() as u32);
}

fn debug_directory(builder: &mut PeBuilder) {
    let at = builder.next_rva();
    let record = [&b"RSDS"[..], &(1u8..=16).collect::<Vec<u8>>(), &words(&[3]), b"full.pdb\0"].concat();
    let entry = words(&[0, 0, 0, 2, record.len() as u32, at.0 + 28, 0]);
    let bytes = [entry, record].concat();
    builder.section(".debug", CONSTANTS, &bytes);
    builder.directory(Directory::Debug, at, 28);
}

/// Decodes everything there is. Errors are fine; panics and endless work are not.
pub(crate) fn exercise(file: &[u8]) -> Result<(), ImageError> {
    let image = Image::parse(file)?;
    image.map_at(BASE)?;
    page_map(image.headers(), image.sections(), DiscardMode::Documented);
    page_map(image.headers(), image.sections(), DiscardMode::Tail);
    let mut reader = image.clone();
    let table = image.headers().directory(Directory::Exception);
    for function in image.functions()?.into_iter().take(1000) {
        UnwindInfo::read(&mut reader, function.unwind_info)?;
        primary_function(&mut reader, function)?;
        find_function(&mut reader, table, function.begin)?;
    }
    image.load_config()?;
    image.version()?;
    image.pdb_reference()?;
    let symbols = Symbols::from_exports(&image)?;
    for section in image.sections() {
        symbols.symbolize(section.rva);
    }
    Ok(())
}

//! Any bytes as a driver image: parse, map, and decode every table.
#![no_main]

use driver_image::pageability::{DiscardMode, page_map};
use driver_image::symbols::Symbols;
use driver_image::unwind::{UnwindInfo, find_function, primary_function};
use driver_image::{Directory, Image, ImageError};
use libfuzzer_sys::fuzz_target;
use nt_types::Va;

fn decode(image: &Image) -> Result<(), ImageError> {
    image.map_at(Va(0xFFFF_F800_1000_0000))?;
    page_map(image.headers(), image.sections(), DiscardMode::Documented);
    page_map(image.headers(), image.sections(), DiscardMode::Tail);
    let mut reader = image.clone();
    let table = image.headers().directory(Directory::Exception);
    for function in image.functions()? {
        UnwindInfo::read(&mut reader, function.unwind_info)?;
        primary_function(&mut reader, function)?;
        find_function(&mut reader, table, function.begin)?;
    }
    image.load_config()?;
    image.version()?;
    image.pdb_reference()?;
    let symbols = Symbols::from_exports(image)?;
    for section in image.sections() {
        symbols.symbolize(section.rva);
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = Image::parse(bytes) {
        // Errors are fine; panics and endless work are not.
        let _ = decode(&image);
    }
});

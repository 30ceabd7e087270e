//! Any bytes as the PDB of an image that asks for the identity which the bytes happen to have.
#![no_main]

use driver_image::builder::{CODE, CONSTANTS, PeBuilder};
use driver_image::symbols::{PdbError, Symbols};
use driver_image::{Directory, Image, PdbId};
use libfuzzer_sys::fuzz_target;
use nt_types::Rva;

/// An image with a few sections that names a PDB of this identity.
fn image(id: PdbId) -> Image {
    let mut builder = PeBuilder::new();
    builder.section(".text", CODE, &[0xc3; 0x3000]);
    let at = builder.next_rva();
    let record = [&b"RSDS"[..], &id.guid, &id.age.to_le_bytes(), b"a.pdb\0"].concat();
    let entry = [0, 0, 0, 2, record.len() as u32, at.0 + 28, 0].map(u32::to_le_bytes).concat();
    builder.section(".rdata", CONSTANTS, &[entry, record].concat());
    builder.directory(Directory::Debug, at, 28);
    builder.section("PAGE", CODE, &[0xc3; 0x3000]);
    Image::parse(builder.build()).expect("the builder writes good images")
}

fuzz_target!(|pdb: &[u8]| {
    let first = image(PdbId { guid: [0; 16], age: 0 });
    let Err(PdbError::Mismatch { pdb: id, .. }) = Symbols::from_pdb(&first, pdb) else { return };
    let image = image(id);
    if let Ok(symbols) = Symbols::from_pdb(&image, pdb) {
        for rva in (0..image.headers().size_of_image).step_by(0x40) {
            symbols.symbolize(Rva(rva));
        }
    }
});

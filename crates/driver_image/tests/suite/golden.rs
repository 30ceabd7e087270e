//! Whole images, printed and compared. `BLESS=1` writes what is printed instead.

use std::fs;
use std::path::Path;

use driver_image::Image;

use crate::support;

fn compare(name: &str, image: &Image) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/golden").join(name);
    let printed = support::dump(image);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &printed).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).expect("the golden file can be read").replace("\r\n", "\n");
    assert_eq!(printed, expected, "{} differs; BLESS=1 writes it anew", path.display());
}

#[test]
fn an_image_with_page_aligned_sections() {
    compare("full-1000.txt", &Image::parse(support::full_image(0x1000).build()).unwrap());
}

#[test]
fn r37_an_image_with_sections_below_page_alignment() {
    compare("full-80.txt", &Image::parse(support::full_image(0x80).build()).unwrap());
}

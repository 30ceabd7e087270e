//! Every image of the folder that `NONPAGED_DRIVERS` names parses, maps and decodes, or says clearly why not.
#![expect(clippy::print_stderr, reason = "a skipped or partial test says so")]

use std::fs;
use std::path::PathBuf;

use driver_image::pageability::{DiscardMode, PageClass, page_map};
use driver_image::unwind::{UnwindInfo, find_function, primary_function};
use driver_image::{Directory, Image, ImageError};
use nt_types::Va;

fn images() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("NONPAGED_DRIVERS") else {
        eprintln!("skipped: NONPAGED_DRIVERS names no folder of drivers");
        return Vec::new();
    };
    let entries = fs::read_dir(folder).expect("NONPAGED_DRIVERS names a readable folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sys"));
    paths.sort();
    paths
}

/// Runs `check` on every image, prints what failed, and returns how many did not.
fn count_good(what: &str, check: impl Fn(&Image) -> Result<(), ImageError>) {
    let paths = images();
    let failures: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let result = Image::parse(fs::read(path).unwrap()).and_then(|image| check(&image));
            result.err().map(|error| format!("{}: {error}", path.display()))
        })
        .collect();
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    eprintln!("{what}: {} of {} images", paths.len() - failures.len(), paths.len());
}

#[test]
fn every_image_maps() {
    count_good("mapped", |image| {
        let bytes = image.map_at(Va(0xFFFF_F800_1000_0000))?;
        assert_eq!(bytes.len(), image.headers().size_of_image as usize);
        Ok(())
    });
}

#[test]
fn tables_decode() {
    count_good("exports", |image| image.exports().map(drop));
    count_good("load configuration", |image| image.load_config().map(drop));
    count_good("version", |image| image.version().map(drop));
    count_good("debug directory", |image| image.pdb_reference().map(drop));
}

#[test]
fn unwind_data_decodes_and_is_found() {
    count_good("unwind data", |image| {
        let table = image.headers().directory(Directory::Exception);
        let mut reader = image.clone();
        for function in image.functions()? {
            UnwindInfo::read(&mut reader, function.unwind_info)?;
            primary_function(&mut reader, function)?;
            assert_eq!(find_function(&mut reader, table, function.begin)?, Some(function));
        }
        Ok(())
    });
}

#[test]
fn page_maps_add_up() {
    count_good("page map", |image| {
        let pages = page_map(image.headers(), image.sections(), DiscardMode::Documented);
        assert_eq!(pages.len(), image.headers().page_count() as usize);
        assert!(pages.iter().all(|page| page.class != PageClass::Edge { stuck_bytes: 0 }));
        Ok(())
    });
}

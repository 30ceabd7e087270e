//! Every image of the folder that `NONPAGED_DRIVERS` names parses and maps, or says clearly why not.

use std::fs;
use std::path::PathBuf;

use driver_image::Image;
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

#[test]
fn every_image_parses_and_maps_or_says_why_not() {
    let mut mapped = 0;
    let paths = images();
    for path in &paths {
        let result = Image::parse(fs::read(path).unwrap()).and_then(|image| {
            image.exports()?;
            image.map_at(Va(0xFFFF_F800_1000_0000))
        });
        match result {
            Ok(_) => mapped += 1,
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
    eprintln!("{mapped} of {} images map", paths.len());
}

//! Every image of the folder that `NONPAGED_DRIVERS` names parses, maps and decodes, or says clearly why not.

use std::fs;
use std::path::PathBuf;

use driver_image::pageability::{DiscardMode, PageClass, page_map};
use driver_image::unwind::{UnwindInfo, UnwindOperation, find_function, primary_function};
use driver_image::{Directory, Image, ImageError, ReadImage};
use nt_types::{Rva, Va};

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
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

/// Runs `check` on every image and prints what failed.
#[expect(clippy::print_stderr, reason = "what failed is for people to judge")]
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
            assert_eq!(find_function(&mut reader, table, function.begin)?.map(|(_, found)| found), Some(function));
        }
        Ok(())
    });
}

/// The code between the start of an epilog and its return or jump.
fn is_epilog(info: &UnwindInfo, code: &[u8]) -> bool {
    let mut rest = code;
    for code in &info.codes {
        if let UnwindOperation::Push { register } = code.operation {
            let pop = [0x41, 0x58 + register % 8];
            let pop = if register < 8 { &pop[1..] } else { &pop[..] };
            let Some(after) = rest.strip_prefix(pop) else { return false };
            rest = after;
        }
    }
    matches!(rest, [0xc2 | 0xc3 | 0xe9 | 0xeb | 0xff, ..] | [0xf3, 0xc3, ..] | [0x48..=0x4f, 0xff, ..])
}

#[test]
fn epilogs_of_version_2_pop_what_the_prolog_pushed() {
    count_good("epilogs", |image| {
        let mut reader = image.clone();
        for function in image.functions()? {
            let info = UnwindInfo::read(&mut reader, function.unwind_info)?;
            for start in info.epilogs.iter().flat_map(|epilogs| &epilogs.starts) {
                let at = Rva(function.end.0 - u32::from(*start));
                let mut code = [0; 32];
                reader.read(at, &mut code)?;
                assert!(is_epilog(&info, &code), "at {at}: {code:02x?} in {info:?}");
                assert_eq!(info.offset_in_epilog(function, at), Some(0));
            }
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

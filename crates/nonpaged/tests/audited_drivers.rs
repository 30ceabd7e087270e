//! Findings in drivers that others ship, each checked by hand against the disassembly. No image is committed: they are
//! named by their SHA-256, as files in the folder that `NONPAGED_DRIVERS` names, or one folder below.

use std::collections::BTreeSet;
use std::path::PathBuf;

use nonpaged::Driver;
use nonpaged::check::{Certainty, Policy, check};

/// Image, code, offset, and why the finding is right.
const EXPECTED: &[(&str, &str, u32, &str)] = &[
    (
        "b383c4b64fa78dc39c10582a184f8d85b6026bed236e7a891b709faacb73a4b1",
        "K14",
        0x2550,
        "KeReleaseSemaphore with r9b = 1 in PAGE; the next instruction, which sets up KeWaitForSingleObject, is in PAGE, too",
    ),
    (
        "7a2982be57ead36314e680113d60f1241fcf504314119e62a666c1d495c9224e",
        "K21",
        0xb260,
        "stored to CompletionRoutine (-10h of the next location) at b653h; the routine itself is in PAGELK",
    ),
    ("7a2982be57ead36314e680113d60f1241fcf504314119e62a666c1d495c9224e", "K21", 0xb690, "the same at b76ah"),
    (
        "967fdb600440375f8cd6dd3ff85c75555a27577de0162b5b66cea926bdfd2144",
        "K21",
        0xd750,
        "stored at de41h with SL_INVOKE_ON_SUCCESS; the routine marks the request pending, in PAGE",
    ),
    (
        "091366ae17601407e2a882bff7901f1970c1111da935b913beaa2afa76d4eea2",
        "K16",
        0x5000,
        "section `page`: in lower case it is an ordinary section",
    ),
    (
        "091366ae17601407e2a882bff7901f1970c1111da935b913beaa2afa76d4eea2",
        "K16",
        0x9000,
        "section `init`, not discardable",
    ),
];

fn images() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("NONPAGED_DRIVERS") else { return Vec::new() };
    let entries = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let mut paths = entries(&folder.into());
    let below: Vec<PathBuf> = paths.iter().filter(|path| path.is_dir()).flat_map(entries).collect();
    paths.extend(below);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sys"));
    paths
}

/// The findings that were checked are there, and those images show no other error.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn findings_that_were_checked_by_hand() {
    let mut seen = 0;
    for path in images() {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let expected: BTreeSet<(String, u32)> = EXPECTED
            .iter()
            .filter(|(hash, ..)| *hash == name)
            .map(|(_, code, rva, _)| ((*code).to_owned(), *rva))
            .collect();
        if expected.is_empty() {
            continue;
        }
        let reports =
            check(&Driver::read(&path).expect("a driver"), Certainty::High).expect("it can be audited").reports;
        let counted = reports.iter().filter(|report| Policy::default().counts(report) && report.at.is_some());
        let found: BTreeSet<(String, u32)> = counted
            .map(|report| (report.code().to_string(), report.at.as_ref().map_or(0, |span| span.place.rva.0)))
            .collect();
        assert_eq!(found, expected, "{name}");
        seen += 1;
    }
    if seen == 0 {
        eprintln!("skipped: NONPAGED_DRIVERS names no folder with these drivers");
    }
}

//! Findings in drivers that others ship, each checked by hand against the disassembly. No image is committed: they are
//! named by their SHA-256, as files in the folders that `NONPAGED_DRIVERS` names, or one folder below.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
    (
        "0865926b5f835bdbb512504da1eb33959c370b1d92032c8b7901e503ac0ee66d",
        "K01",
        0xc75ae,
        "MmLockPagableDataSection(5f110h), which is in `.text`; no MmPageEntireDriver",
    ),
    (
        "186e698f4d527ae8b4d7d1fbbd068de1f75083930c47941cd6e04a6f46d70f1f",
        "K26",
        0xbe8f,
        "`mov cr8, rax` with 15 in PAGE; the driver locks nothing",
    ),
    (
        "1af175125f51a3cf1d810bb12a0374ac243d53bfb145b935c0f8af9f27326029",
        "K05",
        0xe010d,
        "PAGESER is locked at e001eh; where memory is short, DriverEntry returns without an unlock",
    ),
    (
        "25d344f5ad9eb020ee4f9898eb20c743af8d82446c2635c93a298fff9ead0427",
        "K21",
        0x5400,
        "stored to CompletionRoutine (-10h of the current location) at 5d4fh; the driver locks nothing",
    ),
    ("633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85", "K16", 0x3200, "a section in lower case"),
    ("633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85", "K16", 0x5080, "a section in lower case"),
    (
        "633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85",
        "K22",
        0x60b,
        "ExAllocatePool(1) gives paged pool: ecx = edx - 27h = 1; ExQueueWorkItem gets it",
    ),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K16", 0x5880, "a section in lower case"),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K16", 0x7180, "a section in lower case"),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K22", 0x660, "the same in another version"),
    (
        "77d2a48b1ca413ed7ea6c24883e0f26b8b914e8b95015fa25b780e86e588d845",
        "K01",
        0x13c80e,
        "MmLockPagableDataSection(92270h), which is in `.text`",
    ),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K16", 0x5100, "a section in lower case"),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K16", 0x7100, "a section in lower case"),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K22", 0x5ef, "the same in another version"),
    ("c95c419e10d0700194476937892ade9bc5279b68b9fda3dab0d38c829fbda3d2", "K05", 0xe110d, "the same, locked at e101eh"),
    (
        "cb5e9200d2379e87584d957f8dc1372982948c93591ca6727ceb0f09784fdde8",
        "K26",
        0xcf68,
        "the same at another place, in a later version",
    ),
    (
        "d257874561067eba1c016adc4ab235afc9a7225e5c97daa3e1ea7efe52f93ad5",
        "K09",
        0x20bd0,
        "second parameter of IoConnectInterrupt at 21082h; the routine is in PAGE",
    ),
    (
        "d3ed7fe79e9cd8374aedd6fa21c75ad146d1ecfd9647b6aaef8b716c376f0b7d",
        "K01",
        0xc55ae,
        "MmLockPagableDataSection(5cd88h), which is in `.text`",
    ),
    (
        "da4fd257a4040e63c422a23b69cc567859d2ac43e568c2fd84aac99e5d50ad7e",
        "K26",
        0xbf82,
        "IoAcquireCancelSpinLock called in PAGE; the driver locks nothing",
    ),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K16", 0x4e80, "a section in lower case"),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K16", 0x6780, "a section in lower case"),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K22", 0x651, "the same in another version"),
    ("e751ec86deaa291f0a5fb3c619a09c5c20600cdcf36410f81c01f9b84257faf8", "K09", 0x20b80, "the same at 21032h"),
    ("e8c2a281a23530222bd2e792fb21d27d8ed165da6efd64fcc00f697a3c60dcd2", "K01", 0xc55ae, "the same as d3ed7fe7"),
    ("f41cf20cb26df5f2bea83463a790849dc240202cf558de4f3bf6372230d42566", "K26", 0xcf94, "the same again"),
];

/// The images in the folders that `NONPAGED_DRIVERS` names.
fn images() -> Vec<PathBuf> {
    let Some(folders) = std::env::var_os("NONPAGED_DRIVERS") else { return Vec::new() };
    let entries = |folder: &PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let mut paths: Vec<PathBuf> = std::env::split_paths(&folders).flat_map(|folder| entries(&folder)).collect();
    let below: Vec<PathBuf> = paths.iter().filter(|path| path.is_dir()).flat_map(entries).collect();
    paths.extend(below);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sys"));
    paths
}

/// What an image shows by default: codes and offsets. Names of sections (K16) need no check by hand.
fn found(path: &Path) -> BTreeSet<(String, u32)> {
    let reports = match check(&Driver::read(path).expect("a driver"), Certainty::High) {
        Ok(checked) => checked.reports,
        Err(_) => return BTreeSet::new(),
    };
    let counted = reports.iter().filter(|report| Policy::default().counts(report) && report.at.is_some());
    counted.map(|report| (report.code().to_string(), report.at.as_ref().map_or(0, |span| span.place.rva.0))).collect()
}

/// The findings that were checked are there, those images show no others, and no other image shows any: what is new has to be
/// checked by hand first.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn findings_that_were_checked_by_hand() {
    let images = images();
    for path in &images {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let of_image = |(hash, ..): &&(&str, &str, u32, &str)| *hash == name;
        let expected: BTreeSet<(String, u32)> =
            EXPECTED.iter().filter(of_image).map(|(_, code, rva, _)| ((*code).to_owned(), *rva)).collect();
        let mut found = found(path);
        if expected.is_empty() {
            found.retain(|(code, _)| code != "K16");
        }
        assert_eq!(found, expected, "{name}");
    }
    if images.is_empty() {
        eprintln!("skipped: NONPAGED_DRIVERS names no folder with drivers");
    }
}

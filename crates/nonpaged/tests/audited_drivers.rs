//! Findings in drivers that others ship, each checked by hand against the disassembly. No image is committed: they are
//! named by their SHA-256, as files in the folders that `NONPAGED_DRIVERS` names, or one folder below.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nonpaged::Driver;
use nonpaged::check::{Certainty, Policy, check};

/// Image, code, offset, and why the finding is right.
const EXPECTED: &[(&str, &str, u32, &str)] = &[
    (
        "0865926b5f835bdbb512504da1eb33959c370b1d92032c8b7901e503ac0ee66d",
        "K01",
        0xc75ae,
        "MmLockPagableDataSection(5f110h), which is in `.text`; no MmPageEntireDriver",
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
        "11fdca2ced2e96f40fe1c8baa280d1e800e5092e5454f88e9a8261486fd5b857",
        "K13",
        0x1103b,
        "1190h in `.text` calls WdfSpinLockAcquire, and returns to PAGE; the driver locks nothing",
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
    (
        "28457431d0ef9c6cee4f29bcd7fb0122fe8f52038aeca2d7e9cbc76b5e261004",
        "K14",
        0x2b832,
        "KeSetEvent with r8b = 1 in PAGE; the next instruction, which sets up KeWaitForSingleObject, is in PAGE, too",
    ),
    (
        "2fa0d45e3977f223bbbc365730b48cacc27cbd1d7071ac21def408c0fcbd368c",
        "K13",
        0x9002,
        "a DPC of WdfDpcCreate in `.text` calls 1a23ch in PAGESER; the driver locks nothing",
    ),
    (
        "2fa0d45e3977f223bbbc365730b48cacc27cbd1d7071ac21def408c0fcbd368c",
        "K26",
        0x1628e,
        "WdfSpinLockAcquire called in PAGE; the driver locks nothing",
    ),
    ("2fa0d45e3977f223bbbc365730b48cacc27cbd1d7071ac21def408c0fcbd368c", "K26", 0x162c7, "the same, thirty bytes on"),
    (
        "2fa0d45e3977f223bbbc365730b48cacc27cbd1d7071ac21def408c0fcbd368c",
        "K26",
        0x1a076,
        "WdfSpinLockAcquire called in PAGESER",
    ),
    ("2fa0d45e3977f223bbbc365730b48cacc27cbd1d7071ac21def408c0fcbd368c", "K26", 0x1a0cf, "the same, after a wait"),
    (
        "3660389704a752d741f593be5a28bcb8ac6ab1502b8222c8e4c9a0c16edb6007",
        "K13",
        0x1532d,
        "1190h in `.text` calls WdfSpinLockAcquire through the table at 21ba0h, and returns to PAGE; the driver locks nothing",
    ),
    ("3be5a9d35b3ebf8603021e89b8bc1ab9f2e7a3ca6bb103b019dbd538f9f42d02", "K14", 0x2b346, "the same in another version"),
    ("633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85", "K16", 0x3200, "a section in lower case"),
    ("633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85", "K16", 0x5080, "a section in lower case"),
    (
        "633caf34181cf1a402a401348c9e7d82beaef86b38db1f05a91764f64709dd85",
        "K22",
        0x60b,
        "ExAllocatePool(1) gives paged pool: ecx = edx - 27h = 1; ExQueueWorkItem gets it",
    ),
    (
        "661365bab7f20e1ef1b7b97146c3f49744ef7aac342e0fb64481cf116135c7c1",
        "K26",
        0x2322c,
        "KeAcquireSpinLockRaiseToDpc called in PAGE; the driver locks nothing",
    ),
    ("661365bab7f20e1ef1b7b97146c3f49744ef7aac342e0fb64481cf116135c7c1", "K26", 0x232f2, "the same in another branch"),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K16", 0x5880, "a section in lower case"),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K16", 0x7180, "a section in lower case"),
    ("72f33d9dc4d727374ec83e5650b49ffa189c54e959db4deac04eb5c95e70f071", "K22", 0x660, "the same in another version"),
    ("7775d8f62ac18ba8963d538f2b3a4eb4027cf2df69add26c1a2df615f3aa9a57", "K14", 0x2afce, "the same in another version"),
    (
        "7781994b9f06784807d32fd5a93c5406a441908870b1328bbda9d15c5dd98c1b",
        "K01",
        0x10e1,
        "MmLockPagableDataSection(1628h), which is in `.text`; the image has no PAGE section",
    ),
    (
        "7781994b9f06784807d32fd5a93c5406a441908870b1328bbda9d15c5dd98c1b",
        "K01",
        0x1681,
        "MmLockPagableDataSection(1660h), the same",
    ),
    (
        "77d2a48b1ca413ed7ea6c24883e0f26b8b914e8b95015fa25b780e86e588d845",
        "K01",
        0x13c80e,
        "MmLockPagableDataSection(92270h), which is in `.text`",
    ),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K16", 0x5100, "a section in lower case"),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K16", 0x7100, "a section in lower case"),
    ("787337154f9895766c9d6a86e6d660f2e434572b241ca6fd7fb5eb719fb461da", "K22", 0x5ef, "the same in another version"),
    (
        "7aa0f09ee08178f851f4037e2e0dc006691a7ddf5d8b3c31241d6bc28d75b208",
        "K21",
        0x26008,
        "third parameter of IoSetCompletionRoutineEx, for success, error and cancel; the driver locks nothing",
    ),
    (
        "81b253ae039acf9cedc1c05dada366a9f21e9f1f13fcce79988413a626aeed24",
        "K26",
        0xaaf7,
        "KeAcquireSpinLockRaiseToDpc called in PAGE; the driver locks nothing",
    ),
    (
        "824ba34059566623a9b25d235b27b56d40f8d030a24428397a005889c8a9fce4",
        "K13",
        0x53e3,
        "the DPC 924h of KeInitializeDpc at 1827dh calls 6140h, that 5394h, and that 19c78h in PAGE, holding a lock",
    ),
    (
        "824ba34059566623a9b25d235b27b56d40f8d030a24428397a005889c8a9fce4",
        "K26",
        0x19dd7,
        "KeAcquireSpinLockRaiseToDpc called in PAGE; the driver locks nothing",
    ),
    (
        "824ba34059566623a9b25d235b27b56d40f8d030a24428397a005889c8a9fce4",
        "K26",
        0x19e0d,
        "the same, later in the routine",
    ),
    ("824ba34059566623a9b25d235b27b56d40f8d030a24428397a005889c8a9fce4", "K26", 0x1a315, "the same in another routine"),
    (
        "824ba34059566623a9b25d235b27b56d40f8d030a24428397a005889c8a9fce4",
        "K26",
        0x1a384,
        "the same, later in the routine",
    ),
    (
        "85be5a3e055fa61b53c70d2967c47e2a9f761b717fd94489d49a68fcdeedff6a",
        "K13",
        0x176d,
        "calls 7d10h in PAGE with the spin lock held that KeAcquireSpinLockRaiseToDpc took at 1701h",
    ),
    (
        "85be5a3e055fa61b53c70d2967c47e2a9f761b717fd94489d49a68fcdeedff6a",
        "K13",
        0x1894,
        "the same in another case of the switch",
    ),
    (
        "967fdb600440375f8cd6dd3ff85c75555a27577de0162b5b66cea926bdfd2144",
        "K21",
        0xd750,
        "stored at de41h with SL_INVOKE_ON_SUCCESS; the routine marks the request pending, in PAGE",
    ),
    (
        "a5efc6722ca9b8f973ced4731d565a9eadd60baade6a2e203cdaf2e10a2f0c6d",
        "K13",
        0x176d,
        "the same code in another driver of the vendor",
    ),
    (
        "a5efc6722ca9b8f973ced4731d565a9eadd60baade6a2e203cdaf2e10a2f0c6d",
        "K13",
        0x1894,
        "the same code in another driver of the vendor",
    ),
    ("ac81e44ddb07cd3ffdb373371a4462e3678aa34fc455a390beca877221b8c3e5", "K14", 0x2afce, "the same in another version"),
    (
        "b383c4b64fa78dc39c10582a184f8d85b6026bed236e7a891b709faacb73a4b1",
        "K14",
        0x2550,
        "KeReleaseSemaphore with r9b = 1 in PAGE; the next instruction, which sets up KeWaitForSingleObject, is in PAGE, too",
    ),
    (
        "b72cbc1ff3e8765deeee7ff7efdc043e634dd76e2fff7ff5379eeaef2de81e88",
        "K26",
        0x26239,
        "the same as 661365ba, in a later version",
    ),
    ("b72cbc1ff3e8765deeee7ff7efdc043e634dd76e2fff7ff5379eeaef2de81e88", "K26", 0x26306, "the same in another branch"),
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
    (
        "db4f33db2b9692ab4087e408aaec2ab4046278bbd696213089e2d931c04e966b",
        "K01",
        0x1410,
        "MmLockPagableDataSection(13fch), which is in `.text`; the image has no PAGE section",
    ),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K16", 0x4e80, "a section in lower case"),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K16", 0x6780, "a section in lower case"),
    ("e43a3373518bcaed2933c3ce39d8fc8bd8ae3b896e1314b60ed007f905b96c3f", "K22", 0x651, "the same in another version"),
    ("e751ec86deaa291f0a5fb3c619a09c5c20600cdcf36410f81c01f9b84257faf8", "K09", 0x20b80, "the same at 21032h"),
    ("e8c2a281a23530222bd2e792fb21d27d8ed165da6efd64fcc00f697a3c60dcd2", "K01", 0xc55ae, "the same as d3ed7fe7"),
    (
        "ebb3a6c901d97ccf5664de0fc5e892568dc944f3c109c89030a26d73d7734633",
        "K13",
        0x49b7,
        "the same as 824ba340 in another driver of the vendor: the DPC 940h, 5540h, 4968h, 194a0h in PAGE",
    ),
    (
        "ebb3a6c901d97ccf5664de0fc5e892568dc944f3c109c89030a26d73d7734633",
        "K26",
        0x195ff,
        "KeAcquireSpinLockRaiseToDpc called in PAGE",
    ),
    (
        "ebb3a6c901d97ccf5664de0fc5e892568dc944f3c109c89030a26d73d7734633",
        "K26",
        0x19635,
        "the same, later in the routine",
    ),
    (
        "f0cae761bc2cbaf480eb23103977d0bdbb772ec366304ca17f13144df62f0a1a",
        "K21",
        0xbf80,
        "the same in another driver of the vendor",
    ),
    (
        "f2b29db2db60a089d53cf79286dfdba066bf5faf4e23391af146a41ae385d454",
        "K26",
        0x11eb4,
        "KeAcquireSpinLockRaiseToDpc called in PAGE; the driver locks nothing",
    ),
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

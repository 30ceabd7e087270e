//! Good drivers show nothing.

use crate::common::{audit, drivers, findings};

/// Folders of good drivers, and their images that are broken on purpose.
const FOLDERS: [&str; 14] = [
    "apc", "beep", "cdmaker", "ftvol", "init", "layout", "mixer", "null", "parallel", "power", "seh", "serial",
    "stress", "tables",
];

#[test]
fn good_drivers_are_clean_and_looked_at_wholly() {
    let mut images = 0;
    for folder in FOLDERS {
        for entry in std::fs::read_dir(drivers().join(folder)).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_none_or(|extension| extension != "sys") || path.ends_with("serial-broken.sys") {
                continue;
            }
            assert_eq!(findings(&path), [""; 0], "{}", path.display());
            let (audit, _) = audit(&path);
            assert_eq!(audit.extent.reached, audit.extent.functions, "{}: every function is reached", path.display());
            images += 1;
        }
    }
    assert!(images >= 30, "{images} images");
}

#[test]
fn serial_broken_unlocks_too_early() {
    assert_eq!(findings(&drivers().join("serial/serial-broken.sys")), ["SerialUnlockTooEarly: UnlockWithoutLock"]);
}

/// R30: PAGED_CODE of a checked build, called at DISPATCH_LEVEL. The repaired twin calls it before the raise.
#[test]
fn r30_a02_paged_code_at_dispatch_level() {
    let of = |name: &str| -> Vec<String> {
        let found = findings(&drivers().join("checked").join(name));
        found.into_iter().filter(|finding| !finding.ends_with("PagedCodeInNonpaged")).collect()
    };
    assert_eq!(of("checked.sys"), ["CheckedAdd: PagedCodeFails"]);
    assert_eq!(of("checked-fixed.sys"), [""; 0]);
    let resident = findings(&drivers().join("checked/checked-fixed.sys"));
    assert_eq!(resident, ["CheckedAddAndRaise: PagedCodeInNonpaged", "CheckedAdd: PagedCodeInNonpaged"]);
}

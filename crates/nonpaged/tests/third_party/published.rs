//! Drivers of public driver packs, where somebody has them: `DRIVER_IMAGES` is a folder of images that are named by their
//! SHA-256. They never become part of this repository; what the folder does not hold is passed over, with a message.

use std::io::Write;
use std::path::PathBuf;

use super::{json, program, statuses};

/// A driver, and how far it comes: what DriverEntry, AddDevice and IRP_MN_START_DEVICE end with.
struct Published {
    name: &'static str,
    sha256: &'static str,
    statuses: [&'static [&'static str]; 3],
    /// Locks and unlocks of a section.
    section: Option<(&'static str, u64, u64)>,
}

const SUCCESS: &[&str] = &["0x00000000"];
/// The driver is for a device that the machine does not have.
const NOT_SUPPORTED: &[&str] = &["0xc00000bb"];
const NO_SUCH_DEVICE: &[&str] = &["0xc000000e"];

const PUBLISHED: [Published; 5] = [
    Published {
        name: "serial.sys, the serial driver of the Windows 7 kit",
        sha256: "3bc5c83712129cbb0c99bc6313b8c5a48b7a141c971a5d5e678e875f6be4bcbb",
        statuses: [SUCCESS, SUCCESS, SUCCESS],
        section: Some(("PAGESER", 4, 4)),
    },
    Published {
        name: "StnSPort.sys",
        sha256: "f9ef6a2ee2ffb6782868940a3cf75b7fd51118302b7647cd167dd8c220d142fc",
        statuses: [SUCCESS, SUCCESS, SUCCESS],
        section: Some(("PAGESER", 4, 4)),
    },
    Published {
        name: "PciSPorts.sys",
        sha256: "5b712fecfd60c620fc834cb2849291f767fc0ff9690f9a2edc45eb97f93e6333",
        statuses: [SUCCESS, SUCCESS, SUCCESS],
        section: None,
    },
    Published {
        name: "NmSerial.sys",
        sha256: "e218e217b29e2c17ffa84b27d945691576eefcb762ce098ec7fcaa7a331aae14",
        statuses: [SUCCESS, SUCCESS, NO_SUCH_DEVICE],
        section: Some(("PAGESER", 2, 2)),
    },
    Published {
        name: "AmdPPM.sys, with PAGELK",
        sha256: "7a2982be57ead36314e680113d60f1241fcf504314119e62a666c1d495c9224e",
        statuses: [SUCCESS, NOT_SUPPORTED, &[]],
        section: Some(("PAGELK", 0, 0)),
    },
];

/// The image in the folder that `DRIVER_IMAGES` names.
fn image(driver: &Published) -> Option<PathBuf> {
    let folder = std::env::var_os("DRIVER_IMAGES").map(PathBuf::from);
    let path = folder.map(|folder| folder.join(driver.sha256).with_extension("sys")).filter(|path| path.is_file());
    if path.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: `DRIVER_IMAGES` has no {}", driver.name);
    }
    path
}

/// Serial drivers start on a card with a 16550, and balance the locks of their section; a driver for other hardware says so.
#[test]
fn published_drivers_come_as_far_as_their_hardware_lets_them() {
    for driver in &PUBLISHED {
        let Some(path) = image(driver) else { continue };
        let run = json(&program(&["run", "--json"], &path));
        let found = ["DriverEntry", "AddDevice", "start device"].map(|verb| statuses(&run, verb));
        assert_eq!(found, driver.statuses, "{}", driver.name);
        let Some((name, locks, unlocks)) = driver.section else { continue };
        let sections = run["summary"]["sections"].as_array().expect("sections are listed");
        let section = sections.iter().find(|section| section["name"] == name).expect("it has the section");
        assert_eq!(
            (section["locks"].as_u64(), section["unlocks"].as_u64()),
            (Some(locks), Some(unlocks)),
            "{}",
            driver.name
        );
    }
}

//! The repaired twin of every broken driver runs clean: no bug check, no finding, on one processor and on two.

use std::path::Path;

use super::life::{Act, alignments, lead, life};
use crate::sample::{Lab, Setup};

/// Twins that need another driver, a device to start, or none at all: they have tests of their own, or cases in tests/ui.
const ELSEWHERE: &[&str] = &[
    "c9-power-flag",
    "k05-add-device-fails",
    "k05-device-deleted",
    "x12-stale-handle",
    "x23-storport-locks",
    "x25-foreign-unlock",
    "x33-result-fails",
    "x49-still-pending",
    "x50-completion-in-dpc",
];

/// The repaired twins, by the name of the driver that they repair.
fn twins() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/broken");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut twins: Vec<String> = names.filter_map(|name| Some(name.strip_suffix("-fixed.sys")?.to_owned())).collect();
    twins.sort();
    twins
}

#[test]
fn x01_to_x31_each_repaired_twin_runs_clean() {
    let twins = twins();
    assert!(twins.len() >= 40, "the folder has the twins: {twins:?}");
    for name in twins.iter().filter(|name| !ELSEWHERE.contains(&name.as_str())) {
        for setup in [Setup::TRIMMED, Setup::NEVER, Setup::VERIFIED] {
            for processors in [1, 2] {
                for image in alignments(&format!("{name}-fixed")) {
                    runs_clean(&image, Setup { processors, ..setup }, life(name));
                }
            }
        }
    }
}

/// The twin of the work item has a timer as well, which its Unload cancels.
#[test]
fn x21_cancels_its_timer_and_waits_for_its_work_item() {
    let life = [Act::Open, Act::Ioctl(0), Act::Close, Act::Unload];
    for setup in [Setup::TRIMMED, Setup::NEVER, Setup::VERIFIED] {
        runs_clean("x21-unload-with-work-item-fixed", setup, &life);
    }
}

fn runs_clean(driver: &str, setup: Setup, life: &[Act]) {
    let mut lab = Lab::new(setup);
    let end = lead(&mut lab, driver, life);
    assert!(end.is_ok(), "{driver}, {setup:?}: {:x?}", end.map_err(|stop| stop.kind));
    assert!(lab.codes().is_empty(), "{driver}, {setup:?}: {:?}", lab.codes());
}

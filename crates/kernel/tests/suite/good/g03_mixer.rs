//! G3: pageable data around a short stretch at DISPATCH_LEVEL (R7, R35, R207).

use memory::PageState;
use nt_types::Va;

use super::{both, code};
use crate::sample::{Lab, Setup};

const SAMPLES: u32 = 3072;
/// Sum of the volumes of four neighbouring samples.
const VOLUMES: u32 = 100 + 75 + 50 + 25;

/// The sum after one mix.
fn mixed(input: u32) -> u32 {
    SAMPLES / 4 * VOLUMES * input
}

fn started(path: &str) -> (Lab, Va, Va) {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, base, file)
}

/// D4, R44: what was written at DISPATCH_LEVEL goes to the paging file and comes back, the bss tail of PAGEBSS included.
#[test]
fn g3_d4_contents_survive_eviction_and_return() {
    for path in both("mixer/mixer") {
        let (mut lab, base, file) = started(&path);
        // The history takes the samples before the mix, so it is zero after the first.
        assert_eq!(lab.ask(file, code(0), 3).expect("no bug check"), mixed(3), "{path}");
        assert_eq!(lab.ask(file, code(0), 1).expect("no bug check"), mixed(4) + mixed(3), "{path}");
        for section in ["PAGEDATA", "PAGEBSS"] {
            lab.evict(base, section);
            let out = |page: &&Va| matches!(lab.machine.memory.page_state(**page), PageState::Out { .. });
            let pages = lab.pages(base, section);
            assert!(pages.iter().filter(out).count() >= 2, "{path}: {section}");
        }
        assert_eq!(lab.ask(file, code(1), 0).expect("no bug check"), mixed(4) + mixed(3), "{path}");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R44: PAGEBSS has no bytes in the file; its pages are part of the section all the same, zero at first, and are locked.
#[test]
fn g3_r44_the_bss_tail_is_part_of_the_section() {
    for path in both("mixer/mixer") {
        let (mut lab, base, file) = started(&path);
        let driver = lab.machine.modules().driver_at(base).expect("it is loaded");
        let section = driver.image.sections().iter().find(|section| section.name() == "PAGEBSS").expect("it has one");
        assert_eq!((section.raw_size, section.span() >= 4 * SAMPLES), (0, true), "{path}");
        assert!(lab.pages(base, "PAGEBSS").len() >= 3, "{path}");
        assert_eq!(lab.ask(file, code(1), 0).expect("no bug check"), 0, "{path}");
        lab.ask(file, code(0), 1).expect("it is locked while the IRQL is raised");
        assert_eq!(lab.counts(lab.section_id(base, "PAGEBSS")), [1, 0], "{path}");
    }
}

/// R71, R84, D19: a code lock and a data lock of one address give one handle, as do two items of one section; another
/// section has another one. The driver compares.
#[test]
fn g3_d19_one_section_has_one_handle() {
    for path in both("mixer/mixer") {
        let (mut lab, base, file) = started(&path);
        lab.ask(file, code(2), 0).expect("no bug check");
        assert_eq!(lab.counts(lab.section_id(base, "PAGEDATA")), [1, 2, 3, 2, 1, 0], "{path}");
        assert_eq!(lab.counts(lab.section_id(base, "PAGEBSS")), [1, 0], "{path}");
    }
}

/// R13: by address once, then by handle.
#[test]
fn g3_r13_the_first_lock_is_by_address_later_ones_by_handle() {
    let (mut lab, base, file) = started("mixer/mixer");
    for _ in 0..3 {
        lab.ask(file, code(0), 1).expect("no bug check");
    }
    for section in ["PAGEDATA", "PAGEBSS"] {
        let locks = lab.locks(lab.section_id(base, section));
        let by_handle = "MmLockPagableSectionByHandle";
        assert_eq!(locks, ["MmLockPagableDataSection", by_handle, by_handle], "{section}");
    }
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

//! G6: one section a maker, and the double unlock (R203).

use kernel::Severity;
use nt_types::Va;

use super::{both, code};
use crate::sample::{Lab, Setup};

const PLAY: u32 = 1;
const REMOVE: u32 = 2;

fn started(path: &str) -> (Lab, Va, Va) {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, base, file)
}

/// R14, D19, R203: removal locks by address once more and gets the handle that start threw away; the driver compares.
#[test]
fn g6_r14_locking_again_gives_the_same_handle() {
    for path in both("cdmaker/cdmaker") {
        for (maker, section, says) in [(1, "PAGEMKA", 0xA007), (2, "PAGEMKB", 0xB00E), (5, "PAGEMKC", 0xC006)] {
            let (mut lab, base, file) = started(&path);
            lab.ask(file, code(0), maker).expect("it starts");
            assert!(lab.is_whole(base, section), "{path}: {section}");
            assert_eq!(lab.ask(file, code(PLAY), 7).expect("no bug check"), says, "{path}");
            lab.ask(file, code(REMOVE), 0).expect("the handles are equal");
            assert_eq!(lab.count(base, section), 0, "{path}: {section}");
        }
    }
}

/// R15: 1, 2, 1, 0 with the handle thrown away, and for an unknown maker 1, 2 at the start.
#[test]
fn g6_r15_counts_go_up_to_two_and_down_again() {
    for (maker, section) in [(1, "PAGEMKA"), (9, "PAGEMKC")] {
        let (mut lab, base, file) = started("cdmaker/cdmaker");
        lab.ask(file, code(0), maker).expect("it starts");
        let kept = if maker == 9 { 2 } else { 1 };
        assert_eq!(lab.count(base, section), kept);
        lab.ask(file, code(REMOVE), 0).expect("it is removed");
        assert_eq!(lab.counts(lab.section_id(base, section)), [1, 2, 1, 0], "maker {maker}");
    }
}

/// R203: code of makers whose drive is not there never comes into memory.
#[test]
fn g6_r203_absent_makers_never_enter_memory() {
    for path in both("cdmaker/cdmaker") {
        let (mut lab, base, file) = started(&path);
        lab.ask(file, code(0), 1).expect("it starts");
        lab.ask(file, code(PLAY), 3).expect("no bug check");
        lab.ask(file, code(REMOVE), 0).expect("it is removed");
        let own = lab.pages(base, "PAGEMKA");
        for section in ["PAGEMKB", "PAGEMKC"] {
            assert!(lab.counts(lab.section_id(base, section)).is_empty(), "{path}: {section}");
            let mut pages = lab.pages(base, section);
            // An edge page is shared with a neighbour that is there.
            let kept = lab.pages(base, "PAGE").into_iter().chain(own.iter().copied());
            let kept: Vec<Va> = kept.collect();
            pages.retain(|page| {
                let pageable = lab.machine.memory.paging().page(page.0 >> 12).is_some_and(|page| page.in_load_map);
                pageable && !kept.contains(page)
            });
            assert!(pages.len() >= 2, "{path}: {section}");
            for page in pages {
                assert_eq!(lab.machine.memory.history(page).paged_in, None, "{path}: {section}, {page}");
            }
        }
    }
}

/// R13, K18: the second lock by address is legal, and worth no more than a remark.
#[test]
fn g6_k18_locking_by_address_again_is_information() {
    let (mut lab, _, file) = started("cdmaker/cdmaker");
    lab.ask(file, code(0), 1).expect("it starts");
    assert!(lab.codes().is_empty());
    lab.ask(file, code(REMOVE), 0).expect("it is removed");
    let found: Vec<_> = lab.findings().iter().map(|found| (found.kind.code(), found.kind.severity())).collect();
    assert_eq!(found, [("K18", Severity::Information)]);
}

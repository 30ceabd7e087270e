//! G9: device tables in pageable data, read at PASSIVE_LEVEL only (R6, R205).

use nt_types::Va;

use super::{both, code};
use crate::sample::{Lab, Setup};

fn started(path: &str) -> (Lab, Va, Va) {
    let mut lab = Lab::new(Setup::TRIMMED);
    let base = lab.load(path).expect("the driver starts");
    let file = lab.open(base).expect("it opens");
    (lab, base, file)
}

/// R205, R6: nothing is ever locked; each touch brings in what it needs, and may find it gone again the next time.
#[test]
fn g9_r205_tables_are_read_without_a_lock() {
    for path in both("tables/tables") {
        let (mut lab, base, file) = started(&path);
        for _ in 0..3 {
            lab.evict_all();
            assert_eq!(lab.ask(file, code(0), 200).expect("no bug check"), 6, "{path}");
        }
        for section in ["PAGE", "PAGEDATA", "PAGECONS"] {
            assert!(lab.counts(lab.section_id(base, section)).is_empty(), "{path}: {section}");
        }
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

/// R40, D4: the table holds addresses. They were relocated before the page could leave, and come back relocated.
#[test]
fn g9_r40_pointers_in_pageable_data_are_relocated() {
    for path in both("tables/tables") {
        let (mut lab, _, file) = started(&path);
        let name = u32::from(b'G') | u32::from(b'a') << 16;
        for _ in 0..2 {
            assert_eq!(lab.ask(file, code(1), 300).expect("no bug check"), name, "{path}");
            lab.evict_all();
        }
    }
}

/// D4: a page that was changed is written again; one that was not is not.
#[test]
fn g9_d4_only_changed_pages_are_written_again() {
    let (mut lab, _, file) = started("tables/tables");
    assert_eq!(lab.ask(file, code(2), 0).expect("no bug check"), 1);
    lab.evict_all();
    let written = lab.machine.memory.counters().pages_written;
    lab.ask(file, code(0), 200).expect("no bug check");
    lab.evict_all();
    assert_eq!(lab.machine.memory.counters().pages_written, written, "reading changes nothing");
    assert_eq!(lab.ask(file, code(2), 0).expect("no bug check"), 2);
    lab.evict_all();
    assert_eq!(lab.machine.memory.counters().pages_written, written + 1);
}

//! G4: sections locked by configuration, and on repartition (R207).

use devices::Bus;
use kernel::{Action, EventKind, Options, Registry};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::{Irql, Va};

use super::{both, code, interleaved, open};
use crate::invariants::Invariants;
use crate::sample::{Lab, Setup};

const SECTIONS: [&str; 3] = ["PAGEMIRR", "PAGESTRP", "PAGEVOLS"];
const VOLUME_BYTES: usize = 32_768;

fn counts(lab: &Lab, base: Va) -> [u32; 3] {
    SECTIONS.map(|section| lab.count(base, section))
}

/// The load-map pages of a section that are in memory.
fn resident(lab: &Lab, base: Va, section: &str) -> usize {
    let pageable = |page: &Va| lab.machine.memory.paging().page(page.0 >> 12).is_some_and(|page| page.in_load_map);
    lab.pages(base, section).into_iter().filter(|page| pageable(page) && lab.is_resident(*page)).count()
}

/// R207, R10: kinds that the configuration does not name have count 0, and no page of them ever comes in.
#[test]
fn g4_r207_unused_kinds_are_never_paged_in() {
    for path in both("ftvol/ftvol") {
        let mut lab = Lab::new(Setup::TRIMMED);
        let base = lab.load(&path).expect("the driver starts");
        assert_eq!(counts(&lab, base), [2, 0, 0], "{path}: without a configuration both volumes are mirrors");
        let file = open(&mut lab, base, 0);
        lab.act(Action::Write { file, data: vec![7; 4096], offset: 0 }).expect("no bug check");
        for section in ["PAGESTRP", "PAGEVOLS"] {
            let own = lab.pages(base, section);
            let touched = lab.events(|event| match event.kind {
                EventKind::PagedIn { page, .. } if own.contains(&page) => Some(page),
                _ => None,
            });
            assert!(touched.is_empty() && lab.counts(lab.section_id(base, section)).is_empty(), "{path}: {section}");
        }
        assert_eq!(resident(&lab, base, "PAGEVOLS"), 0, "{path}");
    }
}

/// R207: DriverEntry reads the configuration and locks the kinds that it names.
#[test]
fn g4_r207_driver_entry_locks_what_is_configured() {
    const KEY: &str = r"\Registry\Machine\System\CurrentControlSet\Services\ftvol";
    let text = format!("['{KEY}']\nVolume0 = 1\nVolume1 = 2\n");
    let mut registry = Registry::default();
    registry.load(text.as_bytes()).expect("the registry file is right");
    let options = Options { registry, ..Options::default() };
    let mut lab = Lab::with(options, MemoryConfig { trim: TrimPolicy::AtOnce, ..MemoryConfig::default() }, Bus::new());
    let base = lab.load("ftvol/ftvol").expect("the driver starts");
    assert_eq!(counts(&lab, base), [0, 1, 1]);
    assert!(lab.is_whole(base, "PAGESTRP") && lab.is_whole(base, "PAGEVOLS"));
    lab.unload(base).expect("each volume unlocks its kind");
    assert!(lab.codes().is_empty(), "{:?}", lab.codes());
}

/// D21, R96: the first locks of two sections by two processors are in progress at the same time.
#[test]
fn g4_d21_transitions_of_different_sections_run_in_parallel() {
    let mut overlapped = 0;
    for slice_steps in 1..=20 {
        let mut lab = interleaved(TrimPolicy::AtOnce, 2, slice_steps);
        let base = lab.load("ftvol/ftvol").expect("the driver starts");
        let files = [open(&mut lab, base, 0), open(&mut lab, base, 1)];
        let mut invariants = Invariants::default();
        let requests = [0, 1].map(|index: usize| {
            let input = (index as u32 + 1).to_le_bytes().to_vec();
            lab.start_on(index, Action::Ioctl { file: files[index], code: code(0), input, output_length: 0 })
        });
        let mut both = false;
        while requests.iter().any(|request| lab.machine.answer_of(*request).is_none()) {
            lab.slice().expect("no bug check");
            invariants.check(&lab.machine);
            both |= ["PAGESTRP", "PAGEVOLS"].iter().all(|name| lab.section(base, name).in_transition);
        }
        assert_eq!(counts(&lab, base), [0, 1, 1], "{slice_steps}");
        overlapped += u32::from(both);
    }
    assert!(overlapped >= 15, "both were in progress in {overlapped} of 20 runs");
}

/// R19, R5: while requests come and go on one processor another one repartitions, again and again. What runs at
/// DISPATCH_LEVEL is locked at every moment, and no K23 is found. K08 may be: R16 knows only requests of the driver, not that
/// those left use another section than the one that is unlocked.
#[test]
fn g4_r19_repartition_under_load_never_faults() {
    for (slice_steps, path) in
        [(1, "ftvol/ftvol"), (5, "ftvol/ftvol-a80"), (23, "ftvol/ftvol"), (10_000, "ftvol/ftvol-a80")]
    {
        let mut lab = interleaved(TrimPolicy::AtOnce, 2, slice_steps);
        let base = lab.load(path).expect("the driver starts");
        let file = open(&mut lab, base, 0);
        let mut invariants = Invariants::default();
        for round in 0..9u32 {
            let data = vec![round as u8; if round % 3 == 0 { VOLUME_BYTES } else { 700 }];
            let kind = (round + 1) % 3;
            let repartition =
                Action::Ioctl { file, code: code(0), input: kind.to_le_bytes().to_vec(), output_length: 0 };
            let requests = [
                lab.start_on(0, Action::Write { file, data, offset: 0 }),
                lab.start_on(1, repartition),
                lab.start_on(0, Action::Read { file, length: 512, offset: 100 }),
            ];
            while requests.iter().any(|request| lab.machine.answer_of(*request).is_none()) {
                lab.slice().expect("no bug check");
                invariants.check(&lab.machine);
            }
            let expected = [0, 1, 2].map(|index| u32::from(index == kind) + u32::from(index == 0));
            assert_eq!(counts(&lab, base), expected, "{path}, {slice_steps}");
        }
        let at_dispatch = lab.events(|event| {
            matches!(event.kind, EventKind::Entered { what: kernel::Routine::Dpc, .. }).then_some(event.irql)
        });
        assert!(!at_dispatch.is_empty() && at_dispatch.iter().all(|irql| *irql == Irql::DISPATCH));
        lab.unload(base).expect("no bug check");
        let found: Vec<_> = lab.codes().into_iter().filter(|code| *code != "K08").collect();
        assert!(found.is_empty(), "{path}, {slice_steps}: {found:?}");
    }
}

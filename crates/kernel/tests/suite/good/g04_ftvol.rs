//! G4: sections locked by configuration, and on repartition (R207).

use devices::Bus;
use kernel::{Action, EventKind, Options, Registry};
use memory::{MemoryConfig, TrimPolicy};
use nt_types::layout::{device_object, file_object};
use nt_types::{NtStatus, Va, constants as c};

use super::{both, code, interleaved, open};
use crate::invariants::Invariants;
use crate::sample::{Lab, Setup};

const SECTIONS: [&str; 3] = ["PAGEMIRR", "PAGESTRP", "PAGEVOLS"];

pub(super) fn counts(lab: &Lab, base: Va) -> [u32; 3] {
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

/// R8, R19, R20: a volume accepts a paging file. No routine that serves it is pageable (K23), DO_POWER_PAGABLE is clear as
/// long as one is there, and the volume can be neither removed, stopped nor disabled (docs:
/// kernel/irp-mn-device-usage-notification).
#[test]
fn g4_r19_r20_a_paging_file_on_a_volume() {
    for path in both("ftvol/ftvol") {
        let mut lab = Lab::new(Setup::TRIMMED);
        let base = lab.load(&path).expect("the driver starts");
        let file = open(&mut lab, base, 0);
        let device = Va(u64::from_le_bytes(peek(&lab, file_object::DEVICE_OBJECT.at(file))));
        let told = |lab: &mut Lab, in_path| {
            let answer = lab.act(Action::PagingPath { file, in_path }).expect("no bug check").expect("it ends");
            lab.pass_ms(1).expect("no bug check");
            answer.status
        };
        let pagable = |lab: &Lab| u32::from_le_bytes(peek(lab, device_object::FLAGS.at(device))) & c::DO_POWER_PAGABLE;
        let pnp = |lab: &mut Lab, minor: u32| {
            let action = Action::Pnp { device, minor: minor as u8, resources: Va::NULL };
            lab.act(action).expect("no bug check").expect("it ends")
        };
        for _ in 0..2 {
            assert_eq!(told(&mut lab, true), NtStatus::SUCCESS, "{path}");
            assert_eq!(pagable(&lab), 0, "{path}");
            for minor in [c::IRP_MN_QUERY_REMOVE_DEVICE, c::IRP_MN_QUERY_STOP_DEVICE] {
                assert_eq!(pnp(&mut lab, minor).status, NtStatus::DEVICE_BUSY, "{path}");
            }
            let state = pnp(&mut lab, c::IRP_MN_QUERY_PNP_DEVICE_STATE).information;
            assert_eq!(state, u64::from(c::PNP_DEVICE_NOT_DISABLEABLE), "{path}");
        }
        // Two files came: the first that goes changes nothing, the second one everything.
        assert_eq!((told(&mut lab, false), pagable(&lab)), (NtStatus::SUCCESS, 0), "{path}");
        assert_eq!((told(&mut lab, false), pagable(&lab)), (NtStatus::SUCCESS, c::DO_POWER_PAGABLE), "{path}");
        assert_eq!(pnp(&mut lab, c::IRP_MN_QUERY_REMOVE_DEVICE).status, NtStatus::SUCCESS, "{path}");
        let asked = lab.events(|event| match event.kind {
            EventKind::IrpSent { minor, .. } if u32::from(minor) == c::IRP_MN_QUERY_PNP_DEVICE_STATE => Some(()),
            _ => None,
        });
        assert_eq!(asked.len(), 2 * (2 + 4), "{path}: at each of the six changes, through two devices");
        lab.close(file).expect("no bug check");
        lab.unload(base).expect("no bug check");
        assert!(lab.codes().is_empty(), "{path}: {:?}", lab.codes());
    }
}

fn peek<const N: usize>(lab: &Lab, address: Va) -> [u8; N] {
    let mut bytes = [0; N];
    lab.machine.memory.peek(address, &mut bytes).expect("something is there");
    bytes
}

//! Every good sample driver runs clean (SAMPLES.md section 1): whatever leaves memory and when, on 1, 2 and 4 processors,
//! at both section alignments. Each goes through the default exercise, and through the scenario that shows more of it.

use std::path::Path;

use devices::SerialLine;
use kernel::{EventKind, Options, Verifier};
use memory::{MemoryConfig, TrimPolicy};
use nonpaged::scenario::{self, Scenario};
use nonpaged::session::Session;
use nonpaged::{Driver, layout};

/// Path below `drivers/`, what is found with sections aligned to pages and what besides when they are aligned to 128
/// bytes, and the scenario below `tests/ui/pass`.
struct Sample(&'static str, &'static [&'static str], &'static [&'static str], Option<&'static str>);

/// What is found is information (K15, K18, K27), or the point of the sample (K01 of D17, K16 of D3).
const SAMPLES: &[Sample] = &[
    Sample("serial/serial", &[], &[], Some("serial/serial-reopened")),
    Sample("serial/serial-unlock-inside", &[], &[], Some("serial/serial-reopened")),
    Sample("parallel/parallel", &["K18"], &[], Some("good/parallel-two-programs")),
    Sample("mixer/mixer", &["K18", "K27"], &["K15"], Some("mixer/mixer-mixed")),
    Sample("ftvol/ftvol", &[], &[], Some("good/ftvol-repartition")),
    Sample("beep/beep", &["K27"], &["K15"], Some("good/beep-reopened")),
    Sample("beep/beep-locked", &["K01"], &["K15"], Some("good/beep-locked-reopened")),
    Sample("null/null", &[], &[], Some("good/null-used")),
    Sample("cdmaker/cdmaker", &["K18"], &["K15"], Some("good/cdmaker-makers")),
    Sample("power/power", &[], &["K15"], Some("good/power-states")),
    Sample("power/power-pagable", &[], &["K15"], Some("good/power-pagable-states")),
    Sample("init/init", &["K27"], &["K15"], Some("good/init-used")),
    Sample("init/init-not-last", &["K27"], &["K15"], Some("good/init-not-last-used")),
    Sample("init/init-fails", &["K27"], &["K15"], None),
    Sample("tables/tables", &["K27"], &["K15"], Some("good/tables-used")),
    Sample("apc/apc", &[], &[], Some("good/apc-used")),
    Sample("layout/layout", &["K16", "K27"], &["K15"], Some("good/layout-used")),
    Sample("layout/small", &["K27"], &["K15"], None),
    Sample("stress/stress", &["K18"], &[], Some("good/stress-threads")),
    Sample("stack/bus", &["K27"], &["K15"], Some("stack/stack")),
    Sample("stack/bus", &["K27"], &["K15"], Some("stack/pulled-out")),
    Sample("stack/bus", &["K27"], &["K15"], Some("stack/wmi")),
    // The exercise finds the control code that locks another driver's section (D18).
    Sample("library/client", &["K06", "K18", "K27"], &["K15"], Some("library/two-clients")),
];

/// Trim policy, and whether the verifier is on.
const MODES: [(TrimPolicy, bool); 3] =
    [(TrimPolicy::Never, false), (TrimPolicy::AtOnce, false), (TrimPolicy::OnRaise, true)];

#[test]
fn every_good_sample_runs_clean_on_one_processor() {
    all_run_clean(1);
}

#[test]
fn every_good_sample_runs_clean_on_two_processors() {
    all_run_clean(2);
}

#[test]
fn every_good_sample_runs_clean_on_four_processors() {
    all_run_clean(4);
}

fn all_run_clean(processors: usize) {
    for Sample(path, findings, sub_page, script) in SAMPLES {
        let script = script.map(read_scenario);
        for (suffix, mut expected) in [("", findings.to_vec()), ("-a80", [*findings, *sub_page].concat())] {
            let driver = read_driver(&format!("{path}{suffix}"));
            expected.sort_unstable();
            let scripts = [Some(Scenario::default()), script.as_ref().map(|script| of_any_machine(script, processors))];
            for (mode, script) in MODES.into_iter().flat_map(|mode| scripts.iter().flatten().map(move |it| (mode, it)))
            {
                let what = format!("{path}{suffix}, {mode:?}, {processors} processors, scenario {:?}", script.name);
                runs_clean(&driver, script, mode, processors, &expected, &what);
            }
        }
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read_driver(path: &str) -> Driver {
    Driver::read(&repository().join(format!("drivers/{path}.sys"))).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_scenario(path: &str) -> Scenario {
    let text = std::fs::read_to_string(repository().join(format!("tests/ui/pass/{path}.toml")));
    Scenario::parse(&text.unwrap_or_else(|error| panic!("{path}: {error}"))).expect("the scenario is right")
}

/// The scenario without what depends on trim policy, alignment or the number of processors: which pages are in memory
/// after a step, and which processor it runs on. Lock counts, statuses and data stay.
fn of_any_machine(script: &Scenario, processors: usize) -> Scenario {
    let mut script = script.clone();
    for step in &mut script.steps {
        step.expect.resident.clear();
        step.cpu = step.cpu.map(|cpu| cpu % processors as u32);
    }
    script
}

fn runs_clean(
    driver: &Driver,
    script: &Scenario,
    (trim, verifier): (TrimPolicy, bool),
    processors: usize,
    expected: &[&str],
    what: &str,
) {
    let options =
        Options { processors, verifier: if verifier { Verifier::ON } else { Verifier::OFF }, ..Options::default() };
    let memory = MemoryConfig { trim, ..MemoryConfig::default() };
    let cable = SerialLine::loopback_plug();
    let mut session = Session::new(options, memory, cable).expect("the machine boots");
    let base = session.load_file(driver).expect("the driver can be loaded");
    let played = scenario::play(&mut session, base, driver, script, |_, _| {});
    assert!(played.is_ok(), "{what}: {played:?}");

    let reports = layout::findings(&driver.name, &driver.image).into_iter().chain(session.chronicle.reports.clone());
    let mut codes: Vec<String> = reports.map(|report| report.code().to_string()).collect();
    codes.sort_unstable();
    codes.dedup();
    if script.steps.is_empty() {
        assert_eq!(codes, expected, "{what}");
    } else {
        assert!(codes.iter().all(|code| expected.contains(&code.as_str())), "{what}: {codes:?}");
    }
    leaves_nothing_behind(&session, what);
}

/// R17: every count is zero, and neither a lock, a frame, a block of pool nor the image itself is left.
fn leaves_nothing_behind(session: &Session, what: &str) {
    let machine = &session.machine;
    let summary = session.chronicle.summary(machine);
    for section in &summary.sections {
        assert_eq!(section.locks, section.unlocks, "{what}: section {}", section.name);
    }
    assert_eq!((summary.leaked_locks, summary.leaked_blocks), (0, 0), "{what}");
    assert_eq!(machine.memory.counters().frames_leaked, 0, "{what}");
    assert_eq!(machine.modules().drivers().count(), 0, "{what}");
    let loaded = |event: &kernel::Event| matches!(event.kind, EventKind::Loaded { .. });
    let unloaded = |event: &kernel::Event| matches!(event.kind, EventKind::Unloaded { leaked_pages: 0, .. });
    let count = |what: fn(&kernel::Event) -> bool| machine.events.iter().filter(|event| what(event)).count();
    assert_eq!(count(loaded), count(unloaded), "{what}");
}

//! Two judges of one driver: what the audit finds in a broken driver, a run shows at the same instruction, and what a run
//! shows, the audit finds, apart from what `docs/audit-limits.md` lists. Of repaired and good drivers the audit finds nothing.
//!
//! What runs show is what lies beside the cases of `tests/ui`; another test holds the program to that. Samples without a case
//! are searched.

mod audited;
mod limits;
mod run;
mod search;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use audited::Closeness;
use limits::Limits;
use nonpaged::check::Certainty;

/// Findings of which a run shows the function, but not the instruction: driver, function, and why.
const IN_THE_FUNCTION: &[(&str, &str, &str)] = &[
    ("x05-dpc-reads-pagedata", "X05Dpc", "the run stops at the read of the same page before it"),
    ("x06-init-kept-in-dispatch", "DriverEntry", "the run tells where the address was taken, not where it was stored"),
];

/// Bug checks of a run, and K13 in their place, that follow from a finding elsewhere: driver, code, and why.
const FOLLOWS: &[(&str, &str, &str)] = &[
    ("x16-connect-before-reset", "0xD1", "the service routine is out because it was connected before the reset"),
    ("x16-connect-before-reset", "K13", "the same without a trim"),
    ("x60-event-on-swapped-stack", "0x0A", "the event is out because of the wait in user mode for it"),
];

/// Samples that are about odd sections: what they show is what they are for.
const ODD_SECTIONS: [(&str, &str); 2] = [("layout", "K16"), ("layout-a80", "K16")];

#[test]
fn each_finding_of_the_audit_has_a_witness_at_the_same_place() {
    let (mut findings, mut by_function) = (0, BTreeSet::new());
    for driver in run::drivers() {
        let name = driver.name();
        for finding in audited::findings(&driver.path, Certainty::High) {
            findings += 1;
            match driver.reports.iter().filter_map(|report| finding.witness(report)).max() {
                Some(Closeness::Instruction) => {}
                Some(Closeness::Function) => _ = by_function.insert((name.to_owned(), finding.function().to_owned())),
                None => panic!("{name}: no run shows {}: {} in {}", finding.code, finding.title, finding.function()),
            }
        }
    }
    assert!(findings >= 70, "{findings} findings");
    let listed = IN_THE_FUNCTION.iter().map(|(driver, function, _)| ((*driver).to_owned(), (*function).to_owned()));
    assert_eq!(by_function, listed.collect(), "a run shows only the function, and what is listed");
}

#[test]
fn each_finding_of_a_run_is_seen_or_a_known_gap() {
    let mut limits = Limits::read();
    limits.gaps.extend(FOLLOWS.iter().map(|(driver, code, _)| format!("{driver} {code}")));
    let (mut gaps, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
    for driver in run::drivers() {
        let findings = audited::findings(&driver.path, Certainty::High);
        for report in &driver.reports {
            let seen = findings.iter().any(|finding| finding.witness(report).is_some());
            for code in report.codes.iter().filter(|_| !seen) {
                match limits.not_looked_for.contains(code) {
                    true => elsewhere.insert(code.clone()),
                    false => gaps.insert(format!("{} {code}", driver.name())),
                };
            }
        }
    }
    assert_eq!(gaps, limits.gaps, "what only runs show, and what docs/audit-limits.md lists");
    assert_eq!(elsewhere, limits.not_looked_for, "bug checks that no finding stands for, and those that it lists");
}

/// Drivers that nobody broke.
fn good() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(run::root().join("drivers")).expect("the drivers are there");
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("a folder").path()).into_iter().flatten());
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("it can be read").path()).collect();
    let broken: Vec<String> = run::drivers().iter().map(|driver| driver.path.clone()).collect();
    let mistake = |path: &Path| {
        let inside = path.strip_prefix(run::root()).expect("it lies there").display().to_string();
        let audited_only = inside.starts_with("drivers/audit/") && !inside.ends_with("-fixed.sys");
        audited_only || broken.contains(&inside.replace("-a80.sys", ".sys"))
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sys") && !mistake(path));
    paths.sort();
    paths
}

/// Every repaired twin and every good driver, at the default level and with what takes something for granted.
#[test]
fn repaired_and_good_drivers_show_nothing() {
    let good = good();
    assert!(good.len() >= 120, "{} drivers", good.len());
    let mut possible = BTreeSet::new();
    for path in good {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let path = path.strip_prefix(run::root()).expect("it lies there").display().to_string();
        let codes = |certainty| -> BTreeSet<String> {
            audited::findings(&path, certainty).into_iter().map(|finding| finding.code).collect()
        };
        let expected = ODD_SECTIONS.iter().filter(|(odd, _)| *odd == name).map(|(_, code)| (*code).to_owned());
        assert_eq!(codes(Certainty::High), expected.collect(), "{name}");
        let more = codes(Certainty::Possible);
        possible.extend(more.difference(&codes(Certainty::High)).map(|code| format!("{name} {code}")));
    }
    assert_eq!(possible, Limits::read().possible, "what is only possible, and what docs/audit-limits.md lists");
}

/// Sections that are packed at 128 bytes hold the same code: where it goes wrong it does so there, too.
#[test]
fn packed_images_show_what_the_others_show() {
    let packed = |path: &str| path.replace(".sys", "-a80.sys");
    let both = run::drivers().iter().filter(|driver| run::root().join(packed(&driver.path)).exists());
    let codes = |path: &str| {
        let findings = audited::findings(path, Certainty::High).into_iter();
        findings.map(|finding| (finding.code.clone(), finding.function().to_owned())).collect::<BTreeSet<_>>()
    };
    let mut compared = 0;
    for driver in both {
        assert_eq!(codes(&packed(&driver.path)), codes(&driver.path), "{}", driver.path);
        compared += 1;
    }
    assert!(compared >= 40, "{compared} drivers");
}

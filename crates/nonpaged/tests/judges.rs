//! Two judges of one driver: what the audit finds in a broken driver, a run shows, and the other way round.
//!
//! What runs show is what lies beside the cases of `tests/ui/fail/broken`; another test holds the program to that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nonpaged::Driver;
use nonpaged::check::{Certainty, Policy, check};
use report::Diagnostic;
use serde_json::Value;

/// What a run shows of a driver: codes, findings that go with them, and functions.
#[derive(Default)]
struct Shown {
    codes: BTreeSet<String>,
    functions: BTreeSet<String>,
}

/// Codes of a run that bear witness to a code of the audit; the code itself always does.
const WITNESSES: &[(&str, &[&str])] = &[
    ("K13", &["0xD1", "0xD3", "0x0A"]),
    ("K02", &["0xC4"]),
    ("K11", &["0xC4", "0xD3"]),
    ("K12", &["0x1A"]),
    ("K22", &["0xC4"]),
    ("A01", &["0x1A", "0xD1"]),
];

/// Findings of the audit that no run can show: a rule about imports.
const WITHOUT_WITNESS: &[(&str, &str)] = &[("x23-storport-locks", "K24")];

/// Findings of runs that the audit does not have. `docs/audit-limits.md` says why.
const GAPS: &[(&str, &str)] = &[
    ("k23-paging-path", "K23"),
    ("k28-pages-nothing", "K28"),
    ("x06-init-kept-in-extension", "K12"),
    ("x12-stale-handle", "K06"),
    ("x16-own-lock", "K11"),
    ("x20-unlock-with-pended-irp", "K08"),
    ("x25-foreign-unlock", "K06"),
    ("x29-unload-during-lock", "K05"),
    ("x29-unload-during-lock", "K20"),
    ("x30-locked-init", "K01"),
    ("x33-lock-leak-on-error", "K05"),
];

/// Drivers of which only bug checks are shown, and nothing by the audit.
const UNSEEN: &[&str] = &["low-resources", "x21-unload-with-timer", "x21-unload-with-work-item"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the cases show, by name of driver.
fn runs() -> BTreeMap<String, Shown> {
    let mut runs: BTreeMap<String, Shown> = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/ui/fail/broken")).expect("the cases are there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let scenario: toml::Value = toml::from_str(&std::fs::read_to_string(&path).expect("a scenario")).expect("TOML");
        let driver = scenario["test"]["driver"].as_str().expect("the case names its driver");
        let name = Path::new(driver).file_stem().expect("a file").to_string_lossy().into_owned();
        let json = std::fs::read_to_string(path.with_extension("json")).expect("the output lies beside the case");
        let output: Value = serde_json::from_str(&json).expect("JSON");
        let shown = runs.entry(name).or_default();
        for report in output["reports"].as_array().expect("reports") {
            let texts = [&report["code"], &report["finding"]].into_iter().filter_map(Value::as_str);
            shown.codes.extend(texts.map(str::to_owned));
            shown.functions.extend(report["at"]["symbol"].as_str().map(str::to_owned));
            let because = report["because"].as_array().into_iter().flatten();
            shown.functions.extend(because.filter_map(|event| event["symbol"].as_str()).map(str::to_owned));
            let stack = report["context"]["stack"].as_array().into_iter().flatten().filter_map(Value::as_str);
            shown.functions.extend(stack.filter_map(|frame| frame.split(['!', '+']).nth(1)).map(str::to_owned));
        }
    }
    runs
}

/// The findings of the audit that count.
fn audited(name: &str) -> Vec<Diagnostic> {
    let driver = Driver::read(&root().join("drivers/broken").join(format!("{name}.sys"))).expect("a driver");
    let reports = check(&driver, Certainty::High).expect("it can be audited").reports;
    reports.into_iter().filter(|report| Policy::default().counts(report)).collect()
}

/// The functions of a finding: those on the way, and what the last instruction leads to.
fn functions(report: &Diagnostic) -> BTreeSet<String> {
    let spans = report.at.iter().chain(report.path.iter().map(|waypoint| &waypoint.at));
    let on_the_way = spans.filter_map(|span| Some(span.place.symbol.as_ref()?.name.clone()));
    let names = report.at.iter().filter_map(|span| span.code.as_ref()).flat_map(|window| &window.names);
    on_the_way.chain(names.map(|(_, name)| name.clone())).collect()
}

#[test]
fn each_finding_of_the_audit_has_a_witness() {
    for (name, shown) in runs() {
        for report in audited(&name) {
            let code = report.code().to_string();
            let others = WITNESSES.iter().find(|(audited, _)| *audited == code).map_or(&[][..], |(_, codes)| codes);
            let same = shown.codes.contains(&code) || others.iter().any(|other| shown.codes.contains(*other));
            assert!(same, "{name}: no run shows {code}: {}", report.title());
            let places = functions(&report);
            let there = places.is_empty() || shown.functions.is_empty() || !places.is_disjoint(&shown.functions);
            assert!(there, "{name}: {code} in {places:?}, and runs show {:?}", shown.functions);
        }
    }
}

#[test]
fn each_finding_of_a_run_is_seen_or_a_known_gap() {
    for (name, shown) in runs() {
        let audited: BTreeSet<String> = audited(&name).iter().map(|report| report.code().to_string()).collect();
        let is_gap = |code: &str| GAPS.contains(&(name.as_str(), code));
        // A bug check, or a latent one, is what a mistake leads to: the audit names the mistake.
        let named = |code: &&String| code.starts_with('K') && *code != "K13";
        for code in shown.codes.iter().filter(named) {
            assert!(audited.contains(code) != is_gap(code), "{name}: {code}, and the audit says {audited:?}");
        }
        let has_gap = GAPS.iter().any(|(gap, _)| *gap == name) || UNSEEN.contains(&name.as_str());
        assert!(!audited.is_empty() || has_gap, "{name}: the audit sees nothing");
    }
}

#[test]
fn gaps_are_written_down() {
    let limits = std::fs::read_to_string(root().join("docs/audit-limits.md")).expect("the page is there");
    for name in GAPS.iter().map(|(name, _)| name).chain(UNSEEN) {
        assert!(limits.contains(name), "{name}");
    }
    for (name, code) in WITHOUT_WITNESS {
        let codes: Vec<String> = audited(name).iter().map(|report| report.code().to_string()).collect();
        assert!(codes.contains(&(*code).to_owned()), "{name}: {codes:?}");
    }
}

/// Every repaired twin and every good driver, at the default level and with what their layout shows. `layout` and `small`
/// are about odd sections: what they show is what they are for.
#[test]
fn repaired_and_good_drivers_show_nothing() {
    let mut drivers = Vec::new();
    for folder in std::fs::read_dir(root().join("drivers")).expect("the drivers are there") {
        let folder = folder.expect("it can be read").path();
        let files = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("it can be read").path());
        drivers.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "sys")));
    }
    let mut clean = 0;
    for path in drivers {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let broken = path.parent().is_some_and(|folder| folder.ends_with("broken"));
        let repaired = name.ends_with("-fixed") || name == "owner";
        if broken && !repaired || ["serial-broken", "checked"].contains(&name.as_str()) {
            continue;
        }
        let reports =
            check(&Driver::read(&path).expect("a driver"), Certainty::High).expect("it can be audited").reports;
        let counted = reports.iter().filter(|report| Policy::default().counts(report));
        let codes: BTreeSet<String> = counted.map(|report| report.code().to_string()).collect();
        let expected = if name.starts_with("layout") { BTreeSet::from(["K16".to_owned()]) } else { BTreeSet::new() };
        assert_eq!(codes, expected, "{name}");
        clean += 1;
    }
    assert!(clean >= 70, "{clean} drivers");
}

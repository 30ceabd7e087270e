//! Each finding of the checker is shown by a driver, and is absent from its repaired twin.

use std::path::Path;

/// What shows a finding.
enum Shown {
    /// A case in `fail`, with its twin in `pass`.
    Case(&'static str),
    /// A case in `pass`: the finding is no error, and its twin is the second one.
    Hint(&'static str, &'static str),
    /// A test of the kernel: only some schedules of two processors show it.
    Schedule { file: &'static str, test: &'static str },
}

use Shown::{Case, Hint, Schedule};

#[rustfmt::skip]
const FINDINGS: &[(&str, Shown)] = &[
    ("K01", Case("broken/x17-locks-a-thunk")),
    ("K02", Case("broken/x13-lock-in-dpc-resident")),
    ("K03", Case("broken/x16-page-while-connected")),
    ("K04", Case("broken/x16-connect-before-reset-never")),
    ("K05", Case("broken/x10-lock-leak")),
    ("K06", Case("broken/x25-foreign-unlock")),
    ("K07", Case("broken/x27-handle-is-no-pointer")),
    ("K08", Case("broken/x20-unlock-with-pended-irp")),
    ("K09", Case("broken/x19-isr-pageable")),
    ("K10", Case("broken/x28-dpc-pageable")),
    ("K11", Case("broken/x15-timer-in-pagedata-never")),
    ("K12", Case("broken/x06-init-data")),
    ("K13", Case("broken/x01-spin-lock-in-page-never")),
    ("K14", Case("broken/x09-set-event-wait")),
    ("K15", Hint("mixer/mixer-a80", "mixer/mixer")),
    ("K16", Hint("good/layout", "broken/x31-mixed-section-fixed")),
    ("K17", Hint("broken/x31-mixed-section", "broken/x31-mixed-section-fixed")),
    ("K18", Hint("good/cdmaker", "serial/serial")),
    ("K19", Schedule { file: "race.rs", test: "x08_both_outcomes" }),
    ("K20", Case("broken/x29-unload-during-lock")),
    ("K21", Case("broken/x22-completion-in-page")),
    ("K22", Case("broken/x22-work-item-in-paged-pool")),
    ("K23", Case("broken/k23-paging-path")),
    ("K24", Hint("broken/x23-storport-locks", "broken/x23-storport-locks-fixed")),
    ("K25", Case("broken/x30-locked-init")),
    ("K26", Case("broken/x02-inlined-helper")),
    ("K27", Hint("broken/x31-mixed-section", "broken/x31-mixed-section-fixed")),
    ("K28", Case("broken/k28-pages-nothing")),
];

/// What is wrong with the table: a number without a driver, a case that does not show it, a twin that does.
pub(crate) fn problems(root: &Path) -> Vec<String> {
    let numbers = (1..=28).map(|number| format!("K{number:02}"));
    let missing = numbers.filter(|number| !FINDINGS.iter().any(|(other, _)| other == number));
    let missing = missing.map(|number| format!("{number} is shown by nothing"));
    missing.chain(FINDINGS.iter().flat_map(|(number, shown)| shown.problems(root, number))).collect()
}

impl Shown {
    fn problems(&self, root: &Path, number: &str) -> Vec<String> {
        let cases = root.join("tests/ui");
        match self {
            Case(name) => shows(&cases, number, &format!("fail/{name}"), &format!("pass/{name}")),
            Hint(name, twin) => shows(&cases, number, &format!("pass/{name}"), &format!("pass/{twin}")),
            Schedule { file, test } => {
                let path = root.join("crates/kernel/tests/suite/broken").join(file);
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let tested = text.contains(&format!("fn {test}(")) && text.contains(number);
                (!tested).then(|| format!("{number}: no test {test} in {file}")).into_iter().collect()
            }
        }
    }
}

fn shows(cases: &Path, number: &str, case: &str, twin: &str) -> Vec<String> {
    let names = |case: &str| {
        let text = std::fs::read_to_string(cases.join(format!("{case}.json"))).ok();
        text.map(|text| text.contains(&format!("\"{number}")))
    };
    let shown = (names(case) != Some(true)).then(|| format!("{number}: {case} does not show it"));
    let clean = (names(twin) != Some(false)).then(|| format!("{number}: {twin} shows it, or does not exist"));
    shown.into_iter().chain(clean).collect()
}

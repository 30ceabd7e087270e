//! Runs every case of `tests/ui` at the root of the repository and compares whole outputs.
//!
//! A case is a scenario `pass/<area>/<name>.toml` or `fail/<area>/<name>.toml` with a `[test]` table that names driver,
//! command and arguments. Beside it lie what the program prints, as `<name>.stdout`, `<name>.stderr` and, with `--json`,
//! `<name>.json`; a file that would be empty is left out. `UPDATE=1 cargo test -p nonpaged --test ui` writes them anew.
//! A case in `pass` exits with 0. A case in `fail` exits with 10, or in `fail/limit`, where no driver is at fault, with 30. It says in
//! `expect_error` what it shows, and has a repaired twin of the same name in `pass`.

mod case;
mod findings;
mod golden;

use std::path::{Path, PathBuf};

use case::Case;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

#[test]
fn every_case_prints_what_lies_beside_it() {
    let root = repository();
    let cases = case::collect(&root.join("tests/ui"));
    assert!(!cases.is_empty(), "there are cases");
    let problems: Vec<String> = cases.into_iter().flat_map(|case| check(&root, case)).collect();
    assert!(problems.is_empty(), "{} problems:\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn k01_to_k28_each_finding_has_a_driver_and_a_twin() {
    let problems = findings::problems(&repository());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn check(root: &Path, case: Result<Case, String>) -> Vec<String> {
    let case = match case {
        Ok(case) => case,
        Err(problem) => return vec![problem],
    };
    let text = golden::run(root, &case, &[]);
    let json = golden::run(root, &case, &["--json"]);
    let outputs = [("stdout", &text.stdout), ("stderr", &text.stderr), ("json", &json.stdout)];
    let differences = outputs.into_iter().filter_map(|(extension, output)| golden::compare(&case, extension, output));
    let statuses = [&text, &json].into_iter().filter_map(|output| case.exit_problem(output.code));
    differences.chain(statuses).chain(case.title_problem(&text.stderr)).collect()
}

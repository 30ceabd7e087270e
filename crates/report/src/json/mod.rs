//! The machine form. Field names are API: `schema/nonpaged.schema.json` documents them, and a test keeps it true.
//!
//! Addresses and bug check parameters are strings of hexadecimal digits, because not every JSON reader keeps 64 bits;
//! offsets, counts and steps are numbers. Fields without a value are left out.

mod advice;
mod check;
mod event;
mod fleet;
mod map;
mod report;
mod run;

use serde::Serialize;

use crate::check::Check;
use crate::diagnostic::Diagnostic;
use crate::table::fleet::Fleet;
use crate::table::{Advice, Map, Summary};
use crate::verdict::Verdict;

/// Version of the format. It changes when a field is removed or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

/// One report.
pub fn diagnostic(report: &Diagnostic) -> String {
    print(&report::Report::from(report))
}

/// A whole run: its reports, what it did and how it ended.
pub fn run(reports: &[Diagnostic], summary: Option<&Summary>, verdict: &Verdict) -> String {
    print(&run::Run::new(reports, summary, verdict))
}

/// The image page by page, and what its layout alone shows.
pub fn map(map: &Map, reports: &[Diagnostic], advice: Option<&Advice>) -> String {
    print(&map::Map::new(map, reports, advice))
}

/// Many drivers.
pub fn fleet(fleet: &Fleet) -> String {
    print(&fleet::Fleet::from(fleet))
}

/// An audit.
pub fn check(check: &Check) -> String {
    print(&check::Check::new(check))
}

fn print(value: &impl Serialize) -> String {
    // Only maps with keys that are no strings, or a failing Serialize of our own, could fail: there are none.
    serde_json::to_string_pretty(value).expect("plain data") + "\n"
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};

    /// What the program prints with `--json`.
    #[expect(dead_code, reason = "only its schema is of interest")]
    #[derive(JsonSchema)]
    #[schemars(rename = "nonpaged --json", untagged)]
    enum Output {
        /// `nonpaged run --json`
        Run(super::run::Run),
        /// `nonpaged run FOLDER --json`
        Fleet(super::fleet::Fleet),
        /// `nonpaged map --json`
        Map(super::map::Map),
        /// `nonpaged check --format json`
        Check(super::check::Check),
    }

    #[test]
    fn schema_is_the_committed_one() {
        let schema = serde_json::to_string_pretty(&schema_for!(Output)).expect("plain data") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/nonpaged.schema.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &schema).expect("the schema can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(schema, committed, "UPDATE=1 cargo test -p report writes it anew");
    }
}

//! An audit.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use crate::check::{self, fingerprint, is_finding};

/// An audit of one or many files.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Check {
    /// Version of this format.
    version: u32,
    /// The files, in the order in which they were named.
    files: Vec<File>,
    /// The exit code of the program.
    exit_code: u8,
}

/// One file.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct File {
    /// Its path as it was named.
    path: String,
    /// What was found in it.
    reports: Vec<Report>,
    /// Fingerprints of the findings among the reports, in their order; a baseline holds them.
    fingerprints: Vec<String>,
}

impl Check {
    pub(super) fn new(check: &check::Check) -> Check {
        let files = check.files.iter().map(|file| File {
            path: file.path.clone(),
            reports: file.reports.iter().map(Report::from).collect(),
            fingerprints: file.reports.iter().filter(|report| is_finding(report)).map(fingerprint).collect(),
        });
        Check { version: super::VERSION, files: files.collect(), exit_code: check.exit_code().number() }
    }
}

//! An audit.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use crate::check;

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
    /// Its SHA-256, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// What was found in it.
    reports: Vec<Report>,
    /// Fingerprints of the findings among the reports, in their order; a baseline holds them.
    fingerprints: Vec<String>,
    /// Fingerprints of the findings that are known by the baseline.
    known: Vec<String>,
}

impl Check {
    pub(super) fn new(check: &check::Check) -> Check {
        let files = check.files.iter().map(|file| File {
            path: file.path.clone(),
            sha256: file.sha256.clone(),
            reports: file.reports.iter().map(Report::from).collect(),
            fingerprints: file.findings().map(|(_, fingerprint)| fingerprint).collect(),
            known: file.known().map(|(_, fingerprint)| fingerprint).collect(),
        });
        Check { version: super::VERSION, files: files.collect(), exit_code: check.exit_code().number() }
    }
}

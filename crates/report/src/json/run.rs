//! A whole run.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::report::Report;
use crate::diagnostic::Diagnostic;
use crate::table;
use crate::verdict::Verdict;

/// A whole run.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Run {
    /// Version of this format.
    version: u32,
    /// What was found, in the order it happened.
    reports: Vec<Report>,
    /// What the run did; left out where it never began.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    /// `not_started`, `finished`, `bug_check`, `unsupported`, `limit`, `stop_at` or `expectation`.
    ended: &'static str,
    /// Reports of level error.
    errors: usize,
    /// Reports of level warning.
    warnings: usize,
    /// The exit code of the program.
    exit_code: u8,
}

/// What a run did.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Summary {
    /// File name of the driver.
    driver: String,
    /// Instructions retired.
    steps: u64,
    /// Virtual time in nanoseconds.
    virtual_time_ns: u64,
    /// What was asked of the driver, in order.
    requests: Vec<Request>,
    /// What the scenario watches, after each step; left out where it watches nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    watched: Vec<WatchedStep>,
    /// Sections that can leave memory.
    sections: Vec<Section>,
    /// Page faults served from memory.
    soft_faults: u64,
    /// Page faults served from the paging file.
    hard_faults: u64,
    /// Trim passes.
    trims: u64,
    /// Pages written to the paging file.
    pages_written: u64,
    /// Pages read from the paging file.
    pages_read: u64,
    /// Largest number of pages the paging file held.
    paging_file_peak: u64,
    /// Bytes freed when initialisation ended.
    init_bytes_freed: u64,
    /// Pool blocks left behind at unload.
    leaked_blocks: u64,
    /// Bytes in them.
    leaked_bytes: u64,
    /// Sections left locked at unload.
    leaked_locks: u64,
    /// What Driver Verifier counted; left out where it is off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verifier: Vec<Counter>,
}

/// A counter of Driver Verifier.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Counter {
    /// Its documented label.
    label: &'static str,
    /// Its value.
    count: u64,
}

/// What was asked of the driver, and what it answered.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Request {
    /// What was asked: a verb, and its object where there is one.
    name: String,
    /// The step at which it was issued.
    begun: u64,
    /// The step at which the answer came; left out where none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<u64>,
    /// The status in hexadecimal; left out where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// `IoStatus.Information` of a transfer: the bytes; left out of other requests and where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    information: Option<u64>,
}

/// What the watched sections were like after one step.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct WatchedStep {
    /// What was done.
    name: String,
    /// In the order in which the scenario names them; none where the driver is gone.
    sections: Vec<WatchedSection>,
}

/// One section after one step.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct WatchedSection {
    /// Its name.
    name: String,
    /// Pages it touches.
    pages: u32,
    /// Of these, in memory.
    resident: u32,
    /// Its lock count.
    locks: u32,
}

/// One section over the run.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Section {
    /// Its name.
    name: String,
    /// Pages that can leave memory.
    pages: u32,
    /// Changes of residency as pairs: step, resident pages from there on.
    resident: Vec<(u64, u32)>,
    /// Successful locks.
    locks: u64,
    /// Successful unlocks.
    unlocks: u64,
    /// Highest count reached.
    highest_count: u32,
}

impl Run {
    pub(super) fn new(reports: &[Diagnostic], summary: Option<&table::Summary>, verdict: &Verdict) -> Run {
        Run {
            version: super::VERSION,
            reports: reports.iter().map(Report::from).collect(),
            summary: summary.map(Summary::from),
            ended: verdict.ended.word(),
            errors: verdict.errors,
            warnings: verdict.warnings,
            exit_code: verdict.exit_code.number(),
        }
    }
}

impl From<&table::Summary> for Summary {
    fn from(summary: &table::Summary) -> Summary {
        Summary {
            driver: summary.driver.clone(),
            steps: summary.steps,
            virtual_time_ns: summary.virtual_time_ns,
            requests: summary.requests.iter().map(Request::from).collect(),
            watched: summary.watched.iter().map(WatchedStep::from).collect(),
            sections: summary.sections.iter().map(Section::from).collect(),
            soft_faults: summary.soft_faults,
            hard_faults: summary.hard_faults,
            trims: summary.trims,
            pages_written: summary.pages_written,
            pages_read: summary.pages_read,
            paging_file_peak: summary.paging_file_peak,
            init_bytes_freed: summary.init_bytes_freed,
            leaked_blocks: summary.leaked_blocks,
            leaked_bytes: summary.leaked_bytes,
            leaked_locks: summary.leaked_locks,
            verifier: summary.verifier.iter().map(|(label, count)| Counter { label, count: *count }).collect(),
        }
    }
}

impl From<&table::RequestMade> for Request {
    fn from(request: &table::RequestMade) -> Request {
        Request {
            name: request.name.clone(),
            begun: request.begun,
            answered: request.answer.map(|answer| answer.step),
            status: request.answer.map(|answer| format!("{:#010x}", answer.status.0)),
            information: request.answer.and_then(|answer| answer.information),
        }
    }
}

impl From<&table::WatchedStep> for WatchedStep {
    fn from(step: &table::WatchedStep) -> WatchedStep {
        let section = |section: &table::WatchedSection| {
            let table::WatchedSection { name, pages, resident, locks } = section.clone();
            WatchedSection { name, pages, resident, locks }
        };
        WatchedStep { name: step.name.clone(), sections: step.sections.iter().map(section).collect() }
    }
}

impl From<&table::SectionUse> for Section {
    fn from(section: &table::SectionUse) -> Section {
        Section {
            name: section.name.clone(),
            pages: section.pages,
            resident: section.resident.iter().map(|sample| (sample.step, sample.pages)).collect(),
            locks: section.locks,
            unlocks: section.unlocks,
            highest_count: section.highest_count,
        }
    }
}

//! The image page by page.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use driver_image::pageability::PageClass;

use super::advice::Advice;
use super::report::Report;
use crate::diagnostic::Diagnostic;
use crate::table;

/// The image page by page.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Map {
    /// Version of this format.
    version: u32,
    /// File name of the image.
    image: String,
    /// `SectionAlignment` in bytes.
    section_alignment: u32,
    /// Runs of equal pages, ascending, without gaps.
    runs: Vec<Run>,
    /// Sums over the image.
    totals: Totals,
    /// What the layout of the image shows.
    reports: Vec<Report>,
    /// With `--advise`: what could lie elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Advice>,
}

/// Consecutive pages of one state, protection and set of sections.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Run {
    /// Bytes from the image base to the first page.
    rva: u64,
    /// Number of 4 KiB pages.
    pages: u32,
    /// `nonpaged`, `edge`, `pageable` or `discarded`.
    state: &'static str,
    /// `rwx`, with `-` for what is not allowed.
    access: String,
    /// Sections that have bytes there, in header order.
    sections: Vec<String>,
    /// For an edge: bytes of pageable or discarded sections that stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck_bytes: Option<u32>,
}

/// Sums in pages and bytes.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Totals {
    /// Pages of the image.
    pages: u32,
    /// Pages that stay.
    nonpaged: u32,
    /// Pages that stay although pageable or discarded bytes lie in them.
    edge: u32,
    /// Those bytes.
    stuck_bytes: u64,
    /// Pages that can leave memory and come back.
    pageable: u32,
    /// Pages that are freed after initialisation.
    discarded: u32,
    /// Bytes that can leave memory and come back.
    pageable_bytes: u64,
    /// Bytes that are freed after initialisation.
    discarded_bytes: u64,
}

impl Map {
    pub(super) fn new(map: &table::Map, reports: &[Diagnostic], advice: Option<&table::Advice>) -> Map {
        Map {
            version: super::VERSION,
            image: map.image.clone(),
            section_alignment: map.section_alignment,
            runs: map.runs.iter().map(Run::from).collect(),
            totals: Totals::from(&map.totals),
            reports: reports.iter().map(Report::from).collect(),
            advice: advice.map(Advice::from),
        }
    }
}

impl From<&table::Run> for Run {
    fn from(run: &table::Run) -> Run {
        let stuck_bytes = match run.class {
            PageClass::Edge { stuck_bytes } => Some(stuck_bytes),
            _ => None,
        };
        Run {
            rva: table::bytes(run.page.into()),
            pages: run.pages,
            state: run.state(),
            access: run.access(),
            sections: run.sections.clone(),
            stuck_bytes,
        }
    }
}

impl From<&table::Totals> for Totals {
    fn from(totals: &table::Totals) -> Totals {
        let table::Totals { pages, nonpaged, edge, stuck_bytes, pageable, discarded } = *totals;
        let (pageable_bytes, discarded_bytes) = (table::bytes(pageable.into()), table::bytes(discarded.into()));
        Totals { pages, nonpaged, edge, stuck_bytes, pageable, discarded, pageable_bytes, discarded_bytes }
    }
}

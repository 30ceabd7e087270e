//! One report.

use nt_types::BugCheck;
#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use super::event::Event;
use crate::context::{self, Context};
use crate::diagnostic::Diagnostic;
use crate::path;
use crate::span;

/// One report.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Report {
    /// A bug check such as `0xD1`, a finding such as `K08`, or `expectation`, `unsupported`, `limit`, `input`,
    /// `internal`, `note`.
    code: String,
    /// The finding that is about the same fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'static str>,
    /// `error`, `warning` or `info`.
    level: &'static str,
    /// Whose fault it is: `driver_bug`, `unsupported`, `limit`, `own_bug`, `input` or `remark`.
    class: &'static str,
    /// What happened, in one line.
    title: String,
    /// The instruction at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
    /// The way to the instruction, in the order of execution: of reports of `nonpaged check`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<Waypoint>,
    /// Earlier events that made it possible, nearest cause first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<Event>,
    /// The documented rule that was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Rule>,
    /// Circumstances, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Remedies, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    helps: Vec<String>,
    /// The bug check that Windows stops with, or may stop with where `code` is a finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    bugcheck: Option<BugCheckParameters>,
    /// Who was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Circumstances>,
    /// The seed of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// The scenario of the run, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    /// A command that shows the report again.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
}

/// The instruction at fault.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Place {
    /// File name of the image.
    image: String,
    /// The section that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    /// Bytes from the image base.
    rva: u32,
    /// The nearest name at or before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbol: Option<String>,
    /// Bytes from that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u32>,
    /// The source line.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// Instructions retired when it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
}

/// A step on the way to the instruction.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Waypoint {
    /// `named`, `entered` (the system calls the routine), `raised` (IRQL goes up), `called` or `locked` (a section).
    what: &'static str,
    /// Where.
    at: Place,
}

/// A source line.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Source {
    /// The file as the PDB names it.
    file: String,
    /// Line from 1.
    line: u32,
}

impl From<&span::Source> for Source {
    fn from(source: &span::Source) -> Source {
        Source { file: source.file.clone(), line: source.line }
    }
}

/// A documented rule.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Rule {
    /// The rule.
    text: &'static str,
    /// Title of the document that states it.
    source: &'static str,
}

/// A bug check.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct BugCheckParameters {
    /// Its number.
    code: u32,
    /// Its name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    /// Its four parameters, in hexadecimal.
    params: [String; 4],
}

/// Who was running.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Circumstances {
    /// A thread, a DPC or an interrupt.
    runner: String,
    /// Processor number from 0.
    cpu: u32,
    /// IRQL, 0 to 15.
    irql: u8,
    /// Spin locks held by the processor.
    spin_locks: u32,
    /// The call stack, innermost first.
    stack: Vec<String>,
}

impl From<&Diagnostic> for Report {
    fn from(report: &Diagnostic) -> Report {
        let words = report.words();
        let replay = report.replay.as_ref();
        Report {
            code: words.code.to_string(),
            finding: report.finding.map(crate::Finding::id),
            level: words.level.word(),
            class: words.class.word(),
            at: report.at.as_ref().map(|span| Place { step: report.step, ..Place::from(&span.place) }),
            path: report.path.iter().map(Waypoint::from).collect(),
            because: report.because.iter().map(Event::from).collect(),
            rule: words.rule.map(|rule| Rule { text: rule.text, source: rule.source }),
            notes: report.notes_of(&words),
            bugcheck: report.bug_check.map(BugCheckParameters::from),
            context: report.context.as_ref().map(Circumstances::from),
            seed: replay.map(|replay| replay.seed),
            scenario: replay.and_then(|replay| replay.scenario.clone()),
            replay: replay.map(context::Replay::to_string),
            title: words.title,
            helps: words.helps,
        }
    }
}

impl From<&span::Place> for Place {
    fn from(place: &span::Place) -> Place {
        Place {
            image: place.image.clone(),
            section: place.section.clone(),
            rva: place.rva.0,
            symbol: place.symbol.as_ref().map(|symbol| symbol.name.clone()),
            offset: place.symbol.as_ref().map(|symbol| symbol.offset),
            source: place.source.as_ref().map(Source::from),
            step: None,
        }
    }
}

impl From<&path::Waypoint> for Waypoint {
    fn from(waypoint: &path::Waypoint) -> Waypoint {
        Waypoint { what: waypoint.kind.word(), at: Place::from(&waypoint.at.place) }
    }
}

impl From<BugCheck> for BugCheckParameters {
    fn from(bug_check: BugCheck) -> BugCheckParameters {
        BugCheckParameters {
            code: bug_check.code.0,
            name: bug_check.code.name(),
            params: bug_check.parameters.map(|parameter| format!("{parameter:#x}")),
        }
    }
}

impl From<&Context> for Circumstances {
    fn from(context: &Context) -> Circumstances {
        Circumstances {
            runner: context.runner.to_string(),
            cpu: context.cpu,
            irql: context.irql.level(),
            spin_locks: context.spin_locks,
            stack: context.stack.iter().map(context::Frame::to_string).collect(),
        }
    }
}

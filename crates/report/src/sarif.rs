//! SARIF 2.1.0, the form in which code hosts take findings ("Static Analysis Results Interchange Format (SARIF)
//! Version 2.1.0").
//!
//! Written with the few objects that are needed: the crates with all of SARIF are generated when they are built and bring
//! several versions of other crates along. A test validates the output against the schema.

use serde_json::{Value, json};

use crate::check::{Check, CheckedFile, fingerprint_v1, is_finding};
use crate::code::Level;
use crate::diagnostic::Diagnostic;
use crate::explain;
use crate::span::{Place, Source};
use crate::uri::{SourceRoot, uri};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The usual name for the folder with the sources.
const ROOT_ID: &str = "%SRCROOT%";

/// An audit as one SARIF log. Source files below the root are named relative to it, so that they are found wherever it lies by
/// now.
pub fn sarif(check: &Check, root: Option<&SourceRoot>) -> String {
    let all = || check.files.iter().flat_map(|file| file.findings().chain(file.known()));
    let mut codes: Vec<String> = all().map(|(report, _)| report.code().to_string()).collect();
    codes.sort();
    codes.dedup();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results = Results { root, codes, has_baseline: check.has_baseline };
    let elsewhere = root.and_then(|root| nothing_below(root, all().map(|(report, _)| report)));
    let notifications = check.files.iter().flat_map(notifications).chain(elsewhere);
    let mut run = json!({
        "tool": { "driver": {
            "name": "nonpaged",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        } },
        "columnKind": "utf16CodeUnits",
        "artifacts": check.files.iter().map(artifact).collect::<Vec<_>>(),
        "invocations": [{
            "executionSuccessful": check.reports().all(is_about_driver),
            "exitCode": check.exit_code().number(),
            "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
        }],
        "results": check.files.iter().flat_map(|file| results.of(file)).collect::<Vec<_>>(),
    });
    if let Some(root) = root {
        let description = json!({ "text": "the sources, as the PDB files name them" });
        run["originalUriBaseIds"] = json!({ ROOT_ID: { "uri": root.uri(), "description": description } });
    }
    let log = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] });
    format!("{log:#}\n")
}

/// Says so if there are source files and none of them lies below the root: then it is not what PDB files name.
fn nothing_below<'r>(root: &SourceRoot, reports: impl Iterator<Item = &'r Diagnostic>) -> Option<Value> {
    let places = reports.flat_map(|report| report.at.iter().chain(report.path.iter().map(|waypoint| &waypoint.at)));
    let mut files = places.filter_map(|span| span.place.source.as_ref()).map(|source| &source.file).peekable();
    let first = *files.peek()?;
    let text = format!("no source file lies below `{}`, the root that was given; one is `{first}`", root.uri());
    files.all(|file| root.below(file).is_none()).then(|| json!({ "level": "warning", "message": { "text": text } }))
}

/// Findings, and remarks about what was not looked at; anything else is trouble of this program's input.
fn is_about_driver(report: &Diagnostic) -> bool {
    is_finding(report) || report.level() == Level::Info
}

fn artifact(file: &CheckedFile) -> Value {
    let mut artifact = json!({
        "location": { "uri": uri(&file.path) },
        "roles": ["analysisTarget"],
        "mimeType": "application/vnd.microsoft.portable-executable",
    });
    if let Some(sha256) = &file.sha256 {
        artifact["hashes"] = json!({ "sha-256": sha256 });
    }
    artifact
}

/// What is no finding: what was not looked at and why, and files that could not be read.
fn notifications(file: &CheckedFile) -> impl Iterator<Item = Value> {
    file.reports.iter().filter(|report| !is_finding(report)).map(|report| {
        let text: Vec<String> = std::iter::once(report.title()).chain(report.words().notes).collect();
        json!({
            "level": level(report.level()),
            "message": { "text": text.join("; ") },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&file.path) } } }],
        })
    })
}

fn rule(code: &str) -> Value {
    let page = explain::find(code);
    let text = page.map_or("", |page| page.text);
    let mut rule = json!({
        "id": code,
        "name": page.map_or("", explain::Page::title),
        "shortDescription": { "text": page.map_or("", explain::Page::lead) },
        "fullDescription": { "text": page.map_or("", explain::Page::cause) },
        "help": { "text": text, "markdown": text },
        "defaultConfiguration": { "level": page.map_or("warning", default_level) },
        "properties": { "tags": ["windows-driver", "paging"], "precision": "high" },
    });
    if let Some(link) = page.and_then(explain::Page::link) {
        rule["helpUri"] = link.into();
    }
    rule
}

/// The level that the page of a finding begins with.
fn default_level(page: &explain::Page) -> &'static str {
    match page.lead().split([':', ',', ' ']).next() {
        Some("Warning") => level(Level::Warning),
        Some("Information") => level(Level::Info),
        _ => level(Level::Error),
    }
}

/// What all results need.
struct Results<'a> {
    root: Option<&'a SourceRoot>,
    /// The codes of the rules, sorted.
    codes: Vec<String>,
    has_baseline: bool,
}

impl Results<'_> {
    /// What is new, and where there is a baseline also what it knows: that is suppressed, so that nobody is told twice.
    fn of(&self, file: &CheckedFile) -> Vec<Value> {
        let found = file.findings().map(|found| self.result(file, found));
        if !self.has_baseline {
            return found.collect();
        }
        let new = found.map(|mut result| {
            result["baselineState"] = "new".into();
            result
        });
        let known = file.known().map(|known| {
            let mut result = self.result(file, known);
            result["baselineState"] = "unchanged".into();
            let justification = "it is in the baseline";
            result["suppressions"] =
                json!([{ "kind": "external", "status": "accepted", "justification": justification }]);
            result
        });
        new.chain(known).collect()
    }

    fn result(&self, file: &CheckedFile, (report, fingerprint): (&Diagnostic, String)) -> Value {
        let code = report.code().to_string();
        let place = report.at.as_ref().map(|span| &span.place);
        let mut result = json!({
            "ruleId": code,
            "ruleIndex": self.codes.binary_search(&code).unwrap_or_default(),
            "level": level(report.level()),
            "message": { "text": message(report) },
            "locations": [self.location(file, place, None)],
            "partialFingerprints": { "nonpaged/v1": fingerprint_v1(&file.image, report), "nonpaged/v2": fingerprint },
        });
        if !report.path.is_empty() {
            let on_the_way = report.path.iter().map(|waypoint| (&waypoint.at.place, waypoint.kind.sentence()));
            let end = place.map(|place| (place, message(report)));
            let locations: Vec<Value> = on_the_way
                .chain(end)
                .map(|(place, text)| json!({ "location": self.location(file, Some(place), Some(text)) }))
                .collect();
            result["codeFlows"] = json!([{ "threadFlows": [{ "locations": locations }] }]);
        }
        result
    }

    /// The source line where it is known, else the image; the address in either case.
    fn location(&self, file: &CheckedFile, place: Option<&Place>, text: Option<String>) -> Value {
        let source = place.and_then(|place| place.source.as_ref());
        let (artifact, line) = match source {
            Some(Source { file, line }) => (self.source(file), *line),
            None => (json!({ "uri": uri(&file.path) }), 1),
        };
        let mut location = json!({
            "physicalLocation": { "artifactLocation": artifact, "region": { "startLine": line } },
        });
        if let Some(place) = place {
            location["physicalLocation"]["address"] = json!({ "relativeAddress": place.rva.0, "kind": "instruction", "fullyQualifiedName": place.to_string() });
            if let Some(symbol) = &place.symbol {
                location["logicalLocations"] = json!([{ "name": symbol.name, "kind": "function" }]);
            }
        }
        if let Some(text) = text {
            location["message"] = json!({ "text": text });
        }
        location
    }

    /// A source file: relative to the root if it lies below.
    fn source(&self, file: &str) -> Value {
        match self.root.and_then(|root| root.below(file)) {
            Some(below) => json!({ "uri": uri(&below), "uriBaseId": ROOT_ID }),
            None => json!({ "uri": uri(file) }),
        }
    }
}

/// What is wrong, in which function, what exactly is used there, and what else is to be known. A viewer shows nothing else
/// beside the line.
fn message(report: &Diagnostic) -> String {
    let words = report.words_alone();
    let function = report.at.as_ref().map(|span| format!(" in {}", span.place.function())).unwrap_or_default();
    let label = words.label.map(|label| format!(": {label}")).unwrap_or_default();
    let first = format!("{}{function}{label}", words.title);
    std::iter::once(first).chain(words.notes).collect::<Vec<_>>().join("; ")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    }
}

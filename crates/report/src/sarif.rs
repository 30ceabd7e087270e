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

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// An audit as one SARIF log.
pub fn sarif(check: &Check) -> String {
    let all = || check.files.iter().flat_map(|file| file.findings().chain(file.known()));
    let mut codes: Vec<String> = all().map(|(report, _)| report.code().to_string()).collect();
    codes.sort();
    codes.dedup();
    let results: Vec<Value> = check.files.iter().flat_map(|file| results(check, file, &codes)).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
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
                "toolExecutionNotifications": check.files.iter().flat_map(notifications).collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    });
    format!("{log:#}\n")
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

/// What is new, and where there is a baseline also what it knows: that is suppressed, so that nobody is told twice.
fn results(check: &Check, file: &CheckedFile, codes: &[String]) -> Vec<Value> {
    let found = file.findings().map(|found| result(file, found, codes));
    if !check.has_baseline {
        return found.collect();
    }
    let new = found.map(|mut result| {
        result["baselineState"] = "new".into();
        result
    });
    let known = file.known().map(|known| {
        let mut result = result(file, known, codes);
        result["baselineState"] = "unchanged".into();
        let justification = "it is in the baseline";
        result["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": justification }]);
        result
    });
    new.chain(known).collect()
}

fn result(file: &CheckedFile, (report, fingerprint): (&Diagnostic, String), codes: &[String]) -> Value {
    let code = report.code().to_string();
    let place = report.at.as_ref().map(|span| &span.place);
    let mut result = json!({
        "ruleId": code,
        "ruleIndex": codes.binary_search(&code).unwrap_or_default(),
        "level": level(report.level()),
        "message": { "text": report.title() },
        "locations": [location(file, place, None)],
        "partialFingerprints": { "nonpaged/v1": fingerprint_v1(&file.image, report), "nonpaged/v2": fingerprint },
    });
    if !report.path.is_empty() {
        let on_the_way = report.path.iter().map(|waypoint| (&waypoint.at.place, waypoint.kind.sentence()));
        let end = place.map(|place| (place, report.title()));
        let locations: Vec<Value> = on_the_way
            .chain(end)
            .map(|(place, text)| json!({ "location": location(file, Some(place), Some(text)) }))
            .collect();
        result["codeFlows"] = json!([{ "threadFlows": [{ "locations": locations }] }]);
    }
    result
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    }
}

/// The source line where it is known, else the image; the address in either case.
fn location(file: &CheckedFile, place: Option<&Place>, text: Option<String>) -> Value {
    let source = place.and_then(|place| place.source.as_ref());
    let (uri, line) = source.map_or_else(|| (uri(&file.path), 1), |Source { file, line }| (uri(file), *line));
    let mut location = json!({
        "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": line } },
    });
    if let Some(place) = place {
        location["physicalLocation"]["address"] =
            json!({ "relativeAddress": place.rva.0, "kind": "instruction", "fullyQualifiedName": place.to_string() });
        if let Some(symbol) = &place.symbol {
            location["logicalLocations"] = json!([{ "name": symbol.name, "kind": "function" }]);
        }
    }
    if let Some(text) = text {
        location["message"] = json!({ "text": text });
    }
    location
}

/// A path as a URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let drive = path.as_bytes().get(1) == Some(&b':');
    let prefix = match (drive, path.starts_with('/')) {
        (true, _) => "file:///",
        (false, true) => "file://",
        (false, false) => "",
    };
    let mut uri = prefix.to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            b':' if drive => uri.push(':'),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("src/a b.c"), "src/a%20b.c");
        assert_eq!(uri("d:\\x\\y.c"), "file:///d:/x/y.c");
        assert_eq!(uri("/x/y.c"), "file:///x/y.c");
    }
}

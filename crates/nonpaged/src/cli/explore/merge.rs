//! `nonpaged merge`.

use std::ops::RangeInclusive;

use explore::{Merged, Record};
use report::ExitCode;
use serde_json::json;

use super::super::Outcome;
use super::super::args::MergeOptions;
use super::super::output::Output;
use super::results::{judged, line};
use super::unusable;

/// Puts the results of several searches into one folder.
pub(crate) fn merge(options: &MergeOptions, output: &Output) -> Outcome {
    let merged = explore::merge(&options.into, &options.from).map_err(unusable)?;
    let shown = if options.json { document(&merged) } else { text(&merged) };
    output.after(exit_code(&merged), output.result(&shown))
}

fn exit_code(merged: &Merged) -> ExitCode {
    let signatures = merged.records.iter().map(|(record, _)| &record.signature);
    judged(signatures, merged.proven.is_nothing_known())
}

/// What several folders have together.
fn text(merged: &Merged) -> String {
    let Merged { records, schedules, parts, missing, unfinished, proven } = merged;
    let part = |part: &u64| format!("{part}/{parts}");
    let range = |range: &RangeInclusive<u64>| match range.start() == range.end() {
        true => part(range.start()),
        false => format!("{} to {}", part(range.start()), part(range.end())),
    };
    let lacking: u64 = missing.iter().map(|range| range.end() - range.start() + 1).sum();
    let missing = list("missing", &missing.iter().map(range).collect::<Vec<_>>());
    let unfinished = list("unfinished", &unfinished.iter().map(part).collect::<Vec<_>>());
    let mut text = format!("parts     {} of {parts}{missing}{unfinished}\n", parts - lacking);
    text.push_str(&format!("schedules {schedules}\nfailures  {}\n", records.len()));
    text.extend(records.iter().map(|(record, file)| line(record, Some(file))));
    text.push_str(&format!("shown     {proven}\n"));
    text
}

/// "; missing: 1/3, 2/3", or nothing.
fn list(name: &str, words: &[String]) -> String {
    if words.is_empty() { String::new() } else { format!("; {name}: {}", words.join(", ")) }
}

fn document(merged: &Merged) -> String {
    let Merged { records, schedules, parts, missing, unfinished, proven } = merged;
    let failures: Vec<&Record> = records.iter().map(|(record, _)| record).collect();
    let missing: Vec<[u64; 2]> = missing.iter().map(|range| [*range.start(), *range.end()]).collect();
    let document = json!({
        "parts": parts,
        "missing": missing,
        "unfinished": unfinished,
        "schedules": schedules,
        "failures": failures,
        "shown": proven.to_string(),
    });
    format!("{document:#}\n")
}

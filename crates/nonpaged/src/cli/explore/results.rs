//! What a search has found, as reports, text and JSON.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use explore::{Failure, Kind, Merged, Outcome as Found, Progress, Record, Token};
use nonpaged::explore::{Folder, about, record};
use report::{Diagnostic, ExitCode, plural, quoted};
use serde_json::json;

use super::super::Outcome;
use super::super::args::Show;
use super::super::output::Output;
use super::super::replay::pasted;
use super::super::run::Job;
use super::args::ExploreOptions;

/// One line while the search goes on, for this time at most.
pub(super) fn progress_line(now: &Progress, most: Duration) -> String {
    let (elapsed, rate) = (now.elapsed.as_secs(), now.rate());
    let schedules = plural(now.schedules, "schedule");
    let equal = if now.equal > 0 { format!(", {} equal", now.equal) } else { String::new() };
    let failures = if now.failures.is_empty() { "no failure".to_owned() } else { failures_by_code(now) };
    // What matters most comes first: a narrow terminal cuts the end off.
    let state = format!("{schedules}, {rate:.0} a second, {failures}{equal}, {} places and states", now.coverage);
    format!("{elapsed} of {} s: {state}", most.as_secs_f32())
}

/// Failures of each code, and how many schedules showed one.
fn failures_by_code(now: &Progress) -> String {
    let mut by_code: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (signature, times) in &now.failures {
        let (failures, schedules) = by_code.entry(signature.code.to_string()).or_default();
        *failures += 1;
        *schedules += times;
    }
    let kinds = by_code
        .iter()
        .map(|(code, (failures, schedules))| format!("{} {code} in {}", failures, plural(*schedules, "schedule")));
    format!("failures: {}", kinds.collect::<Vec<_>>().join(", "))
}

/// How what was found is kept.
pub(super) struct Kept<'a> {
    /// The token of the run without deeds.
    pub(super) token: &'a Token,
    pub(super) folder: Option<&'a Folder>,
}

impl Kept<'_> {
    /// The file with the token of a failure, where there is one.
    fn token_file(&self, failure: &Failure) -> Option<PathBuf> {
        self.folder?.token_file(&failure.signature).filter(|file| file.is_file())
    }
}

/// Reports each failure once, then says what was searched and what that shows.
pub(super) fn conclude(options: &ExploreOptions, output: &Output, kept: &Kept<'_>, found: &Found) -> Outcome {
    if options.json {
        return output.after(exit_code(found), output.result(&document(kept.token, found)));
    }
    for failure in &found.failures {
        output.reports(&reports(options, failure, kept)?);
    }
    output.after(exit_code(found), output.result(&text(options, kept, found)))
}

/// The reports of one failure: those with its code.
fn reports(options: &ExploreOptions, failure: &Failure, kept: &Kept<'_>) -> Result<Vec<Diagnostic>, Box<Diagnostic>> {
    let (token, file) = (Token { schedule: failure.schedule.clone(), ..kept.token.clone() }, kept.token_file(failure));
    let show = Show { stop_at: None, json: true, log: None };
    let conclusion =
        Job { setup: &options.setup, show: &show, token: Some(&token), token_file: file.as_deref(), tail: None }
            .perform()?;
    Ok(about(conclusion.reports, failure))
}

fn exit_code(found: &Found) -> ExitCode {
    if found.failures.iter().any(|failure| failure.signature.kind != Kind::Internal) {
        return ExitCode::DriverBug;
    }
    match (found.failures.is_empty(), found.proven.deeds) {
        (false, _) => ExitCode::Internal,
        // Not even the run in which nothing unplanned happens came to its end.
        (true, _) if found.progress.unknown == found.progress.schedules => ExitCode::Unsupported,
        (true, _) => ExitCode::Clean,
    }
}

/// Why the search ended.
fn ended(options: &ExploreOptions, found: &Found) -> String {
    let at_number = options.schedules.filter(|limit| found.progress.schedules >= *limit);
    match at_number {
        _ if options.until_first && !found.failures.is_empty() => "at the first failure".to_owned(),
        _ if found.exhausted => "nothing is left to run".to_owned(),
        Some(limit) => format!("at `--schedules {limit}`"),
        None => format!("at `--time {}s`", options.time.as_secs_f32()),
    }
}

fn text(options: &ExploreOptions, kept: &Kept<'_>, found: &Found) -> String {
    let Progress { schedules, equal, elapsed, coverage, choices, unknown, .. } = &found.progress;
    let mut text = format!(
        "{}: {} in {:.1} s, {:.0} a second\n\n",
        kept.token.arguments.first().map_or("", String::as_str),
        plural(*schedules, "schedule"),
        elapsed.as_secs_f64(),
        found.progress.rate()
    );
    text.push_str(&format!("choices   {} in the run without deeds, with {} possible deeds\n", choices.0, choices.1));
    text.push_str(&format!("coverage  {coverage} places and states\n"));
    if *equal > 0 {
        text.push_str(&format!(
            "equal     {equal} schedules come to a state that was met before: not run, or not to their end\n"
        ));
    }
    if *unknown > 0 {
        text.push_str(&format!("unknown   {unknown} schedules ended at a limit or at something not modelled\n"));
    }
    text.push_str(&format!("failures  {}\n", found.failures.len()));
    for failure in &found.failures {
        text.push_str(&line(&record(kept.token, failure), kept.token_file(failure).as_deref()));
    }
    text.push_str(&format!("ended     {}\n", ended(options, found)));
    text.push_str(&format!("shown     {}\n", found.proven));
    text
}

/// What several folders have together.
pub(super) fn merged(merged: &Merged) -> String {
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

/// A failure in two lines: what, and what replays it.
fn line(record: &Record, file: Option<&Path>) -> String {
    let Record { signature, token, found_by, times } = record;
    let word = quoted(&pasted(token, file));
    let of = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
    format!("  {signature}, first in schedule {found_by}, {of}\n    nonpaged replay {word}\n")
}

fn document(token: &Token, found: &Found) -> String {
    let failures: Vec<Record> = found.failures.iter().map(|failure| record(token, failure)).collect();
    let progress = &found.progress;
    let document = json!({
        "driver": token.arguments.first(),
        "schedules": progress.schedules,
        "seconds": progress.elapsed.as_secs_f64(),
        "choices": progress.choices.0,
        "deeds": progress.choices.1,
        "coverage": progress.coverage,
        "equal": progress.equal,
        "unknown": progress.unknown,
        "failures": failures,
        "shown": found.proven.to_string(),
        "exhausted": found.exhausted,
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use explore::Signature;

    use super::*;

    #[test]
    fn a_line_says_how_far_a_search_is_and_what_it_found() {
        let elapsed = Duration::from_secs(10);
        let mut now = Progress { schedules: 20, coverage: 7, elapsed, ..Progress::default() };
        let most = Duration::from_secs(12);
        let expected = "10 of 12 s: 20 schedules, 2 a second, no failure, 7 places and states";
        assert_eq!(progress_line(&now, most), expected);
        let signature = |place| Signature { kind: Kind::Finding, code: "K05".to_owned(), place };
        (now.failures, now.equal) = (vec![(signature(1), 1), (signature(2), 3)], 4);
        let expected =
            "10 of 12 s: 20 schedules, 2 a second, failures: 2 K05 in 4 schedules, 4 equal, 7 places and states";
        assert_eq!(progress_line(&now, most), expected);
    }
}

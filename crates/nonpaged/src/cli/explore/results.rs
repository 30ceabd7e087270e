//! What a search has found, as reports, text and JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use explore::{Failure, Kind, Outcome as Found, Progress, Record, Signature, Token};
use nonpaged::explore::{Folder, about, pasted, record};
use report::{Diagnostic, ExitCode, plural, quoted};
use serde_json::json;

use super::super::Outcome;
use super::super::args::Show;
use super::super::output::Output;
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
    /// The folder could not be written any more, which ended the search.
    pub(super) is_lost: bool,
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
    // Not even the run in which nothing unplanned happens came to its end.
    let is_nothing_known = found.progress.unknown == found.progress.schedules;
    judged(found.failures.iter().map(|failure| &failure.signature), is_nothing_known)
}

/// How to exit where this was found.
pub(super) fn judged<'a>(mut failures: impl Iterator<Item = &'a Signature>, is_nothing_known: bool) -> ExitCode {
    match failures.next() {
        Some(first) if [first].into_iter().chain(failures).any(|failure| failure.kind != Kind::Internal) => {
            ExitCode::DriverBug
        }
        Some(_) => ExitCode::Internal,
        None if is_nothing_known => ExitCode::Unsupported,
        None => ExitCode::Clean,
    }
}

/// Why the search ended.
fn ended(options: &ExploreOptions, kept: &Kept<'_>, found: &Found) -> String {
    let at_number = options.schedules.filter(|limit| found.progress.schedules >= *limit);
    match at_number {
        _ if kept.is_lost => "where results could not be written any more".to_owned(),
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
    text.push_str(&format!("ended     {}\n", ended(options, kept, found)));
    text.push_str(&format!("shown     {}\n", found.proven));
    text
}

/// A failure in two lines: what, and what replays it.
pub(super) fn line(record: &Record, file: Option<&Path>) -> String {
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

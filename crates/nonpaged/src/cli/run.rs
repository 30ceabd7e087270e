//! `nonpaged run`.

use nonpaged::layout;
use report::cause::{Cause, Unsupported};
use report::table::Summary;
use report::{Diagnostic, Ended, Verdict, json};

use super::args::RunOptions;
use super::output::Output;
use super::progress::Progress;
use super::{Outcome, input};

/// What a run came to.
struct Conclusion {
    /// What was found, in the order it happened.
    reports: Vec<Diagnostic>,
    /// What the run did; `None` where it never began.
    summary: Option<Summary>,
    /// Why it ended.
    ended: Ended,
}

/// Runs the driver and reports.
pub(crate) fn run(options: &RunOptions, output: &Output) -> Outcome {
    let progress = Progress::new(&options.driver.display().to_string(), options.json);
    progress.phase("reading the image");
    let image = input::image(&options.driver)?;
    if let Some(path) = &options.scenario {
        progress.phase("reading the scenario");
        input::scenario(path)?;
    }
    let name = options.driver.file_name().unwrap_or_default().to_string_lossy();
    let mut reports = layout::findings(&name, &image);
    reports.push(no_machine());
    drop(progress);
    conclude(options, output, &Conclusion { reports, summary: None, ended: Ended::Unsupported })
}

fn no_machine() -> Diagnostic {
    let missing = Unsupported::Behaviour { routine: "nonpaged run".into(), behaviour: "cannot execute drivers yet" };
    Diagnostic::from(Cause::Unsupported(missing))
}

/// Prints what a run came to: reports, summary and verdict, or one JSON object.
fn conclude(options: &RunOptions, output: &Output, conclusion: &Conclusion) -> Outcome {
    let Conclusion { reports, summary, ended } = conclusion;
    let verdict = Verdict::new(*ended, reports);
    if options.json {
        output.result(&json::run(reports, summary.as_ref(), &verdict))?;
        return Ok(verdict.exit_code);
    }
    output.reports(reports);
    if let Some(summary) = summary {
        output.result(&summary.text())?;
    }
    output.verdict(&verdict);
    Ok(verdict.exit_code)
}

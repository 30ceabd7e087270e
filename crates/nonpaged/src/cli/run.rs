//! `nonpaged run`.

use kernel::{Limit, Stop, StopKind};
use nonpaged::scenario::{self, PlayError, Scenario};
use nonpaged::session::{Session, SessionError};
use nonpaged::{Driver, layout};
use report::cause::{Cause, Input, Remark};
use report::table::Summary;
use report::{Diagnostic, Ended, Verdict, json};

use super::args::RunOptions;
use super::input;
use super::log_file::LogFile;
use super::output::Output;
use super::progress::Progress;
use super::serial::FarEnd;
use super::{Outcome, machine, replay};

/// What a run came to.
struct Conclusion {
    /// What was found, in the order it happened.
    reports: Vec<Diagnostic>,
    /// What the run did.
    summary: Summary,
    /// Why it ended.
    ended: Ended,
}

/// Runs the driver and reports.
pub(crate) fn run(options: &RunOptions, output: &Output) -> Outcome {
    machine::check(options)?;
    let progress = Progress::new(&options.driver.display().to_string(), options.json);
    progress.phase("reading the image");
    let driver = input::driver(&options.driver)?;
    let scenario = options.scenario.as_deref().map(input::scenario).transpose()?.unwrap_or_default();
    let mut far_end = FarEnd::open(options, scenario.serial_line)?;
    let mut session = machine::session(options, far_end.cable())?;
    let conclusion = with_log(options, &mut session, |session| {
        let conclusion = perform(options, session, &driver, &scenario, &mut far_end, &progress)?;
        far_end.finish(session)?;
        Ok(conclusion)
    })?;
    drop(progress);
    conclude(options, output, &conclusion)
}

/// Does the work with the log of the arguments, and ends the log whatever comes of it.
fn with_log<T>(
    options: &RunOptions,
    session: &mut Session,
    work: impl FnOnce(&mut Session) -> Result<T, Box<Diagnostic>>,
) -> Result<T, Box<Diagnostic>> {
    let Some(path) = &options.log else { return work(session) };
    let (log, out) = LogFile::create(path)?;
    session.chronicle.log_to(out);
    let result = work(session);
    let written = session.chronicle.finish_log();
    log.finish(written)?;
    result
}

fn perform(
    options: &RunOptions,
    session: &mut Session,
    driver: &Driver,
    scenario: &Scenario,
    far_end: &mut FarEnd,
    progress: &Progress,
) -> Result<Conclusion, Box<Diagnostic>> {
    session.chronicle.story.replay = Some(replay::of(options));
    let mut reports = layout::findings(&driver.name, &driver.image);
    let base = machine::load(session, options, driver)?;
    reports.extend(unresolved(session));
    let result = scenario::play(session, base, driver, scenario, |session, step| {
        progress.phase(step);
        far_end.take(session);
    });
    let (ended, last) = ended(options, session, result)?;
    reports.append(&mut session.chronicle.reports);
    reports.extend(last);
    let summary = session.chronicle.summary(&session.machine);
    Ok(Conclusion { reports, summary, ended })
}

/// Imports that nobody answers.
fn unresolved(session: &Session) -> Option<Diagnostic> {
    let unresolved = session.machine.modules().unresolved();
    let names: Vec<String> = unresolved.iter().map(|import| format!("{}!{}", import.module, import.name)).collect();
    (!names.is_empty()).then(|| Diagnostic::from(Cause::Remark(Remark::UnresolvedImports { names })))
}

/// Why the run ended, and the report of that.
fn ended(
    options: &RunOptions,
    session: &mut Session,
    result: Result<(), PlayError>,
) -> Result<(Ended, Option<Diagnostic>), Box<Diagnostic>> {
    match result {
        Ok(()) => Ok((Ended::Finished, None)),
        Err(PlayError::Session(SessionError::Stopped(stop))) => Ok(stopped(options, session, &stop)),
        Err(PlayError::Session(error)) => Err(machine::failed(options, error)),
        Err(PlayError::Expectation(expectation)) => {
            Ok((Ended::Expectation, Some(Diagnostic::from(Cause::Expectation(expectation)))))
        }
        Err(PlayError::Impossible { line, problem }) => Err(input::refuse(Input::Malformed {
            role: "scenario",
            path: options.scenario.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            line: Some(line),
            column: None,
            text: None,
            problem,
        })),
    }
}

fn stopped(options: &RunOptions, session: &mut Session, stop: &Stop) -> (Ended, Option<Diagnostic>) {
    if let StopKind::Limit(Limit::Steps(steps)) = stop.kind
        && Some(steps) == options.stop_at
    {
        let remark = Diagnostic::from(Cause::Remark(Remark::StoppedHere));
        let report = session.chronicle.story.at(&session.machine, &stop.place, remark);
        return (Ended::StopAt, Some(report));
    }
    let report = session.chronicle.stopped(&session.machine, stop);
    let ended = match stop.kind {
        StopKind::BugCheck(..) => Ended::BugCheck,
        StopKind::Unsupported(_) => Ended::Unsupported,
        StopKind::Limit(_) | StopKind::PagingFile(_) | StopKind::Internal(_) => Ended::Limit,
    };
    (ended, Some(report))
}

/// Prints what a run came to: reports, summary and verdict, or one JSON object.
fn conclude(options: &RunOptions, output: &Output, conclusion: &Conclusion) -> Outcome {
    let Conclusion { reports, summary, ended } = conclusion;
    let verdict = Verdict::new(*ended, reports);
    if options.json {
        output.result(&json::run(reports, Some(summary), &verdict))?;
        return Ok(verdict.exit_code);
    }
    output.reports(reports);
    output.result(&summary.text())?;
    output.verdict(&verdict);
    Ok(verdict.exit_code)
}

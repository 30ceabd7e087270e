//! `nonpaged run`.

use std::path::Path;
use std::sync::Arc;

use explore::Token;
use kernel::{ChoicePoints, Limit, Stop, StopKind};
use nonpaged::explore::pasted;
use nonpaged::scenario::{PlayError, Player, Scenario};
use nonpaged::session::{Session, SessionError};
use nonpaged::{Driver, layout};
use nt_types::Va;
use report::cause::{Cause, Input, Remark};
use report::table::Summary;
use report::{Diagnostic, Ended, Replay, Verdict, json};

use super::args::{RunOptions, Setup, Show};
use super::input;
use super::log_file::LogFile;
use super::output::Output;
use super::progress::Progress;
use super::serial::FarEnd;
use super::tail::Tail;
use super::{Outcome, command_line, machine};

/// What a run came to.
pub(super) struct Conclusion {
    /// What was found, in the order it happened.
    pub(super) reports: Vec<Diagnostic>,
    /// What the run did.
    summary: Summary,
    /// Why it ended.
    ended: Ended,
}

impl Conclusion {
    /// What could not be written hides nothing that was found.
    fn add(&mut self, written: Result<(), Box<Diagnostic>>) {
        self.reports.extend(written.err().map(|report| *report));
    }
}

/// What is run and how much of it is shown.
pub(super) struct Job<'a> {
    pub(super) setup: &'a Setup,
    pub(super) show: &'a Show,
    /// The schedule to follow; `None` for the run in which nothing unplanned happens.
    pub(super) token: Option<&'a Token>,
    /// The file that has the token.
    pub(super) token_file: Option<&'a Path>,
    /// Takes the last events.
    pub(super) tail: Option<Tail>,
}

/// Runs the driver and reports.
pub(crate) fn run(options: &RunOptions, output: &Output) -> Outcome {
    let job = Job { setup: &options.setup, show: &options.show, token: None, token_file: None, tail: None };
    machine::check(job.setup, job.show.json)?;
    let conclusion = job.perform()?;
    conclude(job.show, output, &conclusion)
}

impl Job<'_> {
    /// Does all of it.
    pub(super) fn perform(&self) -> Result<Conclusion, Box<Diagnostic>> {
        let progress = Progress::new(&self.setup.driver.display().to_string(), self.show.json);
        progress.phase("reading the image");
        let driver = Arc::new(input::driver(&self.setup.driver)?);
        let scenario = self.setup.scenario.as_deref().map(input::scenario).transpose()?.unwrap_or_default();
        let mut far_end = FarEnd::open(self.setup, scenario.serial_line)?;
        let points = self.token.map_or(ChoicePoints::NONE, |token| token.points);
        let mut session = machine::session(self.setup, self.show.stop_at, points, far_end.cable())?;
        self.with_log(&mut session, |session| {
            let mut conclusion = self.play(session, &driver, &scenario, &mut far_end, &progress)?;
            conclusion.add(far_end.finish(session));
            Ok(conclusion)
        })
    }

    /// Does the work with the log of the arguments, and ends the log whatever comes of it.
    fn with_log(
        &self,
        session: &mut Session,
        work: impl FnOnce(&mut Session) -> Result<Conclusion, Box<Diagnostic>>,
    ) -> Result<Conclusion, Box<Diagnostic>> {
        let Some(path) = &self.show.log else {
            self.tail.clone().into_iter().for_each(|tail| session.chronicle.log_to(Box::new(tail)));
            return work(session);
        };
        let (log, out) = LogFile::create(path)?;
        session.chronicle.log_to(out);
        session.machine.record_executed();
        let result = work(session);
        let written = log.finish(session.chronicle.finish_log(&session.machine));
        let mut conclusion = result?;
        conclusion.add(written);
        Ok(conclusion)
    }

    fn play(
        &self,
        session: &mut Session,
        driver: &Arc<Driver>,
        scenario: &Scenario,
        far_end: &mut FarEnd,
        progress: &Progress,
    ) -> Result<Conclusion, Box<Diagnostic>> {
        let replay = Replay {
            token: self.token.map(|token| pasted(&token.encode(), self.token_file)),
            ..command_line::of(self.setup)
        };
        session.chronicle.story.replay = Some(replay);
        let mut reports = layout::findings(&driver.name, &driver.image);
        let base = machine::load(session, self.setup, driver)?;
        reports.extend(unresolved(session));
        let player = self.player(session, base, driver, scenario);
        let result = session.play(player, |session, step| {
            progress.phase(step);
            far_end.take(session);
        });
        let (ended, last) = self.ended(session, result)?;
        reports.append(&mut session.chronicle.reports);
        // A run that was told where to stop need not come to the end of its schedule.
        reports.extend(session.parted().filter(|_| self.show.stop_at.is_none()));
        reports.extend(last);
        let summary = session.chronicle.summary(&session.machine);
        Ok(Conclusion { reports, summary, ended })
    }

    fn player(&self, session: &mut Session, base: Va, driver: &Arc<Driver>, scenario: &Scenario) -> Player {
        let (driver, devices) = (Arc::clone(driver), session.devices());
        match self.token {
            None => Player::new(base, driver, devices, scenario),
            Some(token) => {
                session.machine.follow(token.schedule.clone());
                nonpaged::explore::player(base, driver, devices, scenario)
            }
        }
    }
}

/// Imports that nobody answers.
fn unresolved(session: &Session) -> Option<Diagnostic> {
    let unresolved = session.machine.modules().unresolved();
    let names: Vec<String> = unresolved.iter().map(|import| format!("{}!{}", import.module, import.name)).collect();
    (!names.is_empty()).then(|| Diagnostic::from(Cause::Remark(Remark::UnresolvedImports { names })))
}

impl Job<'_> {
    /// Why the run ended, and the report of that.
    fn ended(
        &self,
        session: &mut Session,
        result: Result<(), PlayError>,
    ) -> Result<(Ended, Option<Diagnostic>), Box<Diagnostic>> {
        match result {
            Ok(()) => Ok((Ended::Finished, None)),
            Err(PlayError::Session(SessionError::Stopped(stop))) => Ok(self.stopped(session, &stop)),
            Err(PlayError::Session(error)) => Err(machine::failed(self.setup, error)),
            Err(PlayError::Expectation(expectation)) => {
                Ok((Ended::Expectation, Some(Diagnostic::from(Cause::Expectation(expectation)))))
            }
            Err(PlayError::Refuted(refutation) | PlayError::NotDeterministic(refutation)) => {
                Ok((Ended::Expectation, Some(Diagnostic::from(refutation))))
            }
            Err(PlayError::Impossible { line, problem }) => Err(input::refuse(Input::Malformed {
                role: "scenario",
                path: self.setup.scenario.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
                line: Some(line),
                column: None,
                text: None,
                problem,
            })),
        }
    }

    fn stopped(&self, session: &mut Session, stop: &Stop) -> (Ended, Option<Diagnostic>) {
        if let StopKind::Limit(Limit::Steps(steps)) = stop.kind
            && Some(steps) == self.show.stop_at
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
}

/// Prints what a run came to: reports, summary and verdict, or one JSON object.
pub(super) fn conclude(show: &Show, output: &Output, conclusion: &Conclusion) -> Outcome {
    let Conclusion { reports, summary, ended } = conclusion;
    let verdict = Verdict::new(*ended, reports);
    if show.json {
        let written = output.result(&json::run(reports, Some(summary), &verdict));
        return output.after(verdict.exit_code, written);
    }
    output.reports(reports);
    let written = output.result(&summary.text());
    output.verdict(&verdict);
    output.after(verdict.exit_code, written)
}

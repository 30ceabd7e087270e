//! A search as a test, and one schedule of it again.

use std::sync::Arc;

use explore::{Failure, Kind, Outcome, Token};
use report::cause::Cause;
use report::{Diagnostic, Level, Replay, draw, plural};

use super::{Explore, ExploreError, Machine, changed, named, pasted};
use crate::scenario::PlayError;
use crate::session::SessionError;

/// Names the token that a test is to replay, or a file that has it.
const REPLAY: &str = "NONPAGED_REPLAY";

/// What `cargo test` was given, so that nothing is built anew for a replay.
const PROFILE: &str = if cfg!(debug_assertions) { "" } else { " --release" };

impl Explore {
    /// Has the driver used by this test in every schedule: see [`Machine`].
    ///
    /// # Panics
    /// With the report of each failure and its token, or the reason why there was no search.
    #[track_caller]
    pub fn check(self, test: impl Fn(&Machine<'_>) + Send + Sync + 'static) -> Outcome {
        self.test(test).assert_clean()
    }

    /// Searches, as a test.
    ///
    /// # Panics
    /// With the report of each failure and its token, or the reason why there was no search.
    #[track_caller]
    pub fn assert_clean(&self) -> Outcome {
        match self.judged() {
            Ok((outcome, told)) if told.is_empty() => outcome,
            Ok((_, told)) => panic!("{told}"),
            Err(error) => panic!("{}: {error}", self.driver.display()),
        }
    }

    /// What was found, and what there is to say of it: nothing where the driver is clean.
    fn judged(&self) -> Result<(Outcome, String), ExploreError> {
        if let Some(token) = self.token_to_replay() {
            let shown = drawn(&self.replay(&token)?);
            let unless_clean = if shown.is_empty() { shown } else { format!("the schedule of {REPLAY}\n\n{shown}") };
            return Ok((Outcome::default(), unless_clean));
        }
        match self.run() {
            Ok(outcome) => Ok((outcome.clone(), self.told(&outcome)?)),
            Err(ExploreError::Lost { found, source }) => {
                let told = format!("{}\nthe search ended early: {source}", self.told(&found)?);
                Ok((*found, told))
            }
            Err(error) => Err(error),
        }
    }

    /// What the environment names, where it is a schedule of this driver.
    fn token_to_replay(&self) -> Option<String> {
        let word = std::env::var(REPLAY).ok()?;
        let driver = self.driver.display().to_string();
        let is_other = |token: Token| token.arguments.first().is_some_and(|first| *first != driver);
        let other = named(&word).is_ok_and(|(token, _)| is_other(token));
        (!other).then_some(word)
    }

    /// Runs the schedule of a token, or of the file of that name which has one, and reports: all that went wrong, and what there is to know, such as that the driver was
    /// rebuilt or that the schedule fits no longer.
    ///
    /// # Errors
    /// The word names no token, or driver or scenario cannot be used.
    pub fn replay(&self, token: &str) -> Result<Vec<Diagnostic>, ExploreError> {
        let (token, file) = named(token)?;
        let word = pasted(&token.encode(), file.as_deref());
        let driver = Arc::new(self.read()?);
        let (mut session, player) = self.session(&driver, token.points)?;
        let mut reports = changed(&token, &driver, &self.inputs(&driver));
        let of = |driver: String| Replay::of_token(driver, word.clone());
        session.chronicle.story.replay = self.in_rust.is_none().then(|| of(self.driver.display().to_string()));
        session.machine.follow(token.schedule);
        let ended = session.play(player, |_, _| ());
        reports.append(&mut session.chronicle.reports);
        reports.extend(session.parted());
        match ended {
            Ok(()) => {}
            Err(PlayError::Session(SessionError::Stopped(stop))) => {
                reports.push(session.chronicle.stopped(&session.machine, &stop));
            }
            Err(PlayError::Refuted(refutation)) => reports.push(session.refuted(refutation)),
            Err(error) => return Err(error.into()),
        }
        Ok(reports)
    }

    /// What a test that fails says: each failure with its report and how to see it again; empty where there is none.
    fn told(&self, outcome: &Outcome) -> Result<String, ExploreError> {
        let Outcome { failures, progress, proven, .. } = outcome;
        let driver = self.driver.display();
        if failures.is_empty() && progress.unknown == progress.schedules {
            let reports = drawn(&self.replay(&self.blank_token(&self.read()?).encode())?);
            return Ok(format!("{driver}: not even the run without deeds came to its end\n\n{reports}"));
        }
        let mut parts = Vec::new();
        for failure in failures {
            let token = self.token(failure)?.encode();
            let reports = about(self.replay(&token)?, failure);
            let shown = if reports.is_empty() { not_again(failure) } else { drawn(&reports) };
            parts.push(format!("{shown}\n{}", self.how_to_replay(&token)));
        }
        if parts.is_empty() {
            return Ok(String::new());
        }
        let (failed, run) = (plural(parts.len() as u64, "failure"), plural(progress.schedules, "schedule"));
        let head = format!("{driver}: {failed} in {run}");
        Ok(format!("{head}\n\n{}\nshown: {proven}", parts.join("\n")))
    }

    fn how_to_replay(&self, token: &str) -> String {
        match &self.in_rust {
            None => format!("to replay: nonpaged replay {token}\n"),
            Some(_) => {
                // The harness names the thread of a test after it, unless there is only one thread.
                let thread = std::thread::current();
                let test = thread.name().filter(|name| *name != "main").map(|name| format!(" {name}"));
                format!("to replay: {REPLAY}={token} cargo test{PROFILE}{}\n", test.unwrap_or_default())
            }
        }
    }
}

/// What is said of a failure that its own schedule does not show: what shows one shows it again, unless a test goes by more
/// than it is given.
fn not_again(failure: &Failure) -> String {
    format!("{}: when its schedule was run again it did not fail: the test is not deterministic\n", failure.signature)
}

fn drawn(reports: &[Diagnostic]) -> String {
    let drawn: Vec<String> = reports.iter().map(|report| draw::diagnostic(report, false)).collect();
    drawn.join("\n")
}

/// Of the reports of a run, the one that this failure is about; where there is none, all that are errors.
pub fn about(reports: Vec<Diagnostic>, failure: &Failure) -> Vec<Diagnostic> {
    let is_about = |report: &Diagnostic| match (&report.cause, failure.signature.kind) {
        (Cause::Assertion { at, .. }, Kind::Assertion) => *at == failure.signature.code,
        _ => report.code().to_string() == failure.signature.code,
    };
    let errors = reports.into_iter().filter(|report| report.level() == Level::Error);
    let (same, other): (Vec<_>, Vec<_>) = errors.partition(is_about);
    if same.is_empty() { other } else { same.into_iter().take(1).collect() }
}

//! Standard output and standard error.

use std::io::{self, IsTerminal, Write};

use report::cause::{Cause, Limit};
use report::{Check, Diagnostic, Ended, ExitCode, Verdict, draw, json};

use super::Outcome;
use super::args::Color;

/// Where results and reports go. Results go to standard output, reports to standard error.
pub(crate) struct Output {
    color_reports: bool,
}

impl Output {
    pub(crate) fn new(color: Color) -> Output {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color_reports = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !unwanted && io::stderr().is_terminal(),
        };
        Output { color_reports }
    }

    /// Writes a result. A reader that has gone away is no error: it has all it wanted.
    pub(crate) fn result(&self, text: &str) -> Result<(), Box<Diagnostic>> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable("standard output", &error)),
            _ => Ok(()),
        }
    }

    /// How to exit where work ended with this code and something after it may have failed, such as writing the result: what
    /// is graver counts, and the other is told.
    pub(crate) fn after(&self, code: ExitCode, rest: Result<(), Box<Diagnostic>>) -> Outcome {
        match rest {
            Err(report) if code.is_graver_than(ExitCode::from(&*report)) => self.report(&report),
            rest => rest?,
        }
        Ok(code)
    }

    /// Writes why a command could not be done. Where even that fails, the exit code is all that is left to say.
    pub(crate) fn failure(&self, report: &Diagnostic, as_json: bool) {
        let reports = std::slice::from_ref(report);
        let document = || json::run(reports, None, &Verdict::new(Ended::NotStarted, reports));
        if !as_json || self.result(&document()).is_err() {
            self.report(report);
        }
    }

    /// Writes a report to standard error.
    pub(crate) fn report(&self, report: &Diagnostic) {
        remark(&draw::diagnostic(report, self.color_reports));
    }

    /// Writes several reports, an empty line between them.
    pub(crate) fn reports(&self, reports: &[Diagnostic]) {
        let drawn: Vec<String> = reports.iter().map(|report| draw::diagnostic(report, self.color_reports)).collect();
        remark(&drawn.join("\n"));
    }

    /// Writes what an audit came to, to standard error.
    pub(crate) fn check(&self, check: &Check) {
        let reports: Vec<Diagnostic> = check.reports().cloned().collect();
        self.reports(&reports);
        let space = if reports.is_empty() { "" } else { "\n" };
        remark(&format!("{space}{}", draw::check(check, self.color_reports)));
    }

    /// Writes how a run ended to standard error.
    pub(crate) fn verdict(&self, verdict: &Verdict) {
        remark(&format!("\n{}", draw::verdict(verdict, self.color_reports)));
    }
}

fn remark(text: &str) {
    // There is no third place to say that this failed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A file that could not be written.
pub(crate) fn unwritable(path: &str, error: &io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::from(Cause::Limit(Limit::Output { path: path.to_owned(), error: error.to_string() })))
}

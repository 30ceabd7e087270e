//! How a run ended: the last lines of its output.

use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::exit_code::ExitCode;
use crate::plural;

/// Why a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It never began: the input cannot be used.
    NotStarted,
    /// The scenario is done and the driver is unloaded.
    Finished,
    /// Windows would have stopped.
    BugCheck,
    /// Something is not modelled.
    Unsupported,
    /// A limit.
    Limit,
    /// The step that `--stop-at` names.
    StopAt,
    /// An expectation of the scenario was not met.
    Expectation,
}

impl Ended {
    fn phrase(self) -> &'static str {
        match self {
            Ended::NotStarted => "the run never began",
            Ended::Finished => "the run finished",
            Ended::BugCheck => "stopped at the first bug check",
            Ended::Unsupported => "stopped at something that is not modelled",
            Ended::Limit => "stopped at a limit",
            Ended::StopAt => "stopped where `--stop-at` says",
            Ended::Expectation => "stopped at an expectation that was not met",
        }
    }

    /// The word in the JSON form.
    pub fn word(self) -> &'static str {
        match self {
            Ended::NotStarted => "not_started",
            Ended::Finished => "finished",
            Ended::BugCheck => "bug_check",
            Ended::Unsupported => "unsupported",
            Ended::Limit => "limit",
            Ended::StopAt => "stop_at",
            Ended::Expectation => "expectation",
        }
    }
}

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Why it ended.
    pub ended: Ended,
    /// Reports of level error.
    pub errors: usize,
    /// Reports of level warning.
    pub warnings: usize,
    /// How the program exits.
    pub exit_code: ExitCode,
    /// Codes that have a long form, gravest first, without repetition.
    codes: Vec<Code>,
}

impl Verdict {
    /// The verdict over the reports of a run.
    pub fn new(ended: Ended, reports: &[Diagnostic]) -> Verdict {
        let count = |level| reports.iter().filter(|report| report.level() == level).count();
        let mut codes: Vec<(Level, Code)> = reports.iter().map(|report| (report.level(), report.code())).collect();
        codes.retain(|(_, code)| matches!(code, Code::BugCheck(_) | Code::Finding(_)));
        codes.sort_by_key(|&(level, code)| (core::cmp::Reverse(level), code));
        codes.dedup();
        Verdict {
            ended,
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            exit_code: ExitCode::of(reports),
            codes: codes.into_iter().map(|(_, code)| code).collect(),
        }
    }

    /// One line, and one more that leads to the long forms.
    pub fn text(&self) -> String {
        let word = if self.errors == 0 { "ok" } else { "error" };
        let (errors, warnings) = (plural(self.errors as u64, "error"), plural(self.warnings as u64, "warning"));
        let number = self.exit_code.number();
        let line = format!("{word}: {}; {errors}, {warnings} (exit code {number})\n", self.ended.phrase());
        match self.codes.first() {
            Some(code) => format!("{line}for the long form of a report: `nonpaged explain {code}`\n"),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Verdict};
    use crate::cause::{Cause, Layout, Limit};
    use crate::diagnostic::Diagnostic;

    #[test]
    fn a_clean_run_says_so() {
        let text = Verdict::new(Ended::Finished, &[]).text();
        assert_eq!(text, "ok: the run finished; 0 errors, 0 warnings (exit code 0)\n");
    }

    #[test]
    fn codes_without_a_long_form_are_not_offered() {
        let limit = Diagnostic::from(Cause::Limit(Limit::Steps { steps: 5 }));
        let text = Verdict::new(Ended::Limit, &[limit]).text();
        assert_eq!(text, "error: stopped at a limit; 1 error, 0 warnings (exit code 30)\n");
    }

    #[test]
    fn warnings_leave_the_run_clean() {
        let warning = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGE".into() }));
        let text = Verdict::new(Ended::Finished, &[warning]).text();
        assert_eq!(
            text,
            "ok: the run finished; 0 errors, 1 warning (exit code 0)\n\
             for the long form of a report: `nonpaged explain K17`\n"
        );
    }
}

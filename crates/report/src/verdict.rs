//! How a run ended: the last lines of its output.

use core::cmp::Reverse;

use crate::code::{Code, Level};
use crate::diagnostic::Diagnostic;
use crate::exit_code::ExitCode;
use crate::explain;
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
    /// The gravest error or warning that has a long form.
    pub(crate) explained: Option<Code>,
}

impl Verdict {
    /// The verdict over the reports of a run.
    pub fn new(ended: Ended, reports: &[Diagnostic]) -> Verdict {
        let count = |level| reports.iter().filter(|report| report.level() == level).count();
        let has_long_form = |code: &Code| explain::find(&code.to_string()).is_some();
        let grave = reports.iter().filter(|report| report.level() > Level::Info && has_long_form(&report.code()));
        let gravest = grave.min_by_key(|report| (Reverse(report.level()), report.code()));
        Verdict {
            ended,
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            exit_code: ExitCode::of(reports),
            explained: gravest.map(Diagnostic::code),
        }
    }

    /// The last line without its first word: "stopped at the first bug check; 1 error, 0 warnings (exit code 10)".
    pub(crate) fn sentence(&self) -> String {
        let (errors, warnings) = (plural(self.errors as u64, "error"), plural(self.warnings as u64, "warning"));
        format!("{}; {errors}, {warnings} (exit code {})", self.ended.phrase(), self.exit_code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Verdict};
    use crate::cause::{Cause, Input, Layout};
    use crate::diagnostic::Diagnostic;
    use crate::draw;

    #[test]
    fn a_clean_run_says_so() {
        let text = draw::verdict(&Verdict::new(Ended::Finished, &[]), false);
        assert_eq!(text, "ok: the run finished; 0 errors, 0 warnings (exit code 0)\n");
    }

    #[test]
    fn codes_without_a_long_form_are_not_offered() {
        let input = Diagnostic::from(Cause::Input(Input::Arguments { problem: "x".into() }));
        let small = Diagnostic::from(Cause::Layout(Layout::SmallPageable { code: true, bytes: 1 }));
        let text = draw::verdict(&Verdict::new(Ended::NotStarted, &[input, small]), false);
        assert_eq!(text, "error: the run never began; 1 error, 0 warnings (exit code 64)\n");
    }

    #[test]
    fn warnings_leave_the_run_clean() {
        let warning = Diagnostic::from(Cause::Layout(Layout::MixedSection { section: "PAGE".into() }));
        let text = draw::verdict(&Verdict::new(Ended::Finished, &[warning]), false);
        assert_eq!(
            text,
            "ok: the run finished; 0 errors, 1 warning (exit code 0)\n\
             for the long form of a report: `nonpaged explain K17`\n"
        );
    }
}

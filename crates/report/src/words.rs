//! What a report says, derived from its cause.

use nt_types::{BugCheck, BugCheckCode};

use crate::code::{Class, Code, Level};
use crate::diagnostic::Diagnostic;
use crate::finding::Finding;

/// The words of a report. Lower case, no full stop, names in backticks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Words {
    pub(crate) code: Code,
    pub(crate) level: Level,
    pub(crate) class: Class,
    /// Stands alone and proposes nothing.
    pub(crate) title: String,
    /// Beside the underlined instruction.
    pub(crate) label: Option<String>,
    /// The documented rule that was broken; only for [`Class::DriverBug`].
    pub(crate) rule: Option<Rule>,
    /// Circumstances beyond the usual ones.
    pub(crate) notes: Vec<String>,
    /// Remedies.
    pub(crate) helps: Vec<String>,
}

/// A documented rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    /// The rule, as a clause that reads after "this is a bug in the driver:".
    pub(crate) text: &'static str,
    /// Title of the document that states it.
    pub(crate) source: &'static str,
}

impl Words {
    /// The driver breaks `rule`.
    pub(crate) fn driver(code: Code, level: Level, title: impl Into<String>, rule: Rule) -> Words {
        Words { rule: Some(rule), ..Words::plain(code, level, Class::DriverBug, title) }
    }

    /// A finding of the checker.
    pub(crate) fn finding(finding: Finding, level: Level, title: impl Into<String>, rule: Rule) -> Words {
        Words::driver(Code::Finding(finding), level, title, rule)
    }

    /// Not the driver's fault.
    pub(crate) fn plain(code: Code, level: Level, class: Class, title: impl Into<String>) -> Words {
        let (label, rule, notes, helps) = (None, None, Vec::new(), Vec::new());
        Words { code, level, class, title: title.into(), label, rule, notes, helps }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Words {
        Words { label: Some(label.into()), ..self }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Words {
        self.notes.push(note.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Words {
        self.helps.push(help.into());
        self
    }

    /// Whose fault it is, in one sentence; `None` where the title says it.
    pub(crate) fn blame(&self) -> Option<String> {
        let rule = self.rule.map_or("", |rule| rule.text);
        match (self.class, self.level) {
            (Class::DriverBug, Level::Error) => Some(format!("this is a bug in the driver: {rule}")),
            (Class::DriverBug, Level::Warning) => Some(format!("this is probably a bug in the driver: {rule}")),
            (Class::DriverBug, Level::Info) => Some(format!("this is no bug by itself: {rule}")),
            (Class::Unsupported, _) => {
                Some("the tool does not model this; it does not indicate a bug in the driver".to_owned())
            }
            (Class::Limit, _) => {
                Some("this is a limit of the run; it does not indicate a bug in the driver".to_owned())
            }
            (Class::OwnBug, _) => {
                Some("this is a bug in the tool; it does not indicate a bug in the driver".to_owned())
            }
            (Class::Input | Class::Remark, _) => None,
        }
    }
}

/// The code of a cause that is a bug check where Windows stops, and a finding where it does not.
pub(crate) fn bug_check_or(bug_check: Option<BugCheck>, finding: Finding) -> Code {
    bug_check.map_or(Code::Finding(finding), |bug_check| Code::BugCheck(bug_check.code))
}

/// The code of a cause that always is a bug check. Without one the report itself is wrong.
pub(crate) fn bug_check(bug_check: Option<BugCheck>) -> Code {
    bug_check.map_or(Code::Internal, |bug_check| Code::BugCheck(bug_check.code))
}

/// Words for a misuse that has no finding number: the bug check where Windows stops; a warning under the number of the
/// verifier's bug check where only Driver Verifier would.
pub(crate) fn on_verifier(report: &Diagnostic, title: impl Into<String>, rule: Rule) -> Words {
    match report.bug_check {
        Some(bug_check) => Words::driver(Code::BugCheck(bug_check.code), Level::Error, title, rule),
        None => {
            Words::driver(Code::BugCheck(BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION), Level::Warning, title, rule)
                .note("Windows stops for this only where Driver Verifier watches the driver")
        }
    }
}

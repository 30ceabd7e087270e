//! Exit codes: part of the interface, as `nonpaged explain exit-codes` documents them.

use crate::code::{Class, Level};
use crate::diagnostic::Diagnostic;

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ExitCode {
    /// Nothing was found.
    Clean = 0,
    /// The driver breaks a documented rule.
    DriverBug = 10,
    /// The static audit found something.
    AuditFindings = 11,
    /// The run stopped at something that is not modelled.
    Unsupported = 20,
    /// The run stopped at a limit.
    Limit = 30,
    /// The command line, or a file it names, cannot be used. 64 is `EX_USAGE` of sysexits.h.
    Usage = 64,
    /// The file is not an image that NT would load as a driver. 65 is `EX_DATAERR`.
    NotLoadable = 65,
    /// A bug in this program. 70 is `EX_SOFTWARE`.
    Internal = 70,
}

impl ExitCode {
    /// All of them, ascending.
    pub const ALL: &[ExitCode] = &[
        ExitCode::Clean,
        ExitCode::DriverBug,
        ExitCode::AuditFindings,
        ExitCode::Unsupported,
        ExitCode::Limit,
        ExitCode::Usage,
        ExitCode::NotLoadable,
        ExitCode::Internal,
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What it means, in one clause.
    pub const fn meaning(self) -> &'static str {
        match self {
            ExitCode::Clean => "nothing was found",
            ExitCode::DriverBug => "the driver breaks a documented rule",
            ExitCode::AuditFindings => "the static audit found something",
            ExitCode::Unsupported => "the run stopped at something that is not modelled",
            ExitCode::Limit => "the run stopped at a limit",
            ExitCode::Usage => "the command line, or a file it names, cannot be used",
            ExitCode::NotLoadable => "the file is not an image that NT would load as a driver",
            ExitCode::Internal => "a bug in nonpaged",
        }
    }

    /// The exit code that these reports call for: the gravest of theirs. A bug of the driver outranks what stopped the
    /// run afterwards; warnings and information count for nothing.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a Diagnostic>) -> ExitCode {
        let codes = reports.into_iter().filter(|report| report.level() == Level::Error).map(ExitCode::from);
        codes.max_by_key(|code| code.rank()).unwrap_or(ExitCode::Clean)
    }

    /// Does this one count where both apply?
    pub fn is_graver_than(self, other: ExitCode) -> bool {
        self.rank() > other.rank()
    }

    fn rank(self) -> u8 {
        match self {
            ExitCode::Clean => 0,
            ExitCode::AuditFindings => 1,
            ExitCode::Limit => 2,
            ExitCode::Unsupported => 3,
            ExitCode::DriverBug => 4,
            ExitCode::NotLoadable => 5,
            ExitCode::Usage => 6,
            ExitCode::Internal => 7,
        }
    }
}

impl From<&Diagnostic> for ExitCode {
    fn from(report: &Diagnostic) -> ExitCode {
        match report.class() {
            Class::DriverBug => ExitCode::DriverBug,
            Class::Unsupported => ExitCode::Unsupported,
            Class::Limit => ExitCode::Limit,
            Class::OwnBug => ExitCode::Internal,
            Class::Input if report.cause.is_image() => ExitCode::NotLoadable,
            Class::Input => ExitCode::Usage,
            Class::Remark => ExitCode::Clean,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode;
    use crate::cause::{Cause, Input, Layout, Limit, Unsupported};
    use crate::diagnostic::Diagnostic;

    fn report(cause: Cause) -> Diagnostic {
        Diagnostic::from(cause)
    }

    #[test]
    fn numbers_are_those_of_the_design() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 10, 11, 20, 30, 64, 65, 70]);
    }

    #[test]
    fn warnings_do_not_count() {
        let warning = report(Cause::Layout(Layout::SuspiciousName { section: "page".into() }));
        assert_eq!(ExitCode::of([&warning]), ExitCode::Clean);
    }

    #[test]
    fn an_image_that_cannot_be_loaded_is_not_a_usage_error() {
        let image = Input::NotLoadable { path: "x".into(), reason: "y".into() };
        let file = Input::Unreadable { role: "driver", path: "x".into(), error: "y".into() };
        assert_eq!(ExitCode::of([&report(Cause::Input(image))]), ExitCode::NotLoadable);
        assert_eq!(ExitCode::of([&report(Cause::Input(file))]), ExitCode::Usage);
    }

    #[test]
    fn unsupported_outranks_a_limit() {
        let limit = report(Cause::Limit(Limit::Steps { steps: 1, irql: nt_types::Irql::PASSIVE }));
        let unsupported = report(Cause::Unsupported(Unsupported::Image { feature: "x".into() }));
        assert_eq!(ExitCode::of([&limit, &unsupported]), ExitCode::Unsupported);
    }
}

//! What a report is called: its code, how bad it is and whose fault it is.

use core::fmt;

use nt_types::BugCheckCode;

use crate::finding::Finding;

/// What a report is about. This is the name `nonpaged explain` takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// The bug check Windows would stop with.
    BugCheck(BugCheckCode),
    /// A checker finding (BEHAVIOUR.md section 10).
    Finding(Finding),
    /// The driver does not do what a scenario expects.
    Expectation,
    /// The driver asked for something that is not modelled.
    Unsupported,
    /// A configured or physical limit was reached.
    Limit,
    /// The command line, a file or an image cannot be used.
    Input,
    /// A bug in this program.
    Internal,
    /// Nothing wrong, but worth knowing.
    Note,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::BugCheck(code) => code.fmt(f),
            Code::Finding(finding) => f.write_str(finding.id()),
            Code::Expectation => f.write_str("expectation"),
            Code::Unsupported => f.write_str("unsupported"),
            Code::Limit => f.write_str("limit"),
            Code::Input => f.write_str("input"),
            Code::Internal => f.write_str("internal"),
            Code::Note => f.write_str("note"),
        }
    }
}

/// How bad a report is. Only an error makes the exit code differ from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Information.
    Info,
    /// Probably not what the author meant.
    Warning,
    /// Breaks a documented rule, or ended the run.
    Error,
}

impl Level {
    /// The word that starts a report and stands in its JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Whose fault a report is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// The driver breaks a documented rule.
    DriverBug,
    /// This program does not model what the driver asked for.
    Unsupported,
    /// A limit, configured or physical.
    Limit,
    /// A bug in this program.
    OwnBug,
    /// The command line, a file or an image.
    Input,
    /// Nobody's.
    Remark,
}

impl Class {
    /// The word in the JSON form.
    pub fn word(self) -> &'static str {
        match self {
            Class::DriverBug => "driver_bug",
            Class::Unsupported => "unsupported",
            Class::Limit => "limit",
            Class::OwnBug => "own_bug",
            Class::Input => "input",
            Class::Remark => "remark",
        }
    }
}

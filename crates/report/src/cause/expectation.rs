//! Expectations of a scenario that were not met.

use core::fmt::Display;

use nt_types::NtStatus;

use crate::code::{Code, Level};
use crate::plural;
use crate::words::{Rule, Words};

/// An expectation that was not met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// Line of the step in the scenario, from 1.
    pub line: usize,
    /// What was looked at.
    pub what: Expected,
}

/// What was looked at: what the scenario expects, and what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are `expected` and `found` throughout")]
pub enum Expected {
    /// Final status of a request.
    Status { expected: NtStatus, found: NtStatus },
    /// `IoStatus.Information`.
    Bytes { expected: u64, found: u64 },
    /// Data that a request returned.
    Data { expected: Vec<u8>, found: Vec<u8> },
    /// What the driver sent on the serial line.
    Sent { expected: Vec<u8>, found: Vec<u8> },
    /// Whether a request is pending.
    Pending { expected: bool },
    /// Resident pages of a section.
    Resident { section: String, expected: u32, found: u32 },
    /// Lock count of a section.
    Locks { section: String, expected: u32, found: u32 },
    /// A section that the driver does not have.
    NoSection { section: String },
}

const AS_EXPECTED: Rule = Rule { text: "it does not do what the scenario expects of it", source: "the scenario" };

const AS_ASSERTED: Rule = Rule { text: "it does not do what the test asserts", source: "the test" };

/// An assertion of a test; what it says may have several lines.
pub(super) fn assertion(at: &str, message: &str) -> Words {
    let message: Vec<&str> = message.lines().map(str::trim).collect();
    Words::driver(Code::Expectation, Level::Error, format!("the assertion at `{at}` does not hold"), AS_ASSERTED)
        .note(message.join(", "))
        .note("the fault may as well be the test's")
}

impl Expectation {
    pub(super) fn words(&self) -> Words {
        let title = format!("line {} of the scenario expects {}", self.line, self.what.clause());
        Words::driver(Code::Expectation, Level::Error, title, AS_EXPECTED)
            .note("the fault may as well be the scenario's")
    }
}

impl Expected {
    fn clause(&self) -> String {
        let differ = |expected: &dyn Display, found: &dyn Display| format!("{expected}, found {found}");
        match self {
            Expected::Status { expected, found } => differ(expected, found),
            Expected::Bytes { expected, found } => differ(&plural(*expected, "byte"), found),
            Expected::Data { expected, found } => differ(&shown(expected), &shown(found)),
            Expected::Sent { expected, found } => {
                differ(&format!("{} on the serial line", shown(expected)), &shown(found))
            }
            Expected::Pending { expected: true } => "a pending request, found it completed".to_owned(),
            Expected::Pending { expected: false } => "a completed request, found it pending".to_owned(),
            Expected::Resident { section, expected, found } => {
                differ(&format!("{} of `{section}` in memory", plural(u64::from(*expected), "page")), found)
            }
            Expected::Locks { section, expected, found } => {
                differ(&format!("lock count {expected} of `{section}`"), found)
            }
            Expected::NoSection { section } => format!("a section `{section}`, which the driver does not have"),
        }
    }
}

/// The start of some data, as text where it is text.
fn shown(data: &[u8]) -> String {
    const SHOWN: usize = 32;
    let start = data.get(..SHOWN).unwrap_or(data);
    let more = if start.len() < data.len() { ".." } else { "" };
    format!("`{}{more}`", start.escape_ascii())
}

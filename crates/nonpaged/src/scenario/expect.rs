//! What a step came to, and what must hold after it.

use kernel::{Answer, Machine};
use nt_types::{NtStatus, Va};
use report::cause::{Expectation, Expected};

use super::{Expect, Step};
use crate::session::{Residency, SectionResidency};

/// What a step came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Outcome {
    /// It asks nothing of the driver.
    Nothing,
    /// The driver said this.
    Status(NtStatus),
    /// The request is complete.
    Answered(Answer),
    /// The request is pending.
    Pending,
    /// It refers to something that does not exist, and was left out.
    Impossible(String),
}

impl Outcome {
    fn status(&self) -> Option<NtStatus> {
        match self {
            Outcome::Nothing | Outcome::Impossible(_) => None,
            Outcome::Status(status) => Some(*status),
            Outcome::Answered(answer) => Some(answer.status),
            Outcome::Pending => Some(NtStatus::PENDING),
        }
    }
}

/// Compares with what the step expects; the first difference is the error.
pub(super) fn check(machine: &Machine, base: Va, step: &Step, outcome: &Outcome) -> Result<(), Expectation> {
    let of_request = request(&step.expect, outcome);
    let sections = Residency::of(machine, base).sections;
    let mut differences = of_request.into_iter().chain(memory(&step.expect, &sections));
    match differences.next() {
        Some(what) => Err(Expectation { line: step.line, what }),
        None => Ok(()),
    }
}

fn request(expect: &Expect, outcome: &Outcome) -> Vec<Expected> {
    let mut differences = Vec::new();
    let is_pending = *outcome == Outcome::Pending;
    if let Some(expected) = expect.pending.filter(|expected| *expected != is_pending) {
        differences.push(Expected::Pending { expected });
    }
    if let (Some(expected), Some(found)) = (expect.status, outcome.status())
        && expected != found
    {
        differences.push(Expected::Status { expected, found });
    }
    let (found, data) = match outcome {
        Outcome::Answered(answer) => (answer.information, answer.output.as_slice()),
        _ => (0, [].as_slice()),
    };
    if let Some(expected) = expect.bytes.filter(|expected| *expected != found) {
        differences.push(Expected::Bytes { expected, found });
    }
    if let Some(expected) = expect.data.clone().filter(|expected| *expected != data) {
        differences.push(Expected::Data { expected, found: data.to_vec() });
    }
    differences
}

fn memory(expect: &Expect, sections: &[SectionResidency]) -> Vec<Expected> {
    let find = |name: &String| sections.iter().find(|section| section.name == *name);
    let resident = expect.resident.iter().filter_map(|(name, expected)| match find(name) {
        None => Some(Expected::NoSection { section: name.clone() }),
        Some(section) if section.resident == *expected => None,
        Some(section) => {
            Some(Expected::Resident { section: name.clone(), expected: *expected, found: section.resident })
        }
    });
    let locks = expect.locks.iter().filter_map(|(name, expected)| match find(name) {
        None => Some(Expected::NoSection { section: name.clone() }),
        Some(section) if section.locks == *expected => None,
        Some(section) => Some(Expected::Locks { section: name.clone(), expected: *expected, found: section.locks }),
    });
    resident.chain(locks).collect()
}

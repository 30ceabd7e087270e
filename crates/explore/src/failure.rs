//! What broke, told apart by cause and place.

use std::collections::BTreeMap;
use std::fmt;

use kernel::{EventKind, Machine, Schedule, Severity, StopKind};
use nt_types::Va;
use serde::{Deserialize, Serialize};

use crate::subject::Ending;

/// What kind of failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Windows would stop.
    BugCheck,
    /// The checker found a broken rule.
    Finding,
    /// An assertion of a test does not hold.
    Assertion,
    /// A contradiction inside this program.
    Internal,
}

/// Cause and place: two failures with the same signature are one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// What kind.
    pub kind: Kind,
    /// Bug check or number of the finding, as reports write it; of an assertion, where it stands.
    pub code: String,
    /// The instruction, as an address of the run; 0 for an assertion. Written in hex: readers of JSON round large numbers.
    #[serde(with = "hex")]
    pub place: u64,
}

/// An address as text.
mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(place: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{place:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix("0x").unwrap_or_default();
        u64::from_str_radix(digits, 16).map_err(|problem| D::Error::custom(format!("`{text}`: {problem}")))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Assertion => write!(f, "assertion at {}", self.code),
            _ => write!(f, "{} at {}", self.code, Va(self.place)),
        }
    }
}

/// A failure and the schedule that shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Cause and place.
    pub signature: Signature,
    /// The deeds that it takes.
    pub schedule: Schedule,
    /// Number of the schedule that showed it first, from 1, in this campaign.
    pub found_by: u64,
    /// How many of the schedules that were run showed it.
    pub times: u64,
}

/// What a machine has told since the last call: signatures of findings. The events are given back.
pub(crate) fn take_findings(machine: &mut Machine) -> Vec<Signature> {
    let events = machine.events.drain();
    let found = events.into_iter().filter_map(|event| match event.kind {
        EventKind::Found(finding) if finding.kind.severity() == Severity::Error => {
            let (code, place) = (finding.kind.code().to_owned(), finding.place.instruction.0);
            Some(Signature { kind: Kind::Finding, code, place })
        }
        _ => None,
    });
    found.collect()
}

/// The failure that a run ended with.
pub(crate) fn of_ending(ending: &Ending) -> Option<Signature> {
    let stop = match ending {
        Ending::Stopped(stop) => stop,
        Ending::Refuted(at) => return Some(Signature { kind: Kind::Assertion, code: at.clone(), place: 0 }),
        Ending::Finished | Ending::Impossible(_) => return None,
    };
    let place = stop.place.instruction.0;
    match &stop.kind {
        StopKind::BugCheck(check, _) => Some(Signature { kind: Kind::BugCheck, code: check.code.to_string(), place }),
        StopKind::Internal(what) => Some(Signature { kind: Kind::Internal, code: what.clone(), place }),
        StopKind::Unsupported(_) | StopKind::Limit(_) | StopKind::PagingFile(_) => None,
    }
}

/// Failures by signature.
#[derive(Clone, Default, Debug)]
pub(crate) struct Failures(BTreeMap<Signature, Failure>);

impl Failures {
    /// Counts one more; true where it is new. The shortest schedule stays, whichever thread is the first.
    pub(crate) fn note(&mut self, signature: &Signature, schedule: &Schedule, number: u64) -> bool {
        if let Some(known) = self.0.get_mut(signature) {
            known.times = known.times.saturating_add(1);
            if schedule.len() < known.schedule.len() {
                known.schedule.clone_from(schedule);
            }
            return false;
        }
        let (signature, schedule) = (signature.clone(), schedule.clone());
        self.0.insert(signature.clone(), Failure { signature, schedule, found_by: number, times: 1 });
        true
    }

    /// Puts a shorter schedule in the place of the one known.
    pub(crate) fn shorten(&mut self, signature: &Signature, schedule: Schedule) {
        if let Some(known) = self.0.get_mut(signature)
            && schedule.len() <= known.schedule.len()
        {
            known.schedule = schedule;
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Failure> {
        self.0.values()
    }

    pub(crate) fn get(&self, signature: &Signature) -> Option<&Failure> {
        self.0.get(signature)
    }

    pub(crate) fn adopt(&mut self, failure: Failure) {
        self.0.entry(failure.signature.clone()).or_insert(failure);
    }
}

#[cfg(test)]
mod tests {
    use kernel::Deed;

    use super::*;

    #[test]
    fn the_shortest_schedule_stays_whoever_comes_first() {
        let signature = Signature { kind: Kind::Finding, code: "K01".into(), place: 0 };
        let (long, short) = (vec![(1, Deed::Trim), (2, Deed::Trim)], vec![(3, Deed::Time)]);
        for order in [[&long, &short], [&short, &long]] {
            let mut failures = Failures::default();
            assert!(failures.note(&signature, order[0], 1));
            assert!(!failures.note(&signature, order[1], 2));
            let failure = failures.get(&signature).expect("it was noted");
            assert_eq!((&failure.schedule, failure.found_by, failure.times), (&short, 1, 2));
        }
    }
}

//! What the logs of runs say about the use of a driver's code.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

use audit::Placed;
use nt_types::Irql;
use report::table::{Used, Uses};
use serde::Deserialize;

use crate::chronicle::{EXECUTED, ExecutedLine, Stretch};

/// Longest line of a log that is read, in bytes: far longer than that of the largest image.
const MAX_LINE: u64 = 1 << 28;

/// The use of one build of a driver in one run or several.
#[derive(Debug)]
pub struct Profile {
    /// SHA-256 of the driver's file.
    sha256: String,
    /// Logs taken in.
    pub(super) logs: u32,
    /// Requests that were sent in their runs.
    pub(super) requests: u64,
    /// For each time that the driver was loaded.
    loads: Vec<Load>,
}

/// What ran from when the driver was loaded until it left.
#[derive(Debug)]
struct Load {
    /// Step at which its initialisation was over.
    initialized: Option<u64>,
    /// By address; none overlaps another.
    code: Vec<Stretch>,
}

/// Why a log does not help.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The host does not give the file.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A line is none of a log.
    #[error("{problem}")]
    Line {
        /// Its number from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// It does not say what ran.
    #[error("it does not say which code ran: it is no log of `nonpaged run --log`, or the run was cut off")]
    NoCode,
    /// It is about other drivers.
    #[error("it is a log of {}, not of `{driver}`", .drivers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    OtherDriver {
        /// Their file names.
        drivers: BTreeSet<String>,
        /// That of the driver wanted.
        driver: String,
    },
    /// It is about another build.
    #[error("it is a log of another build of `{driver}`, with SHA-256 {logged}; this one has {wanted}")]
    OtherBuild {
        /// The file name.
        driver: String,
        /// The SHA-256 in the log.
        logged: String,
        /// That of the driver.
        wanted: String,
    },
}

/// The word of a line.
#[derive(Deserialize)]
struct Kind {
    what: String,
}

impl Profile {
    /// Of the driver whose file has this SHA-256; no log so far.
    pub fn new(sha256: String) -> Profile {
        Profile { sha256, logs: 0, requests: 0, loads: Vec::new() }
    }

    /// Takes in the log of a run. `driver` is the file name of the driver wanted.
    ///
    /// # Errors
    /// If it is no log, or one of another driver or build.
    pub fn add(&mut self, driver: &str, log: &mut dyn BufRead) -> Result<(), ProfileError> {
        let (mut others, mut found, mut requests) = (Vec::new(), Vec::new(), 0);
        for number in 1.. {
            let mut line = Vec::new();
            if log.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let wrong = |error: serde_json::Error| ProfileError::Line { line: number, problem: error.to_string() };
            match serde_json::from_slice::<Kind>(&line).map_err(wrong)?.what.as_str() {
                "irp_sent" => requests += 1,
                EXECUTED => {
                    let executed: ExecutedLine = serde_json::from_slice(&line).map_err(wrong)?;
                    if executed.sha256 == self.sha256 { found.push(executed) } else { others.push(executed) }
                }
                _ => {}
            }
        }
        if found.is_empty() {
            return Err(self.refusal(driver, &others));
        }
        self.logs += 1;
        self.requests += requests;
        self.loads.extend(found.into_iter().map(Load::from));
        Ok(())
    }

    fn refusal(&self, driver: &str, others: &[ExecutedLine]) -> ProfileError {
        let driver = driver.to_owned();
        if let Some(build) = others.iter().find(|other| other.image.eq_ignore_ascii_case(&driver)) {
            return ProfileError::OtherBuild { driver, logged: build.sha256.clone(), wanted: self.sha256.clone() };
        }
        let drivers: BTreeSet<String> = others.iter().map(|other| other.image.clone()).collect();
        if drivers.is_empty() { ProfileError::NoCode } else { ProfileError::OtherDriver { drivers, driver } }
    }

    /// How often a function may run and still counts as rarely used: once for each time that the driver was loaded, as what
    /// starts and ends its work does, or once for some requests.
    pub(super) fn rare_times(&self) -> u64 {
        (self.loads.len() as u64).max(self.requests / Used::REQUESTS_A_RARE_USE)
    }

    /// The use of a function.
    pub(super) fn uses(&self, function: &Placed) -> Uses {
        let none = Uses { times: 0, highest_irql: Irql::PASSIVE, after_initialisation: false };
        self.loads.iter().fold(none, |uses, load| {
            let mut parts = function.parts.iter().flat_map(|part| load.stretches(part.start, part.end));
            let entered = load.stretches(function.function.0, function.function.0.saturating_add(1)).next();
            let ran = parts.clone().map(|stretch| stretch.times).max().unwrap_or(0);
            let highest = parts.clone().map(|stretch| Irql::new(stretch.irql)).max().unwrap_or(Irql::PASSIVE);
            // A function that never got through initialisation has not run after it.
            let after = |stretch: &Stretch| load.initialized.is_some_and(|end| stretch.last_step >= end);
            Uses {
                times: uses.times.saturating_add(entered.map_or(ran, |stretch| stretch.times)),
                highest_irql: uses.highest_irql.max(highest),
                after_initialisation: uses.after_initialisation || parts.any(after),
            }
        })
    }
}

impl From<ExecutedLine> for Load {
    fn from(line: ExecutedLine) -> Load {
        let mut code = line.code;
        code.sort_by_key(|stretch| stretch.rva);
        Load { initialized: line.initialized, code }
    }
}

impl Load {
    /// What ran between two offsets.
    fn stretches(&self, start: u32, end: u32) -> impl Iterator<Item = &Stretch> + Clone {
        let first = self.code.partition_point(|stretch| stretch.rva.saturating_add(stretch.bytes) <= start);
        self.code[first..].iter().take_while(move |stretch| stretch.rva < end)
    }
}

#[cfg(test)]
mod tests {
    use nt_types::Rva;

    use super::*;

    const LINE: &str = r#"{"step":90,"what":"executed","image":"a.sys","sha256":"00","initialized":40,"code":[
        {"rva":4096,"bytes":20,"times":1,"first_step":0,"last_step":30,"irql":0},
        {"rva":4116,"bytes":8,"times":3,"first_step":2,"last_step":31,"irql":0},
        {"rva":8192,"bytes":4,"times":2,"first_step":50,"last_step":80,"irql":2}]}"#;

    fn profile(log: &str) -> Profile {
        let mut profile = Profile::new("00".into());
        profile.add("a.sys", &mut log.replace('\n', "").as_bytes()).expect("it is a log");
        profile
    }

    fn function(start: u32, end: u32) -> Placed {
        Placed { function: Rva(start), parts: std::iter::once(start..end).collect(), to: None, stays: None }
    }

    #[test]
    fn a_function_ran_as_often_as_it_was_entered() {
        let profile = profile(LINE);
        let uses = |start, end| profile.uses(&function(start, end));
        let early = Uses { times: 1, highest_irql: Irql::PASSIVE, after_initialisation: false };
        assert_eq!(uses(4096, 4200), early);
        assert_eq!(uses(4110, 4200), early, "it begins within what ran equally often");
        let late = Uses { times: 2, highest_irql: Irql::DISPATCH, after_initialisation: true };
        assert_eq!(uses(8000, 8300), late, "only the middle of it was seen");
        assert_eq!(uses(4124, 8192).times, 0);
    }

    /// A log may say anything.
    #[test]
    fn numbers_without_bounds_do_no_harm() {
        let big = u32::MAX;
        let line = LINE.replace("4116", &big.to_string()).replace(r#""times":1"#, r#""times":18446744073709551615"#);
        let mut profile = profile(&line);
        profile.add("a.sys", &mut line.replace('\n', "").as_bytes()).expect("it is a log");
        assert_eq!(profile.uses(&function(big - 1, big)).times, 0);
        assert_eq!(profile.uses(&function(big, big)).times, 0);
        assert_eq!(profile.uses(&function(4096, 4200)).times, u64::MAX);
    }
}

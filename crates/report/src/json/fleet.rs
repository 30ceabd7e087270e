//! Many drivers.

use std::collections::BTreeMap;

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;

use crate::table::fleet;

/// Many drivers.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct Fleet {
    /// Version of this format.
    version: u32,
    /// Each driver, in the order of the arguments.
    drivers: Vec<Driver>,
    /// What is missing, in the order in which it would help most.
    wanted: Vec<Wanted>,
    /// Sums over the drivers.
    measures: Measures,
    /// The exit code of the program.
    exit_code: u8,
}

/// What became of one driver.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Driver {
    /// Its file.
    path: String,
    /// `finished`, `bug_check`, `unsupported`, `limit`, `time_up`, `expectation`, `not_loadable` or `own_bug`.
    end: &'static str,
    /// How a run of this driver alone would exit.
    exit_code: u8,
    /// What DriverEntry returned, in hexadecimal; left out where it did not return.
    #[serde(skip_serializing_if = "Option::is_none")]
    driver_entry: Option<String>,
    /// What there is to say about the end; left out for a driver that finished.
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    /// The images that it imports from, in lower case.
    imports: Vec<String>,
    /// Imports that nobody answers.
    missing: Vec<String>,
    /// Findings on the way.
    findings: usize,
    /// Instructions retired.
    steps: u64,
    /// The most 4 KiB frames in use.
    frames: u32,
    /// Milliseconds of the host's time.
    time_ms: u64,
}

/// Something that is missing.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Wanted {
    /// What: an export, or what a routine refused.
    name: String,
    /// Drivers that stopped at it.
    stopped: usize,
    /// Drivers that have all they are known to need, once it and everything before it is there.
    complete: usize,
}

/// Sums over the drivers.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Measures {
    /// Drivers a second of the host's time.
    drivers_a_second: f64,
    /// Milliseconds of the host's time a driver.
    time_ms: Spread,
    /// The most 4 KiB frames a driver had in use.
    frames: Spread,
    /// Of the drivers that NT would load.
    all: Shares,
    /// Of those that import from the kernel's images alone.
    kernel_only: Shares,
    /// How many ended how.
    ends: BTreeMap<String, usize>,
}

/// How far drivers came.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Shares {
    /// So many.
    drivers: usize,
    /// Those whose DriverEntry returned a status.
    with_status: usize,
    /// Those whose DriverEntry succeeded.
    started: usize,
    /// Of these, those that came to the end of the scenario.
    whole_life: usize,
}

/// Three points of a distribution.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
struct Spread {
    /// Half of the values are no larger.
    median: u64,
    /// 95 of 100 are no larger.
    p95: u64,
    /// None is larger.
    worst: u64,
}

impl From<&fleet::Fleet> for Fleet {
    fn from(fleet: &fleet::Fleet) -> Fleet {
        Fleet {
            version: super::VERSION,
            drivers: fleet.drivers.iter().map(Driver::from).collect(),
            wanted: fleet.wanted.iter().map(Wanted::from).collect(),
            measures: Measures::from(fleet::Measures::of(fleet)),
            exit_code: fleet.exit_code().number(),
        }
    }
}

impl From<&fleet::Driver> for Driver {
    fn from(driver: &fleet::Driver) -> Driver {
        Driver {
            path: driver.path.display().to_string(),
            end: driver.end.word(),
            exit_code: driver.end.exit_code().number(),
            driver_entry: driver.entry.map(|status| format!("{:#010x}", status.0)),
            detail: driver.end.detail().to_owned(),
            imports: driver.imports.clone(),
            missing: driver.missing.clone(),
            findings: driver.findings,
            steps: driver.steps,
            frames: driver.frames,
            time_ms: driver.time.as_millis() as u64,
        }
    }
}

impl From<&fleet::Wanted> for Wanted {
    fn from(wanted: &fleet::Wanted) -> Wanted {
        Wanted { name: wanted.name.clone(), stopped: wanted.stopped, complete: wanted.complete }
    }
}

impl From<fleet::Measures> for Measures {
    fn from(measures: fleet::Measures) -> Measures {
        Measures {
            drivers_a_second: measures.drivers_a_second,
            time_ms: Spread::from(measures.time_ms),
            frames: Spread::from(measures.frames),
            all: Shares::from(measures.all),
            kernel_only: Shares::from(measures.kernel_only),
            ends: measures.ends.into_iter().map(|(word, count)| (word.to_owned(), count)).collect(),
        }
    }
}

impl From<fleet::Shares> for Shares {
    fn from(shares: fleet::Shares) -> Shares {
        let fleet::Shares { drivers, with_status, started, whole_life } = shares;
        Shares { drivers, with_status, started, whole_life }
    }
}

impl From<fleet::Spread> for Spread {
    fn from(spread: fleet::Spread) -> Spread {
        Spread { median: spread.median, p95: spread.p95, worst: spread.worst }
    }
}

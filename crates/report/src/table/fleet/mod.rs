//! Many drivers: a line for each, what is missing, and the measures.

mod csv;
mod lines;
mod measures;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nt_types::NtStatus;

use crate::event::Step;
use crate::exit_code::ExitCode;

pub use measures::{Measures, Shares, Spread};

/// What became of many drivers.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Each driver, in the order of the arguments.
    pub drivers: Vec<Driver>,
    /// What is missing, in the order in which it would help most.
    pub wanted: Vec<Wanted>,
    /// Drivers that ran at the same time.
    pub jobs: usize,
    /// Time of the host that all of them took together.
    pub elapsed: Duration,
}

/// What became of one driver.
#[derive(Clone, PartialEq, Debug)]
pub struct Driver {
    /// Its file.
    pub path: PathBuf,
    /// What DriverEntry returned; `None` where it did not return.
    pub entry: Option<NtStatus>,
    /// Why the run ended.
    pub end: End,
    /// The images that it imports from, in lower case.
    pub imports: Vec<String>,
    /// Imports that nobody answers: `image!name`.
    pub missing: Vec<String>,
    /// Findings on the way.
    pub findings: usize,
    /// Instructions retired.
    pub steps: Step,
    /// The most 4 KiB frames in use.
    pub frames: u32,
    /// Time of the host.
    pub time: Duration,
}

/// Why the run of a driver ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The scenario is done.
    Finished,
    /// Windows would have stopped: the code, and the title of the report.
    BugCheck(String, String),
    /// Something is not modelled: what, and the title of the report.
    Unsupported(String, String),
    /// A limit of instructions or memory.
    Limit(String),
    /// The safety net: the host's time, not anything of the driver.
    TimeUp(String),
    /// Something is not as the scenario expects.
    Expectation(String),
    /// Not an image that NT would load.
    NotLoadable(String),
    /// A bug of this program.
    OwnBug(String),
}

/// Something that is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What: an export, or what a routine refused.
    pub name: String,
    /// Drivers that stopped at it.
    pub stopped: usize,
    /// Drivers that have all they are known to need, once it and everything before it is there.
    pub complete: usize,
}

impl Driver {
    /// A driver that has not run.
    pub fn new(path: &Path) -> Driver {
        Driver {
            path: path.to_owned(),
            entry: None,
            imports: Vec::new(),
            end: End::NotLoadable(String::new()),
            missing: Vec::new(),
            findings: 0,
            steps: 0,
            frames: 0,
            time: Duration::ZERO,
        }
    }

    /// True for a driver that NT would load and that needs no image but the kernel's own.
    pub fn is_kernel_only(&self) -> bool {
        const KERNEL: [&str; 3] = ["ntoskrnl.exe", "hal.dll", "wmilib.sys"];
        let loadable = !matches!(self.end, End::NotLoadable(_));
        loadable && self.imports.iter().all(|image| KERNEL.contains(&image.as_str()))
    }

    /// File name.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl End {
    /// One word for it, as in CSV and JSON.
    pub fn word(&self) -> &'static str {
        match self {
            End::Finished => "finished",
            End::BugCheck(..) => "bug_check",
            End::Unsupported(..) => "unsupported",
            End::Limit(_) => "limit",
            End::TimeUp(_) => "time_up",
            End::Expectation(_) => "expectation",
            End::NotLoadable(_) => "not_loadable",
            End::OwnBug(_) => "own_bug",
        }
    }

    /// What there is to say about it; empty for a driver that finished.
    pub fn detail(&self) -> &str {
        match self {
            End::Finished => "",
            End::BugCheck(_, text)
            | End::Unsupported(_, text)
            | End::Limit(text)
            | End::TimeUp(text)
            | End::Expectation(text)
            | End::NotLoadable(text)
            | End::OwnBug(text) => text,
        }
    }

    /// How a run of this driver alone would exit.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            End::Finished => ExitCode::Clean,
            End::BugCheck(..) | End::Expectation(_) => ExitCode::DriverBug,
            End::Unsupported(..) => ExitCode::Unsupported,
            End::Limit(_) | End::TimeUp(_) => ExitCode::Limit,
            End::NotLoadable(_) => ExitCode::NotLoadable,
            End::OwnBug(_) => ExitCode::Internal,
        }
    }
}

impl Fleet {
    /// The gravest end. Findings of drivers that went on are theirs and do not count here.
    pub fn exit_code(&self) -> ExitCode {
        let codes: Vec<ExitCode> = self.drivers.iter().map(|driver| driver.end.exit_code()).collect();
        let order =
            [ExitCode::Internal, ExitCode::DriverBug, ExitCode::Unsupported, ExitCode::Limit, ExitCode::NotLoadable];
        order.into_iter().find(|code| codes.contains(code)).unwrap_or(ExitCode::Clean)
    }
}

//! The circumstances of a report: who ran where, why the page was out, how to see it again.

use core::fmt;

use nt_types::{Irql, Va};

use crate::event::Step;
use crate::span::Place;

/// Who was running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    /// On whose behalf.
    pub runner: Runner,
    /// Processor number from 0.
    pub cpu: u32,
    /// IRQL at the report.
    pub irql: Irql,
    /// Spin locks held by this processor.
    pub spin_locks: u32,
    /// The call stack, innermost first.
    pub stack: Vec<Frame>,
}

/// On whose behalf a processor runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Runner {
    /// A guest thread.
    Thread {
        /// Its number in creation order.
        id: u32,
        /// What it is there for: the scenario's name for it, or its role.
        name: String,
    },
    /// A DPC.
    Dpc,
    /// An interrupt service routine.
    Interrupt {
        /// The vector.
        vector: u32,
    },
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Runner::Thread { id, name } => write!(f, "thread {id} (`{name}`)"),
            Runner::Dpc => f.write_str("a DPC"),
            Runner::Interrupt { vector } => write!(f, "an interrupt on vector {vector:#x}"),
        }
    }
}

/// One frame of a call stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Code of a driver.
    Driver(Place),
    /// A modelled export of the kernel.
    Modelled {
        /// `ntoskrnl` or `hal`.
        module: String,
        /// The export.
        export: String,
    },
    /// An address in no module.
    Unknown(Va),
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Driver(place) => place.fmt(f),
            Frame::Modelled { module, export } => write!(f, "{module}!{export} (modelled)"),
            Frame::Unknown(address) => address.fmt(f),
        }
    }
}

/// Why the page in question was not in memory, or need not have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Why.
    pub reason: DepartureReason,
    /// The same run with `--trim=never` has been seen to pass. Only ever set by a caller that made that run.
    pub passes_untrimmed: bool,
}

/// What took a page out of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DepartureReason {
    /// `--trim=at-once`.
    TrimAtOnce,
    /// `--trim=each-step`.
    TrimEachStep,
    /// `--trim=on-raise`, the trim before each raise to `DISPATCH_LEVEL`.
    TrimOnRaise,
    /// The verifier's Force IRQL Checking.
    Verifier,
    /// A trim step of the scenario.
    Scenario,
    /// The schedule that is explored or replayed.
    Schedule,
    /// The frame budget was used up.
    Pressure {
        /// The budget, in pages.
        frames: u64,
    },
    /// It had not been in memory since the image was loaded (D1).
    NeverIn,
}

/// How to see a report again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// The driver as it was named on the command line.
    pub driver: String,
    /// The scenario as it was named; `None` for the built-in exercise.
    pub scenario: Option<String>,
    /// The seed.
    pub seed: u64,
    /// Further arguments that differ from their defaults, each as written on the command line.
    pub arguments: Vec<String>,
    /// The token of the schedule, or the file that has it; `None` for the run in which nothing unplanned happens. It says all the rest, too.
    pub token: Option<String>,
    /// The step of the report.
    pub stop_at: Step,
}

impl Replay {
    /// By a token, which says all the rest, too.
    pub fn of_token(driver: String, token: String) -> Replay {
        Replay { driver, scenario: None, seed: 0, arguments: Vec::new(), token: Some(token), stop_at: 0 }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(token) = &self.token {
            return write!(f, "nonpaged replay {} --stop-at {}", quoted(token), self.stop_at);
        }
        write!(f, "nonpaged run {}", quoted(&self.driver))?;
        if let Some(scenario) = &self.scenario {
            write!(f, " --scenario {}", quoted(scenario))?;
        }
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        write!(f, " --seed {} --stop-at {}", self.seed, self.stop_at)
    }
}

/// An argument as a shell takes it: in quotes where it has blanks.
pub fn quoted(argument: &str) -> String {
    if argument.contains(char::is_whitespace) { format!("\"{argument}\"") } else { argument.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::Replay;

    #[test]
    fn the_command_can_be_pasted() {
        let replay = Replay {
            driver: "my driver.sys".into(),
            scenario: None,
            seed: 1,
            arguments: vec!["--trim=at-once".into()],
            token: None,
            stop_at: 9,
        };
        assert_eq!(replay.to_string(), "nonpaged run \"my driver.sys\" --trim=at-once --seed 1 --stop-at 9");
        let replay = Replay { token: Some("np2-AAAA".into()), ..replay };
        assert_eq!(replay.to_string(), "nonpaged replay np2-AAAA --stop-at 9");
    }
}

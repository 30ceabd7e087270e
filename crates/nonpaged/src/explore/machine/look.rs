//! Looks of a test at the machine, which change nothing.

use std::time::Duration;

use nt_types::Irql;

use super::{Awaited, Machine, Request};
use crate::scenario::{Call, Given, Look};

impl Machine<'_> {
    /// What a request has come to; `None` while it is outstanding.
    #[track_caller]
    pub fn answer<T: Awaited>(&self, request: &Request<T>) -> Option<T> {
        request.awaited(self.0.call(Call::Look(Look::Answer(request.number()))))
    }

    /// How many locks this section of the driver under test has.
    ///
    /// # Panics
    /// There is no such section, or the driver is not loaded.
    #[track_caller]
    pub fn locks(&self, section: &str) -> u32 {
        self.section(section, Look::Locks)
    }

    /// How many pages of this section of the driver under test are in memory.
    ///
    /// # Panics
    /// There is no such section, or the driver is not loaded.
    #[track_caller]
    pub fn resident(&self, section: &str) -> u32 {
        self.section(section, Look::Resident)
    }

    /// The IRQL of a processor; from 0.
    ///
    /// # Panics
    /// There is no such processor.
    #[track_caller]
    pub fn irql(&self, cpu: usize) -> Irql {
        Irql::new(self.number(Look::Irql(cpu)).expect("the machine has this processor") as u8)
    }

    /// Virtual time since the machine was started.
    #[track_caller]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.number(Look::Now).unwrap_or_default())
    }

    /// True where nothing unplanned has happened so far in this schedule.
    #[track_caller]
    pub fn is_undisturbed(&self) -> bool {
        self.number(Look::Undisturbed) == Some(1)
    }

    /// The codes of what was found so far in this schedule, each once and in the order of their text: `K05`. Also of what is
    /// no failure, such as a warning.
    #[track_caller]
    pub fn findings(&self) -> Vec<&'static str> {
        match self.0.call(Call::Look(Look::Findings)) {
            Given::Codes(codes) => codes,
            _ => Vec::new(),
        }
    }

    /// What went out on the serial line since this was last asked.
    #[track_caller]
    pub fn sent(&self) -> Vec<u8> {
        match self.0.call(Call::Sent) {
            Given::Bytes(bytes) => bytes,
            _ => Vec::new(),
        }
    }

    #[track_caller]
    fn section(&self, name: &str, look: fn(String) -> Look) -> u32 {
        match self.number(look(name.to_owned())) {
            Some(number) => number as u32,
            None => panic!("no section `{name}`: the driver has none of that name, or is not loaded"),
        }
    }

    #[track_caller]
    fn number(&self, look: Look) -> Option<u64> {
        match self.0.call(Call::Look(look)) {
            Given::Number(number) => number,
            _ => Some(0),
        }
    }
}

//! What is explored: a run that can be forked at any choice.

use engine::Engine;
use kernel::{Machine, Stop, StopKind};
use memory::Memory;

/// How a run came to its end.
#[derive(Debug)]
pub enum Ending {
    /// Everything was done.
    Finished,
    /// The machine stopped.
    Stopped(Box<Stop>),
    /// Something does not hold that a test asserts, where this says.
    Refuted(String),
    /// What was to be done does not fit the driver, in words.
    Impossible(String),
}

impl Ending {
    /// True where nothing is known of what the run would have shown after this.
    pub(crate) fn is_unknown(&self) -> bool {
        let at_limit =
            |stop: &Stop| matches!(stop.kind, StopKind::Unsupported(_) | StopKind::Limit(_) | StopKind::PagingFile(_));
        match self {
            Ending::Finished | Ending::Refuted(_) => false,
            Ending::Stopped(stop) => at_limit(stop),
            Ending::Impossible(_) => true,
        }
    }
}

/// A machine, and what is still to be asked of it, as data.
pub trait Subject: Send {
    /// A second run in the same state.
    fn fork(&mut self) -> Self;

    /// The machine.
    fn machine(&mut self) -> &mut Machine;

    /// A hash of everything but the time that can influence what this run does and shows from now on; the number of choices and
    /// deeds so far is not in it. Two forks of one run with equal hashes go on alike at the same time, and at different times as
    /// long as nobody looks at the time ([`Machine::looks_at_time`]). `None` where nobody knows.
    fn state(&mut self) -> Option<u128> {
        None
    }

    /// Goes on until a choice is undecided (`None`) or the run is over.
    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending>;
}

//! What is explored: a run that can be forked at any choice.

use engine::Engine;
use kernel::{Machine, Stop};
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

/// A machine, and what is still to be asked of it, as data.
pub trait Subject: Send {
    /// A second run in the same state.
    fn fork(&mut self) -> Self;

    /// The machine.
    fn machine(&mut self) -> &mut Machine;

    /// Goes on until a choice is undecided (`None`) or the run is over.
    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending>;
}

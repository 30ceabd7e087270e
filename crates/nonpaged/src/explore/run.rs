//! A machine and its player as a subject that forks.

use std::hash::Hash;

use engine::Engine;
use explore::{Ending, Subject};
use kernel::{Machine, RunEnd, StateHasher, Until};
use memory::Memory;

use crate::driver::Driver;
use crate::scenario::{Demand, PlayError, Player};
use crate::session::{Session, SessionError};

/// A run that forks: a machine with a driver, and what is still to be asked of it.
pub struct Run {
    machine: Machine,
    player: Player,
    /// How far the machine is to run now.
    until: Option<Until>,
}

impl Run {
    /// The run of a player on the machine of a session, whose reports and sums are not needed here.
    pub fn new(session: Session, player: Player) -> Run {
        Run { machine: session.machine, player, until: None }
    }

    /// Does what the player wants next; the end of the run, if this is it.
    fn ask(&mut self) -> Result<Option<Ending>, PlayError> {
        match self.player.next(&mut self.machine)? {
            None => return Ok(Some(Ending::Finished)),
            Some(Demand::Run(until)) => self.until = Some(until),
            Some(Demand::Load(driver)) => self.load(*driver)?,
            Some(Demand::Phase(_) | Demand::Done(_)) => {}
        }
        Ok(None)
    }

    fn load(&mut self, driver: Driver) -> Result<(), PlayError> {
        for library in driver.libraries(&self.machine) {
            self.machine.load_driver(&library.name, library.image).map_err(SessionError::Load)?;
        }
        let base = self.machine.load_driver(&driver.name, driver.image).map_err(SessionError::Load)?;
        self.player.loaded(&mut self.machine, base)
    }
}

impl Subject for Run {
    fn fork(&mut self) -> Run {
        Run { machine: self.machine.fork(), player: self.player.clone(), until: self.until }
    }

    fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    fn state(&mut self) -> Option<u128> {
        let Run { machine, player, until } = self;
        let mut state = StateHasher::default();
        machine.hash_state(&mut state);
        let until = until.map(|until| until.left_at(machine.now_ns()));
        // The code of a test may ask whether anything was done at all.
        (player, until, machine.schedule_so_far().is_empty()).hash(&mut state);
        Some(state.finish_128())
    }

    fn go_on(&mut self, engine: &mut dyn Engine<Memory>) -> Option<Ending> {
        loop {
            if let Some(until) = self.until {
                match self.machine.run(engine, until) {
                    RunEnd::Undecided => return None,
                    RunEnd::Stopped(stop) => return Some(Ending::Stopped(stop)),
                    RunEnd::Reached | RunEnd::Quiescent => self.until = None,
                    RunEnd::Paused => {}
                }
            }
            match self.ask() {
                Ok(None) => {}
                Ok(ending) => return ending,
                Err(PlayError::Session(SessionError::Stopped(stop))) => return Some(Ending::Stopped(stop)),
                Err(PlayError::Refuted(refutation)) => return Some(Ending::Refuted(refutation.at)),
                Err(error) => return Some(Ending::Impossible(error.to_string())),
            }
        }
    }
}

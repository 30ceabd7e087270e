//! A scenario on a session: the player says what is wanted, the session does it.

use std::sync::Arc;

use nt_types::Va;
use report::cause::Expectation;

use super::Scenario;
use super::player::{Demand, Player};
use super::script::Refutation;
use crate::driver::Driver;
use crate::session::{Session, SessionError};

/// Why a scenario did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The run stopped.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Something is not as the scenario expects.
    #[error("an expectation is not met")]
    Expectation(Expectation),
    /// An assertion of a test does not hold.
    #[error("{}: {}", .0.at, .0.message)]
    Refuted(Refutation),
    /// A test makes other calls than before, under the same answers.
    #[error("{}: the test is not deterministic: {}", .0.at, .0.message)]
    NotDeterministic(Refutation),
    /// A step refers to something that does not exist.
    #[error("line {line}: {problem}")]
    Impossible {
        /// Line of the step in the file, from 1.
        line: usize,
        /// What does not exist.
        problem: String,
    },
}

/// Initialises a loaded driver and takes it through the steps; a scenario without steps is the default exercise.
/// `phase` is called with the name of each step.
pub fn play(
    session: &mut Session,
    base: Va,
    driver: &Driver,
    scenario: &Scenario,
    phase: impl FnMut(&mut Session, &str),
) -> Result<(), PlayError> {
    let player = Player::new(base, Arc::new(driver.clone()), session.devices(), scenario);
    session.play(player, phase)
}

impl Session {
    /// Does what a player wants until it is done.
    ///
    /// # Errors
    /// The run stopped, or the scenario does not fit the driver.
    pub fn play(&mut self, mut player: Player, mut phase: impl FnMut(&mut Session, &str)) -> Result<(), PlayError> {
        while let Some(demand) = player.next(&mut self.machine)? {
            match demand {
                Demand::Run(until) => self.run(until)?,
                Demand::Load(driver) => {
                    let base = self.load_file(&driver)?;
                    player.loaded(&mut self.machine, base)?;
                }
                Demand::Phase(name) => phase(self, &name),
                Demand::Done(name) => {
                    self.watch(&player, &name);
                    phase(self, &name);
                }
            }
        }
        Ok(())
    }
}

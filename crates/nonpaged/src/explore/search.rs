//! A search as a test: what a driver author puts into CI.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devices::SerialLine;
use explore::{Campaign, Failure, Outcome, Token};
use kernel::{Bound, ChoicePoints, Options};
use memory::MemoryConfig;

use super::{Run, blank_token, engine, player};
use crate::driver::{Driver, DriverError};
use crate::scenario::{Scenario, ScenarioError};
use crate::session::{Session, SessionError};

/// A search that is being set up.
///
/// ```no_run
/// nonpaged::explore::Search::new("target/mydriver.sys").assert_clean();
/// ```
#[derive(Clone, Debug)]
pub struct Search {
    driver: PathBuf,
    scenario: Option<PathBuf>,
    points: ChoicePoints,
    bound: Bound,
    processors: usize,
    campaign: Campaign,
}

/// Why a search did not begin.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The driver cannot be read.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The scenario cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// The scenario is not right.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The machine does not start, or the driver cannot be loaded.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Search {
    /// A search of this driver with the defaults of `nonpaged explore`.
    pub fn new(driver: impl Into<PathBuf>) -> Search {
        let campaign = Campaign::default();
        let (points, bound) = (ChoicePoints::USUAL, Bound::default());
        Search { driver: driver.into(), scenario: None, points, bound, processors: 1, campaign }
    }

    /// Puts the driver through this scenario instead of the exercise.
    #[must_use]
    pub fn scenario(self, path: impl Into<PathBuf>) -> Search {
        Search { scenario: Some(path.into()), ..self }
    }

    /// What may happen.
    #[must_use]
    pub fn choices(self, points: ChoicePoints) -> Search {
        Search { points, ..self }
    }

    /// How often it may happen in one schedule.
    #[must_use]
    pub fn bound(self, bound: Bound) -> Search {
        Search { bound, ..self }
    }

    /// Processors of the machine.
    #[must_use]
    pub fn processors(self, processors: usize) -> Search {
        Search { processors, ..self }
    }

    /// Strategy, seed and limits.
    #[must_use]
    pub fn campaign(self, campaign: Campaign) -> Search {
        Search { campaign, ..self }
    }

    /// Searches.
    ///
    /// # Errors
    /// Driver or scenario cannot be used.
    pub fn run(&self) -> Result<Outcome, SearchError> {
        Ok(self.campaign.run(self.subject()?, engine, |_| true))
    }

    /// What is searched: a run that has not begun.
    ///
    /// # Errors
    /// Driver or scenario cannot be used.
    pub fn subject(&self) -> Result<Run, SearchError> {
        let driver = Arc::new(Driver::read(&self.driver)?);
        let scenario = match &self.scenario {
            Some(path) => Scenario::parse(&std::fs::read_to_string(path)?)?,
            None => Scenario::default(),
        };
        let Search { points: choices, bound, processors, .. } = *self;
        let options = Options { choices, bound, processors, ..Options::default() };
        let mut session = Session::new(options, MemoryConfig::default(), SerialLine::loopback_plug())?;
        let base = session.load_file(&driver)?;
        let player = player(base, driver, session.devices(), &scenario);
        Ok(Run::new(session, player))
    }

    /// The token of a failure, for `nonpaged replay`.
    ///
    /// # Errors
    /// The driver cannot be read any more.
    pub fn token(&self, failure: &Failure) -> Result<Token, SearchError> {
        let word = |path: &Path| path.display().to_string();
        let mut arguments = vec![word(&self.driver)];
        arguments.extend(self.scenario.as_deref().map(|path| format!("--scenario={}", word(path))));
        arguments.extend((self.processors != 1).then(|| format!("--cpus={}", self.processors)));
        let blank = blank_token(arguments, &Driver::read(&self.driver)?, self.points);
        Ok(Token { schedule: failure.schedule.clone(), ..blank })
    }

    /// Searches, as a test.
    ///
    /// # Panics
    /// With the token of each failure, or the reason why there was no search.
    pub fn assert_clean(&self) {
        let problem = match self.run().and_then(|outcome| self.told(&outcome)) {
            Ok(told) if told.is_empty() => return,
            Ok(told) => told,
            Err(error) => format!("{}: {error}", self.driver.display()),
        };
        panic!("{problem}");
    }

    /// The failures of a search, each with the command that replays it; empty where there is none.
    fn told(&self, outcome: &Outcome) -> Result<String, SearchError> {
        let mut text = String::new();
        for failure in &outcome.failures {
            let token = self.token(failure)?.encode();
            // A string takes all that is written to it.
            let _ = write!(text, "{}: {}\n  nonpaged replay {token}\n", self.driver.display(), failure.signature);
        }
        Ok(text)
    }
}

//! A search from Rust: the same that `nonpaged explore` does, with the same options.

use std::num::NonZeroUsize;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use explore::{Campaign, Failure, Outcome, Strategy, Token};
use kernel::{Bound, ChoicePoints, Options};
use memory::MemoryConfig;

use super::folder::{Folder, Searched};
use super::{ExploreError, Program, Run, blank_token, folder, player};
use crate::driver::Driver;
use crate::scenario::{Player, Scenario};
use crate::session::{PLENTY_OF_FRAMES, Session};

/// A search of the schedules of a driver, as a test.
///
/// Without a scenario or a program, the driver gets the exercise of `nonpaged explore`:
///
/// ```
/// # let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/null/null.sys");
/// nonpaged::Explore::new(driver).cpus(2).depth(1).assert_clean();
/// ```
///
/// [`check`](Explore::check) has it used by programs that are written in Rust, and looks whether what they got is right:
///
/// ```
/// # let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/null/null.sys");
/// nonpaged::Explore::new(driver).depth(1).check(|program| {
///     let file = program.open();
///     let write = program.write(&file, b"hello");
///     program.assert(move |moment| {
///         // Memory may have run out: then there is no answer, or one that says so.
///         let written = moment.answer(&write).filter(|answer| answer.status.is_success());
///         assert!(written.is_none_or(|answer| answer.information == 5));
///     });
/// });
/// ```
///
/// A search that finds something panics with the report of each failure and its token. `nonpaged replay TOKEN` shows it
/// again; where a program or a machine is made in Rust, `NONPAGED_REPLAY=TOKEN cargo test` does, which runs the schedule of
/// the token instead of a search of that driver.
#[derive(Clone, Debug)]
#[must_use = "it searches when it is told to"]
pub struct Explore {
    pub(super) driver: PathBuf,
    steps: Steps,
    options: Options,
    memory: MemoryConfig,
    depth: Option<u32>,
    campaign: Campaign,
    out: Option<PathBuf>,
    /// Where in Rust something is set that no command line can say, as file and line.
    pub(super) in_rust: Option<String>,
}

/// What the driver is put through.
#[derive(Clone, Debug)]
enum Steps {
    Exercise,
    File(PathBuf),
    Program(Scenario),
}

impl Explore {
    /// A search of this driver with the defaults of `nonpaged explore`.
    pub fn new(driver: impl Into<PathBuf>) -> Explore {
        Explore {
            driver: driver.into(),
            steps: Steps::Exercise,
            options: Options { choices: ChoicePoints::USUAL, ..Options::default() },
            memory: MemoryConfig { frames: PLENTY_OF_FRAMES, ..MemoryConfig::default() },
            depth: None,
            campaign: Campaign::default(),
            out: None,
            in_rust: None,
        }
    }

    /// Puts the driver through this scenario instead of the exercise.
    pub fn scenario(self, path: impl Into<PathBuf>) -> Explore {
        Explore { steps: Steps::File(path.into()), ..self }
    }

    /// Has the driver used by this program instead of the exercise. It is called once, to write down the steps.
    #[track_caller]
    pub fn program(self, write: impl FnOnce(&Program)) -> Explore {
        Explore { steps: Steps::Program(Program::recorded(write)), in_rust: here(), ..self }
    }

    /// What may happen unplanned.
    pub fn choices(mut self, points: ChoicePoints) -> Explore {
        self.options.choices = points;
        self
    }

    /// How often each kind of it may happen in one schedule.
    pub fn bound(mut self, bound: Bound) -> Explore {
        self.options.bound = bound;
        self
    }

    /// How much of it may happen in one schedule; without it, as much as the bound allows, or 3.
    pub fn depth(self, deeds: u32) -> Explore {
        Explore { depth: Some(deeds), ..self }
    }

    /// Processors of the machine, 1 to 64.
    pub fn cpus(mut self, processors: usize) -> Explore {
        self.options.processors = processors;
        self
    }

    /// Changes anything else about the machine.
    #[track_caller]
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Explore {
        change(&mut self.options);
        Explore { in_rust: here(), ..self }
    }

    /// Changes the memory of the machine: how much there is, when pages leave it.
    #[track_caller]
    pub fn memory(mut self, change: impl FnOnce(&mut MemoryConfig)) -> Explore {
        change(&mut self.memory);
        Explore { in_rust: here(), ..self }
    }

    /// How schedules are chosen.
    pub fn strategy(mut self, strategy: Strategy) -> Explore {
        self.campaign.strategy = strategy;
        self
    }

    /// Seed of what is left to chance.
    pub fn seed(mut self, seed: u64) -> Explore {
        (self.campaign.seed, self.options.seed, self.memory.seed) = (seed, seed, seed);
        self
    }

    /// Ends the search after this time; without it, after 10 s. The run without deeds is done in any case.
    pub fn time(mut self, time: Duration) -> Explore {
        self.campaign.limits.time = Some(time);
        self
    }

    /// Ends the search after so many schedules.
    pub fn schedules(mut self, schedules: u64) -> Explore {
        self.campaign.limits.schedules = Some(schedules);
        self
    }

    /// Ends the search at the first failure.
    pub fn until_first(mut self) -> Explore {
        self.campaign.limits.until_first = true;
        self
    }

    /// Threads of the search; without it, as many as there are processors.
    pub fn threads(mut self, threads: NonZeroUsize) -> Explore {
        self.campaign.threads = threads;
        self
    }

    /// Searches part `index`, from 1, of `count`: the parts together are the whole.
    pub fn shard(mut self, index: u64, count: u64) -> Explore {
        self.campaign.shard = (index, count);
        self
    }

    /// Writes what is found to this folder as it comes, and goes on from what is there.
    pub fn out(self, folder: impl Into<PathBuf>) -> Explore {
        Explore { out: Some(folder.into()), ..self }
    }

    /// Searches.
    ///
    /// # Errors
    /// Driver, scenario or folder cannot be used.
    pub fn run(&self) -> Result<Outcome, ExploreError> {
        let depth = self.depth.or(self.options.bound.total(self.options.choices)).unwrap_or(self.campaign.depth);
        let mut campaign = Campaign { depth: depth.max(1), ..self.campaign.clone() };
        let token = self.blank_token(&self.read()?);
        let open = |path: &PathBuf| Folder::open(path, &token, &mut campaign, self.options.bound);
        let mut folder = self.out.as_ref().map(open).transpose()?;
        let Searched { found, lost } = folder::search(&campaign, || self.subject(), folder.as_mut(), |_| ())?;
        lost.map_or(Ok(found), |error| Err(error.into()))
    }

    /// What is searched: a run that has not begun.
    ///
    /// # Errors
    /// Driver or scenario cannot be used.
    pub fn subject(&self) -> Result<Run, ExploreError> {
        let (session, player) = self.session(&Arc::new(self.read()?), self.options.choices)?;
        Ok(Run::new(session, player))
    }

    /// The token of a failure.
    ///
    /// # Errors
    /// The driver cannot be read any more.
    pub fn token(&self, failure: &Failure) -> Result<Token, ExploreError> {
        Ok(Token { schedule: failure.schedule.clone(), ..self.blank_token(&self.read()?) })
    }

    pub(super) fn read(&self) -> Result<Driver, ExploreError> {
        Driver::read(&self.driver).map_err(|source| ExploreError::Driver { path: self.driver.clone(), source })
    }

    /// A machine that asks here, and what it is put through.
    pub(super) fn session(
        &self,
        driver: &Arc<Driver>,
        choices: ChoicePoints,
    ) -> Result<(Session, Player), ExploreError> {
        let scenario = match &self.steps {
            Steps::Exercise => Scenario::default(),
            Steps::File(path) => {
                let read = |source| ExploreError::Read { path: path.clone(), source };
                let text = std::fs::read_to_string(path).map_err(read)?;
                Scenario::parse(&text).map_err(|source| ExploreError::Scenario { path: path.clone(), source })?
            }
            Steps::Program(scenario) => scenario.clone(),
        };
        let options = Options { choices, ..self.options.clone() };
        let mut session = Session::new(options, self.memory.clone(), scenario.serial_line.cable())?;
        let base = session.load_file(driver)?;
        let player = player(base, Arc::clone(driver), session.devices(), &scenario);
        Ok((session, player))
    }

    /// The token of the run without deeds. Its words are those of `nonpaged explore`, as far as that has words for it.
    pub(super) fn blank_token(&self, driver: &Driver) -> Token {
        let word = |path: &Path| path.display().to_string();
        let mut arguments = vec![word(&self.driver)];
        if let Steps::File(path) = &self.steps {
            arguments.push(format!("--scenario={}", word(path)));
        }
        let Options { processors, seed, choices, .. } = self.options;
        arguments.extend((processors != 1).then(|| format!("--cpus={processors}")));
        arguments.extend((seed != 0).then(|| format!("--seed={seed}")));
        arguments.extend(self.in_rust.as_ref().map(|place| format!("{IN_RUST}{place}")));
        blank_token(arguments, driver, choices)
    }
}

/// What a word of a token begins with that says where in Rust the rest is.
const IN_RUST: &str = "--in-rust=";

/// Where in Rust the program or the machine of a token is made, as file and line; `None` where its words say it all.
pub fn in_rust(token: &Token) -> Option<&str> {
    token.arguments.iter().find_map(|word| word.strip_prefix(IN_RUST))
}

#[track_caller]
fn here() -> Option<String> {
    let place = Location::caller();
    Some(format!("{}:{}", place.file(), place.line()))
}

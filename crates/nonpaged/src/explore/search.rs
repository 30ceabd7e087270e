//! A search from Rust: the same that `nonpaged explore` does, with the same options.

use std::num::NonZeroUsize;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use explore::{Campaign, Failure, Outcome, Strategy, Token, Watched};
use kernel::{Bound, ChoicePoints, Options};
use memory::MemoryConfig;

use super::folder::{Folder, Searched};
use super::{ExploreError, Inputs, Machine, Run, blank_token, folder, player};
use crate::driver::Driver;
use crate::scenario::{PlayError, Player, Refutation, Scenario, SerialEnd, Test};
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
/// [`check`](Explore::check) has it used by a test, which goes on by what it is given: see [`Machine`].
///
/// ```
/// # let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/null/null.sys");
/// nonpaged::Explore::new(driver).cpus(2).depth(1).check(|m| {
///     let file = m.open();
///     let read = m.thread("reader").on_cpu(1).read(&file, 5);
///     let written = m.write(&file, b"hello");
///     // Memory may have run out: then it says so.
///     assert!(written.information == 5 || !m.is_undisturbed());
///     m.wait(&read);
/// });
/// ```
///
/// A search that finds something panics with the report of each failure and its token. `nonpaged replay TOKEN` shows it
/// again; where a test or a machine is made in Rust, `NONPAGED_REPLAY=TOKEN cargo test` does, which runs the schedule of
/// the token instead of a search of that driver.
#[derive(Clone, Debug)]
#[must_use = "it searches when it is told to"]
pub struct Explore {
    pub(super) driver: PathBuf,
    steps: Steps,
    options: Options,
    memory: MemoryConfig,
    serial_line: Option<SerialEnd>,
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
    Test(Test),
}

impl Explore {
    /// A search of this driver with the defaults of `nonpaged explore`.
    pub fn new(driver: impl Into<PathBuf>) -> Explore {
        Explore {
            driver: driver.into(),
            steps: Steps::Exercise,
            options: Options { choices: ChoicePoints::USUAL, ..Options::default() },
            memory: MemoryConfig { frames: PLENTY_OF_FRAMES, ..MemoryConfig::default() },
            serial_line: None,
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

    /// Has the driver used by this test instead of the exercise: see [`Machine`]. It is called in many schedules, on several
    /// threads.
    #[track_caller]
    pub fn test(self, test: impl Fn(&Machine<'_>) + Send + Sync + 'static) -> Explore {
        let test = Test::new(move |stage| test(&Machine::on(stage)));
        Explore { steps: Steps::Test(test), in_rust: here(), ..self }
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

    /// Changes what the serial port is connected to; without it, to its own input, or what the scenario says.
    #[track_caller]
    pub fn serial_line(self, far_end: SerialEnd) -> Explore {
        Explore { serial_line: Some(far_end), in_rust: here(), ..self }
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
    /// Driver, scenario or folder cannot be used; the folder could not be written any more; the test is not deterministic.
    pub fn run(&self) -> Result<Outcome, ExploreError> {
        let depth = self.depth.or(self.options.bound.total(self.options.choices)).unwrap_or(self.campaign.depth);
        let mut campaign = Campaign { depth: depth.max(1), ..self.campaign.clone() };
        let token = self.blank_token(&self.read()?);
        let open = |path: &PathBuf| Folder::open(path, &token, &mut campaign, self.options.bound);
        let mut folder = self.out.as_ref().map(open).transpose()?;
        let goes_on = |_: Watched<'_>| self.parted().is_none();
        let Searched { found, lost } = folder::search(&campaign, || self.subject(), folder.as_mut(), goes_on)?;
        match (self.parted(), lost) {
            (Some(parted), _) => Err(PlayError::NotDeterministic(parted.clone()).into()),
            (None, Some(source)) => Err(ExploreError::Lost { found: Box::new(found), source }),
            (None, None) => Ok(found),
        }
    }

    /// Where the test did something else than before, under the same answers.
    fn parted(&self) -> Option<&Refutation> {
        match &self.steps {
            Steps::Test(test) => test.parted(),
            Steps::Exercise | Steps::File(_) => None,
        }
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
            Steps::Exercise | Steps::Test(_) => Scenario::default(),
            Steps::File(path) => {
                let read = |source| ExploreError::Read { path: path.clone(), source };
                let text = std::fs::read_to_string(path).map_err(read)?;
                Scenario::parse(&text).map_err(|source| ExploreError::Scenario { path: path.clone(), source })?
            }
        };
        let options = Options { choices, ..self.options.clone() };
        let cable = self.serial_line.unwrap_or(scenario.serial_line).cable();
        let mut session = Session::new(options, self.memory.clone(), cable)?;
        let base = session.load_file(driver)?;
        let (driver, devices) = (Arc::clone(driver), session.devices());
        let player = match &self.steps {
            Steps::Test(test) => Player::test(base, driver, devices, test.clone()),
            _ => player(base, driver, devices, &scenario),
        };
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
        blank_token(arguments, driver, &self.inputs(driver), choices)
    }

    /// What is read beside the driver.
    pub(super) fn inputs(&self, driver: &Driver) -> Inputs {
        let scenario = match &self.steps {
            Steps::File(path) => Some(path.as_path()),
            Steps::Exercise | Steps::Test(_) => None,
        };
        Inputs::new(driver, scenario, [])
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

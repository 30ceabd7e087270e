//! A scenario or the exercise in progress, as data: what remains to be done with a machine, and what has come of it so far.
//!
//! A player never runs the machine. [`Player::next`] does what takes no time and says what is wanted then; whoever has the
//! engine does that and asks again. So a player forks together with its machine, in the middle of any step.

mod end;
mod exercise;
mod offer;
mod script;
mod stack;
mod steps;
mod talk;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use devices::DeviceId;
use kernel::{Action as Request, Answer, Machine, RequestId, Trap, Until};
use nt_types::{NtStatus, Va};

use super::expect::Outcome;
use super::play::PlayError;
use super::script::{Call, Script, Test};
use super::{Action, Scenario, Step};
use crate::driver::Driver;
use crate::session::{Devices, SHORT_NS, SessionError, ioctl_codes};

/// Virtual time that a request may take before it counts as pending, or is cancelled: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;
/// Virtual time after unload, in which a timer or a work item that was left behind shows itself: 20 ms.
const AFTERMATH_NS: u64 = 20_000_000;

/// What a player wants from whoever runs the machine.
pub enum Demand {
    /// Let the machine run.
    Run(Until),
    /// Map this driver, which lies beside the one under test, and tell [`Player::loaded`].
    Load(Box<Driver>),
    /// A step of this name begins: nothing is to be done.
    Phase(String),
    /// A step of this name is done: nothing is to be done.
    Done(String),
}

/// A request with a name.
#[derive(Clone, Hash, Debug)]
struct Named {
    id: RequestId,
    /// The handle that it opens.
    handle: Option<String>,
}

/// Something to do that needs the machine to run at most once.
#[derive(Clone, Hash, Debug)]
enum Task {
    Phase(String),
    Done(String),
    /// Waits for an answer, at most so many nanoseconds.
    Wait(RequestId, Option<u64>),
    /// Lets so many nanoseconds pass.
    Pass(u64),
    Initialize,
    Initialized(RequestId),
    /// Offers a device to a driver that wants some.
    Start,
    Offer(DeviceId),
    Added(DeviceId, RequestId),
    Started(RequestId, Va),
    /// Does a step of the scenario.
    Step(Step),
    Check(Step),
    /// Takes the answer of a request as what the step came to.
    Outcome(Named),
    Loaded(RequestId, String, Va),
    /// Sends a request of the device's stack and takes its answer.
    Pnp {
        device: Va,
        minor: u8,
        title: &'static str,
    },
    Talk(talk::Talk),
    Listen(talk::Talk, RequestId),
    Interrupt(u32),
    Cancel(RequestId),
    Exercise(exercise::Task),
    /// Has the code of a test say what to do next.
    Consult,
    /// Tells it what a call came to.
    Give(Call, u64),
    /// Waits for a request of the test, at most so many nanoseconds, and takes what it came to.
    Settle(usize, u64),
    /// The program that has used the drivers ends.
    ProgramEnds,
    End,
    RemoveStacks,
    Unload,
}

/// A scenario in progress.
#[derive(Clone)]
pub struct Player {
    pub(crate) base: Va,
    driver: Arc<Driver>,
    /// Control codes that the exercise tries.
    codes: Arc<[u32]>,
    devices: Devices,
    /// Sections to be looked at after each step.
    pub(crate) watch: Arc<[String]>,
    tasks: VecDeque<Task>,
    /// The code of a test that is not over yet.
    script: Option<Script>,
    /// What the step in progress came to.
    outcome: Outcome,
    /// Signals on the serial line that this player knows of, and characters that no step has asked for.
    known_signals: usize,
    sent: Vec<u8>,
    /// What steps expect must hold.
    checks: bool,
    /// A step that refers to something that does not exist is left out.
    lenient: bool,
    /// Where other drivers lie, by file name.
    others: BTreeMap<String, Va>,
    /// The name of the driver that is being loaded.
    loading: String,
    /// The physical device object that was offered to the driver.
    device: Option<Va>,
    /// Devices that bus drivers report and that were started, the oldest first.
    stacks: Vec<Va>,
    handles: BTreeMap<String, Va>,
    requests: BTreeMap<String, Named>,
    unloaded: bool,
}

impl Hash for Player {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Player {
            base,
            driver: _, // forks have the same
            codes: _,
            devices: _,
            watch: _,
            tasks,
            script,
            outcome,
            known_signals,
            sent,
            checks,
            lenient,
            others,
            loading,
            device,
            stacks,
            handles,
            requests,
            unloaded,
        } = self;
        (base, tasks, script, outcome, known_signals, sent, checks, lenient, others).hash(state);
        (loading, device, stacks, handles, requests, unloaded).hash(state);
    }
}

impl Player {
    /// A player for a driver that is mapped at `base`, on a machine with these devices. A scenario without steps is the
    /// exercise.
    pub fn new(base: Va, driver: Arc<Driver>, devices: Devices, scenario: &Scenario) -> Player {
        if scenario.steps.is_empty() {
            return Player { watch: scenario.watch.clone().into(), ..Player::exercise(base, driver, devices, false) };
        }
        let mut player = Player { watch: scenario.watch.clone().into(), ..Player::idle(base, driver, devices) };
        player.tasks.extend([Task::Phase("DriverEntry".to_owned()), Task::Initialize]);
        if !scenario.steps.iter().any(|step| step.action == Action::Start) {
            player.tasks.push_back(Task::Start);
        }
        for step in &scenario.steps {
            player.tasks.extend([Task::Phase(step.action.verb().to_owned()), Task::Step(step.clone())]);
        }
        player.tasks.extend([Task::Phase("end".to_owned()), Task::End]);
        player
    }

    /// The default exercise. With `rivals`, two programs use the first device at the same time afterwards.
    pub fn exercise(base: Va, driver: Arc<Driver>, devices: Devices, rivals: bool) -> Player {
        let mut player = Player::idle(base, driver, devices);
        player.codes = ioctl_codes(&player.driver.image).into();
        player.lenient = true;
        player.tasks = exercise::tasks(rivals);
        player
    }

    /// Has a test use the driver, between start and removal.
    pub(crate) fn test(base: Va, driver: Arc<Driver>, devices: Devices, test: Test) -> Player {
        let mut player = Player { script: Some(Script::new(test)), ..Player::idle(base, driver, devices) };
        player.tasks.extend([Task::Initialize, Task::Start, Task::Consult, Task::End]);
        player.unchecked()
    }

    /// The same without expectations: they are those of the run in which nothing unplanned happens.
    #[must_use]
    pub fn unchecked(mut self) -> Player {
        self.checks = false;
        self.lenient = true;
        self
    }

    fn idle(base: Va, driver: Arc<Driver>, devices: Devices) -> Player {
        Player {
            base,
            driver,
            codes: Arc::new([]),
            devices,
            watch: Arc::new([]),
            tasks: VecDeque::new(),
            script: None,
            outcome: Outcome::Nothing,
            known_signals: 0,
            sent: Vec::new(),
            checks: true,
            lenient: false,
            others: BTreeMap::new(),
            loading: String::new(),
            device: None,
            stacks: Vec::new(),
            handles: BTreeMap::new(),
            requests: BTreeMap::new(),
            unloaded: false,
        }
    }

    /// Does what takes no time; then what is wanted, or `None` at the end.
    ///
    /// # Errors
    /// Why the scenario does not come to its end.
    pub fn next(&mut self, m: &mut Machine) -> Result<Option<Demand>, PlayError> {
        while let Some(task) = self.tasks.pop_front() {
            if let Some(demand) = self.perform(m, task)? {
                return Ok(Some(demand));
            }
        }
        Ok(None)
    }

    fn perform(&mut self, m: &mut Machine, task: Task) -> Result<Option<Demand>, PlayError> {
        let run = |until| Ok(Some(Demand::Run(until)));
        match task {
            Task::Phase(name) => return Ok(Some(Demand::Phase(name))),
            Task::Done(name) => return Ok(Some(Demand::Done(name))),
            Task::Wait(id, None) => return run(Until::Answered(id)),
            Task::Wait(id, Some(limit)) => return run(Until::AnsweredOrTime(id, m.now_ns().saturating_add(limit))),
            Task::Pass(time_ns) => return run(Until::Time(m.now_ns().saturating_add(time_ns))),
            Task::Step(step) => return self.step(m, &step),
            Task::Check(step) if self.checks => self.check(m, &step).map_err(PlayError::Expectation)?,
            Task::Check(_) => {}
            Task::Initialize => self.initialize(m)?,
            Task::Initialized(id) => self.initialized(m, id),
            Task::Start => self.start(m)?,
            Task::Offer(device) => self.offer(m, device)?,
            Task::Added(device, id) => self.added(m, device, id)?,
            Task::Started(id, device) => self.started(m, id, device),
            Task::Outcome(named) => self.take_outcome(m, &named),
            Task::Loaded(id, name, base) => self.other_initialized(m, id, name, base),
            Task::Pnp { device, minor, title } => self.pnp(m, device, minor, title)?,
            Task::Talk(talk) => self.talk(m, talk)?,
            Task::Listen(talk, id) => self.listen(m, talk, id)?,
            Task::Interrupt(vector) => {
                m.spurious_interrupt(vector);
                self.before([Task::Pass(SHORT_NS)]);
            }
            Task::Cancel(request) => {
                let id = self.act(m, "cancel", Request::Cancel { request })?;
                self.before([Task::Wait(id, Some(PATIENCE_NS))]);
            }
            Task::Exercise(task) => self.exercise_task(m, task)?,
            Task::Consult => self.consult(m)?,
            Task::Give(call, asked) => self.give(m, call, asked),
            Task::Settle(request, limit_ns) => self.settle(request, limit_ns),
            Task::ProgramEnds => {
                if m.end_program() {
                    return run(Until::Time(m.now_ns()));
                }
            }
            Task::End => self.end(m),
            Task::RemoveStacks => self.remove_stacks(m),
            Task::Unload => self.unload(m)?,
        }
        Ok(None)
    }

    /// Puts tasks before everything that remains.
    fn before<const N: usize>(&mut self, tasks: [Task; N]) {
        tasks.into_iter().rev().for_each(|task| self.tasks.push_front(task));
    }

    /// Starts an action on a thread that bears its name.
    fn act(&self, m: &mut Machine, name: &str, action: Request) -> Result<RequestId, PlayError> {
        m.act(name, action).map_err(|trap| stopped(m, trap))
    }

    fn initialize(&mut self, m: &mut Machine) -> Result<(), PlayError> {
        let id = m.initialize_driver(self.base).map_err(SessionError::Load)?;
        self.before([Task::Wait(id, None), Task::Pass(SHORT_NS), Task::Initialized(id)]);
        Ok(())
    }

    /// A driver that did not start is gone: nothing remains to be done.
    fn initialized(&mut self, m: &Machine, id: RequestId) {
        if !status_of(m, id).is_success() {
            self.tasks.clear();
        }
        self.before([Task::Done("DriverEntry".to_owned())]);
    }

    /// A driver that was demanded is mapped at `base`.
    ///
    /// # Errors
    /// It cannot be initialised.
    pub fn loaded(&mut self, m: &mut Machine, base: Va) -> Result<(), PlayError> {
        let name = std::mem::take(&mut self.loading);
        let id = m.initialize_driver(base).map_err(SessionError::Load)?;
        self.before([Task::Wait(id, None), Task::Pass(SHORT_NS), Task::Loaded(id, name, base)]);
        Ok(())
    }

    fn other_initialized(&mut self, m: &Machine, id: RequestId, name: String, base: Va) {
        let status = status_of(m, id);
        self.outcome = Outcome::Status(status);
        if status.is_success() {
            self.others.insert(name, base);
        }
    }

    /// Makes the handles of opens that have succeeded since nobody waits for them.
    fn note_opened(&mut self, m: &Machine) {
        for named in self.requests.values_mut().filter(|named| named.handle.is_some()) {
            let Some(answer) = m.answer_of(named.id) else { continue };
            let handle = named.handle.take().filter(|_| answer.status.is_success());
            self.handles.extend(handle.map(|handle| (handle, Va(answer.information))));
        }
    }

    /// What a request came to; an open that succeeded makes a handle.
    fn take_outcome(&mut self, m: &Machine, named: &Named) {
        let answer = m.answer_of(named.id);
        if let (Some(answer), Some(handle)) = (answer, &named.handle)
            && answer.status.is_success()
        {
            self.handles.insert(handle.clone(), Va(answer.information));
        }
        self.outcome = answer.map_or(Outcome::Pending, |answer| Outcome::Answered(answer.clone()));
    }
}

fn status_of(m: &Machine, id: RequestId) -> NtStatus {
    m.answer_of(id).map_or(NtStatus::PENDING, |answer| answer.status)
}

fn stopped(m: &mut Machine, trap: Trap) -> PlayError {
    PlayError::Session(SessionError::Stopped(m.trap_to_stop(trap)))
}

//! A scenario, step by step, on a machine.

use std::collections::BTreeMap;

use devices::Uart16550;
use kernel::{Action as Request, RequestId};
use memory::{InjectedFault, Injection, TrimReason};
use nt_types::{NtStatus, Va, constants as c};
use report::cause::Expectation;

use super::expect::{self, Outcome};
use super::{Action, Scenario, Step};
use crate::driver::Driver;
use crate::session::exercise::AFTERMATH_NS;
use crate::session::{Reply, Session, SessionError};

/// Why a scenario did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The run stopped.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Something is not as the scenario expects.
    #[error("an expectation is not met")]
    Expectation(Expectation),
    /// A step refers to something that does not exist.
    #[error("line {line}: {problem}")]
    Impossible {
        /// Line of the step in the file, from 1.
        line: usize,
        /// What does not exist.
        problem: String,
    },
}

/// Virtual time that an unnamed request may take before it counts as pending: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// Initialises a loaded driver and takes it through the steps; a scenario without steps is the default exercise.
/// `before` is called before each step with its name, and once at the end.
pub fn play(
    session: &mut Session,
    base: Va,
    driver: &Driver,
    scenario: &Scenario,
    mut before: impl FnMut(&mut Session, &str),
) -> Result<(), PlayError> {
    if scenario.steps.is_empty() {
        return Ok(session.exercise(base, &driver.image, |session, step| before(session, &step.name))?);
    }
    before(session, "DriverEntry");
    let status = session.initialize(base)?;
    if !status.is_success() {
        return Ok(());
    }
    let mut player = Player::new(session, base, driver);
    if !scenario.steps.iter().any(|step| step.action == Action::Start) {
        player.start()?;
    }
    for step in &scenario.steps {
        before(player.session, step.action.verb());
        let outcome = player.step(step)?;
        expect::check(player.session, base, step, &outcome).map_err(PlayError::Expectation)?;
    }
    before(player.session, "end");
    player.end()
}

/// What the steps refer to by name.
struct Player<'s> {
    session: &'s mut Session,
    base: Va,
    driver: &'s Driver,
    /// Where other drivers lie, by file name.
    others: BTreeMap<String, Va>,
    /// The physical device object that was offered to the driver.
    device: Option<Va>,
    handles: BTreeMap<String, Va>,
    requests: BTreeMap<String, Named>,
    unloaded: bool,
}

/// A request with a name.
#[derive(Clone)]
struct Named {
    id: RequestId,
    /// The handle that it opens.
    handle: Option<String>,
}

impl<'s> Player<'s> {
    fn new(session: &'s mut Session, base: Va, driver: &'s Driver) -> Player<'s> {
        let (handles, requests, others) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Player { session, base, driver, others, device: None, handles, requests, unloaded: false }
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, PlayError> {
        match &step.action {
            Action::Start => self.start(),
            Action::Stop => self.pnp(step, &[c::IRP_MN_QUERY_STOP_DEVICE, c::IRP_MN_STOP_DEVICE]),
            Action::Remove => self.pnp(step, &[c::IRP_MN_QUERY_REMOVE_DEVICE, c::IRP_MN_REMOVE_DEVICE]),
            Action::Load { driver } => self.load(step, driver),
            Action::Unload { driver: None } => self.unload(),
            Action::Unload { driver: Some(driver) } => self.unload_other(step, driver),
            Action::Power { state } => self.power(step, *state),
            Action::Open { device, handle } => self.open(step, device.as_deref(), handle),
            Action::Close { handle } => {
                let file = self.take_handle(step, handle)?;
                self.request(step, Request::Close { file })
            }
            Action::Read { handle, bytes, offset } => {
                let file = self.handle(step, handle)?;
                self.request(step, Request::Read { file, length: *bytes, offset: offset.unwrap_or(0) })
            }
            Action::Write { handle, data, offset } => {
                let file = self.handle(step, handle)?;
                self.request(step, Request::Write { file, data: data.clone(), offset: offset.unwrap_or(0) })
            }
            Action::Ioctl { handle, code, input, output_bytes } => {
                let file = self.handle(step, handle)?;
                let (code, input, output_length) = (*code, input.clone(), *output_bytes);
                self.request(step, Request::Ioctl { file, code, input, output_length })
            }
            Action::Cancel { request } => self.cancel(step, request),
            Action::Wait { request } => {
                let named = self.named(step, request)?;
                self.wait(&named)
            }
            Action::WaitMs(ms) => {
                self.session.pass(ms.saturating_mul(NS_PER_MS))?;
                Ok(Outcome::Nothing)
            }
            Action::Interrupt { vector, count } => self.interrupt(step, *vector, *count),
            Action::Receive { data } => self.receive(data),
            Action::Trim { section } => self.trim(step, section.as_deref()),
            Action::FailPageIn { status, count } => Ok(self.fail_page_in(*status, *count)),
            Action::Check => Ok(Outcome::Nothing),
        }
    }

    /// Offers the serial port to a driver that wants devices, and starts it.
    fn start(&mut self) -> Result<Outcome, PlayError> {
        let (status, device) = self.session.start_device(self.base)?;
        self.device = device;
        Ok(Outcome::Status(status))
    }

    fn pnp(&mut self, step: &Step, minors: &[u32]) -> Result<Outcome, PlayError> {
        let device = self.device.ok_or_else(|| impossible(step, "no device was started"))?;
        let mut outcome = Outcome::Nothing;
        for minor in minors {
            let action = Request::Pnp { device, minor: *minor as u8, resources: Va::NULL };
            outcome = Outcome::from(self.session.act(step.action.verb(), action, Some(PATIENCE_NS))?);
        }
        if step.action == Action::Remove {
            self.device = None;
        }
        Ok(outcome)
    }

    fn unload(&mut self) -> Result<Outcome, PlayError> {
        self.unloaded = true;
        Ok(Outcome::from(self.session.unload(self.base)?))
    }

    fn load(&mut self, step: &Step, name: &str) -> Result<Outcome, PlayError> {
        let driver = self.driver.read_neighbour(name);
        let driver = driver.map_err(|error| impossible(step, &format!("`{name}` cannot be loaded: {error}")))?;
        let base = self.session.load_file(&driver)?;
        let status = self.session.initialize(base)?;
        if status.is_success() {
            self.others.insert(name.to_owned(), base);
        }
        Ok(Outcome::Status(status))
    }

    fn unload_other(&mut self, step: &Step, name: &str) -> Result<Outcome, PlayError> {
        let base = self.others.remove(name);
        let base = base.ok_or_else(|| impossible(step, &format!("`{name}` is not loaded")))?;
        Ok(Outcome::from(self.session.unload(base)?))
    }

    fn power(&mut self, step: &Step, state: u8) -> Result<Outcome, PlayError> {
        /// `DevicePowerState` of POWER_STATE_TYPE, and the number of D0 in DEVICE_POWER_STATE.
        const DEVICE_POWER_STATE: u32 = 1;
        const POWER_DEVICE_D0: u32 = 1;
        let device = self.device.ok_or_else(|| impossible(step, "no device was started"))?;
        let (minor, state) = (c::IRP_MN_SET_POWER as u8, POWER_DEVICE_D0 + u32::from(state));
        let action = Request::Power { device, minor, kind: DEVICE_POWER_STATE, state };
        Ok(Outcome::from(self.session.act("power", action, Some(PATIENCE_NS))?))
    }

    fn open(&mut self, step: &Step, device: Option<&str>, handle: &str) -> Result<Outcome, PlayError> {
        let first = self.session.machine.openable_names(self.base).into_iter().next();
        let name = device.map(str::to_owned).or(first);
        let name = name.ok_or_else(|| impossible(step, "the driver has no device that can be opened"))?;
        self.send(step, Request::Open { name }, Some(handle.to_owned()))
    }

    fn request(&mut self, step: &Step, request: Request) -> Result<Outcome, PlayError> {
        self.send(step, request, None)
    }

    /// Sends a request. One with a name is not waited for.
    fn send(&mut self, step: &Step, request: Request, handle: Option<String>) -> Result<Outcome, PlayError> {
        let processor = step.cpu.map(|cpu| cpu as usize);
        let id = self.session.send(&step.action.title(), &step.thread, processor, request)?;
        let named = Named { id, handle };
        let Some(name) = &step.request else { return self.wait(&named) };
        self.requests.insert(name.clone(), named.clone());
        if !step.with_next {
            self.session.settle()?;
        }
        Ok(self.outcome(&named, self.session.reply(id)))
    }

    fn wait(&mut self, named: &Named) -> Result<Outcome, PlayError> {
        let reply = self.session.wait(named.id, Some(PATIENCE_NS))?;
        Ok(self.outcome(named, reply))
    }

    /// What a request came to; an open that succeeded makes a handle.
    fn outcome(&mut self, named: &Named, reply: Reply) -> Outcome {
        if let (Reply::Answered(answer), Some(handle)) = (&reply, &named.handle)
            && answer.status.is_success()
        {
            self.handles.insert(handle.clone(), Va(answer.information));
        }
        Outcome::from(reply)
    }

    fn cancel(&mut self, step: &Step, name: &str) -> Result<Outcome, PlayError> {
        let named = self.named(step, name)?;
        self.session.act("cancel", Request::Cancel { request: named.id }, Some(PATIENCE_NS))?;
        self.wait(&named)
    }

    fn interrupt(&mut self, step: &Step, vector: Option<u32>, count: u32) -> Result<Outcome, PlayError> {
        let first = self.session.machine.connected_interrupts().first().map(|connected| connected.vector);
        let vector = vector.or(first).ok_or_else(|| impossible(step, "no interrupt is connected"))?;
        for _ in 0..count {
            self.session.machine.spurious_interrupt(vector);
            self.session.settle()?;
        }
        Ok(Outcome::Nothing)
    }

    fn receive(&mut self, data: &[u8]) -> Result<Outcome, PlayError> {
        let (port, now) = (self.session.serial_port(), self.session.machine.now_ns());
        if let Some(port) = self.session.machine.bus.device_mut::<Uart16550>(port) {
            port.line_mut().send_bytes(now, data);
        }
        self.session.settle()?;
        Ok(Outcome::Nothing)
    }

    /// Takes what may leave out of memory: of one section, or everything.
    fn trim(&mut self, step: &Step, section: Option<&str>) -> Result<Outcome, PlayError> {
        let mut pages = self.session.machine.memory.eligible();
        if let Some(name) = section {
            let known = self.session.residency(self.base).sections.iter().any(|section| section.name == name);
            if !known {
                return Err(impossible(step, &format!("the driver has no section `{name}`")));
            }
            let modules = self.session.machine.modules();
            pages.retain(|page| modules.section_name(*page).as_deref() == Some(name));
        }
        self.session.machine.evict(&pages, TrimReason::Command);
        self.session.settle()?;
        Ok(Outcome::Nothing)
    }

    fn fail_page_in(&mut self, status: NtStatus, count: u32) -> Outcome {
        for number in 1..=u64::from(count) {
            self.session.machine.memory.inject(Injection { number, fault: InjectedFault::ReadStatus(status) });
        }
        Outcome::Nothing
    }

    /// What a program's end and the removal of its device do: requests are cancelled, handles closed, the driver unloaded.
    fn end(&mut self) -> Result<(), PlayError> {
        for named in std::mem::take(&mut self.requests).into_values() {
            if self.session.machine.answer_of(named.id).is_none() {
                self.session.act("cancel", Request::Cancel { request: named.id }, Some(PATIENCE_NS))?;
                self.wait(&named)?;
            }
        }
        for file in std::mem::take(&mut self.handles).into_values() {
            self.session.act("close", Request::Close { file }, Some(PATIENCE_NS))?;
        }
        if let Some(device) = self.device.take() {
            self.session.remove_device(device, &mut |_, _| {})?;
        }
        if !self.unloaded {
            self.unload()?;
        }
        for base in std::mem::take(&mut self.others).into_values() {
            self.session.unload(base)?;
        }
        Ok(self.session.pass(AFTERMATH_NS)?)
    }

    fn handle(&self, step: &Step, name: &str) -> Result<Va, PlayError> {
        let file = self.handles.get(name).copied();
        file.ok_or_else(|| impossible(step, &format!("there is no open handle `{name}`")))
    }

    fn take_handle(&mut self, step: &Step, name: &str) -> Result<Va, PlayError> {
        let file = self.handle(step, name)?;
        self.handles.remove(name);
        Ok(file)
    }

    fn named(&self, step: &Step, name: &str) -> Result<Named, PlayError> {
        let request = self.requests.get(name).cloned();
        request.ok_or_else(|| impossible(step, &format!("there is no request `{name}`")))
    }
}

fn impossible(step: &Step, problem: &str) -> PlayError {
    PlayError::Impossible { line: step.line, problem: problem.to_owned() }
}

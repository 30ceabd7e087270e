//! The verbs of a scenario.

use devices::{Transmitted, Uart16550};
use kernel::{Action as Request, Machine};
use memory::{InjectedFault, Injection, TrimReason};
use nt_types::{Irql, Va, constants as c};
use report::cause::{Expectation, Expected};

use super::talk::Talk;
use super::{Demand, Named, PATIENCE_NS, PlayError, Player, Task, stopped};
use crate::scenario::expect::{self, Outcome};
use crate::scenario::{Action, PageInFault, Step};
use crate::session::{Residency, SHORT_NS, SessionError};

const NS_PER_MS: u64 = 1_000_000;

impl Player {
    /// Does a step; what it expects is checked when that is done.
    pub(super) fn step(&mut self, m: &mut Machine, step: &Step) -> Result<Option<Demand>, PlayError> {
        self.outcome = Outcome::Nothing;
        if self.checks {
            self.known_signals = self.line(m).len();
        }
        self.before([Task::Check(step.clone())]);
        match self.verb(m, step) {
            Err(PlayError::Impossible { problem, .. }) if self.lenient => {
                self.outcome = Outcome::Impossible(problem);
                Ok(None)
            }
            done => done,
        }
    }

    /// Compares what a step came to with what it expects.
    pub(super) fn check(&mut self, m: &Machine, step: &Step) -> Result<(), Expectation> {
        let new = self.newly_sent(m);
        self.sent.extend(new);
        self.before([Task::Done(step.action.title())]);
        expect::check(m, self.base, step, &self.outcome)?;
        let Some(expected) = step.expect.sent.clone() else { return Ok(()) };
        let found = std::mem::take(&mut self.sent);
        if expected == found {
            return Ok(());
        }
        Err(Expectation { line: step.line, what: Expected::Sent { expected, found } })
    }

    /// What went out on the serial line since this was last asked.
    pub(super) fn newly_sent(&mut self, m: &Machine) -> Vec<u8> {
        let line = self.line(m);
        let new = line.iter().skip(self.known_signals).filter_map(Transmitted::byte).collect();
        self.known_signals = line.len();
        new
    }

    /// What went out on the serial line and nobody has taken.
    fn line<'m>(&self, m: &'m Machine) -> &'m [Transmitted] {
        m.bus.device::<Uart16550>(self.devices.serial).map_or(&[], |port| port.line().sent())
    }

    fn verb(&mut self, m: &mut Machine, step: &Step) -> Result<Option<Demand>, PlayError> {
        match &step.action {
            Action::Start => self.start(m)?,
            Action::Stop => self.ask_device(step, &[c::IRP_MN_QUERY_STOP_DEVICE, c::IRP_MN_STOP_DEVICE])?,
            Action::Remove => {
                self.ask_device(step, &[c::IRP_MN_QUERY_REMOVE_DEVICE, c::IRP_MN_REMOVE_DEVICE])?;
                self.device = None;
            }
            Action::Load { driver } => return self.load(step, driver),
            Action::Unload { driver: None } => self.unload(m)?,
            Action::Unload { driver: Some(driver) } => self.unload_other(m, step, driver)?,
            Action::Attach { driver, device } => self.attach(m, step, driver.as_deref(), device)?,
            Action::Pnp { device, request } => self.request_pnp(m, step, device, *request)?,
            Action::Wmi { device, block, request, output_bytes } => {
                let device = self.device(m, step, device)?;
                let (block, request, output_length) = (*block, request.clone(), *output_bytes);
                self.send(m, step, Request::Wmi { device, block, request, output_length }, None)?;
            }
            Action::Power { device, state } => self.power(m, step, device, *state)?,
            Action::PagingPath { handle, in_path } => {
                let (file, in_path) = (self.handle(step, handle)?, *in_path);
                self.send(m, step, Request::PagingPath { file, in_path }, None)?;
            }
            Action::Open { device, handle } => self.open(m, step, device.as_deref(), handle)?,
            Action::Close { handle } => {
                let file = self.take_handle(step, handle)?;
                self.send(m, step, Request::Close { file }, None)?;
            }
            Action::Read { handle, bytes, offset } => {
                let file = self.handle(step, handle)?;
                self.send(m, step, Request::Read { file, length: *bytes, offset: offset.unwrap_or(0) }, None)?;
            }
            Action::Write { handle, data, offset } => {
                let file = self.handle(step, handle)?;
                self.send(m, step, Request::Write { file, data: data.clone(), offset: offset.unwrap_or(0) }, None)?;
            }
            Action::Ioctl { handle, code, input, output_bytes } => {
                let file = self.handle(step, handle)?;
                let (code, input, output_length) = (*code, input.clone(), *output_bytes);
                self.send(m, step, Request::Ioctl { file, code, input, output_length }, None)?;
            }
            Action::Talk { handle, until, idle_ms } => {
                let talk = Talk::new(self.handle(step, handle)?, *until, idle_ms.saturating_mul(NS_PER_MS));
                self.before([Task::Talk(talk)]);
            }
            Action::Cancel { request } => {
                let named = self.named(step, request)?;
                let wait = Task::Wait(named.id, Some(PATIENCE_NS));
                self.before([Task::Cancel(named.id), wait, Task::Outcome(named)]);
            }
            Action::Wait { request } => {
                let named = self.named(step, request)?;
                self.before([Task::Wait(named.id, Some(PATIENCE_NS)), Task::Outcome(named)]);
            }
            Action::WaitMs(ms) => self.before([Task::Pass(ms.saturating_mul(NS_PER_MS))]),
            Action::Interrupt { vector, count } => self.interrupt(m, step, *vector, *count)?,
            Action::Receive { data } => self.receive(m, data),
            Action::Trim { section } => self.trim(m, step, section.as_deref())?,
            Action::FailPageIn { fault, after, count } => fail_page_in(m, *fault, u64::from(*after), u64::from(*count)),
            Action::Check => {}
        }
        Ok(None)
    }

    fn ask_device(&mut self, step: &Step, minors: &[u32; 2]) -> Result<(), PlayError> {
        let device = self.device.ok_or_else(|| impossible(step, "no device was started"))?;
        self.before(minors.map(|minor| Task::Pnp { device, minor: minor as u8, title: step.action.verb() }));
        Ok(())
    }

    fn load(&mut self, step: &Step, name: &str) -> Result<Option<Demand>, PlayError> {
        let driver = self.driver.read_neighbour(name);
        let driver = driver.map_err(|error| impossible(step, &format!("`{name}` cannot be loaded: {error}")))?;
        name.clone_into(&mut self.loading);
        Ok(Some(Demand::Load(Box::new(driver))))
    }

    fn unload_other(&mut self, m: &mut Machine, step: &Step, name: &str) -> Result<(), PlayError> {
        let base = self.others.remove(name);
        let base = base.ok_or_else(|| impossible(step, &format!("`{name}` is not loaded")))?;
        let id = m.unload_driver(base).map_err(SessionError::Load)?;
        self.before([Task::Wait(id, None), Task::Outcome(Named { id, handle: None })]);
        Ok(())
    }

    fn open(&mut self, m: &mut Machine, step: &Step, device: Option<&str>, handle: &str) -> Result<(), PlayError> {
        let first = |m: &mut Machine| m.openable_names(self.base).into_iter().next();
        let name = device.map(str::to_owned).or_else(|| first(m));
        let name = name.ok_or_else(|| impossible(step, "the driver has no device that can be opened"))?;
        self.send(m, step, Request::Open { name }, Some(handle.to_owned()))
    }

    /// Sends a request. One with a name is not waited for.
    fn send(
        &mut self,
        m: &mut Machine,
        step: &Step,
        request: Request,
        handle: Option<String>,
    ) -> Result<(), PlayError> {
        let processor = step.cpu.map(|cpu| cpu as usize);
        let request = match step.irql {
            Irql::PASSIVE => request,
            irql => Request::At { irql, action: Box::new(request) },
        };
        let id = m.act_as(&step.action.title(), &step.thread, processor, request).map_err(|trap| stopped(m, trap))?;
        let named = Named { id, handle };
        let Some(name) = &step.request else {
            self.before([Task::Wait(id, Some(PATIENCE_NS)), Task::Outcome(named)]);
            return Ok(());
        };
        self.requests.insert(name.clone(), named.clone());
        self.before([Task::Outcome(named)]);
        if !step.with_next {
            self.before([Task::Pass(SHORT_NS)]);
        }
        Ok(())
    }

    fn interrupt(&mut self, m: &Machine, step: &Step, vector: Option<u32>, count: u32) -> Result<(), PlayError> {
        let first = m.connected_interrupts().first().map(|connected| connected.vector);
        let vector = vector.or(first).ok_or_else(|| impossible(step, "no interrupt is connected"))?;
        (0..count).for_each(|_| self.tasks.push_front(Task::Interrupt(vector)));
        Ok(())
    }

    fn receive(&mut self, m: &mut Machine, data: &[u8]) {
        let now = m.now_ns();
        if let Some(port) = m.bus.device_mut::<Uart16550>(self.devices.serial) {
            port.line_mut().send_bytes(now, data);
        }
        self.before([Task::Pass(SHORT_NS)]);
    }

    /// Takes what may leave out of memory: of one section, or everything.
    fn trim(&mut self, m: &mut Machine, step: &Step, section: Option<&str>) -> Result<(), PlayError> {
        let mut pages = m.memory.eligible();
        if let Some(name) = section {
            if !Residency::of(m, self.base).sections.iter().any(|section| section.name == name) {
                return Err(impossible(step, &format!("the driver has no section `{name}`")));
            }
            pages.retain(|page| m.modules().section_name(*page).as_deref() == Some(name));
        }
        m.evict(&pages, TrimReason::Command);
        self.before([Task::Pass(SHORT_NS)]);
        Ok(())
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

fn fail_page_in(m: &mut Machine, fault: PageInFault, after: u64, count: u64) {
    let fault = match fault {
        PageInFault::Status(status) => InjectedFault::ReadStatus(status),
        PageInFault::Corrupt => InjectedFault::BitFlip,
    };
    for number in after + 1..=after + count {
        m.memory.inject(Injection { number, fault });
    }
}

pub(super) fn impossible(step: &Step, problem: &str) -> PlayError {
    PlayError::Impossible { line: step.line, problem: problem.to_owned() }
}

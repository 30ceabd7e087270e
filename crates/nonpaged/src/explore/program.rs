//! What programs do with a driver, written in Rust.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use nt_types::Irql;

use crate::scenario::{Action, Assertion, DEFAULT_THREAD, Expect, Moment, Scenario, Step};

/// Programs that use a driver, step by step. The steps are written down once, and done in every schedule: what is asked of
/// the driver must not depend on what it answers. Before the first one the driver is started; after the last one requests
/// are cancelled, handles closed, the device removed and the driver unloaded. A step that refers to something that does not
/// exist, such as a handle whose open failed, is left out.
///
/// Requests of the program itself are waited for, at most 2 s of virtual time. Those of another [thread](Program::thread)
/// only begin: the next step is done at the same time, until somebody [waits](Program::wait).
#[derive(Clone, Debug)]
pub struct Program {
    steps: Rc<RefCell<Vec<Step>>>,
    /// The thread that requests are made by; `None` for the program itself, which waits for them.
    thread: Option<String>,
    cpu: Option<u32>,
}

/// A request of a program.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Request(String);

/// What a program has opened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Handle(Request);

impl Handle {
    /// The request that opened it.
    pub fn opening(&self) -> &Request {
        &self.0
    }

    fn name(&self) -> String {
        self.0.0.clone()
    }
}

impl AsRef<str> for Request {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Handle {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

impl Program {
    /// What `write` writes down.
    pub(super) fn recorded(write: impl FnOnce(&Program)) -> Scenario {
        let program = Program { steps: Rc::default(), thread: None, cpu: None };
        write(&program);
        Scenario { steps: program.steps.take(), ..Scenario::default() }
    }

    /// The same program on another thread, whose requests are not waited for.
    #[must_use]
    pub fn thread(&self, name: impl Into<String>) -> Program {
        Program { thread: Some(name.into()), ..self.clone() }
    }

    /// The same thread, on this processor only; from 0.
    #[must_use]
    pub fn on_cpu(&self, cpu: u32) -> Program {
        Program { cpu: Some(cpu), ..self.clone() }
    }

    /// Opens the first device that the driver has made.
    pub fn open(&self) -> Handle {
        self.opened(None)
    }

    /// Opens a device or symbolic link by its name.
    pub fn open_device(&self, name: impl Into<String>) -> Handle {
        self.opened(Some(name.into()))
    }

    fn opened(&self, device: Option<String>) -> Handle {
        Handle(self.request(|name| Action::Open { device, handle: name.to_owned() }))
    }

    /// Closes a handle: cleanup, then close.
    pub fn close(&self, file: &Handle) -> Request {
        self.request(|_| Action::Close { handle: file.name() })
    }

    /// Reads so many bytes.
    pub fn read(&self, file: &Handle, bytes: u32) -> Request {
        self.request(|_| Action::Read { handle: file.name(), bytes, offset: None })
    }

    /// Writes.
    pub fn write(&self, file: &Handle, data: impl Into<Vec<u8>>) -> Request {
        self.request(|_| Action::Write { handle: file.name(), data: data.into(), offset: None })
    }

    /// A device control request with this input, and so many bytes of room for output.
    pub fn ioctl(&self, file: &Handle, code: u32, input: impl Into<Vec<u8>>, output_bytes: u32) -> Request {
        self.request(|_| Action::Ioctl { handle: file.name(), code, input: input.into(), output_bytes })
    }

    /// Cancels a request, and waits for it.
    pub fn cancel(&self, request: &Request) {
        self.act(Action::Cancel { request: request.0.clone() });
    }

    /// Waits for a request.
    pub fn wait(&self, request: &Request) {
        self.act(Action::Wait { request: request.0.clone() });
    }

    /// Lets virtual time pass, in whole milliseconds.
    pub fn pass(&self, time: Duration) {
        self.act(Action::WaitMs(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    }

    /// Looks whether something holds: a panic of `holds` is a failure of the schedule, with a token as any other. It is
    /// called in many schedules, on several threads.
    pub fn assert(&self, holds: impl Fn(&Moment<'_>) + Send + Sync + 'static) {
        self.act(Action::Assert(Assertion::new(holds)));
    }

    /// Does anything else that a scenario can do.
    pub fn act(&self, action: Action) {
        self.push(action, None);
    }

    fn request(&self, action: impl FnOnce(&str) -> Action) -> Request {
        let name = format!("request {}", self.steps.borrow().len());
        let action = action(&name);
        self.push(action, Some(name.clone()));
        let request = Request(name);
        if self.thread.is_none() {
            self.wait(&request);
        }
        request
    }

    fn push(&self, action: Action, request: Option<String>) {
        let thread = self.thread.clone().unwrap_or_else(|| DEFAULT_THREAD.to_owned());
        let (cpu, with_next, irql) = (self.cpu, request.is_some(), Irql::PASSIVE);
        let step = Step { line: 0, action, thread, cpu, irql, request, with_next, expect: Expect::default() };
        self.steps.borrow_mut().push(step);
    }
}

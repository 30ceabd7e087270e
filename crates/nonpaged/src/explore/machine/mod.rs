//! The machine as a test sees it.

mod look;
mod request;
mod thread;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use explore::Outcome;
use kernel::Answer;

use super::Explore;
use crate::scenario::{Action, Call, DEFAULT_THREAD, Given, Stage, request_name};

pub use request::{Awaited, Handle, Request};
pub use thread::Thread;

/// Virtual time that a request may take: 2 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// A machine with a started driver, for the code of a test, which is a program that uses it.
///
/// The code is called in every schedule and may do with answers what it likes: branch, loop, assert; a panic is a failure of
/// the schedule. Machines fork where schedules part, but Rust code does not: it is run again from its beginning, with the
/// answers that it was given before, whenever the machine has an answer more. So it has to be deterministic: what it asks for
/// may depend on its answers and on nothing else, no clock, no counter that outlives it, no order of a `HashMap`. Where it
/// asks for something else than before, the search ends and says so.
///
/// Requests of the program itself are waited for; one that is not answered within 2 s of virtual time is a failure. Requests
/// of another [thread](Machine::thread) only begin, and whatever the program does next is done at the same time. A request
/// that cannot be made gets what Windows says: STATUS_INVALID_HANDLE where the handle is not open,
/// STATUS_OBJECT_NAME_NOT_FOUND where there is nothing to open.
///
/// When the code is over, requests are cancelled, handles closed, the device removed and the driver unloaded.
#[derive(Clone, Copy)]
pub struct Machine<'a>(&'a Stage<'a>);

impl Machine<'_> {
    /// Has a test use the driver in the schedules of ten seconds: [`Explore::check`] with default options.
    ///
    /// ```
    /// # let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../../drivers/null/null.sys");
    /// nonpaged::Machine::explore(driver, |m| {
    ///     let file = m.open();
    ///     let written = m.write(&file, b"hello");
    ///     // Memory may have run out: then it says so.
    ///     if written.status.is_success() {
    ///         assert_eq!(written.information, 5);
    ///     }
    /// });
    /// ```
    ///
    /// # Panics
    /// With the report of each failure and its token, or the reason why there was no search.
    #[track_caller]
    pub fn explore(driver: impl Into<PathBuf>, test: impl Fn(&Machine<'_>) + Send + Sync + 'static) -> Outcome {
        Explore::new(driver).check(test)
    }
}

impl<'a> Machine<'a> {
    pub(super) fn on(stage: &'a Stage<'a>) -> Machine<'a> {
        Machine(stage)
    }

    /// Another thread, whose requests are not waited for.
    pub fn thread(&self, name: impl Into<Cow<'a, str>>) -> Thread<'a> {
        Thread::new(self.0, name.into())
    }

    /// Opens the first device that the driver has made.
    #[track_caller]
    pub fn open(&self) -> Handle {
        self.wait(&self.this().open())
    }

    /// Opens a device or symbolic link by its name.
    #[track_caller]
    pub fn open_device(&self, name: &str) -> Handle {
        self.wait(&self.this().open_device(name))
    }

    /// Closes a handle: cleanup, then close.
    #[track_caller]
    pub fn close(&self, file: &Handle) -> Answer {
        self.wait(&self.this().close(file))
    }

    /// Reads so many bytes.
    #[track_caller]
    pub fn read(&self, file: &Handle, bytes: u32) -> Answer {
        self.wait(&self.this().read(file, bytes))
    }

    /// Writes.
    #[track_caller]
    pub fn write(&self, file: &Handle, data: impl AsRef<[u8]>) -> Answer {
        self.wait(&self.this().write(file, data))
    }

    /// A device control request with this input, and so many bytes of room for output.
    #[track_caller]
    pub fn ioctl(&self, file: &Handle, code: u32, input: impl AsRef<[u8]>, output_bytes: u32) -> Answer {
        self.wait(&self.this().ioctl(file, code, input, output_bytes))
    }

    /// Waits for a request.
    ///
    /// # Panics
    /// It is not answered within 2 s of virtual time.
    #[track_caller]
    pub fn wait<T: Awaited>(&self, request: &Request<T>) -> T {
        let answer = self.wait_for(request, PATIENCE);
        answer.expect("a request is answered within 2 s of virtual time")
    }

    /// Waits for a request, but not longer than this; `None` where it is still outstanding then.
    #[track_caller]
    pub fn wait_for<T: Awaited>(&self, request: &Request<T>, time: Duration) -> Option<T> {
        let (number, limit_ns) = (request.number(), nanoseconds(time));
        request.awaited(self.0.call(Call::Wait { request: number, limit_ns }))
    }

    /// Cancels a request, and waits up to 2 s of virtual time for it.
    #[track_caller]
    pub fn cancel<T>(&self, request: &Request<T>) {
        self.0.call(Call::Do(Action::Cancel { request: request_name(request.number()) }));
    }

    /// Lets virtual time pass.
    #[track_caller]
    pub fn pass(&self, time: Duration) {
        self.0.call(Call::Pass(nanoseconds(time)));
    }

    /// Bytes arrive on the serial line, whose other end is a peer: [`Explore::serial_line`].
    #[track_caller]
    pub fn receive(&self, data: impl Into<Vec<u8>>) {
        self.0.call(Call::Do(Action::Receive { data: data.into() }));
    }

    /// Takes what may leave out of memory.
    #[track_caller]
    pub fn trim(&self) {
        self.0.call(Call::Do(Action::Trim { section: None }));
    }

    /// Does anything else that a scenario can do, to its end; the name of a handle is [`Handle::name`]. What asks nothing of
    /// the driver is a success.
    ///
    /// # Errors
    /// It refers to something that does not exist.
    ///
    /// # Panics
    /// It is not answered within 2 s of virtual time.
    #[track_caller]
    pub fn act(&self, action: Action) -> Result<Answer, String> {
        match self.0.call(Call::Do(action)) {
            Given::Impossible(problem) => Err(problem),
            Given::Answer(answer) => Ok(answer.expect("a request is answered within 2 s of virtual time")),
            _ => Ok(request::GIVEN_UP),
        }
    }

    /// The program itself.
    fn this(&self) -> Thread<'a> {
        self.thread(DEFAULT_THREAD)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

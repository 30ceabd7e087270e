//! Threads of a test.

use std::borrow::Cow;

use kernel::Answer;
use nt_types::Irql;

use super::{Handle, Request};
use crate::scenario::{Action, Ask, Call, Expect, Stage, Step, request_name};

/// A thread. Its requests begin, and are not waited for: whatever is done next is done at the same time.
#[derive(Clone)]
#[must_use = "it does nothing until it is told to"]
pub struct Thread<'a> {
    stage: &'a Stage<'a>,
    name: Cow<'a, str>,
    cpu: Option<u32>,
    irql: Irql,
}

/// A request of a thread. It is made again whenever the code of a test is run again, so nothing in it is copied.
#[derive(Hash)]
struct Begin<'a> {
    thread: &'a str,
    cpu: Option<u32>,
    irql: Irql,
    what: What<'a>,
}

/// What is asked of a driver; files by the number of the call that opened them.
#[derive(Hash)]
enum What<'a> {
    Open { device: Option<&'a str> },
    Close { file: usize },
    Read { file: usize, bytes: u32, offset: Option<u64> },
    Write { file: usize, data: &'a [u8], offset: Option<u64> },
    Ioctl { file: usize, code: u32, input: &'a [u8], output_bytes: u32 },
}

impl<'a> Thread<'a> {
    pub(super) fn new(stage: &'a Stage<'a>, name: Cow<'a, str>) -> Thread<'a> {
        Thread { stage, name, cpu: None, irql: Irql::PASSIVE }
    }

    /// The same thread, on this processor only; from 0.
    pub fn on_cpu(self, cpu: u32) -> Thread<'a> {
        Thread { cpu: Some(cpu), ..self }
    }

    /// The same thread, whose reads and writes come at this IRQL, as from a driver above.
    pub fn at(self, irql: Irql) -> Thread<'a> {
        Thread { irql, ..self }
    }

    /// Opens the first device that the driver has made.
    #[track_caller]
    pub fn open(&self) -> Request<Handle> {
        self.begin(What::Open { device: None })
    }

    /// Opens a device or symbolic link by its name.
    #[track_caller]
    pub fn open_device(&self, name: &str) -> Request<Handle> {
        self.begin(What::Open { device: Some(name) })
    }

    /// Closes a handle: cleanup, then close.
    #[track_caller]
    pub fn close(&self, file: &Handle) -> Request<Answer> {
        self.begin(What::Close { file: file.number() })
    }

    /// Reads so many bytes.
    #[track_caller]
    pub fn read(&self, file: &Handle, bytes: u32) -> Request<Answer> {
        self.begin(What::Read { file: file.number(), bytes, offset: None })
    }

    /// Reads so many bytes from this offset on.
    #[track_caller]
    pub fn read_at(&self, file: &Handle, bytes: u32, offset: u64) -> Request<Answer> {
        self.begin(What::Read { file: file.number(), bytes, offset: Some(offset) })
    }

    /// Writes.
    #[track_caller]
    pub fn write(&self, file: &Handle, data: impl AsRef<[u8]>) -> Request<Answer> {
        self.begin(What::Write { file: file.number(), data: data.as_ref(), offset: None })
    }

    /// Writes at this offset.
    #[track_caller]
    pub fn write_at(&self, file: &Handle, data: impl AsRef<[u8]>, offset: u64) -> Request<Answer> {
        self.begin(What::Write { file: file.number(), data: data.as_ref(), offset: Some(offset) })
    }

    /// A device control request with this input, and so many bytes of room for output.
    #[track_caller]
    pub fn ioctl(&self, file: &Handle, code: u32, input: impl AsRef<[u8]>, output_bytes: u32) -> Request<Answer> {
        self.begin(What::Ioctl { file: file.number(), code, input: input.as_ref(), output_bytes })
    }

    #[track_caller]
    fn begin<T>(&self, what: What<'_>) -> Request<T> {
        let number = self.stage.number();
        self.stage.call(Begin { thread: &self.name, cpu: self.cpu, irql: self.irql, what });
        Request::new(number)
    }
}

impl Ask for Begin<'_> {
    fn call(self, number: usize) -> Call {
        let Begin { thread, cpu, irql, what } = self;
        let request = request_name(number);
        let action = what.action(&request);
        let (thread, request, expect) = (thread.to_owned(), Some(request), Expect::default());
        Call::Begin(Box::new(Step { line: 0, action, thread, cpu, irql, request, with_next: true, expect }))
    }
}

impl What<'_> {
    fn action(self, name: &str) -> Action {
        match self {
            What::Open { device } => Action::Open { device: device.map(str::to_owned), handle: name.to_owned() },
            What::Close { file } => Action::Close { handle: request_name(file) },
            What::Read { file, bytes, offset } => Action::Read { handle: request_name(file), bytes, offset },
            What::Write { file, data, offset } => {
                Action::Write { handle: request_name(file), data: data.to_vec(), offset }
            }
            What::Ioctl { file, code, input, output_bytes } => {
                Action::Ioctl { handle: request_name(file), code, input: input.to_vec(), output_bytes }
            }
        }
    }
}

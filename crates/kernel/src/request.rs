//! What the harness asks of the machine: each request runs on a thread of its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then, Trap};
use crate::machine::Machine;
use crate::schedule::NewThread;

/// Number of a request in this run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub usize);

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Answer {
    /// The status.
    pub status: NtStatus,
    /// `IoStatus.Information`, or the result of a plain call.
    pub information: u64,
    /// Output data.
    pub output: Vec<u8>,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuedRequest {
    /// What it was called by who issued it.
    pub name: String,
    /// The step at which it was issued.
    pub begun: u64,
    /// It moves data, so that the information of its answer is a number of bytes.
    pub transfers: bool,
    /// The step at which it was answered, and the answer; `None` while it runs.
    pub answer: Option<(u64, Answer)>,
}

impl Hash for IssuedRequest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Name and steps are for reports.
        let IssuedRequest { name: _, begun: _, transfers, answer } = self;
        (transfers, answer.as_ref().map(|(_, answer)| answer)).hash(state);
    }
}

/// Requests in the order in which they were issued; forks share those that they had.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Requests {
    issued: Vec<Arc<IssuedRequest>>,
}

/// Continuations of requests.
#[derive(Clone, Hash, Debug)]
pub enum RequestThen {
    /// Call a routine with these arguments.
    Call { id: RequestId, routine: Va, arguments: Vec<u64> },
    /// It returned.
    Called { id: RequestId },
}

impl RequestThen {
    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self {
            RequestThen::Call { id, routine, arguments } => {
                Ok(Next::call(routine, &arguments, Then::Request(RequestThen::Called { id })))
            }
            RequestThen::Called { id } => {
                m.answer(id, Answer { status: NtStatus(value as u32), information: value, output: Vec::new() });
                Ok(Next::VOID)
            }
        }
    }
}

impl Machine {
    /// Starts a request on a thread that begins with the continuation that `begin` makes of its number.
    pub(crate) fn submit(
        &mut self,
        name: &str,
        thread: &str,
        routine: Va,
        begin: impl FnOnce(RequestId) -> Then,
    ) -> Result<RequestId, Trap> {
        let id = RequestId(self.requests.issued.len());
        let (name, begun) = (name.to_owned(), self.steps());
        self.requests.issued.push(Arc::new(IssuedRequest { name, begun, transfers: false, answer: None }));
        self.create_thread(NewThread { name: thread.to_owned(), routine, then: begin(id), idle: false })?;
        Ok(id)
    }

    /// Calls a guest routine on a thread of its own.
    pub fn call_routine(&mut self, name: &str, routine: Va, arguments: &[u64]) -> Result<RequestId, Trap> {
        let arguments = arguments.to_vec();
        self.submit(name, name, routine, |id| Then::Request(RequestThen::Call { id, routine, arguments }))
    }

    /// Notes that a request moves data.
    pub(crate) fn note_transfer(&mut self, id: RequestId) {
        if let Some(request) = self.requests.issued.get_mut(id.0) {
            Arc::make_mut(request).transfers = true;
        }
    }

    pub(crate) fn answer(&mut self, id: RequestId, answer: Answer) {
        let step = self.steps();
        if let Some(request) = self.requests.issued.get_mut(id.0) {
            Arc::make_mut(request).answer = Some((step, answer));
        }
    }

    /// The answer to a request, once there is one.
    pub fn answer_of(&self, id: RequestId) -> Option<&Answer> {
        self.requests.issued.get(id.0)?.answer.as_ref().map(|(_, answer)| answer)
    }

    /// All requests so far, in the order in which they were issued.
    pub fn requests(&self) -> impl Iterator<Item = &IssuedRequest> {
        self.requests.issued.iter().map(Arc::as_ref)
    }
}

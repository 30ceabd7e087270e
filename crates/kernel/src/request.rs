//! What the harness asks of the machine: each request runs on a thread of its own.

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome, Then, Trap};
use crate::machine::Machine;
use crate::schedule::NewThread;

/// Number of a request in this run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RequestId(pub usize);

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: NtStatus,
    /// `IoStatus.Information`, or the result of a plain call.
    pub information: u64,
    /// Output data.
    pub output: Vec<u8>,
}

/// Requests in order, `None` while they run.
#[derive(Clone, Default, Debug)]
pub(crate) struct Requests {
    answers: Vec<Option<Answer>>,
}

/// Continuations of requests.
#[derive(Clone, Debug)]
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
    /// Starts a request whose thread begins with the continuation that `begin` makes of its number.
    pub(crate) fn submit(
        &mut self,
        name: &str,
        routine: Va,
        begin: impl FnOnce(RequestId) -> Then,
    ) -> Result<RequestId, Trap> {
        let id = RequestId(self.requests.answers.len());
        self.requests.answers.push(None);
        self.create_thread(NewThread { name: name.to_owned(), routine, then: begin(id), idle: false })?;
        Ok(id)
    }

    /// Calls a guest routine on a thread of its own.
    pub fn call_routine(&mut self, name: &str, routine: Va, arguments: &[u64]) -> Result<RequestId, Trap> {
        let arguments = arguments.to_vec();
        self.submit(name, routine, |id| Then::Request(RequestThen::Call { id, routine, arguments }))
    }

    pub(crate) fn answer(&mut self, id: RequestId, answer: Answer) {
        if let Some(slot) = self.requests.answers.get_mut(id.0) {
            *slot = Some(answer);
        }
    }

    /// The answer to a request, once there is one.
    pub fn answer_of(&self, id: RequestId) -> Option<&Answer> {
        self.requests.answers.get(id.0)?.as_ref()
    }
}

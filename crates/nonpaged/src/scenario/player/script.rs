//! What a test in Rust asks for, as tasks.

use kernel::Machine;
use nt_types::{Irql, NtStatus};

use super::{Answer, Outcome, PlayError, Player, Task};
use crate::scenario::script::{Call, Given, Verdict, request_name};
use crate::scenario::{Action, DEFAULT_THREAD, Expect, Step};

impl Player {
    /// Has the test go on, and does what it asks for then.
    pub(super) fn consult(&mut self, m: &Machine) -> Result<(), PlayError> {
        let Some(mut script) = self.script.take() else { return Ok(()) };
        self.note_opened(m);
        match script.advance(m, self) {
            Verdict::Over => {}
            Verdict::Asks(calls) => {
                self.script = Some(script);
                let tasks = calls.into_iter().map(tasks).collect::<Vec<_>>().concat();
                self.before([Task::Consult]);
                tasks.into_iter().rev().for_each(|task| self.tasks.push_front(task));
            }
            Verdict::Refuted(refutation) => return Err(PlayError::Refuted(refutation)),
            Verdict::Parted(parted) => return Err(PlayError::NotDeterministic(parted)),
        }
        Ok(())
    }

    /// What a call of the test came to.
    pub(super) fn give(&mut self, m: &Machine, call: Call, asked: u64) {
        let given = match call {
            Call::Sent => Given::Bytes(self.newly_sent(m)),
            Call::Pass(_) => Given::Nothing,
            _ => self.outcome.given(),
        };
        if let Some(script) = &mut self.script {
            script.give((call, asked), given);
        }
    }

    /// The answer to a request, as a test sees it.
    pub(in crate::scenario) fn answer_to(&self, m: &Machine, request: usize) -> Given {
        match self.requests.get(&request_name(request)) {
            Some(named) => Given::Answer(m.answer_of(named.id).cloned()),
            None => Given::Impossible(never_made(request)),
        }
    }

    /// Waits for a request, at most so many nanoseconds.
    pub(super) fn settle(&mut self, request: usize, limit_ns: u64) {
        match self.requests.get(&request_name(request)).cloned() {
            Some(named) => self.before([Task::Wait(named.id, Some(limit_ns)), Task::Outcome(named)]),
            None => self.outcome = Outcome::Impossible(never_made(request)),
        }
    }
}

fn never_made(request: usize) -> String {
    format!("`{}` could not be made", request_name(request))
}

impl Outcome {
    fn given(&self) -> Given {
        let only = |status| Given::Answer(Some(Answer { status, information: 0, output: Vec::new() }));
        match self {
            Outcome::Nothing => only(NtStatus::SUCCESS),
            Outcome::Status(status) => only(*status),
            Outcome::Answered(answer) => Given::Answer(Some(answer.clone())),
            Outcome::Pending => Given::Answer(None),
            Outcome::Impossible(problem) => Given::Impossible(problem.clone()),
        }
    }
}

fn tasks((call, asked): (Call, u64)) -> Vec<Task> {
    let task = match &call {
        // What it comes to is a matter of waiting for it.
        Call::Begin(step) => return vec![Task::Step(step.as_ref().clone())],
        Call::Do(action) => Some(Task::Step(step(action.clone()))),
        Call::Wait { request, limit_ns } => Some(Task::Settle(*request, *limit_ns)),
        Call::Pass(time_ns) => Some(Task::Pass(*time_ns)),
        Call::Sent | Call::Look(_) => None,
    };
    task.into_iter().chain([Task::Give(call, asked)]).collect()
}

fn step(action: Action) -> Step {
    let (thread, expect) = (DEFAULT_THREAD.to_owned(), Expect::default());
    Step { line: 0, action, thread, cpu: None, irql: Irql::PASSIVE, request: None, with_next: false, expect }
}

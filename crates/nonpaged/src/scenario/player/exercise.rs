//! The default exercise: what a program and a machine do with a driver in its life.

use std::collections::VecDeque;

use kernel::{Action as Request, Machine, RequestId};
use nt_types::{Irql, Va};

use super::{AFTERMATH_NS, PATIENCE_NS, PlayError, Player};
use crate::scenario::{Action, Expect, Step};
use crate::session::SHORT_NS;

/// What the exercise writes, and expects back from a looped device.
const GREETING: &[u8] = b"nonpaged";
/// Bytes passed with each device control request, both ways.
const IOCTL_BYTES: u32 = 64;
/// Device control codes tried at most.
const MAX_IOCTLS: usize = 64;

/// The two programs, and their requests.
const FIRST: &str = "first";
const SECOND: &str = "second";

/// A part of the exercise.
#[derive(Clone, Hash, Debug)]
pub(super) enum Task {
    /// Uses each device that a program can open.
    UseDevices,
    Open(String),
    Opened(String, RequestId),
    /// Runs a request; one that does not end in time is cancelled.
    Request(String, Request),
    Requested(String, RequestId),
    /// A read that nothing answers, cancelled.
    CancelledRead(Va),
    CancelIfPending(RequestId),
    Interrupts,
    /// Two programs at the same time, on the first device.
    Rivals,
    CloseAll,
    Remove,
    UnloadAll,
}

/// The whole exercise.
pub(super) fn tasks(rivals: bool) -> VecDeque<super::Task> {
    use super::Task as T;
    let exercise = T::Exercise;
    let mut tasks = VecDeque::from([T::Initialize, T::Start, exercise(Task::UseDevices), exercise(Task::Interrupts)]);
    if rivals {
        tasks.extend([exercise(Task::Rivals), exercise(Task::CloseAll)]);
    }
    tasks.push_back(T::ProgramEnds);
    let phase = T::Done("unload".to_owned());
    tasks.extend([exercise(Task::Remove), T::Unload, phase, T::Pass(AFTERMATH_NS)]);
    tasks
}

impl Player {
    pub(super) fn exercise_task(&mut self, m: &mut Machine, task: Task) -> Result<(), PlayError> {
        match task {
            Task::UseDevices => self.each(m.openable_names(self.base).into_iter().map(Task::Open)),
            Task::Open(name) => self.request(m, format!("open {name}"), Request::Open { name }, Task::Opened)?,
            Task::Opened(title, id) => self.opened(m, title, id),
            Task::Request(title, action) => self.request(m, title, action, Task::Requested)?,
            Task::Requested(title, id) => self.requested(m, title, id),
            Task::CancelledRead(file) => {
                let id = self.act(m, "read to be cancelled", Request::Read { file, length: 1, offset: 0 })?;
                self.before([super::Task::Pass(SHORT_NS), super::Task::Exercise(Task::CancelIfPending(id))]);
            }
            Task::CancelIfPending(id) => {
                let wait = super::Task::Wait(id, Some(PATIENCE_NS));
                self.before([wait, super::Task::Done("cancelled read".to_owned())]);
                if m.answer_of(id).is_none() {
                    self.before([super::Task::Cancel(id)]);
                }
            }
            Task::Interrupts => self.interrupts(m),
            Task::Rivals => self.rivals(m),
            Task::CloseAll => self.close_all(m)?,
            Task::Remove => self.remove(),
            Task::UnloadAll => self.unload_all(m)?,
        }
        Ok(())
    }

    fn each(&mut self, tasks: impl DoubleEndedIterator<Item = Task>) {
        tasks.rev().for_each(|task| self.tasks.push_front(super::Task::Exercise(task)));
    }

    fn request(
        &mut self,
        m: &mut Machine,
        title: String,
        action: Request,
        then: impl FnOnce(String, RequestId) -> Task,
    ) -> Result<(), PlayError> {
        let id = self.act(m, &title, action)?;
        self.before([super::Task::Wait(id, Some(PATIENCE_NS)), super::Task::Exercise(then(title, id))]);
        Ok(())
    }

    /// What is done with a handle.
    fn opened(&mut self, m: &Machine, title: String, id: RequestId) {
        let opened = m.answer_of(id).filter(|answer| answer.status.is_success());
        if let Some(file) = opened.map(|answer| Va(answer.information)) {
            let length = GREETING.len() as u32;
            let write = Request::Write { file, data: GREETING.to_vec(), offset: 0 };
            let mut uses = vec![
                Task::Request("write".to_owned(), write),
                Task::Request("read".to_owned(), Request::Read { file, length, offset: 0 }),
            ];
            uses.extend(self.codes.iter().take(MAX_IOCTLS).map(|&code| {
                let input = vec![0; IOCTL_BYTES as usize];
                let action = Request::Ioctl { file, code, input, output_length: IOCTL_BYTES };
                Task::Request(format!("ioctl {code:#x}"), action)
            }));
            uses.extend([Task::CancelledRead(file), Task::Request("close".to_owned(), Request::Close { file })]);
            self.each(uses.into_iter());
        }
        self.before([super::Task::Done(title)]);
    }

    fn requested(&mut self, m: &Machine, title: String, id: RequestId) {
        // A close cannot be cancelled: NtClose does not wait for its driver.
        let is_stuck = m.answer_of(id).is_none() && title != "close";
        self.before([super::Task::Done(title)]);
        if is_stuck {
            self.before([super::Task::Cancel(id), super::Task::Wait(id, Some(PATIENCE_NS))]);
        }
    }

    fn interrupts(&mut self, m: &Machine) {
        let vectors = m.connected_interrupts().iter().map(|connected| connected.vector).rev();
        for vector in vectors.collect::<Vec<_>>() {
            self.before([super::Task::Interrupt(vector), super::Task::Done("spurious interrupt".to_owned())]);
        }
    }

    /// Two programs: each uses the device while the other opens or closes it, and a read is under way at a close.
    fn rivals(&mut self, m: &mut Machine) {
        let Some(device) = m.openable_names(self.base).into_iter().next() else { return };
        let open = |handle: &str| Action::Open { device: Some(device.clone()), handle: handle.to_owned() };
        let close = |handle: &str| Action::Close { handle: handle.to_owned() };
        let read = |handle: &str| Action::Read { handle: handle.to_owned(), bytes: 1, offset: None };
        let write = |handle: &str| Action::Write { handle: handle.to_owned(), data: GREETING.to_vec(), offset: None };
        let pairs = [
            (None, open("a")),
            (Some(close("a")), open("b")),
            (Some(read("b")), close("b")),
            (Some(open("a")), open("b")),
            (Some(write("a")), read("b")),
            (Some(close("a")), close("b")),
        ];
        let steps = pairs.into_iter().flat_map(|(first, second)| pair(first, second));
        steps.rev().for_each(|step| self.tasks.push_front(super::Task::Step(step)));
        self.before([super::Task::Done("two programs".to_owned())]);
    }
}

/// Two steps at the same time, and the wait for what is left of them: a program that ends leaves no request behind.
fn pair(first: Option<Action>, second: Action) -> Vec<Step> {
    let step = |action, thread: &str, request: Option<&str>| Step {
        line: 0,
        action,
        thread: thread.to_owned(),
        cpu: None,
        irql: Irql::PASSIVE,
        with_next: request.is_some(),
        request: request.map(str::to_owned),
        expect: Expect::default(),
    };
    let reads = |action: &Action| matches!(action, Action::Read { .. });
    let (wait, cancel) = (|request| Action::Wait { request }, |request| Action::Cancel { request });
    let first_ends =
        first.as_ref().map(|action| if reads(action) { cancel(FIRST.to_owned()) } else { wait(FIRST.to_owned()) });
    let second_reads = reads(&second);
    let second_ends = [wait(SECOND.to_owned()), cancel(SECOND.to_owned())].into_iter().filter(|_| second_reads);
    let first = first.map(|action| step(action, FIRST, Some(FIRST)));
    let second = step(second, SECOND, second_reads.then_some(SECOND));
    let ends = first_ends.map(|end| step(end, FIRST, None)).into_iter();
    let ends = ends.chain(second_ends.map(|end| step(end, SECOND, None)));
    first.into_iter().chain([second]).chain(ends).collect()
}

//! Executive work items (ddi: ExQueueWorkItem): each runs on a system thread of its own at `PASSIVE_LEVEL`.

use nt_types::Va;
use nt_types::layout::work_queue_item;

use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, ex};
use crate::machine::Machine;
use crate::schedule::NewThread;
use crate::thread::{ThreadId, ThreadThen};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExQueueWorkItem(item: Va, queue: u32), DISPATCH),
];

/// What a worker thread calls.
#[derive(Clone, Debug)]
pub struct Work {
    routine: Va,
    arguments: Vec<u64>,
}

impl Work {
    pub(super) fn run(self, _m: &mut Machine) -> Outcome {
        Ok(Next::call(self.routine, &self.arguments, Then::Thread(ThreadThen::Worked { routine: self.routine })))
    }
}

fn ExQueueWorkItem(m: &mut Machine, item: Va, _queue: u32) -> Outcome {
    let routine = m.read_va(work_queue_item::WORKER_ROUTINE.at(item))?;
    let parameter = m.read_u64(work_queue_item::PARAMETER.at(item))?;
    m.check_work_item(item)?;
    m.record(EventKind::WorkItemQueued { item, routine });
    m.start_work("work item", routine, vec![parameter])?;
    Ok(Next::VOID)
}

impl Machine {
    /// Runs a routine on a worker thread.
    pub(crate) fn start_work(&mut self, name: &str, routine: Va, arguments: Vec<u64>) -> Result<ThreadId, Trap> {
        self.start_system_thread(name, routine, Then::Ex(ex::Then::WorkItem(Work { routine, arguments })))
    }

    /// A thread of this name that begins with a continuation, which calls `routine`.
    pub(crate) fn start_system_thread(&mut self, name: &str, routine: Va, then: Then) -> Result<ThreadId, Trap> {
        self.create_thread(NewThread { name: name.to_owned(), routine, then, idle: false })
    }
}

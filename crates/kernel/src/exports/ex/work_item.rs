//! Executive work items (ddi: ExQueueWorkItem): each runs on a system thread of its own at `PASSIVE_LEVEL`.

use nt_types::layout::work_queue_item;
use nt_types::{BugCheck, BugCheckCode, Va};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, ex};
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::schedule::NewThread;
use crate::stop::{Cause, StopKind};
use crate::thread::{ThreadId, ThreadThen};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, ExQueueWorkItem(item: Va, queue: u32; ..), DISPATCH),
];

/// What a worker thread calls.
#[derive(Clone, Hash, Debug)]
pub struct Work {
    routine: Va,
    arguments: Vec<u64>,
    /// The item that it was queued with, and its parameter.
    item: Option<(Va, u64)>,
}

impl Work {
    /// A worker thread takes the item off the queue before it calls the routine, which may free the item.
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        if let Some((item, _)) = self.item {
            m.ex.queued_work.remove(&item);
        }
        let then = ThreadThen::Worked { routine: self.routine, item: self.item };
        Ok(Next::call(self.routine, &self.arguments, Then::Thread(then)))
    }
}

fn ExQueueWorkItem(m: &mut Machine, call: &Call, item: Va, queue: u32) -> Outcome {
    let routine = m.read_va(work_queue_item::WORKER_ROUTINE.at(item))?;
    let parameter = m.read_u64(work_queue_item::PARAMETER.at(item))?;
    let work = Work { routine, arguments: vec![parameter], item: Some((item, parameter)) };
    m.queue_work(call.return_address, "ExQueueWorkItem", queue, work)?;
    Ok(Next::VOID)
}

impl Machine {
    /// Runs a routine on a worker thread.
    pub(crate) fn start_work(&mut self, name: &str, routine: Va, arguments: Vec<u64>) -> Result<ThreadId, Trap> {
        self.start_system_thread(name, Work { routine, arguments, item: None })
    }

    fn start_system_thread(&mut self, name: &str, work: Work) -> Result<ThreadId, Trap> {
        let routine = work.routine;
        let then = Then::Ex(ex::Then::WorkItem(work));
        self.create_thread(NewThread { name: name.to_owned(), routine, then, idle: false })
    }

    /// Queues an item of the I/O manager, whose routine gets these arguments; the second one is its parameter.
    pub(crate) fn queue_io_work(
        &mut self,
        call: &Call,
        service: &'static str,
        queue: u32,
        (item, routine, arguments): (Va, Va, Vec<u64>),
    ) -> Outcome {
        let parameter = arguments.get(1).copied().unwrap_or(0);
        let work = Work { routine, arguments, item: Some((item, parameter)) };
        self.queue_work(call.return_address, service, queue, work)?;
        Ok(Next::VOID)
    }

    /// 0xE4/1 where the item is queued already (docs: debugger/bug-check-0xe4).
    fn queue_work(&mut self, caller: Va, service: &'static str, queue: u32, work: Work) -> Result<(), Trap> {
        let (item, routine) = (work.item.map_or(Va::NULL, |(item, _)| item), work.routine);
        if self.ex.queued_work.contains(&item) {
            let rule = "a work item is queued again only once its routine was called";
            let cause = Cause::Rule { routine: service, rule };
            return Err(self.invalid_work(caller, [1, item.0, u64::from(queue), 0], cause));
        }
        self.check_work_item(item)?;
        self.record(EventKind::WorkItemQueued { item, routine });
        self.start_system_thread("work item", work)?;
        self.ex.queued_work.insert(item);
        Ok(())
    }

    /// A queued work item that lies in these bytes.
    pub(crate) fn queued_work_in(&self, start: Va, bytes: u64) -> Option<Va> {
        self.ex.queued_work.range(start..start + bytes).next().copied()
    }

    /// 0xE4/0: pool is freed with a queued work item in it.
    pub(super) fn work_freed(&mut self, caller: Va, item: Va, pool: Va, bytes: u64) -> Trap {
        let cause = Cause::GoingAway { object: ObjectKind::WorkItem, address: item };
        self.invalid_work(caller, [0, item.0, pool.0, pool.0 + bytes], cause)
    }

    /// 0xE4/2: an I/O work item is freed while it is queued.
    pub(crate) fn check_io_work_freed(&mut self, caller: Va, item: Va) -> Result<(), Trap> {
        if !self.ex.queued_work.contains(&item) {
            return Ok(());
        }
        let routine = self.events.iter().rev().find_map(|event| match event.kind {
            EventKind::WorkItemQueued { item: queued, routine } if queued == item => Some(routine),
            _ => None,
        });
        let cause = Cause::GoingAway { object: ObjectKind::WorkItem, address: item };
        Err(self.invalid_work(caller, [2, item.0, routine.unwrap_or(Va::NULL).0, 0], cause))
    }

    fn invalid_work(&mut self, caller: Va, parameters: [u64; 4], cause: Cause) -> Trap {
        let check = BugCheck { code: BugCheckCode::WORKER_INVALID, parameters };
        self.stop_at(caller, StopKind::BugCheck(check, cause)).into()
    }
}

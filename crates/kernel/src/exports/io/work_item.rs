//! I/O work items (ddi: IoAllocateWorkItem, IoQueueWorkItem, IoQueueWorkItemEx). An IO_WORKITEM is opaque to drivers.

use nt_types::Va;
use nt_types::layout::Field;

use crate::call::{Next, Outcome, Then};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;
use crate::thread::ThreadThen;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAllocateWorkItem(object: Va), DISPATCH),
    export!(Ntoskrnl, IoFreeWorkItem(item: Va), DISPATCH),
    export!(Ntoskrnl, IoInitializeWorkItem(object: Va, item: Va), HIGH),
    export!(Ntoskrnl, IoQueueWorkItem(item: Va, routine: Va, queue: u32, context: u64), DISPATCH),
    export!(Ntoskrnl, IoQueueWorkItemEx(item: Va, routine: Va, queue: u32, context: u64), DISPATCH),
    export!(Ntoskrnl, IoSizeofWorkItem(), HIGH),
    export!(Ntoskrnl, IoUninitializeWorkItem(item: Va), HIGH),
];

/// Our IO_WORKITEM: the object it was made for, and whether it is queued.
const OBJECT: Field = Field::new(0, 8);
const QUEUED: Field = Field::new(8, 4);
const WORK_ITEM_BYTES: u64 = 0x40;

/// A queued item.
#[derive(Clone, Debug)]
pub struct Work {
    item: Va,
    routine: Va,
    arguments: Vec<u64>,
}

impl Work {
    /// A worker thread takes the item off the queue before it calls the routine, which may free the item.
    pub(super) fn run(self, m: &mut Machine) -> Outcome {
        m.write_u32(QUEUED.at(self.item), 0)?;
        Ok(Next::call(self.routine, &self.arguments, Then::Thread(ThreadThen::Worked { routine: self.routine })))
    }
}

fn IoSizeofWorkItem(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(WORK_ITEM_BYTES))
}

fn IoAllocateWorkItem(m: &mut Machine, object: Va) -> Outcome {
    let Some(item) = m.kernel_object(WORK_ITEM_BYTES, *b"IoWI") else { return Ok(Next::pointer(Va::NULL)) };
    m.write_u64(OBJECT.at(item), object.0)?;
    Ok(Next::pointer(item))
}

fn IoInitializeWorkItem(m: &mut Machine, object: Va, item: Va) -> Outcome {
    m.fill_bytes(item, 0, WORK_ITEM_BYTES)?;
    m.write_u64(OBJECT.at(item), object.0)?;
    Ok(Next::VOID)
}

fn IoFreeWorkItem(m: &mut Machine, item: Va) -> Outcome {
    IoUninitializeWorkItem(m, item)?;
    if m.pool_free(item).is_none() {
        return Err(m.refuse("IoFreeWorkItem", format!("`{item}`, which is no item from IoAllocateWorkItem")));
    }
    Ok(Next::VOID)
}

fn IoUninitializeWorkItem(m: &mut Machine, item: Va) -> Outcome {
    if m.read_u32(QUEUED.at(item))? != 0 {
        return Err(m.refuse("IoFreeWorkItem", "a work item that is queued"));
    }
    Ok(Next::VOID)
}

fn IoQueueWorkItem(m: &mut Machine, item: Va, routine: Va, _queue: u32, context: u64) -> Outcome {
    let object = m.read_u64(OBJECT.at(item))?;
    queue(m, "IoQueueWorkItem", Work { item, routine, arguments: vec![object, context] })
}

/// The routine gets the item, too.
fn IoQueueWorkItemEx(m: &mut Machine, item: Va, routine: Va, _queue: u32, context: u64) -> Outcome {
    let object = m.read_u64(OBJECT.at(item))?;
    queue(m, "IoQueueWorkItemEx", Work { item, routine, arguments: vec![object, context, item.0] })
}

fn queue(m: &mut Machine, service: &'static str, work: Work) -> Outcome {
    if m.read_u32(QUEUED.at(work.item))? != 0 {
        return Err(m.refuse(service, "a work item that is queued already"));
    }
    m.check_work_item(work.item)?;
    m.write_u32(QUEUED.at(work.item), 1)?;
    m.record(EventKind::WorkItemQueued { item: work.item, routine: work.routine });
    let routine = work.routine;
    m.start_system_thread("work item", routine, Then::Io(io::Then::Work(work)))?;
    Ok(Next::VOID)
}

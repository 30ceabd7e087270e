//! I/O work items (ddi: IoAllocateWorkItem, IoQueueWorkItem, IoQueueWorkItemEx). An IO_WORKITEM is opaque to drivers.

use nt_types::Va;
use nt_types::layout::Field;

use crate::call::{Call, Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoAllocateWorkItem(object: Va), DISPATCH),
    export!(Ntoskrnl, IoFreeWorkItem(item: Va; ..), DISPATCH),
    export!(Ntoskrnl, IoInitializeWorkItem(object: Va, item: Va), HIGH),
    export!(Ntoskrnl, IoQueueWorkItem(item: Va, routine: Va, queue: u32, context: u64; ..), DISPATCH),
    export!(Ntoskrnl, IoQueueWorkItemEx(item: Va, routine: Va, queue: u32, context: u64; ..), DISPATCH),
    export!(Ntoskrnl, IoSizeofWorkItem(), HIGH),
    export!(Ntoskrnl, IoUninitializeWorkItem(item: Va; ..), HIGH),
];

/// Our IO_WORKITEM: the object it was made for.
const OBJECT: Field = Field::new(0, 8);
const WORK_ITEM_BYTES: u64 = 0x40;

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

fn IoFreeWorkItem(m: &mut Machine, call: &Call, item: Va) -> Outcome {
    m.check_io_work_freed(call.return_address, item)?;
    if m.pool_free(item).is_none() {
        return Err(m.refuse("IoFreeWorkItem", format!("`{item}`, which is no item from IoAllocateWorkItem")));
    }
    Ok(Next::VOID)
}

fn IoUninitializeWorkItem(m: &mut Machine, call: &Call, item: Va) -> Outcome {
    m.check_io_work_freed(call.return_address, item)?;
    Ok(Next::VOID)
}

fn IoQueueWorkItem(m: &mut Machine, call: &Call, item: Va, routine: Va, queue: u32, context: u64) -> Outcome {
    let object = m.read_u64(OBJECT.at(item))?;
    m.queue_io_work(call, "IoQueueWorkItem", queue, (item, routine, vec![object, context]))
}

/// The routine gets the item, too.
fn IoQueueWorkItemEx(m: &mut Machine, call: &Call, item: Va, routine: Va, queue: u32, context: u64) -> Outcome {
    let object = m.read_u64(OBJECT.at(item))?;
    m.queue_io_work(call, "IoQueueWorkItemEx", queue, (item, routine, vec![object, context, item.0]))
}

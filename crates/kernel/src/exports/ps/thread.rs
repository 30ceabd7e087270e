//! System threads (ddi: PsCreateSystemThread, PsTerminateSystemThread, KeSetPriorityThread).

use nt_types::{NtStatus, Va};

use crate::call::{Next, Outcome};
use crate::export;
use crate::exports::Export;
use crate::exports::ob::{Object, ObjectType};
use crate::machine::Machine;
use crate::thread::ThreadId;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoIsSystemThread = PsIsSystemThread(thread: Va), DISPATCH),
    export!(Ntoskrnl, KeGetCurrentThread = PsGetCurrentThread(), HIGH),
    export!(Ntoskrnl, KeQueryPriorityThread(thread: Va), HIGH),
    export!(Ntoskrnl, KeSetBasePriorityThread(thread: Va, increment: i32), DISPATCH),
    export!(Ntoskrnl, KeSetPriorityThread(thread: Va, priority: i32), DISPATCH),
    export!(Ntoskrnl, PsCreateSystemThread(handle: Va, access: u32, attributes: Va, process: u64, id: Va, routine: Va, context: u64), PASSIVE),
    export!(Ntoskrnl, PsGetCurrentThread(), HIGH),
    export!(Ntoskrnl, PsGetCurrentThreadId(), HIGH),
    export!(Ntoskrnl, PsGetThreadId(thread: Va), DISPATCH),
    export!(Ntoskrnl, PsGetThreadProcess(thread: Va), HIGH),
    export!(Ntoskrnl, PsGetThreadProcessId(thread: Va), HIGH),
    export!(Ntoskrnl, PsIsSystemThread(thread: Va), DISPATCH),
    export!(Ntoskrnl, PsTerminateSystemThread(status: NtStatus), PASSIVE),
];

/// Thread priorities are 1 to 31.
const LOWEST_PRIORITY: i32 = 1;
const HIGHEST_PRIORITY: i32 = 31;
const NORMAL_PRIORITY: i32 = 8;

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn PsCreateSystemThread(
    m: &mut Machine,
    handle: Va,
    _access: u32,
    _attributes: Va,
    _process: u64,
    id: Va,
    routine: Va,
    context: u64,
) -> Outcome {
    m.probe_write(handle, 8)?;
    if !id.is_null() {
        m.probe_write(id, 16)?;
    }
    let thread = m.start_work("system thread", routine, vec![context])?;
    let object = m.threads[thread.0 as usize].object;
    if !id.is_null() {
        m.write_u64(id, 4)?;
        m.write_u64(id + 8, number_of(thread))?;
    }
    Ok(Next::status(m.give_handle(handle, Object::Body(ObjectType::Thread, object), true)?))
}

/// Thread identifiers are multiples of four and never 0.
pub(super) fn number_of(thread: ThreadId) -> u64 {
    4 * (u64::from(thread.0) + 2)
}

fn PsTerminateSystemThread(_m: &mut Machine, status: NtStatus) -> Outcome {
    Ok(Next::ExitThread(status))
}

fn PsGetCurrentThread(m: &mut Machine) -> Outcome {
    Ok(Next::pointer(m.thread().object))
}

fn PsGetCurrentThreadId(m: &mut Machine) -> Outcome {
    Ok(Next::Return(number_of(m.current_thread())))
}

fn PsGetThreadId(m: &mut Machine, thread: Va) -> Outcome {
    Ok(Next::Return(m.thread_with(thread).map_or(0, number_of)))
}

fn PsGetThreadProcess(m: &mut Machine, _thread: Va) -> Outcome {
    Ok(Next::pointer(m.current_process()))
}

fn PsGetThreadProcessId(_m: &mut Machine, _thread: Va) -> Outcome {
    Ok(Next::Return(4))
}

fn PsIsSystemThread(_m: &mut Machine, _thread: Va) -> Outcome {
    Ok(Next::Return(1))
}

fn KeQueryPriorityThread(m: &mut Machine, thread: Va) -> Outcome {
    let priority = m.thread_with(thread).map_or(NORMAL_PRIORITY as u8, |id| m.threads[id.0 as usize].priority);
    Ok(Next::Return(priority.into()))
}

fn KeSetPriorityThread(m: &mut Machine, thread: Va, priority: i32) -> Outcome {
    let Some(id) = m.thread_with(thread) else {
        return Err(m.refuse("KeSetPriorityThread", format!("`{thread}`, which is no thread")));
    };
    let priority = priority.clamp(LOWEST_PRIORITY, HIGHEST_PRIORITY) as u8;
    let old = std::mem::replace(&mut m.threads[id.0 as usize].priority, priority);
    m.attention = true;
    Ok(Next::Return(old.into()))
}

fn KeSetBasePriorityThread(m: &mut Machine, thread: Va, increment: i32) -> Outcome {
    let priority = NORMAL_PRIORITY.saturating_add(increment);
    let Next::Return(old) = KeSetPriorityThread(m, thread, priority)? else { return Ok(Next::VOID) };
    Ok(Next::Return((old as i32 - NORMAL_PRIORITY) as u32 as u64))
}

impl Machine {
    /// The thread whose object this is.
    pub(crate) fn thread_with(&self, object: Va) -> Option<ThreadId> {
        self.threads.iter().find(|thread| thread.object == object).map(|thread| thread.id)
    }
}

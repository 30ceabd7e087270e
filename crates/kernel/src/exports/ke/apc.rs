//! Kernel-mode asynchronous procedure calls (docs: kernel/types-of-apcs). Faults at `APC_LEVEL` are legal.
//!
//! An APC is delivered when its thread runs below `APC_LEVEL`; a thread that waits gets it when the wait is over.

use std::collections::VecDeque;

use nt_types::layout::kapc;
use nt_types::{Irql, Va};

use crate::call::{Next, Outcome, Trap};
use crate::export;
use crate::exports::Export;
use crate::interrupt::After;
use crate::machine::Machine;
use crate::routine::Routine;
use crate::stop::Unsupported;
use crate::thread::ThreadId;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeInitializeApc(apc: Va, thread: Va, environment: u32, kernel: Va, rundown: Va, normal: Va, mode: u8, context: u64), DISPATCH),
    export!(Ntoskrnl, KeInsertQueueApc(apc: Va, argument1: u64, argument2: u64, increment: i32), DISPATCH),
];

const APC_OBJECT: u16 = 0x12;
/// Bytes of what a kernel routine may change: normal routine, its context, both system arguments.
const CHANGEABLE: u64 = 32;

/// Something that a thread will run.
#[derive(Clone, Copy, Hash, Debug)]
enum Queued {
    /// The kernel routine of this KAPC, at `APC_LEVEL`.
    Kernel(Va),
    /// A normal routine with its three arguments, at `PASSIVE_LEVEL`.
    Normal(Va, [u64; 3]),
}

/// APCs of all threads, in order.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Queue {
    queued: VecDeque<(ThreadId, Queued)>,
}

#[expect(clippy::too_many_arguments, reason = "the declared parameters")]
fn KeInitializeApc(
    m: &mut Machine,
    apc: Va,
    thread: Va,
    _environment: u32,
    kernel: Va,
    rundown: Va,
    normal: Va,
    mode: u8,
    context: u64,
) -> Outcome {
    if mode != 0 {
        let what = "`mode` other than kernel mode".to_owned();
        return Err(m.unsupported(Unsupported::Parameter { routine: "KeInitializeApc", what }).into());
    }
    m.fill_bytes(apc, 0, kapc::SIZEOF)?;
    m.write_u16(apc, APC_OBJECT)?;
    m.write_u64(kapc::THREAD.at(apc), thread.0)?;
    m.write_u64(kapc::KERNEL_ROUTINE.at(apc), kernel.0)?;
    m.write_u64(kapc::RUNDOWN_ROUTINE.at(apc), rundown.0)?;
    m.write_u64(kapc::NORMAL_ROUTINE.at(apc), normal.0)?;
    m.write_u64(kapc::NORMAL_CONTEXT.at(apc), context)?;
    Ok(Next::VOID)
}

fn KeInsertQueueApc(m: &mut Machine, apc: Va, argument1: u64, argument2: u64, _increment: i32) -> Outcome {
    let object = m.read_va(kapc::THREAD.at(apc))?;
    // An idle thread takes none: it can wait for nothing, and what runs at PASSIVE_LEVEL or APC_LEVEL may have to.
    let thread = m.threads.iter().find(|thread| thread.object == object && !thread.idle).map(|thread| thread.id);
    let (Some(thread), 0) = (thread, m.read_u8(kapc::INSERTED.at(apc))?) else { return Ok(Next::Return(0)) };
    m.write_u64(kapc::SYSTEM_ARGUMENT1.at(apc), argument1)?;
    m.write_u64(kapc::SYSTEM_ARGUMENT2.at(apc), argument2)?;
    m.write_u8(kapc::INSERTED.at(apc), 1)?;
    m.ke.apcs.queued.push_back((thread, Queued::Kernel(apc)));
    m.attention = true;
    Ok(Next::Return(1))
}

impl Machine {
    /// Starts the next APC of the current thread, which runs below `APC_LEVEL`.
    pub(crate) fn deliver_apc(&mut self) {
        let id = self.current_thread();
        if self.thread().guarded_regions > 0 {
            return;
        }
        let normal_allowed = self.thread().critical_regions == 0;
        let wanted = |(thread, queued): &(ThreadId, Queued)| {
            *thread == id && (normal_allowed || matches!(queued, Queued::Kernel(_)))
        };
        let Some(index) = self.ke.apcs.queued.iter().position(wanted) else { return };
        let (_, queued) = self.ke.apcs.queued[index];
        match queued {
            Queued::Normal(routine, arguments) => {
                self.ke.apcs.queued.remove(index);
                self.interrupt(Routine::Apc, routine, &arguments, Irql::PASSIVE, After::NormalApc);
            }
            Queued::Kernel(apc) => {
                if let Some((routine, changeable)) = self.work_at(Irql::APC, |m| m.read_apc(apc)) {
                    self.ke.apcs.queued.remove(index);
                    let pointers = [0, 8, 16, 24].map(|offset| changeable.0 + offset);
                    let arguments = [apc.0, pointers[0], pointers[1], pointers[2], pointers[3]];
                    let after = After::KernelApc { changeable };
                    self.interrupt(Routine::Apc, routine, &arguments, Irql::APC, after);
                }
            }
        }
    }

    fn read_apc(&mut self, apc: Va) -> Result<(Va, Va), Trap> {
        let routine = self.read_va(kapc::KERNEL_ROUTINE.at(apc))?;
        let mut values = Vec::new();
        for field in [kapc::NORMAL_ROUTINE, kapc::NORMAL_CONTEXT, kapc::SYSTEM_ARGUMENT1, kapc::SYSTEM_ARGUMENT2] {
            values.extend(self.read_u64(field.at(apc))?.to_le_bytes());
        }
        let Some(changeable) = self.kernel_object(CHANGEABLE, *b"Apc ") else { return Err(self.no_pool()) };
        self.write_bytes(changeable, &values)?;
        self.write_u8(kapc::INSERTED.at(apc), 0)?;
        Ok((routine, changeable))
    }

    /// A kernel routine returned: the normal routine that it left, if any, comes next.
    pub(crate) fn kernel_apc_ended(&mut self, changeable: Va) -> Result<(), Trap> {
        let mut values = [0; 4];
        for (value, offset) in values.iter_mut().zip([0, 8, 16, 24]) {
            *value = self.read_u64(changeable + offset)?;
        }
        self.pool_free(changeable);
        let [routine, arguments @ ..] = values;
        if routine != 0 {
            let id = self.current_thread();
            self.ke.apcs.queued.push_front((id, Queued::Normal(Va(routine), arguments)));
        }
        Ok(())
    }
}

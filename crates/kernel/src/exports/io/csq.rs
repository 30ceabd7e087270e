//! Cancel-safe queues (ddi: IoCsqInitialize, IoCsqInsertIrp, IoCsqRemoveNextIrp, IoCsqRemoveIrp). The queue itself is the
//! driver's: each operation calls its routines one after the other, between its lock and unlock routines.

use nt_types::layout::{io_csq as csq_block, io_csq_irp_context as context_block, io_stack_location, irp};
use nt_types::{Irql, NtStatus, Va, constants as c};

use super::irp::SL_PENDING_RETURNED;
use crate::call::{Call, Next, Outcome, Then};
use crate::export;
use crate::exports::{Export, io};
use crate::machine::Machine;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, IoCsqInitialize(csq: Va, insert: Va, remove: Va, peek: Va, acquire: Va, release: Va, cancelled: Va), HIGH),
    export!(Ntoskrnl, IoCsqInitializeEx(csq: Va, insert: Va, remove: Va, peek: Va, acquire: Va, release: Va, cancelled: Va), HIGH),
    export!(Ntoskrnl, IoCsqInsertIrp(csq: Va, request: Va, context: Va), DISPATCH),
    export!(Ntoskrnl, IoCsqInsertIrpEx(csq: Va, request: Va, context: Va, insert_context: u64), DISPATCH),
    export!(Ntoskrnl, IoCsqRemoveIrp(csq: Va, context: Va), DISPATCH),
    export!(Ntoskrnl, IoCsqRemoveNextIrp(csq: Va, peek_context: u64), DISPATCH),
    export!(Ntoskrnl, IopCsqCancelRoutine(device: Va, request: Va; ..), DISPATCH),
];

/// An operation on a queue and the request that it is about.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Operation {
    csq: Va,
    request: Va,
    /// IO_CSQ_IRP_CONTEXT, or NULL.
    context: Va,
    /// What the insert or peek routine gets.
    extra: u64,
    /// Where the lock routine keeps the IRQL.
    irql: Va,
    step: Step,
    /// What the operation returns.
    result: u64,
}

/// The routine of the driver that returned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    LockedToInsert,
    Inserted,
    LockedToPeek,
    Peeked,
    LockedToRemove,
    LockedToCancel,
    Removed,
    RemovedCancelled,
    Unlocked,
    UnlockedCancelled,
    Done,
}

/// `Tail.Overlay.DriverContext[3]` leads to the queue, by way of the context where there is one.
const LINK: nt_types::layout::Field = irp::TAIL_OVERLAY_DRIVER_CONTEXT.element(3, 8);

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoCsqInitialize(
    m: &mut Machine,
    csq: Va,
    insert: Va,
    remove: Va,
    peek: Va,
    acquire: Va,
    release: Va,
    cancelled: Va,
) -> Outcome {
    initialize(m, csq, c::IO_TYPE_CSQ, [insert, remove, peek, acquire, release, cancelled])
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn IoCsqInitializeEx(
    m: &mut Machine,
    csq: Va,
    insert: Va,
    remove: Va,
    peek: Va,
    acquire: Va,
    release: Va,
    cancelled: Va,
) -> Outcome {
    initialize(m, csq, c::IO_TYPE_CSQ_EX, [insert, remove, peek, acquire, release, cancelled])
}

fn initialize(m: &mut Machine, csq: Va, kind: u32, routines: [Va; 6]) -> Outcome {
    m.fill_bytes(csq, 0, csq_block::SIZEOF)?;
    m.write_u32(csq_block::TYPE.at(csq), kind)?;
    for (index, routine) in (0..).zip(routines) {
        m.write_u64(csq_block::CSQ_INSERT_IRP.at(csq) + 8 * index, routine.0)?;
    }
    Ok(Next::status(NtStatus::SUCCESS))
}

fn IoCsqInsertIrp(m: &mut Machine, csq: Va, request: Va, context: Va) -> Outcome {
    begin(m, Operation { request, context, ..operation(csq, Step::LockedToInsert) })
}

fn IoCsqInsertIrpEx(m: &mut Machine, csq: Va, request: Va, context: Va, insert_context: u64) -> Outcome {
    begin(m, Operation { request, context, extra: insert_context, ..operation(csq, Step::LockedToInsert) })
}

fn IoCsqRemoveNextIrp(m: &mut Machine, csq: Va, peek_context: u64) -> Outcome {
    begin(m, Operation { extra: peek_context, ..operation(csq, Step::LockedToPeek) })
}

fn IoCsqRemoveIrp(m: &mut Machine, csq: Va, context: Va) -> Outcome {
    begin(m, Operation { context, ..operation(csq, Step::LockedToRemove) })
}

/// The cancel routine of every request in such a queue; the caller holds the cancel spin lock.
fn IopCsqCancelRoutine(m: &mut Machine, call: &Call, _device: Va, request: Va) -> Outcome {
    let link = m.read_va(LINK.at(request))?;
    let (csq, context) = match m.read_u32(link)? {
        c::IO_TYPE_CSQ_IRP_CONTEXT => (m.read_va(context_block::CSQ.at(link))?, link),
        _ => (link, Va::NULL),
    };
    let old = m.read_u8(irp::CANCEL_IRQL.at(request))?;
    m.set_irql(Irql::new(old), call.return_address);
    begin(m, Operation { request, context, ..operation(csq, Step::LockedToCancel) })
}

fn operation(csq: Va, step: Step) -> Operation {
    Operation { csq, request: Va::NULL, context: Va::NULL, extra: 0, irql: Va::NULL, step, result: 0 }
}

/// Every operation begins with the lock.
fn begin(m: &mut Machine, operation: Operation) -> Outcome {
    let acquire = m.read_va(csq_block::CSQ_ACQUIRE_LOCK.at(operation.csq))?;
    let Some(irql) = m.kernel_object(8, *b"Csq ") else { return Err(m.no_pool()) };
    let operation = Operation { irql, ..operation };
    Ok(Next::call(acquire, &[operation.csq.0, irql.0], then(operation)))
}

fn then(operation: Operation) -> Then {
    Then::Io(io::Then::Csq(operation))
}

impl Operation {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        match self.step {
            Step::LockedToInsert => self.insert(m),
            Step::Inserted => self.inserted(m, NtStatus(value as u32)),
            Step::LockedToPeek => self.peek(m),
            Step::Peeked => self.peeked(m, Va(value)),
            Step::LockedToRemove => self.remove_this(m),
            Step::LockedToCancel => self.remove(m, Step::RemovedCancelled),
            Step::Removed => Operation { result: self.request.0, ..self }.removed(m, Step::Unlocked),
            Step::RemovedCancelled => self.removed(m, Step::UnlockedCancelled),
            Step::UnlockedCancelled => self.complete_cancelled(m),
            Step::Unlocked | Step::Done => {
                m.pool_free(self.irql);
                Ok(Next::Return(self.result))
            }
        }
    }

    fn call(self, m: &mut Machine, routine: nt_types::layout::Field, arguments: &[u64], step: Step) -> Outcome {
        let routine = m.read_va(routine.at(self.csq))?;
        Ok(Next::call(routine, arguments, then(Operation { step, ..self })))
    }

    fn insert(self, m: &mut Machine) -> Outcome {
        let link = if self.context.is_null() { self.csq } else { self.context };
        if !self.context.is_null() {
            m.write_u32(context_block::TYPE.at(self.context), c::IO_TYPE_CSQ_IRP_CONTEXT)?;
            m.write_u64(context_block::IRP.at(self.context), self.request.0)?;
            m.write_u64(context_block::CSQ.at(self.context), self.csq.0)?;
        }
        let stack = m.stack_location(self.request)?;
        let control = m.read_u8(io_stack_location::CONTROL.at(stack))?;
        m.write_u64(LINK.at(self.request), link.0)?;
        m.write_u8(io_stack_location::CONTROL.at(stack), control | SL_PENDING_RETURNED)?;
        let arguments = [self.csq.0, self.request.0, self.extra];
        let count = if m.read_u32(self.csq)? == c::IO_TYPE_CSQ_EX { 3 } else { 2 };
        self.call(m, csq_block::CSQ_INSERT_IRP, &arguments[..count], Step::Inserted)
    }

    /// A request that was cancelled in the meantime leaves the queue at once.
    fn inserted(self, m: &mut Machine, status: NtStatus) -> Outcome {
        let extended = m.read_u32(self.csq)? == c::IO_TYPE_CSQ_EX;
        if extended && !status.is_success() {
            return Operation { result: status.0.into(), ..self }.unlock(m, Step::Unlocked);
        }
        if m.read_u8(irp::CANCEL.at(self.request))? != 0 {
            return self.remove(m, Step::RemovedCancelled);
        }
        let routine = m.kernel_images.export("ntoskrnl.exe", "IopCsqCancelRoutine").unwrap_or(Va::NULL);
        m.write_u64(irp::CANCEL_ROUTINE.at(self.request), routine.0)?;
        self.unlock(m, Step::Unlocked)
    }

    fn peek(self, m: &mut Machine) -> Outcome {
        self.call(m, csq_block::CSQ_PEEK_NEXT_IRP, &[self.csq.0, self.request.0, self.extra], Step::Peeked)
    }

    /// A request whose cancel routine is on its way is passed over.
    fn peeked(self, m: &mut Machine, found: Va) -> Outcome {
        if found.is_null() {
            return self.unlock(m, Step::Unlocked);
        }
        let operation = Operation { request: found, ..self };
        if m.read_u64(irp::CANCEL_ROUTINE.at(found))? == 0 {
            return operation.peek(m);
        }
        m.write_u64(irp::CANCEL_ROUTINE.at(found), 0)?;
        let link = m.read_va(LINK.at(found))?;
        let context = if m.read_u32(link)? == c::IO_TYPE_CSQ_IRP_CONTEXT { link } else { Va::NULL };
        Operation { context, ..operation }.remove(m, Step::Removed)
    }

    /// NULL where the request has left the queue or is being cancelled.
    fn remove_this(self, m: &mut Machine) -> Outcome {
        let request = m.read_va(context_block::IRP.at(self.context))?;
        if request.is_null() || m.read_u64(irp::CANCEL_ROUTINE.at(request))? == 0 {
            return self.unlock(m, Step::Unlocked);
        }
        m.write_u64(irp::CANCEL_ROUTINE.at(request), 0)?;
        Operation { request, ..self }.remove(m, Step::Removed)
    }

    fn remove(self, m: &mut Machine, step: Step) -> Outcome {
        self.call(m, csq_block::CSQ_REMOVE_IRP, &[self.csq.0, self.request.0], step)
    }

    fn removed(self, m: &mut Machine, step: Step) -> Outcome {
        m.write_u64(LINK.at(self.request), 0)?;
        if !self.context.is_null() {
            m.write_u64(context_block::IRP.at(self.context), 0)?;
        }
        self.unlock(m, step)
    }

    fn unlock(self, m: &mut Machine, step: Step) -> Outcome {
        let irql = m.read_u8(self.irql)?;
        self.call(m, csq_block::CSQ_RELEASE_LOCK, &[self.csq.0, irql.into()], step)
    }

    fn complete_cancelled(self, m: &mut Machine) -> Outcome {
        self.call(m, csq_block::CSQ_COMPLETE_CANCELED_IRP, &[self.csq.0, self.request.0], Step::Done)
    }
}

//! Deferred procedure calls (ddi: KeInitializeDpc, KeInsertQueueDpc, KeFlushQueuedDpcs).

use std::collections::{BTreeSet, VecDeque};

use nt_types::layout::kdpc;
use nt_types::{BugCheck, BugCheckCode, Irql, NtStatus, Va, constants as c};

use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, ke};
use crate::finding::FindingKind;
use crate::interrupt::After;
use crate::machine::Machine;
use crate::routine::{ObjectKind, Routine};
use crate::stop::{Cause, StopKind};
use crate::thread::ThreadState;
use crate::time::Deadline;
use crate::wait::{Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeFlushQueuedDpcs(), PASSIVE),
    export!(Ntoskrnl, KeInitializeDpc(dpc: Va, routine: Va, context: u64), HIGH),
    export!(Ntoskrnl, KeInsertQueueDpc(dpc: Va, argument1: u64, argument2: u64), HIGH),
    export!(Ntoskrnl, KeRemoveQueueDpc(dpc: Va), HIGH),
    export!(Ntoskrnl, KeSetImportanceDpc(dpc: Va, importance: u32), HIGH),
    export!(Ntoskrnl, KeIsExecutingDpc(), HIGH),
    export!(Ntoskrnl, KeSetTargetProcessorDpc(dpc: Va, number: u8), HIGH),
    export!(Ntoskrnl, KeSetTargetProcessorDpcEx(dpc: Va, number: Va), HIGH),
];

/// `DpcObject` of `KOBJECTS`.
const DPC_OBJECT: u8 = 19;
/// Stands for `ThreadedDpcObject`, whose number no header gives.
pub(super) const THREADED_DPC_OBJECT: u8 = 0x80 | DPC_OBJECT;
/// `KDPC_IMPORTANCE`, as `KDPC.Importance` holds it.
const LOW_IMPORTANCE: u8 = c::LOW_IMPORTANCE as u8;
const MEDIUM_IMPORTANCE: u8 = c::MEDIUM_IMPORTANCE as u8;
const HIGH_IMPORTANCE: u8 = c::HIGH_IMPORTANCE as u8;
/// KeSetTargetProcessorDpc stores the number above this.
const TARGET_BIAS: u16 = 0x800;

/// A queued DPC.
#[derive(Clone, Copy, Hash, Debug)]
struct Queued {
    dpc: Va,
    processor: usize,
    number: u64,
    by: QueuedBy,
    /// Processing of the queue does not begin for it.
    can_wait: bool,
    is_threaded: bool,
}

/// Who queued a DPC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum QueuedBy {
    Driver,
    Timer,
}

/// DPCs of all processors, in order of delivery, and those that run.
#[derive(Clone, Default, Hash, Debug)]
pub(crate) struct Queues {
    queued: VecDeque<Queued>,
    running: Vec<Queued>,
    next_number: u64,
    /// Processors whose queue is left alone until a tick of the clock.
    left_alone: BTreeSet<usize>,
    /// Threaded DPCs have threads; `None` until the first one comes.
    pub(crate) threaded: Option<bool>,
}

impl Queues {
    /// True while a DPC older than `point` is queued or runs.
    fn holds_before(&self, point: u64) -> bool {
        self.queued.iter().chain(&self.running).any(|queued| queued.number < point)
    }

    /// Nobody has begun to process the queue of this processor.
    fn can_wait(&self, processor: usize) -> bool {
        self.queued.iter().filter(|queued| self.is_ordinary(queued, processor)).all(|queued| queued.can_wait)
    }

    /// True for what this processor runs without a thread.
    fn is_ordinary(&self, queued: &Queued, processor: usize) -> bool {
        queued.processor == processor && !self.has_thread(queued)
    }

    fn has_thread(&self, queued: &Queued) -> bool {
        queued.is_threaded && self.threaded == Some(true)
    }

    /// The next one of this processor that gets a thread, unless another one has it.
    pub(super) fn next_threaded(&self, processor: usize) -> Option<usize> {
        let is_next = |queued: &Queued| queued.processor == processor && self.has_thread(queued);
        let is_busy = self.running.iter().any(is_next);
        self.queued.iter().position(is_next).filter(|_| !is_busy)
    }

    /// The DPC at this place of the queue.
    pub(super) fn at(&self, index: usize) -> Va {
        self.queued[index].dpc
    }

    /// It runs from now on: its number.
    pub(super) fn begin(&mut self, index: usize) -> Option<u64> {
        let queued = self.queued.remove(index)?;
        self.running.push(queued);
        Some(queued.number)
    }
}

fn KeInitializeDpc(m: &mut Machine, dpc: Va, routine: Va, context: u64) -> Outcome {
    m.initialize_dpc(dpc, routine, context)?;
    m.object_initialised(dpc, ObjectKind::Dpc)
}

fn KeInsertQueueDpc(m: &mut Machine, dpc: Va, argument1: u64, argument2: u64) -> Outcome {
    let queued = m.queue_dpc(dpc, [argument1, argument2], QueuedBy::Driver)?;
    Ok(Next::Return(u64::from(queued)))
}

fn KeRemoveQueueDpc(m: &mut Machine, dpc: Va) -> Outcome {
    let was_queued = m.read_u64(kdpc::DPC_DATA.at(dpc))? != 0;
    m.write_u64(kdpc::DPC_DATA.at(dpc), 0)?;
    m.ke.dpcs.queued.retain(|queued| queued.dpc != dpc);
    m.dpc_ended();
    Ok(Next::Return(u64::from(was_queued)))
}

fn KeSetImportanceDpc(m: &mut Machine, dpc: Va, importance: u32) -> Outcome {
    m.write_u8(kdpc::IMPORTANCE.at(dpc), importance as u8)?;
    Ok(Next::VOID)
}

fn KeSetTargetProcessorDpc(m: &mut Machine, dpc: Va, number: u8) -> Outcome {
    m.write_u16(kdpc::NUMBER.at(dpc), TARGET_BIAS + u16::from(number))?;
    Ok(Next::VOID)
}

/// A PROCESSOR_NUMBER: group, number in it.
fn KeSetTargetProcessorDpcEx(m: &mut Machine, dpc: Va, number: Va) -> Outcome {
    let (group, index) = (m.read_u16(number)?, m.read_u8(number + 2)?);
    if group != 0 || usize::from(index) >= m.processors.len() {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    KeSetTargetProcessorDpc(m, dpc, index)?;
    Ok(Next::status(NtStatus::SUCCESS))
}

fn KeIsExecutingDpc(m: &mut Machine) -> Outcome {
    let active = m.active;
    let dpcs = &m.ke.dpcs;
    Ok(Next::Return(dpcs.running.iter().any(|running| dpcs.is_ordinary(running, active)).into()))
}

fn KeFlushQueuedDpcs(m: &mut Machine) -> Outcome {
    (0..m.processors.len()).for_each(|processor| m.begin_dpcs(processor));
    match m.dpc_flush_point() {
        Some(point) => Ok(Next::Wait(Wait::on(WaitOn::DpcFlush(point)), Then::Ke(ke::Then::DpcsFlushed))),
        None => Ok(Next::VOID),
    }
}

/// True where queueing a DPC of this importance does not begin the processing of its queue (docs:
/// kernel/organization-of-dpc-queues).
fn can_wait(importance: u8, is_here: bool) -> bool {
    importance == LOW_IMPORTANCE || importance == MEDIUM_IMPORTANCE && !is_here
}

impl Machine {
    /// Makes a KDPC.
    pub(crate) fn initialize_dpc(&mut self, dpc: Va, routine: Va, context: u64) -> Result<(), Trap> {
        self.fill_bytes(dpc, 0, kdpc::SIZEOF)?;
        self.write_u8(kdpc::TYPE.at(dpc), DPC_OBJECT)?;
        self.write_u8(kdpc::IMPORTANCE.at(dpc), MEDIUM_IMPORTANCE)?;
        self.write_u64(kdpc::DEFERRED_ROUTINE.at(dpc), routine.0)?;
        self.write_u64(kdpc::DEFERRED_CONTEXT.at(dpc), context)
    }

    /// Queues a DPC; false where it is queued already.
    pub(crate) fn queue_dpc(&mut self, dpc: Va, arguments: [u64; 2], by: QueuedBy) -> Result<bool, Trap> {
        if self.read_u64(kdpc::DPC_DATA.at(dpc))? != 0 {
            return Ok(false);
        }
        let routine = self.read_va(kdpc::DEFERRED_ROUTINE.at(dpc))?;
        let target = self.read_u16(kdpc::NUMBER.at(dpc))?;
        let importance = self.read_u8(kdpc::IMPORTANCE.at(dpc))?;
        let is_threaded = self.read_u8(kdpc::TYPE.at(dpc))? == THREADED_DPC_OBJECT;
        let target = target.checked_sub(TARGET_BIAS).map(usize::from);
        if let Some(target) = target.filter(|target| *target >= self.processors.len()) {
            return Err(self.no_such_processor(dpc, target));
        }
        let [argument1, argument2] = arguments;
        self.write_u64(kdpc::SYSTEM_ARGUMENT1.at(dpc), argument1)?;
        self.write_u64(kdpc::SYSTEM_ARGUMENT2.at(dpc), argument2)?;
        self.write_u64(kdpc::DPC_DATA.at(dpc), dpc.0)?;
        let processor = target.unwrap_or(self.active);
        // When the queue of threaded DPCs is processed does not depend on importance.
        let may_wait = by == QueuedBy::Driver && !is_threaded;
        let can_wait = may_wait && can_wait(importance, processor == self.active);
        let queued = Queued { dpc, processor, number: self.ke.dpcs.next_number, by, can_wait, is_threaded };
        self.ke.dpcs.next_number += 1;
        match importance {
            HIGH_IMPORTANCE => self.ke.dpcs.queued.push_front(queued),
            _ => self.ke.dpcs.queued.push_back(queued),
        }
        self.record(EventKind::DpcQueued { dpc, routine });
        self.check_dpc_home(routine, is_threaded);
        self.attention = true;
        Ok(true)
    }

    /// Processing of a queue begins, for what is in it by now.
    pub(crate) fn begin_dpcs(&mut self, processor: usize) {
        self.ke.dpcs.left_alone.remove(&processor);
        let queued = self.ke.dpcs.queued.iter_mut().filter(|queued| queued.processor == processor);
        queued.for_each(|queued| queued.can_wait = false);
        self.attention = true;
    }

    /// True where the queue of the active processor, which begins with this DPC, is left alone, or that is undecided.
    fn leaves_dpcs_alone(&mut self, first: Va) -> bool {
        let active = self.active;
        if !self.ke.dpcs.can_wait(active) {
            self.ke.dpcs.left_alone.remove(&active);
            return false;
        }
        if self.ke.dpcs.left_alone.contains(&active) {
            return true;
        }
        match self.choose_dpc_delay(first) {
            None => true,
            Some(None) => {
                self.begin_dpcs(active);
                false
            }
            Some(Some(late_ns)) => {
                self.ke.dpcs.left_alone.insert(active);
                self.deadlines.add(late_ns, Deadline::Dpcs(active));
                true
            }
        }
    }

    /// 0xC7/3: the DPC is for a processor that the machine does not have.
    fn no_such_processor(&mut self, dpc: Va, processor: usize) -> Trap {
        let parameters = [3, dpc.0, processor as u64, self.processors.len() as u64];
        let check = BugCheck { code: BugCheckCode::TIMER_OR_DPC_INVALID, parameters };
        let rule = "the target of a DPC is a processor of the machine";
        let place = self.here();
        self.stop_at(place, StopKind::BugCheck(check, Cause::Rule { routine: "KeInsertQueueDpc", rule })).into()
    }

    /// A queued DPC whose object lies in these bytes.
    pub(crate) fn queued_dpc_in(&self, start: Va, bytes: u64) -> Option<Va> {
        self.ke.dpcs.queued.iter().map(|queued| queued.dpc).find(|dpc| *dpc - start < bytes)
    }

    /// K10: a DPC that an ISR queued must not lie in a pageable section (R8). Nor must a threaded one in a section that is not
    /// locked: at `PASSIVE_LEVEL` nothing else shows it.
    fn check_dpc_home(&mut self, routine: Va, threaded: bool) {
        let in_isr = self.irql() > Irql::DISPATCH;
        let Some((section, locked)) = self.pageable_section(routine) else { return };
        if in_isr || threaded && !locked {
            self.find(FindingKind::K10DpcPageable { routine, section, locked, threaded: !in_isr }, routine);
        }
    }

    /// Starts the next DPC of the active processor; false where there is none to start.
    pub(crate) fn deliver_dpc(&mut self) -> bool {
        let active = self.active;
        let threads_wanted = self.ke.dpcs.queued.iter().any(|queued| queued.processor == active && queued.is_threaded);
        if threads_wanted && self.dpcs_are_threaded().is_none() {
            return false;
        }
        let dpcs = &self.ke.dpcs;
        let Some(index) = dpcs.queued.iter().position(|queued| dpcs.is_ordinary(queued, active)) else {
            self.start_threaded_dpc();
            return false;
        };
        let queued = dpcs.queued[index];
        if self.leaves_dpcs_alone(queued.dpc) {
            return false;
        }
        if let Some((routine, arguments)) = self.work_at(Irql::DISPATCH, |m| m.read_dpc_call(queued.dpc)) {
            self.ke.dpcs.begin(index);
            let after = After::Dpc { number: queued.number, timer: queued.by == QueuedBy::Timer };
            self.interrupt(Routine::Dpc, routine, &arguments, Irql::DISPATCH, after);
        }
        true
    }

    pub(super) fn read_dpc_call(&mut self, dpc: Va) -> Result<(Va, [u64; 4]), Trap> {
        self.check_object_in_use(self.kernel_images.interrupt_entry, dpc, ObjectKind::Dpc);
        let routine = self.read_va(kdpc::DEFERRED_ROUTINE.at(dpc))?;
        let context = self.read_u64(kdpc::DEFERRED_CONTEXT.at(dpc))?;
        let argument1 = self.read_u64(kdpc::SYSTEM_ARGUMENT1.at(dpc))?;
        let argument2 = self.read_u64(kdpc::SYSTEM_ARGUMENT2.at(dpc))?;
        self.write_u64(kdpc::DPC_DATA.at(dpc), 0)?;
        Ok((routine, [dpc.0, context, argument1, argument2]))
    }

    /// A point in the sequence of DPCs, where one before it is queued or runs.
    pub(crate) fn dpc_flush_point(&self) -> Option<u64> {
        let point = self.ke.dpcs.next_number;
        self.ke.dpcs.holds_before(point).then_some(point)
    }

    /// The DPC with this number is done: who waited for it goes on.
    pub(crate) fn dpc_delivered(&mut self, number: u64) {
        self.ke.dpcs.running.retain(|queued| queued.number != number);
        self.dpc_ended();
    }

    fn dpc_ended(&mut self) {
        let waiting: Vec<u64> = self
            .threads
            .iter()
            .filter_map(|thread| match &thread.state {
                ThreadState::Waiting { wait: Wait { on: WaitOn::DpcFlush(point), .. }, .. } => Some(*point),
                _ => None,
            })
            .collect();
        for point in waiting {
            if !self.ke.dpcs.holds_before(point) {
                self.wake_all_on(&WaitOn::DpcFlush(point));
            }
        }
    }
}

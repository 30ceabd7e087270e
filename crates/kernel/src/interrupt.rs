//! Delivery of interrupts and DPCs: what runs before the next instruction, and how it ends.

use engine::{Cpu, Gpr, Rflags};
use nt_types::{Irql, Va};

use crate::call::{Callout, Next, Outcome, Then};
use crate::event::EventKind;
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::routine::Routine;

/// A routine that interrupted whatever ran.
#[derive(Clone, Hash, Debug)]
pub struct Interruption {
    /// What was interrupted.
    context: Box<Cpu>,
    /// What kind of routine.
    what: Routine,
    routine: Va,
    /// IRQL it was called at, which it must return at.
    irql: Irql,
    /// The APC disable count then.
    apc_disable_count: i32,
    /// What the family does with its result before the interrupted code goes on.
    after: After,
}

/// What remains to be done after an interrupting routine.
#[derive(Clone, Hash, Debug)]
pub(crate) enum After {
    /// A DPC ended: a flush may be waiting for it.
    Dpc {
        /// Its number in the order of all that were queued.
        number: u64,
        /// A timer queued it.
        timer: bool,
    },
    /// A service routine ended for this vector; its result says whether it claimed the interrupt.
    ServiceRoutine { vector: u32, lock: Va },
    /// The kernel routine of an APC ended, and left here what its normal routine gets.
    KernelApc { changeable: Va },
    /// The normal routine of an APC ended.
    NormalApc,
}

impl Interruption {
    /// The registers of what was interrupted.
    pub(crate) fn context(&self) -> &Cpu {
        &self.context
    }

    pub(crate) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        m.record_at(self.routine, EventKind::Left { what: self.what, routine: self.routine, result: value });
        let after = m.irql();
        if after != self.irql {
            if let After::ServiceRoutine { lock, .. } = self.after {
                return Err(match m.options.verifier.verified {
                    true => m.isr_changed_irql(self.what, self.routine, self.irql, after),
                    false => m.isr_returned_raised(self.what, self.routine, self.irql, lock),
                });
            }
            let kind =
                FindingKind::IrqlNotRestored { what: self.what, routine: self.routine, before: self.irql, after };
            m.find(kind, self.routine);
        }
        match self.after {
            After::NormalApc => {}
            After::KernelApc { changeable } => m.kernel_apc_ended(changeable)?,
            After::Dpc { number, timer } => {
                m.check_dpc_regions(self.routine, self.apc_disable_count, timer)?;
                m.dpc_delivered(number);
            }
            After::ServiceRoutine { vector, lock } => {
                m.release_interrupt_lock(lock)?;
                m.service_routine_ended(vector, value as u8 != 0);
            }
        }
        Ok(Next::Resume(self.context))
    }
}

impl Machine {
    /// Delivers at most one thing to the active processor, most urgent first, then makes sure that it runs a thread that
    /// can run. A choice without an answer ends it before anything that depends on the answer.
    pub(crate) fn deliver(&mut self) {
        if self.cpu().rflags & Rflags::IF != 0 && self.deliver_device_interrupt() {
            return;
        }
        if self.irql() >= Irql::DISPATCH {
            return;
        }
        self.expire_timers();
        if self.stop.is_some() || self.is_undecided() || self.deliver_dpc() || self.is_undecided() {
            return;
        }
        self.schedule();
        if self.irql() < Irql::APC {
            self.deliver_apc();
        }
    }

    /// Calls `routine` at `irql` on top of whatever the active processor runs.
    pub(crate) fn interrupt(&mut self, what: Routine, routine: Va, arguments: &[u64], irql: Irql, after: After) {
        self.before_delivery(irql);
        let context = Box::new(self.cpu().clone());
        let rsp = context.get(Gpr::Rsp);
        // The interrupted code may use the 128 bytes below its stack pointer only if it is not Windows code; skipping
        // them costs nothing and keeps hand-written assembly safe.
        let base = rsp.wrapping_sub(128) & !15;
        self.cpu().cr8 = irql.level();
        self.watch_by_irql();
        self.record_at(routine, EventKind::Entered { what, routine });
        let apc_disable_count = self.apc_disable_count();
        let then = Then::Interruption(Interruption { context, what, routine, irql, apc_disable_count, after });
        let service = self.kernel_images.interrupt_entry;
        self.enter(Callout { routine, arguments: arguments.to_vec(), then }, base, service);
    }

    /// An interrupting routine is done: what it interrupted goes on, where the routine ended. After an APC that waited this
    /// may be another processor.
    pub(crate) fn resume_interrupted(&mut self, context: &Cpu) {
        self.processors[self.active].load(context);
        self.watch_by_irql();
        self.attention = true;
    }
}

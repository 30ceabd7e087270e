//! Threaded DPCs (ddi: KeInitializeThreadedDpc; docs: kernel/introduction-to-threaded-dpcs): each processor has a queue of
//! them, and runs one after the other at `PASSIVE_LEVEL` in a thread that no other thread preempts. Where they are disabled
//! they are ordinary DPCs. A driver must be right with both, so which it is is a choice.

use nt_types::layout::kdpc;
use nt_types::{Irql, NtStatus, Va};

use super::dpc::THREADED_DPC_OBJECT;
use crate::call::{Next, Outcome, Then};
use crate::event::EventKind;
use crate::export;
use crate::exports::{Export, ke};
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::routine::{ObjectKind, Routine};
use crate::schedule::NewThread;
use crate::turn::Turn;

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeInitializeThreadedDpc(dpc: Va, routine: Va, context: u64), HIGH),
];

/// Where `ThreadDpcEnable` stands.
const KERNEL: &str = "\\Registry\\Machine\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Kernel";
/// Of the threads of threaded DPCs: the highest there is.
const PRIORITY: u8 = 31;

/// A threaded DPC in its thread.
#[derive(Clone, Hash, Debug)]
pub struct Step {
    routine: Va,
    /// Of the DPC in the order of all that were queued.
    number: u64,
    /// What it is called with; `None` once it was.
    arguments: Option<[u64; 4]>,
}

impl Step {
    pub(super) fn run(self, m: &mut Machine, value: u64) -> Outcome {
        let Step { routine, number, arguments } = self;
        let Some(arguments) = arguments else { return m.threaded_dpc_returned(routine, number, value) };
        m.record_at(routine, EventKind::Entered { what: Routine::ThreadedDpc, routine });
        let returned = Then::Ke(ke::Then::ThreadedDpc(Step { routine, number, arguments: None }));
        Ok(Next::call(routine, &arguments, returned))
    }
}

fn KeInitializeThreadedDpc(m: &mut Machine, dpc: Va, routine: Va, context: u64) -> Outcome {
    m.initialize_dpc(dpc, routine, context)?;
    m.write_u8(kdpc::TYPE.at(dpc), THREADED_DPC_OBJECT)?;
    m.object_initialised(dpc, ObjectKind::Dpc)
}

impl Machine {
    /// True where threaded DPCs have threads: a setting of the system, so it is asked once. `None` while that is undecided.
    pub(super) fn dpcs_are_threaded(&mut self) -> Option<bool> {
        if self.ke.dpcs.threaded.is_none() {
            let disabled = self.options.registry.dword(KERNEL, "ThreadDpcEnable") == Some(0);
            let chosen = if disabled { None } else { self.choose_turn(|_| vec![Turn::ThreadedDpcsDisabled])? };
            self.ke.dpcs.threaded = Some(!disabled && chosen.is_none());
        }
        self.ke.dpcs.threaded
    }

    /// Gives the next threaded DPC of the active processor its thread, unless one has it.
    pub(super) fn start_threaded_dpc(&mut self) {
        let Some(index) = self.ke.dpcs.next_threaded(self.active) else { return };
        let dpc = self.ke.dpcs.at(index);
        let Some((routine, arguments)) = self.work_at(Irql::DISPATCH, |m| m.read_dpc_call(dpc)) else { return };
        let Some(number) = self.ke.dpcs.begin(index) else { return };
        let step = Step { routine, number, arguments: Some(arguments) };
        let then = Then::Ke(ke::Then::ThreadedDpc(step));
        let new = NewThread { name: "threaded DPC".to_owned(), routine, then, idle: false };
        match self.create_thread(new) {
            Ok(id) => {
                let active = self.active;
                let thread = &mut self.threads[id.0 as usize];
                (thread.priority, thread.processor) = (PRIORITY, Some(active));
            }
            Err(trap) => self.trap(trap, self.kernel_images.interrupt_entry),
        }
    }

    fn threaded_dpc_returned(&mut self, routine: Va, number: u64, result: u64) -> Outcome {
        let what = Routine::ThreadedDpc;
        self.record_at(routine, EventKind::Left { what, routine, result });
        let after = self.irql();
        if after != Irql::PASSIVE {
            self.find_at(
                routine,
                FindingKind::IrqlNotRestored { what, routine, before: Irql::PASSIVE, after },
                routine,
            );
            self.set_irql(Irql::PASSIVE, routine);
        }
        self.dpc_delivered(number);
        Ok(Next::ExitThread(NtStatus::SUCCESS))
    }
}

//! The machine: processors, memory and the state of the modelled executive, all plain data.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use devices::Bus;
use engine::Cpu;
use memory::Memory;
use nt_types::{Irql, Va};

use crate::call::Trap;
use crate::event::{Event, EventKind, EventLog};
use crate::exports::{cm, ex, io, ke, mm, ob, po, ps, rtl};
use crate::finding::{Finding, FindingKind};
use crate::modules::Modules;
use crate::ntos_image::KernelImages;
use crate::request::Requests;
use crate::stop::{Place, Stop, StopKind, Unsupported};
use crate::thread::{Thread, ThreadId, Threads};
use crate::time::Deadlines;

/// One processor and what is queued on it.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Its registers.
    pub cpu: Cpu,
    /// The thread it runs.
    pub current: ThreadId,
    /// Its idle thread.
    pub idle: ThreadId,
    /// Its KPCR.
    pub pcr: Va,
    /// Steps left before another ready thread gets the processor.
    pub quantum: u64,
}

impl Processor {
    /// What tells its state at this step.
    pub(crate) fn hash_at(&self, step: u64, state: &mut impl Hasher) {
        let Processor { cpu, current, idle, pcr, quantum } = self;
        (cpu, current, idle, pcr, quantum.saturating_sub(step)).hash(state);
    }

    /// Puts registers on the processor that were saved on any: what belongs to the processor itself stays.
    pub(crate) fn load(&mut self, context: &Cpu) {
        let Cpu { gs_base, kernel_gs_base, cr0, cr3, cr4, tsc, gdtr, idtr, .. } = self.cpu;
        let cpu = &mut self.cpu;
        cpu.clone_from(context);
        (cpu.gs_base, cpu.kernel_gs_base, cpu.tsc) = (gs_base, kernel_gs_base, tsc);
        (cpu.cr0, cpu.cr3, cpu.cr4, cpu.gdtr, cpu.idtr) = (cr0, cr3, cr4, gdtr, idtr);
    }
}

/// A whole guest machine.
pub struct Machine {
    /// Guest memory.
    pub memory: Memory,
    /// Hardware.
    pub bus: Bus,
    /// What the user chose.
    pub options: crate::options::Options,
    /// What happened.
    pub events: EventLog,
    pub(crate) processors: Vec<Processor>,
    /// Index of the processor that executes now.
    pub(crate) active: usize,
    pub(crate) threads: Threads,
    /// Instructions retired by all processors.
    pub(crate) steps: u64,
    /// Nanoseconds skipped while every processor was idle.
    pub(crate) skipped_ns: u64,
    pub(crate) deadlines: Deadlines,
    /// Waits begun so far.
    pub(crate) waits: u64,
    pub(crate) modules: Modules,
    pub(crate) kernel_images: Arc<KernelImages>,
    pub(crate) requests: Requests,
    pub(crate) stop: Option<Box<Stop>>,
    /// Something changed that the scheduler must look at before the next instruction.
    pub(crate) attention: bool,
    pub(crate) choices: crate::choice::Choices,
    pub(crate) coverage: crate::coverage::Recorder,
    pub(crate) executed: crate::executed::Recorder,
    /// What may happen between two instructions has not been decided yet.
    pub(crate) moment: bool,
    /// The step at which the slice in progress ends.
    pub(crate) slice_end: Option<u64>,
    /// Where a choice without an answer interrupted the search for a processor that has something to do.
    pub(crate) round: Option<Range<usize>>,
    pub(crate) cm: cm::State,
    pub(crate) ex: ex::State,
    pub(crate) io: io::State,
    pub(crate) ke: ke::State,
    pub(crate) mm: mm::State,
    pub(crate) ob: ob::State,
    pub(crate) po: po::State,
    pub(crate) ps: ps::State,
    pub(crate) rtl: rtl::State,
    pub(crate) findings_seen: BTreeMap<(&'static str, u64, u64), ()>,
    pub(crate) counters: crate::verifier::Counters,
    /// How often what time it is made a difference, or came to a driver, but for what drivers read in memory.
    pub(crate) looks_at_time: AtomicU64,
}

impl Machine {
    /// The registers of the processor that executes now.
    pub fn cpu(&mut self) -> &mut Cpu {
        &mut self.processors[self.active].cpu
    }

    /// A second machine in the same state; guest pages are shared until one of the two writes them.
    pub fn fork(&mut self) -> Machine {
        Machine {
            memory: self.memory.fork(),
            bus: self.bus.clone(),
            options: self.options.clone(),
            events: self.events.clone(),
            processors: self.processors.clone(),
            active: self.active,
            threads: self.threads.fork(),
            steps: self.steps,
            skipped_ns: self.skipped_ns,
            deadlines: self.deadlines.clone(),
            waits: self.waits,
            modules: self.modules.clone(),
            kernel_images: Arc::clone(&self.kernel_images),
            requests: self.requests.clone(),
            stop: self.stop.clone(),
            attention: self.attention,
            choices: self.choices.clone(),
            coverage: self.coverage.clone(),
            executed: self.executed.clone(),
            moment: self.moment,
            slice_end: self.slice_end,
            round: self.round.clone(),
            cm: self.cm.clone(),
            ex: self.ex.clone(),
            io: self.io.clone(),
            ke: self.ke.clone(),
            mm: self.mm.clone(),
            ob: self.ob.clone(),
            po: self.po.clone(),
            ps: self.ps.clone(),
            rtl: self.rtl.clone(),
            findings_seen: self.findings_seen.clone(),
            counters: self.counters,
            looks_at_time: AtomicU64::new(self.looks_at_time.load(Relaxed)),
        }
    }

    /// The thread that executes now.
    pub fn thread(&mut self) -> &mut Thread {
        let id = self.current_thread();
        &mut self.threads[id.0 as usize]
    }

    /// Number of the thread that executes now.
    pub fn current_thread(&self) -> ThreadId {
        self.processors[self.active].current
    }

    /// All threads, those that have ended included, in order of creation.
    pub fn threads(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter()
    }

    /// The thread with this number.
    pub fn thread_of(&self, id: ThreadId) -> Option<&Thread> {
        self.threads.get(id.0 as usize)
    }

    /// The IRQL of the processor that executes now.
    pub fn irql(&self) -> Irql {
        Irql::new(self.processors[self.active].cpu.cr8)
    }

    /// The IRQL of a processor, from 0; `None` where there is no such processor.
    pub fn irql_of(&self, processor: usize) -> Option<Irql> {
        self.processors.get(processor).map(|processor| Irql::new(processor.cpu.cr8))
    }

    /// Instructions retired by the whole machine.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Virtual time since start, in nanoseconds: one an instruction, plus what idling skipped.
    pub fn now_ns(&self) -> u64 {
        self.steps.saturating_add(self.skipped_ns)
    }

    /// The same, for what may go on differently at another time: see [`Machine::looks_at_time`].
    pub fn look_at_time(&self) -> u64 {
        self.looks_at_time.fetch_add(1, Relaxed);
        self.now_ns()
    }

    /// How often it made a difference, or may have, what time it is and not only how much of it passes. A run from a state
    /// that no look follows is the same run at any other time, but that it may come to the limit of steps.
    pub fn looks_at_time(&self) -> u64 {
        self.looks_at_time.load(Relaxed) + self.memory.looks_at_time()
    }

    /// Loaded and unloaded images.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// The generated images of the kernel.
    pub fn kernel_images(&self) -> &KernelImages {
        &self.kernel_images
    }

    /// The address that stands for what executes now: the guest instruction, or in an export call its return address.
    pub fn here(&mut self) -> Va {
        let rip = Va(self.cpu().rip);
        if self.kernel_images.holds(rip) { self.return_address().unwrap_or(rip) } else { rip }
    }

    /// The return address on top of the stack, where it can be read.
    fn return_address(&mut self) -> Option<Va> {
        let mut bytes = [0; 8];
        let rsp = Va(self.cpu().gpr[engine::Gpr::Rsp as usize]);
        self.memory.peek(rsp, &mut bytes).ok().map(|()| Va(u64::from_le_bytes(bytes)))
    }

    /// The service whose entry, or whose return address while it is in progress, this is.
    fn service_at(&mut self, place: Va) -> Option<&'static str> {
        let rip = Va(self.cpu().rip);
        if self.kernel_images.holds(place) {
            return self.kernel_images.routine_name(place);
        }
        if !self.kernel_images.holds(rip) || self.return_address() != Some(place) {
            return None;
        }
        let called_out = self.thread().frames.last().map(|frame| frame.service);
        let service = if rip == self.kernel_images.return_stub { called_out? } else { rip };
        self.kernel_images.routine_name(service)
    }

    /// Records an event here and now.
    pub fn record(&mut self, kind: EventKind) {
        if self.is_of_interest(&kind) {
            let place = self.here();
            self.log(place, kind);
        }
    }

    /// Records an event at a given place.
    pub fn record_at(&mut self, place: Va, kind: EventKind) {
        if self.is_of_interest(&kind) {
            self.log(place, kind);
        }
    }

    /// Takes note of coverage; true where the event is to be kept.
    fn is_of_interest(&mut self, kind: &EventKind) -> bool {
        self.coverage.note(kind);
        self.events.wants(kind)
    }

    fn log(&mut self, place: Va, kind: EventKind) {
        let (step, time_ns, processor) = (self.steps, self.now_ns(), self.active);
        let (thread, irql) = (self.current_thread(), self.irql());
        let service = self.service_at(place);
        self.events.push(Event { step, time_ns, processor, thread, irql, place, service, kind });
    }

    /// Records a finding once for each place and subject.
    pub fn find(&mut self, kind: FindingKind, subject: Va) {
        let place = self.here();
        self.find_at(place, kind, subject);
    }

    /// Records a finding at a given place, once for each subject.
    pub(crate) fn find_at(&mut self, place: Va, kind: FindingKind, subject: Va) {
        if self.findings_seen.insert((kind.code(), place.0, subject.0), ()).is_none() {
            let place = self.place(place);
            self.record(EventKind::Found(Finding { kind, place }));
        }
    }

    /// The codes of all findings so far, each once, in the order of their text.
    pub fn findings_so_far(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.findings_seen.keys().map(|(code, ..)| *code).collect();
        codes.dedup();
        codes
    }

    /// Where the machine is, for a report about `instruction`.
    pub fn place(&mut self, instruction: Va) -> Place {
        Place {
            processor: self.active,
            thread: self.current_thread(),
            irql: self.irql(),
            instruction,
            service: self.service_at(instruction),
            spin_locks: self.thread().spin_locks.len(),
            step: self.steps,
            stack: self.stack_trace(instruction),
            came_from: self.origin(instruction),
        }
    }

    /// The branch that led to an instruction, if one did.
    fn origin(&mut self, instruction: Va) -> Option<Va> {
        let branch = self.cpu().last_branch;
        (branch.from != 0 && branch.to == instruction.0).then_some(Va(branch.from))
    }

    /// A stop at `instruction`.
    pub fn stop_at(&mut self, instruction: Va, kind: StopKind) -> Stop {
        Stop { kind, place: self.place(instruction) }
    }

    /// The refusal of a parameter value that a routine does not model.
    pub(crate) fn refuse(&mut self, routine: &'static str, what: impl Into<String>) -> Trap {
        self.unsupported(Unsupported::Parameter { routine, what: what.into() }).into()
    }

    /// A named refusal by the export in progress.
    pub fn unsupported(&mut self, what: Unsupported) -> Stop {
        let here = self.here();
        self.stop_at(here, StopKind::Unsupported(what))
    }
}

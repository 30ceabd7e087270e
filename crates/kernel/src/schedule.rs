//! Threads on processors: creation, blocking, waking, switching, ending.

use engine::Gpr;
use memory::{Backing, Protection, ReadTicket, Region};
use nt_types::{Irql, NtStatus, PAGE_SIZE, Va};

use crate::call::{Frame, Then, Trap};
use crate::event::EventKind;
use crate::machine::{Machine, Processor};
use crate::stop::{Cause, Limit, Place, Stop, StopKind};
use crate::thread::{Thread, ThreadId, ThreadState};
use crate::time::Deadline;
use crate::wait::{Wait, WaitOn};
use nt_types::{BugCheck, BugCheckCode};

/// Pages of a kernel stack (24 KiB on x64).
const STACK_PAGES: u64 = 6;

/// Modelled frames that the thread of a request usually has at most.
const USUAL_FRAMES: usize = 4;

/// The lowest of the real-time priorities (`LOW_REALTIME_PRIORITY`).
const REAL_TIME: u8 = 16;

/// What a new thread is.
#[derive(Clone, Debug)]
pub(crate) struct NewThread {
    pub(crate) name: String,
    pub(crate) routine: Va,
    pub(crate) then: Then,
    pub(crate) idle: bool,
}

impl Machine {
    /// Creates a thread whose first act is the continuation `then`.
    pub(crate) fn create_thread(&mut self, new: NewThread) -> Result<ThreadId, Trap> {
        let id = ThreadId(self.threads.len() as u32);
        let no_room = |m: &mut Machine| m.limit_stop(Limit::Resource("frames for a kernel stack"));
        let stack = self.memory.allocate(Region::KernelStack, STACK_PAGES, Backing::Resident, Protection::READ_WRITE);
        let Ok(stack) = stack else { return Err(no_room(self)) };
        let Some(object) = self.new_thread_object(id) else { return Err(no_room(self)) };
        let high = stack + STACK_PAGES * PAGE_SIZE;
        let top = high.0 - 0x100;
        self.write_u64(Va(top), self.kernel_images.thread_exit_stub.0)?;
        let mut context = Box::new(self.fresh_cpu());
        context.gpr = [0; 16];
        context.set(Gpr::Rsp, top);
        context.rip = self.kernel_images.return_stub.0;
        context.cr8 = Irql::PASSIVE.level();
        context.rflags = engine::Rflags::FIXED | engine::Rflags::IF;
        let mut frames = Vec::with_capacity(USUAL_FRAMES);
        frames.extend((!new.idle).then_some(Frame { then: new.then, rsp: top, service: Va::NULL }));
        self.threads.push(Thread {
            id,
            name: new.name,
            state: ThreadState::Ready,
            context,
            frames,
            call: None,
            attempt: None,
            object,
            stack: (stack, high),
            priority: if new.idle { 0 } else { 8 },
            processor: None,
            idle: new.idle,
            affinity: 0,
            guarded_regions: 0,
            critical_regions: 0,
            wait_next: None,
            spin_locks: Vec::new(),
            stack_swap: true,
            stack_may_leave: false,
        });
        if !new.idle && !self.processors.is_empty() {
            self.record(EventKind::ThreadStarted { started: id, routine: new.routine });
        }
        self.attention = true;
        Ok(id)
    }

    pub(crate) fn limit_stop(&mut self, limit: Limit) -> Trap {
        let kind = StopKind::Limit(limit);
        if self.processors.is_empty() {
            return Stop { kind, place: Place::default() }.into();
        }
        let here = self.here();
        self.stop_at(here, kind).into()
    }

    /// Blocks the current thread; `gives_status` where a continuation takes the wait status, else what it did starts over.
    /// Waiting at `DISPATCH_LEVEL` or above is bug check 0xB8 (D40).
    pub(crate) fn block(&mut self, wait: Wait, gives_status: bool) {
        if self.irql() >= Irql::DISPATCH {
            return self.wait_at_dispatch();
        }
        let id = self.current_thread();
        if wait.user_mode {
            let stack = self.thread().stack;
            self.record(EventKind::WaitsInUserMode { stack });
        }
        self.waits += 1;
        let since = self.waits;
        if let Some(deadline_ns) = wait.deadline_ns {
            self.deadlines.add(deadline_ns, Deadline::WaitTimeout(id));
        }
        self.thread().state = ThreadState::Waiting { wait, gives_status, since };
        self.attention = true;
    }

    fn wait_at_dispatch(&mut self) {
        let (here, rip) = (self.here(), Va(self.cpu().rip));
        // A service that left a continuation for after the wait is on top of the modelled frames.
        let waiting = self.thread().frames.last().map(|frame| frame.service);
        let service = if rip == self.kernel_images.return_stub { waiting.unwrap_or(rip) } else { rip };
        let (object, rsp) = (self.thread().object.0, self.cpu().get(Gpr::Rsp));
        let check = BugCheck { code: BugCheckCode::ATTEMPTED_SWITCH_FROM_DPC, parameters: [object, 0, rsp, 0] };
        let cause = Cause::WaitAtDispatch { routine: service };
        let stop = self.stop_at(here, StopKind::BugCheck(check, cause));
        self.halt(stop);
    }

    /// Ends the wait of a thread, which goes on as soon as its stack is in memory. Where a continuation waits for the status,
    /// it gets it.
    pub(crate) fn wake(&mut self, id: ThreadId, status: NtStatus) {
        let Some(thread) = self.threads.get_mut(id.0 as usize) else { return };
        let ThreadState::Waiting { gives_status, .. } = thread.state else { return };
        let running_on = self.processors.iter_mut().find(|processor| processor.current == id);
        let cpu = running_on.map_or(&mut *thread.context, |processor| &mut processor.cpu);
        if gives_status {
            cpu.set(Gpr::Rax, u64::from(status.0));
        }
        thread.state = ThreadState::Ready;
        self.deadlines.remove(&Deadline::WaitTimeout(id));
        self.attention = true;
        self.bring_stack_in(id);
    }

    /// Wakes every thread whose wait is on exactly this.
    pub(crate) fn wake_all_on(&mut self, on: &WaitOn) {
        let waiting: Vec<ThreadId> = self
            .threads
            .live()
            .filter(|thread| matches!(&thread.state, ThreadState::Waiting { wait, .. } if wait.on == *on))
            .map(|thread| thread.id)
            .collect();
        for id in waiting {
            self.wake(id, NtStatus::SUCCESS);
        }
    }

    /// A read from the paging file is over: threads whose last read it was go on.
    pub(crate) fn wake_readers(&mut self, done: ReadTicket) {
        while let Some(reader) = self.reader(done) {
            let thread = &mut self.threads[reader.0 as usize];
            let ThreadState::Waiting { wait: Wait { on: WaitOn::PageReads(tickets), .. }, .. } = &mut thread.state
            else {
                return;
            };
            tickets.retain(|ticket| *ticket != done);
            if tickets.is_empty() {
                self.wake(reader, NtStatus::SUCCESS);
            }
        }
    }

    /// The first thread that waits for this read.
    pub(crate) fn reader(&self, ticket: ReadTicket) -> Option<ThreadId> {
        let waits = |state: &ThreadState| match state {
            ThreadState::Waiting { wait: Wait { on: WaitOn::PageReads(tickets), .. }, .. } => tickets.contains(&ticket),
            _ => false,
        };
        self.threads.live().find(|thread| waits(&thread.state)).map(|thread| thread.id)
    }

    /// Looks at the machine as if the active processor ran this thread, which is not running: for reports about it.
    pub(crate) fn as_thread<T>(&mut self, id: ThreadId, look: impl FnOnce(&mut Machine) -> T) -> T {
        let running_on = self.processors.iter().find(|processor| processor.current == id);
        let cpu = running_on.map_or(&*self.threads[id.0 as usize].context, |processor| &processor.cpu).clone();
        let active = self.active;
        let before = (std::mem::replace(&mut self.processors[active].cpu, cpu), self.processors[active].current);
        self.processors[active].current = id;
        let seen = look(self);
        (self.processors[active].cpu, self.processors[active].current) = before;
        seen
    }

    pub(crate) fn wait_timed_out(&mut self, id: ThreadId) {
        self.wake(id, NtStatus::TIMEOUT);
    }

    /// Ends the current thread.
    pub(crate) fn exit_thread(&mut self, status: NtStatus) {
        let id = self.current_thread();
        if !self.thread().stack_swap {
            return self.stack_locked_at_exit();
        }
        self.record(EventKind::ThreadEnded { ended: id });
        self.threads.end(id, status);
        let object = self.thread().object;
        self.thread_object_signalled(object);
        self.wake_all_on(&WaitOn::Thread(id));
        self.attention = true;
    }

    /// Gives the active processor the thread that should run now. Called below `DISPATCH_LEVEL` only.
    pub(crate) fn schedule(&mut self) {
        let current = self.current_thread();
        let here = self.active;
        let thread = self.thread();
        let runs = matches!(thread.state, ThreadState::Running) && !thread.idle && thread.may_run_on(here);
        let quantum_left = self.steps < self.processors[self.active].quantum;
        if runs && quantum_left && !self.is_outranked(current) {
            return;
        }
        let next = self.next_ready().filter(|next| !runs || !self.outranks(current, *next));
        match next {
            Some(next) if next != current => self.switch_to(next),
            Some(_) => self.restart_quantum(),
            None if runs => self.restart_quantum(),
            None => self.switch_to(self.processors[self.active].idle),
        }
    }

    /// The ready thread with the highest priority, round robin after the current one.
    pub(crate) fn next_ready(&self) -> Option<ThreadId> {
        let order = self.threads.live_from(self.processors[self.active].current.0 + 1);
        let ready = order.filter(|thread| self.can_run_here(thread));
        ready.rev().max_by_key(|thread| thread.priority).map(|thread| thread.id)
    }

    /// True where a real-time thread keeps the processor from another one, whoever waits for how long (docs:
    /// kernel/introduction-to-threaded-dpcs). Among other threads priority is no guarantee: it is raised and lowered all the
    /// time.
    pub(crate) fn outranks(&self, one: ThreadId, other: ThreadId) -> bool {
        let priority = |id: ThreadId| self.thread_of(id).map_or(0, |thread| thread.priority);
        priority(one) >= REAL_TIME && priority(one) > priority(other)
    }

    fn is_outranked(&self, current: ThreadId) -> bool {
        let mut urgent = self.threads.live().filter(|thread| thread.priority >= REAL_TIME);
        urgent.any(|thread| self.outranks(thread.id, current) && self.can_run_here(thread))
    }

    /// True where the active processor can go on with this thread. One that was woken before its processor looked up is
    /// still on that one, registers and all.
    pub(crate) fn can_run_here(&self, thread: &Thread) -> bool {
        let elsewhere =
            |(index, processor): (usize, &Processor)| index != self.active && processor.current == thread.id;
        !thread.idle
            && matches!(thread.state, ThreadState::Ready)
            && thread.may_run_on(self.active)
            && !self.processors.iter().enumerate().any(elsewhere)
    }

    fn restart_quantum(&mut self) {
        let quantum = self.steps + self.options.quantum_steps;
        self.processors[self.active].quantum = quantum;
        if matches!(self.thread().state, ThreadState::Ready) {
            self.thread().state = ThreadState::Running;
        }
    }

    pub(crate) fn switch_to(&mut self, next: ThreadId) {
        let index = self.active;
        let current = self.processors[index].current;
        if current != next {
            let thread = &mut self.threads[current.0 as usize];
            thread.context.as_mut().clone_from(&self.processors[index].cpu);
            if matches!(thread.state, ThreadState::Running) {
                thread.state = ThreadState::Ready;
            }
            self.load_context(index, next);
            self.free_stack_of_ended(current);
            self.let_stack_leave(current);
        }
        self.restart_quantum();
        self.threads[next.0 as usize].state = ThreadState::Running;
        self.watch_by_irql();
    }

    /// A thread that has ended needs its stack until another one has the processor.
    fn free_stack_of_ended(&mut self, id: ThreadId) {
        let thread = &self.threads[id.0 as usize];
        if matches!(thread.state, ThreadState::Ended(_)) {
            self.memory.release(thread.stack.0);
        }
    }

    /// Puts a thread's registers on a processor; what belongs to the processor stays.
    fn load_context(&mut self, index: usize, next: ThreadId) {
        let thread = &self.threads[next.0 as usize];
        let processor = &mut self.processors[index];
        processor.load(&thread.context);
        processor.current = next;
        let (pcr, object) = (processor.pcr, thread.object);
        self.set_current_thread(pcr, object);
    }
}

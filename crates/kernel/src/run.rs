//! The run loop: let what is due happen, pick a processor, deliver what is deliverable, execute a slice.

use engine::{Branch, Engine, Gpr};
use memory::{Memory, TrimPolicy, TrimReason};
use nt_types::{Irql, Va};

use crate::call::{Call, Callout, Frame, Next, Outcome, Then, Trap};
use crate::choice::ChoicePoints;
use crate::event::EventKind;
use crate::exports::failure::Failure;
use crate::exports::{EXPORTS, Export};
use crate::machine::Machine;
use crate::ntos_image::Stub;
use crate::request::RequestId;
use crate::stop::{Limit, Stop, StopKind};

/// How [`Machine::run`] ended.
#[derive(Debug)]
pub enum RunEnd {
    /// What was waited for has happened.
    Reached,
    /// The run stopped for good.
    Stopped(Box<Stop>),
    /// Nothing can happen any more without a new request.
    Quiescent,
    /// The part of the run is over: it goes on where it was.
    Paused,
    /// A choice needs an answer: see [`Machine::choice`] and [`Machine::answer_choice`]. Then it goes on where it was.
    Undecided,
}

/// How far [`Machine::run`] goes.
#[derive(Clone, Copy, Hash, Debug)]
pub enum Until {
    /// Until nothing is left to do.
    Quiescent,
    /// Until this request has its answer.
    Answered(RequestId),
    /// Until this virtual time, in nanoseconds.
    Time(u64),
    /// Until this request has its answer or this virtual time has come.
    AnsweredOrTime(RequestId, u64),
}

impl Until {
    /// The same, with what is left of the time at this time.
    #[must_use]
    pub fn left_at(self, now_ns: u64) -> Until {
        match self {
            Until::Quiescent | Until::Answered(_) => self,
            Until::Time(time_ns) => Until::Time(time_ns.saturating_sub(now_ns)),
            Until::AnsweredOrTime(id, time_ns) => Until::AnsweredOrTime(id, time_ns.saturating_sub(now_ns)),
        }
    }
}

impl Machine {
    /// Runs until the machine stops, what is waited for has happened, or nothing is left to do.
    pub fn run(&mut self, engine: &mut dyn Engine<Memory>, until: Until) -> RunEnd {
        self.run_part(engine, until, u64::MAX)
    }

    /// The same, but pauses when so many instructions were retired in all. Pauses change nothing of what happens.
    pub fn run_part(&mut self, engine: &mut dyn Engine<Memory>, until: Until, part_end: u64) -> RunEnd {
        while !self.is_undecided() {
            if self.slice_end.is_some() {
                self.slice(engine, part_end);
                if self.slice_end.is_some() && self.steps >= part_end && !self.is_undecided() {
                    return RunEnd::Paused;
                }
                continue;
            }
            self.fire_due();
            if self.is_undecided() {
                break;
            }
            if let Some(stop) = self.stop.take() {
                return RunEnd::Stopped(stop);
            }
            if self.has_reached(until) {
                return RunEnd::Reached;
            }
            if self.steps >= self.options.step_limit {
                let here = self.here();
                let stop = self.stop_at(here, StopKind::Limit(Limit::Steps(self.options.step_limit)));
                return RunEnd::Stopped(Box::new(stop));
            }
            if self.pick_processor() {
                self.begin_slice();
            } else if self.stop.is_none() && !self.is_undecided() && !self.skip_to_next_deadline(until) {
                return RunEnd::Quiescent;
            }
        }
        RunEnd::Undecided
    }

    fn has_reached(&self, until: Until) -> bool {
        match until {
            Until::Quiescent => false,
            Until::Answered(id) => self.answer_of(id).is_some(),
            Until::Time(time_ns) => self.now_ns() >= time_ns,
            Until::AnsweredOrTime(id, time_ns) => self.answer_of(id).is_some() || self.now_ns() >= time_ns,
        }
    }

    /// Makes the next processor with something to do the active one and gives it its thread; false where all are idle, or
    /// where a choice has no answer: then it goes on with the same processor.
    fn pick_processor(&mut self) -> bool {
        let count = self.processors.len();
        let first = self.active + 1;
        // Twice around: a processor that was passed idle may have to take a thread whose affinity took it off a later one.
        let mut round = self.round.take().unwrap_or(first..first + 2 * count);
        while let Some(index) = round.next() {
            self.active = index % count;
            self.watch_by_irql();
            self.deliver();
            if self.is_undecided() {
                self.round = Some(index..round.end);
                return false;
            }
            if self.is_busy() {
                return true;
            }
        }
        false
    }

    /// True where the active processor has instructions to execute.
    fn is_busy(&mut self) -> bool {
        let thread = self.thread();
        !thread.idle || !thread.frames.is_empty()
    }

    fn begin_slice(&mut self) {
        self.attention = false;
        self.slice_end = Some(self.steps.saturating_add(self.slice_steps()));
    }

    /// Executes until the slice is over, something needs the scheduler, or a choice needs an answer.
    fn slice(&mut self, engine: &mut dyn Engine<Memory>, part_end: u64) {
        while let Some(end) = self.slice_end {
            if self.moment && self.stop.is_none() && !self.pass_moment() {
                return;
            }
            if self.steps >= end || self.attention {
                self.slice_end = None;
                return;
            }
            if self.steps >= part_end {
                return;
            }
            let now = self.now_ns();
            let each_step = self.memory.config().trim == TrimPolicy::EachStep;
            let one = each_step || self.executed.records();
            let budget = if one { 1 } else { self.budget(end.min(part_end) - self.steps) };
            let processor = &mut self.processors[self.active];
            processor.cpu.tsc = now;
            let (address, irql) = (Va(processor.cpu.rip), Irql::new(processor.cpu.cr8));
            let run = engine.run(&mut processor.cpu, &mut self.memory, budget);
            if run.retired > 0 {
                self.executed.note(address, self.steps, irql);
            }
            if std::mem::take(&mut processor.cpu.tsc_was_read) {
                self.look_at_time();
            }
            self.steps += run.retired;
            self.handle_exit(run);
            // After an instruction that retired, never while one waits for several pages: those have to come together.
            if each_step && run.retired > 0 && self.stop.is_none() {
                self.trim(TrimReason::Raise);
            }
            self.note_pressure();
            if self.is_undecided() {
                return;
            }
            self.moment = self.is_moment(run.exit);
        }
    }

    /// Instructions to execute before the machine looks at what may happen.
    fn budget(&self, left: u64) -> u64 {
        if self.options.choices.has(ChoicePoints::EVERY_INSTRUCTION) { 1 } else { left }
    }

    /// Steps until the next deadline, the end of the quantum or the limit, whichever comes first.
    fn slice_steps(&self) -> u64 {
        let now = self.now_ns();
        let until_due = self.next_due().map_or(u64::MAX, |due| due.saturating_sub(now).max(1));
        let limit = self.options.step_limit.saturating_sub(self.steps);
        until_due.min(self.options.slice_steps).min(limit).max(1)
    }

    /// `vmcall` of the active processor.
    pub(crate) fn hypercall(&mut self, instruction: Va) {
        match self.kernel_images.stub(instruction) {
            Some(Stub::Export(index)) => self.export_call(index, instruction),
            Some(Stub::Return) => self.routine_returned(),
            Some(Stub::ThreadExit) => self.exit_thread(nt_types::NtStatus::SUCCESS),
            None => self.invalid_opcode(instruction),
        }
    }

    fn export_call(&mut self, index: usize, service: Va) {
        let rsp = self.cpu().get(Gpr::Rsp);
        let call = match self.read_u64(Va(rsp)) {
            Ok(return_address) => Call { service, rsp, return_address: Va(return_address) },
            Err(trap) => return self.trap(trap, service),
        };
        self.attempt(&call);
        let export = EXPORTS[index];
        let outcome = match self.judge_call(index, export, &call) {
            Ok(None) => (export.handler)(self, &call),
            Ok(Some(failure)) => self.fail(export, failure),
            Err(trap) => return self.trap(trap, service),
        };
        self.finish(outcome, rsp, service);
    }

    /// Judges the call: how it is to fail, if it is to.
    fn judge_call(&mut self, index: usize, export: &'static Export, call: &Call) -> Result<Option<Failure>, Trap> {
        self.note_passed(export, call);
        self.check_objects_of_call(index, call);
        let failure = self.choose_failure(index, call).ok_or(Trap::Undecided)?;
        self.check_service_irql(export, call)?;
        Ok(failure)
    }

    fn fail(&mut self, export: &Export, failure: Failure) -> Outcome {
        self.failed_deliberately(export.name);
        match failure {
            Failure::Returns(value) => Ok(Next::Return(value)),
            Failure::Raises(status) => Err(Trap::Raise(status)),
        }
    }

    /// Records which addresses a service gets that will be discarded: it may keep them for longer.
    fn note_passed(&mut self, export: &Export, call: &Call) {
        if self.modules.all_initialized() {
            return;
        }
        for index in 0..export.parameters.len() {
            let Ok(address) = call.raw(self, index).map(Va) else { return };
            if self.modules.is_doomed(address) {
                self.record(EventKind::Passed { address });
            }
        }
    }

    /// The routine that a modelled frame called has returned, or the wait it made is over.
    fn routine_returned(&mut self) {
        let value = self.cpu().get(Gpr::Rax);
        let Some(frame) = self.thread().frames.last().cloned() else {
            return self.internal("a return to the kernel without a frame");
        };
        self.cpu().set(Gpr::Rsp, frame.rsp);
        let depth = self.thread().frames.len();
        let outcome = frame.then.run(self, value);
        if outcome.is_ok() {
            self.thread().frames.truncate(depth - 1);
        }
        self.finish(outcome, frame.rsp, frame.service);
    }

    fn finish(&mut self, outcome: Outcome, rsp: u64, service: Va) {
        match outcome {
            Ok(next) => {
                self.attempt_ended();
                self.apply(next, rsp, service);
            }
            Err(trap) => self.trap(trap, service),
        }
    }

    fn apply(&mut self, next: Next, rsp: u64, service: Va) {
        match next {
            Next::Return(value) => self.return_to_caller(value, rsp, service),
            Next::Call(callout) => self.enter(callout, rsp, service),
            Next::Wait(wait, then) => {
                self.suspend_at(then, rsp, service);
                self.block(wait, true);
            }
            Next::Continue(then, value) => {
                self.suspend_at(then, rsp, service);
                self.cpu().set(Gpr::Rax, value);
                self.got_on();
            }
            Next::Below(then, bytes) => self.suspend_below(then, rsp, bytes, service),
            Next::Resume(context) => self.resume_interrupted(&context),
            Next::Jump => {
                let rsp = self.cpu().get(Gpr::Rsp);
                self.thread().frames.retain(|frame| frame.rsp >= rsp);
            }
            Next::ExitThread(status) => self.exit_thread(status),
        }
    }

    fn return_to_caller(&mut self, value: u64, rsp: u64, service: Va) {
        match self.read_u64(Va(rsp)) {
            Ok(return_address) => {
                let cpu = self.cpu();
                cpu.set(Gpr::Rax, value);
                cpu.set(Gpr::Rsp, rsp.wrapping_add(8));
                cpu.rip = return_address;
                cpu.last_branch = Branch::default();
            }
            Err(trap) => self.trap(trap, service),
        }
    }

    /// Leaves a frame whose continuation runs when the thread goes on.
    fn suspend_at(&mut self, then: Then, rsp: u64, service: Va) {
        self.thread().frames.push(Frame { then, rsp, service });
        self.cpu().rip = self.kernel_images.return_stub.0;
    }

    /// The same, with `bytes` of stack below `rsp` that are the continuation's own: its stack pointer is at their base.
    pub(crate) fn suspend_below(&mut self, then: Then, rsp: u64, bytes: u64, service: Va) {
        let base = rsp.wrapping_sub(bytes) & !15;
        self.suspend_at(then, base, service);
        self.cpu().set(Gpr::Rsp, base);
    }

    /// Calls a guest routine below `rsp`, in the Win64 convention.
    pub(crate) fn enter(&mut self, callout: Callout, rsp: u64, service: Va) {
        let stacked = callout.arguments.len().max(4) as u64;
        let new_rsp = (rsp.wrapping_sub(8 * stacked + 8) & !15).wrapping_sub(8);
        match self.write_call_frame(new_rsp, &callout.arguments) {
            Ok(()) => {
                self.thread().frames.push(Frame { then: callout.then, rsp, service });
                self.load_call_registers(callout.routine, &callout.arguments, new_rsp);
            }
            Err(trap) => self.trap(trap, service),
        }
    }

    fn write_call_frame(&mut self, rsp: u64, arguments: &[u64]) -> Result<(), Trap> {
        let return_stub = self.kernel_images.return_stub;
        self.write_u64(Va(rsp), return_stub.0)?;
        for (index, argument) in arguments.iter().enumerate().skip(4) {
            self.write_u64(Va(rsp.wrapping_add(8 + 8 * index as u64)), *argument)?;
        }
        Ok(())
    }

    fn load_call_registers(&mut self, routine: Va, arguments: &[u64], rsp: u64) {
        let cpu = self.cpu();
        for (register, argument) in [Gpr::Rcx, Gpr::Rdx, Gpr::R8, Gpr::R9].into_iter().zip(arguments) {
            cpu.set(register, *argument);
        }
        cpu.set(Gpr::Rsp, rsp);
        cpu.rip = routine.0;
        cpu.last_branch = Branch::default();
        cpu.rflags &= !engine::Rflags::DF;
    }

    /// What an export could not do by itself.
    pub(crate) fn trap(&mut self, trap: Trap, service: Va) {
        match trap {
            Trap::Fault(fault) => self.access_refused(fault, service),
            Trap::Block(wait) => self.block(wait, false),
            Trap::Spin => {
                self.steps += 1;
                self.attention = true;
            }
            Trap::Undecided => {}
            Trap::Raise(status) => self.raise_status(status),
            Trap::Exception(raised) => self.raise(*raised),
            Trap::Stop(stop) => self.halt(*stop),
        }
    }

    /// Ends the run.
    pub(crate) fn halt(&mut self, stop: Stop) {
        self.attention = true;
        if self.stop.is_none() {
            self.stop = Some(Box::new(stop));
        }
    }

    /// The stop that a trap outside guest code amounts to.
    pub fn trap_to_stop(&mut self, trap: Trap) -> Box<Stop> {
        match trap {
            Trap::Stop(stop) => stop,
            other => {
                let here = self.here();
                Box::new(self.stop_at(here, StopKind::Internal(format!("{other:?} outside guest code"))))
            }
        }
    }

    /// Ends the run because of a contradiction in this program.
    pub(crate) fn internal(&mut self, what: &str) {
        let here = self.here();
        let stop = self.stop_at(here, StopKind::Internal(what.to_owned()));
        self.halt(stop);
    }
}

//! Dispatcher objects: events, mutexes, semaphores, and waiting for them (ddi: KeWaitForSingleObject, KeSetEvent).
//!
//! An object is its memory in the guest: nothing about its state is kept elsewhere. Waiters are found in the threads.

use nt_types::layout::{dispatcher_header, kmutant, ksemaphore};
use nt_types::{Irql, NtStatus, Va, constants as c};

use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::Export;
use crate::finding::FindingKind;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::thread::{ThreadId, ThreadState};
use crate::turn::Turn;
use crate::wait::{Manner, Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeClearEvent(event: Va), DISPATCH),
    export!(Ntoskrnl, KeInitializeEvent(event: Va, kind: u32, state: bool), HIGH),
    export!(Ntoskrnl, KeInitializeMutex(mutex: Va, level: u32), HIGH),
    export!(Ntoskrnl, KeInitializeSemaphore(semaphore: Va, count: i32, limit: i32), HIGH),
    export!(Ntoskrnl, KePulseEvent(event: Va, increment: i32, wait: bool; ..), DISPATCH),
    export!(Ntoskrnl, KeReadStateEvent(event: Va), DISPATCH),
    export!(Ntoskrnl, KeReadStateMutex = KeReadStateEvent(mutex: Va), DISPATCH),
    export!(Ntoskrnl, KeReadStateSemaphore = KeReadStateEvent(semaphore: Va), HIGH),
    export!(Ntoskrnl, KeReleaseMutex(mutex: Va, wait: bool; ..), DISPATCH),
    export!(Ntoskrnl, KeReleaseSemaphore(semaphore: Va, increment: i32, adjustment: i32, wait: bool; ..), DISPATCH),
    export!(Ntoskrnl, KeResetEvent(event: Va), DISPATCH),
    export!(Ntoskrnl, KeSetEvent(event: Va, increment: i32, wait: bool; ..), DISPATCH),
    export!(Ntoskrnl, KeWaitForMultipleObjects(count: u32, objects: Va, kind: u32, reason: u32, mode: u8, alertable: bool, timeout: Va, blocks: Va; ..), DISPATCH),
    export!(Ntoskrnl, KeWaitForSingleObject(object: Va, reason: u32, mode: u8, alertable: bool, timeout: Va; ..), DISPATCH),
];

/// Object types of `KOBJECTS` as `DISPATCHER_HEADER.Type` holds them.
mod object_type {
    pub(super) const NOTIFICATION_EVENT: u8 = 0;
    pub(super) const SYNCHRONIZATION_EVENT: u8 = 1;
    pub(super) const MUTANT: u8 = 2;
    pub(super) const SEMAPHORE: u8 = 5;
    pub(super) const SYNCHRONIZATION_TIMER: u8 = 9;
}

fn KeInitializeEvent(m: &mut Machine, event: Va, kind: u32, state: bool) -> Outcome {
    let kind = if kind == 0 { object_type::NOTIFICATION_EVENT } else { object_type::SYNCHRONIZATION_EVENT };
    m.initialize_header(event, kind, dispatcher_header::SIZEOF, u32::from(state))?;
    m.object_initialised(event, ObjectKind::Event)
}

fn KeInitializeMutex(m: &mut Machine, mutex: Va, _level: u32) -> Outcome {
    m.fill_bytes(mutex, 0, kmutant::SIZEOF)?;
    m.initialize_header(mutex, object_type::MUTANT, kmutant::SIZEOF, 1)?;
    m.write_u8(kmutant::APC_DISABLE.at(mutex), 1)?;
    m.object_initialised(mutex, ObjectKind::Mutex)
}

fn KeInitializeSemaphore(m: &mut Machine, semaphore: Va, count: i32, limit: i32) -> Outcome {
    m.initialize_header(semaphore, object_type::SEMAPHORE, ksemaphore::SIZEOF, count as u32)?;
    m.write_u32(ksemaphore::LIMIT.at(semaphore), limit as u32)?;
    m.object_initialised(semaphore, ObjectKind::Semaphore)
}

fn KeClearEvent(m: &mut Machine, event: Va) -> Outcome {
    m.set_signal_state(event, 0)?;
    Ok(Next::VOID)
}

fn KeResetEvent(m: &mut Machine, event: Va) -> Outcome {
    let before = m.signal_state(event)?;
    m.set_signal_state(event, 0)?;
    Ok(Next::Return(before as u32 as u64))
}

fn KeSetEvent(m: &mut Machine, call: &Call, event: Va, _increment: i32, wait: bool) -> Outcome {
    let before = m.set_event(event)?;
    m.released(call, "KeSetEvent", wait);
    Ok(Next::Return(before as u32 as u64))
}

fn KePulseEvent(m: &mut Machine, call: &Call, event: Va, _increment: i32, wait: bool) -> Outcome {
    let before = m.signal_state(event)?;
    let turn = m.choose_pulse(event)?;
    m.set_signal_state(event, 1)?;
    m.signal_in_turn(event, turn)?;
    m.set_signal_state(event, 0)?;
    m.released(call, "KePulseEvent", wait);
    Ok(Next::Return(before as u32 as u64))
}

fn KeReadStateEvent(m: &mut Machine, event: Va) -> Outcome {
    Ok(Next::Return(m.signal_state(event)? as u32 as u64))
}

fn KeReleaseMutex(m: &mut Machine, call: &Call, mutex: Va, wait: bool) -> Outcome {
    let before = m.signal_state(mutex)?;
    let owner = m.read_va(kmutant::OWNER_THREAD.at(mutex))?;
    if owner != m.thread().object || before > 0 {
        return Err(Trap::Raise(NtStatus::MUTANT_NOT_OWNED));
    }
    let turn = if before == 0 { m.choose_waiter(mutex, 1)? } else { None };
    if before == 0 {
        m.write_u64(kmutant::OWNER_THREAD.at(mutex), 0)?;
    }
    m.set_signal_state(mutex, before.wrapping_add(1))?;
    m.signal_in_turn(mutex, turn)?;
    m.released(call, "KeReleaseMutex", wait);
    Ok(Next::Return(before as u32 as u64))
}

fn KeReleaseSemaphore(
    m: &mut Machine,
    call: &Call,
    semaphore: Va,
    _increment: i32,
    adjustment: i32,
    wait: bool,
) -> Outcome {
    let before = m.signal_state(semaphore)?;
    let limit = m.read_u32(ksemaphore::LIMIT.at(semaphore))? as i32;
    let turn = match before.checked_add(adjustment) {
        Some(after) if after <= limit && adjustment >= 0 => {
            let turn = m.choose_waiter(semaphore, adjustment.unsigned_abs() as usize)?;
            m.set_signal_state(semaphore, after)?;
            turn
        }
        _ => return Err(Trap::Raise(NtStatus::SEMAPHORE_LIMIT_EXCEEDED)),
    };
    m.signal_in_turn(semaphore, turn)?;
    m.released(call, "KeReleaseSemaphore", wait);
    Ok(Next::Return(before as u32 as u64))
}

fn KeWaitForSingleObject(
    m: &mut Machine,
    call: &Call,
    object: Va,
    _reason: u32,
    mode: u8,
    alertable: bool,
    timeout: Va,
) -> Outcome {
    m.wait_for(call, vec![object], false, Manner::of(mode, alertable), timeout)
}

#[expect(clippy::too_many_arguments, reason = "the documented parameters")]
fn KeWaitForMultipleObjects(
    m: &mut Machine,
    call: &Call,
    count: u32,
    objects: Va,
    kind: u32,
    _reason: u32,
    mode: u8,
    alertable: bool,
    timeout: Va,
    _blocks: Va,
) -> Outcome {
    if count == 0 || count > c::MAXIMUM_WAIT_OBJECTS {
        return Ok(Next::status(NtStatus::INVALID_PARAMETER));
    }
    let mut list = Vec::new();
    for index in 0..u64::from(count) {
        list.push(m.read_va(objects + 8 * index)?);
    }
    m.wait_for(call, list, kind == c::WAIT_ALL, Manner::of(mode, alertable), timeout)
}

impl Machine {
    pub(crate) fn initialize_header(&mut self, object: Va, kind: u8, size: u64, state: u32) -> Result<(), Trap> {
        let list = dispatcher_header::WAIT_LIST_HEAD.at(object);
        self.write_u32(object, 0)?;
        self.write_u8(dispatcher_header::TYPE.at(object), kind)?;
        self.write_u8(dispatcher_header::SIZE.at(object), (size / 4) as u8)?;
        self.write_u32(dispatcher_header::SIGNAL_STATE.at(object), state)?;
        self.write_u64(list, list.0)?;
        self.write_u64(list + 8, list.0)
    }

    pub(crate) fn signal_state(&mut self, object: Va) -> Result<i32, Trap> {
        Ok(self.read_u32(dispatcher_header::SIGNAL_STATE.at(object))? as i32)
    }

    pub(crate) fn set_signal_state(&mut self, object: Va, state: i32) -> Result<(), Trap> {
        self.write_u32(dispatcher_header::SIGNAL_STATE.at(object), state as u32)
    }

    /// With Wait = TRUE a release returns at `DISPATCH_LEVEL`, so that a wait can follow at once (R5, K14).
    fn released(&mut self, call: &Call, routine: &'static str, wait: bool) {
        if !wait {
            return;
        }
        if self.memory.paging().is_eligible(call.return_address.page()) {
            let section = self.modules.section_name(call.return_address).unwrap_or_default();
            self.find(FindingKind::K14WaitTruePageable { routine, section }, call.return_address);
        }
        let old = self.irql();
        self.thread().wait_next = Some(old);
        self.set_irql(Irql::DISPATCH.max(old), call.return_address);
    }

    pub(crate) fn wait_for(
        &mut self,
        call: &Call,
        objects: Vec<Va>,
        all: bool,
        manner: Manner,
        timeout: Va,
    ) -> Outcome {
        let deadline_ns = self.read_timeout(timeout)?;
        let id = self.current_thread();
        if let Some(status) = self.try_acquire(id, &objects, all)? {
            self.end_raised_wait(call);
            return Ok(Next::status(status));
        }
        if deadline_ns.is_some_and(|deadline| deadline <= self.now_ns()) {
            self.end_raised_wait(call);
            return Ok(Next::status(NtStatus::TIMEOUT));
        }
        if manner.user_mode {
            self.check_objects_on_stack(call.return_address, &objects);
        }
        self.end_raised_wait(call);
        let on = WaitOn::Objects { objects, all };
        Ok(Next::Wait(Wait::by_driver(on, deadline_ns, manner), Then::Return))
    }

    /// The wait that follows a release with Wait = TRUE ends the raise.
    fn end_raised_wait(&mut self, call: &Call) {
        if let Some(old) = self.thread().wait_next.take() {
            self.set_irql(old, call.return_address);
        }
    }

    /// Takes the objects for a thread if it need not wait: the wait status, or `None`.
    fn try_acquire(&mut self, id: ThreadId, objects: &[Va], all: bool) -> Result<Option<NtStatus>, Trap> {
        let mut ready = Vec::new();
        for object in objects {
            ready.push(self.is_signalled_for(id, *object)?);
        }
        if all {
            if ready.iter().all(|ready| *ready) {
                for object in objects {
                    self.consume(id, *object)?;
                }
                return Ok(Some(NtStatus::SUCCESS));
            }
            return Ok(None);
        }
        let Some(index) = ready.iter().position(|ready| *ready) else { return Ok(None) };
        self.consume(id, objects[index])?;
        Ok(Some(NtStatus(index as u32)))
    }

    fn is_signalled_for(&mut self, id: ThreadId, object: Va) -> Result<bool, Trap> {
        let state = self.signal_state(object)?;
        if self.read_u8(dispatcher_header::TYPE.at(object))? & 0x7f != object_type::MUTANT {
            return Ok(state > 0);
        }
        let owner = self.read_va(kmutant::OWNER_THREAD.at(object))?;
        Ok(state > 0 || owner == self.threads[id.0 as usize].object)
    }

    /// What a satisfied wait does to the object.
    fn consume(&mut self, id: ThreadId, object: Va) -> Result<(), Trap> {
        let state = self.signal_state(object)?;
        match self.read_u8(dispatcher_header::TYPE.at(object))? & 0x7f {
            object_type::SYNCHRONIZATION_EVENT | object_type::SYNCHRONIZATION_TIMER => self.set_signal_state(object, 0),
            object_type::SEMAPHORE => self.set_signal_state(object, state - 1),
            object_type::MUTANT => {
                let owner = self.threads[id.0 as usize].object;
                self.write_u64(kmutant::OWNER_THREAD.at(object), owner.0)?;
                self.set_signal_state(object, state.wrapping_sub(1))
            }
            _ => Ok(()),
        }
    }

    /// Sets an event: its state before.
    pub(crate) fn set_event(&mut self, event: Va) -> Result<i32, Trap> {
        let before = self.signal_state(event)?;
        let wakes_one = self.read_u8(dispatcher_header::TYPE.at(event))? == object_type::SYNCHRONIZATION_EVENT;
        let turn = if wakes_one { self.choose_waiter(event, 1)? } else { None };
        self.set_signal_state(event, 1)?;
        self.signal_in_turn(event, turn)?;
        Ok(before)
    }

    /// Asks who of those that wait for an object gets it, where it is not enough for all.
    fn choose_waiter(&mut self, object: Va, enough_for: usize) -> Result<Option<Turn>, Trap> {
        let waiters = self.single_waiters(object);
        if enough_for == 0 || waiters.len() <= enough_for {
            return Ok(None);
        }
        let turns = |_: &mut Machine| waiters[enough_for..].iter().copied().map(Turn::FirstWaiter).collect();
        self.choose_turn(turns).ok_or(Trap::Undecided)
    }

    /// Asks who of those that wait for a timer that expires goes on, where it releases one of them only (ddi:
    /// KeInitializeTimerEx). `None` while that is undecided.
    pub(super) fn choose_released(&mut self, timer: Va) -> Option<Option<Turn>> {
        let mut kind = [0];
        let is_known = self.memory.peek(dispatcher_header::TYPE.at(timer), &mut kind).is_ok();
        let releases_one = is_known && kind[0] == object_type::SYNCHRONIZATION_TIMER;
        if releases_one { self.choose_waiter(timer, 1).ok() } else { Some(None) }
    }

    /// Asks who of those that wait for an event misses that it is pulsed.
    fn choose_pulse(&mut self, event: Va) -> Result<Option<Turn>, Trap> {
        let waiters = self.single_waiters(event);
        if waiters.is_empty() {
            return Ok(None);
        }
        let turns = |_: &mut Machine| waiters.iter().copied().map(Turn::MissedPulse).collect();
        self.choose_turn(turns).ok_or(Trap::Undecided)
    }

    /// Threads that this object alone is enough for, in the order in which they began to wait.
    fn single_waiters(&self, object: Va) -> Vec<ThreadId> {
        let mut waiters = self.waiters_of(object);
        waiters.retain(|id| {
            let state = &self.threads[id.0 as usize].state;
            !matches!(state, ThreadState::Waiting { wait: Wait { on: WaitOn::Objects { all: true, .. }, .. }, .. })
        });
        waiters
    }

    /// The state of an object changed: waits that it satisfies end, the oldest first.
    pub(crate) fn signal(&mut self, object: Va) -> Result<(), Trap> {
        self.signal_in_turn(object, None)
    }

    /// The same, but for what was chosen.
    pub(super) fn signal_in_turn(&mut self, object: Va, turn: Option<Turn>) -> Result<(), Trap> {
        let mut waiters = self.waiters_of(object);
        match turn {
            Some(Turn::FirstWaiter(first)) => waiters.sort_by_key(|id| *id != first),
            Some(Turn::MissedPulse(missing)) => waiters.retain(|id| *id != missing),
            _ => {}
        }
        for id in waiters {
            let ThreadState::Waiting { wait, .. } = &self.threads[id.0 as usize].state else { continue };
            let WaitOn::Objects { objects, all } = wait.on.clone() else { continue };
            if let Some(status) = self.try_acquire(id, &objects, all)? {
                self.wake(id, status);
            }
        }
        Ok(())
    }

    /// Threads that wait for this object, in the order in which they began to.
    fn waiters_of(&self, object: Va) -> Vec<ThreadId> {
        let mut waiters: Vec<(u64, ThreadId)> = Vec::new();
        for thread in self.threads.live() {
            if let ThreadState::Waiting { wait: Wait { on: WaitOn::Objects { objects, .. }, .. }, since, .. } =
                &thread.state
                && objects.contains(&object)
            {
                waiters.push((*since, thread.id));
            }
        }
        waiters.sort_unstable();
        waiters.into_iter().map(|(_, id)| id).collect()
    }

    /// The moment that a timeout parameter names: `None` waits for ever. Negative values are relative, in 100 ns.
    pub(crate) fn read_timeout(&mut self, timeout: Va) -> Result<Option<u64>, Trap> {
        if timeout.is_null() {
            return Ok(None);
        }
        let value = self.read_u64(timeout)? as i64;
        Ok(Some(self.moment(value)))
    }

    /// Virtual time in nanoseconds of a due time: negative is relative, positive is absolute system time.
    pub(crate) fn moment(&self, due_100ns: i64) -> u64 {
        match due_100ns {
            relative if relative <= 0 => self.now_ns().saturating_add(relative.unsigned_abs().saturating_mul(100)),
            absolute => {
                self.look_at_time();
                (absolute as u64).saturating_sub(crate::exports::ke::BOOT_TIME_100NS).saturating_mul(100)
            }
        }
    }
}

//! Timers and time (ddi: KeSetTimer, KeSetTimerEx, KeDelayExecutionThread).

use nt_types::layout::{dispatcher_header, ktimer, kuser_shared_data};
use nt_types::{Irql, Va};

use crate::boot::KUSER_SHARED_DATA;
use crate::call::{Next, Outcome, Then, Trap};
use crate::event::EventKind;
use crate::export;
use crate::exports::Export;
use crate::exports::ke::dpc::QueuedBy;
use crate::machine::Machine;
use crate::routine::ObjectKind;
use crate::time::Deadline;
use crate::turn::Turn;
use crate::wait::{Manner, Wait, WaitOn};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, KeCancelTimer(timer: Va), DISPATCH),
    export!(Ntoskrnl, KeDelayExecutionThread(mode: u8, alertable: bool, interval: Va), APC),
    export!(Ntoskrnl, KeInitializeTimer(timer: Va), DISPATCH),
    export!(Ntoskrnl, KeInitializeTimerEx(timer: Va, kind: u32), DISPATCH),
    export!(Ntoskrnl, KeQueryInterruptTime(), HIGH),
    export!(Hal, KeQueryPerformanceCounter(frequency: Va), HIGH),
    export!(Ntoskrnl, KeQuerySystemTimePrecise(time: Va), HIGH),
    // The machine does not sleep, so there is no bias.
    export!(Ntoskrnl, KeQueryUnbiasedInterruptTime = KeQueryInterruptTime(), HIGH),
    export!(Ntoskrnl, KeQueryTimeIncrement(), HIGH),
    export!(Ntoskrnl, KeReadStateTimer(timer: Va), DISPATCH),
    export!(Ntoskrnl, KeSetTimer(timer: Va, due: i64, dpc: Va), DISPATCH),
    export!(Ntoskrnl, KeSetTimerEx(timer: Va, due: i64, period: i32, dpc: Va), DISPATCH),
    export!(Hal, KeStallExecutionProcessor(microseconds: u32), HIGH),
];

/// System time at boot: 2024-01-01 00:00 UTC, in 100 ns since 1601.
pub(crate) const BOOT_TIME_100NS: u64 = 133_485_408_000_000_000;
/// A clock tick: 15.625 ms.
pub(crate) const TICK_100NS: u64 = 156_250;
/// Bytes of a KSYSTEM_TIME.
const SYSTEM_TIME_BYTES: usize = 12;
/// Performance counter frequency, in Hz.
const FREQUENCY_HZ: u64 = 10_000_000;

fn KeInitializeTimer(m: &mut Machine, timer: Va) -> Outcome {
    KeInitializeTimerEx(m, timer, 0)
}

fn KeInitializeTimerEx(m: &mut Machine, timer: Va, kind: u32) -> Outcome {
    m.initialize_timer(timer, kind)?;
    m.object_initialised(timer, ObjectKind::Timer)
}

fn KeSetTimer(m: &mut Machine, timer: Va, due: i64, dpc: Va) -> Outcome {
    KeSetTimerEx(m, timer, due, 0, dpc)
}

fn KeSetTimerEx(m: &mut Machine, timer: Va, due: i64, period: i32, dpc: Va) -> Outcome {
    let was_set = m.set_timer(timer, due, period, dpc)?;
    Ok(Next::Return(u64::from(was_set)))
}

fn KeCancelTimer(m: &mut Machine, timer: Va) -> Outcome {
    // Touching the header is part of the service: a timer in absent memory is fatal here as it is in Windows.
    m.read_u8(dispatcher_header::TYPE.at(timer))?;
    Ok(Next::Return(u64::from(m.cancel_timer(timer))))
}

fn KeReadStateTimer(m: &mut Machine, timer: Va) -> Outcome {
    Ok(Next::Return(u64::from(m.signal_state(timer)? != 0)))
}

fn KeDelayExecutionThread(m: &mut Machine, mode: u8, alertable: bool, interval: Va) -> Outcome {
    let due = m.read_u64(interval)? as i64;
    let deadline_ns = Some(m.moment(due));
    Ok(Next::Wait(Wait::by_driver(WaitOn::Time, deadline_ns, Manner::of(mode, alertable)), Then::Value(0)))
}

fn KeStallExecutionProcessor(m: &mut Machine, microseconds: u32) -> Outcome {
    m.skipped_ns = m.skipped_ns.saturating_add(u64::from(microseconds) * 1000);
    m.attention = true;
    Ok(Next::VOID)
}

fn KeQueryPerformanceCounter(m: &mut Machine, frequency: Va) -> Outcome {
    if !frequency.is_null() {
        m.write_u64(frequency, FREQUENCY_HZ)?;
    }
    Ok(Next::Return(m.look_at_time() / (1_000_000_000 / FREQUENCY_HZ)))
}

fn KeQueryInterruptTime(m: &mut Machine) -> Outcome {
    Ok(Next::Return(m.look_at_time() / 100))
}

fn KeQuerySystemTimePrecise(m: &mut Machine, time: Va) -> Outcome {
    let now = m.system_time();
    m.write_u64(time, now)?;
    Ok(Next::VOID)
}

fn KeQueryTimeIncrement(_m: &mut Machine) -> Outcome {
    Ok(Next::Return(TICK_100NS))
}

/// A timer whose time has come.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct Expired {
    timer: Va,
    /// The tick of the clock that would find it on a real machine.
    tick: u64,
    /// It is known that this one is handled next.
    is_next: bool,
}

impl Machine {
    /// Makes a KTIMER; `kind` is `NotificationTimer` or `SynchronizationTimer`.
    pub(crate) fn initialize_timer(&mut self, timer: Va, kind: u32) -> Result<(), Trap> {
        const NOTIFICATION_TIMER: u8 = 8;
        self.fill_bytes(timer, 0, ktimer::SIZEOF)?;
        self.initialize_header(timer, NOTIFICATION_TIMER + (kind & 1) as u8, ktimer::SIZEOF, 0)
    }

    /// Sets a KTIMER; true where it was set.
    pub(crate) fn set_timer(&mut self, timer: Va, due: i64, period: i32, dpc: Va) -> Result<bool, Trap> {
        let at = self.moment(due);
        // The timer tells the time when it is due to whoever reads it.
        self.look_at_time();
        self.set_signal_state(timer, 0)?;
        self.write_u64(ktimer::DUE_TIME.at(timer), BOOT_TIME_100NS + at / 100)?;
        self.write_u64(ktimer::DPC.at(timer), dpc.0)?;
        self.write_u32(ktimer::PERIOD.at(timer), period.max(0) as u32)?;
        let was_set = self.deadlines.remove(&Deadline::Timer(timer));
        self.deadlines.add(at, Deadline::Timer(timer));
        self.record(EventKind::TimerSet { timer, dpc });
        self.attention = true;
        Ok(was_set)
    }

    /// Unsets a KTIMER; true where it was set.
    pub(crate) fn cancel_timer(&mut self, timer: Va) -> bool {
        self.ke.expired.retain(|expired| expired.timer != timer);
        self.deadlines.remove(&Deadline::Timer(timer))
    }

    /// A timer that is queued and lies in these bytes.
    pub(crate) fn queued_timer_in(&self, start: Va, bytes: u64) -> Option<Va> {
        let lies_there = |timer: &Va| *timer - start < bytes;
        self.deadlines.timers().chain(self.ke.expired.iter().map(|expired| expired.timer)).find(lies_there)
    }

    /// System time in 100 ns since 1601.
    pub fn system_time(&self) -> u64 {
        BOOT_TIME_100NS + self.look_at_time() / 100
    }

    /// A timer is due: the clock interrupt notes it, the next processor below `DISPATCH_LEVEL` handles it.
    pub(crate) fn timer_due(&mut self, timer: Va, due_ns: u64) {
        let tick = due_ns.div_ceil(TICK_100NS * 100);
        self.ke.expired.push_back(Expired { timer, tick, is_next: false });
        self.attention = true;
    }

    /// Handles timers that expired, at `DISPATCH_LEVEL`: signals them, queues their DPCs, sets periodic ones again.
    pub(crate) fn expire_timers(&mut self) {
        while let (Some(timer), None) = (self.next_expired(), &self.stop) {
            let Some(turn) = self.choose_released(timer) else { return };
            if self.work_at(Irql::DISPATCH, |m| m.expire(timer, turn)).is_some() {
                self.ke.expired.pop_front();
            }
        }
    }

    /// The timer to handle next; those of one period of the clock are in no order. `None` also while that is undecided.
    fn next_expired(&mut self) -> Option<Va> {
        let first = *self.ke.expired.front()?;
        if self.ke.expired.len() > 1 && !first.is_next {
            let turn = self.choose_turn(|m| {
                m.look_at_time();
                let others = m.ke.expired.iter().skip(1).filter(|other| other.tick == first.tick);
                others.map(|other| Turn::FirstTimer(other.timer)).collect()
            })?;
            let chosen = self.ke.expired.iter().position(|other| turn == Some(Turn::FirstTimer(other.timer)));
            if let Some(expired) = chosen.and_then(|index| self.ke.expired.remove(index)) {
                self.ke.expired.push_front(expired);
            }
        }
        let next = self.ke.expired.front_mut()?;
        next.is_next = true;
        Some(next.timer)
    }

    fn expire(&mut self, timer: Va, turn: Option<Turn>) -> Result<(), Trap> {
        self.check_object_in_use(self.kernel_images.interrupt_entry, timer, ObjectKind::Timer);
        let dpc = self.read_va(ktimer::DPC.at(timer))?;
        let period_ms = self.read_u32(ktimer::PERIOD.at(timer))?;
        self.set_signal_state(timer, 1)?;
        self.signal_in_turn(timer, turn)?;
        if !dpc.is_null() {
            let now = self.system_time();
            self.queue_dpc(dpc, [now & 0xffff_ffff, now >> 32], QueuedBy::Timer)?;
        }
        if period_ms > 0 {
            let at = self.now_ns() + u64::from(period_ms) * 1_000_000;
            self.deadlines.add(at, Deadline::Timer(timer));
        }
        Ok(())
    }

    /// The bytes that [`Machine::update_shared_time`] writes.
    pub(crate) fn show_times(&mut self) {
        for field in [kuser_shared_data::INTERRUPT_TIME, kuser_shared_data::SYSTEM_TIME, kuser_shared_data::TICK_COUNT]
        {
            self.memory.show_time_at(field.at(KUSER_SHARED_DATA), SYSTEM_TIME_BYTES);
        }
        if let Some(variable) = self.kernel_images.variable("KeTickCount") {
            self.memory.show_time_at(variable, 8);
        }
    }

    /// Brings the times in KUSER_SHARED_DATA up to the current tick; drivers read them directly.
    pub(crate) fn update_shared_time(&mut self) {
        let tick = self.now_ns() / 100 / TICK_100NS;
        if self.ke.tick == Some(tick) {
            return;
        }
        self.ke.tick = Some(tick);
        let interrupt_time = self.now_ns() / 100;
        let times = [
            (kuser_shared_data::INTERRUPT_TIME, interrupt_time),
            (kuser_shared_data::SYSTEM_TIME, BOOT_TIME_100NS + interrupt_time),
            (kuser_shared_data::TICK_COUNT, tick),
        ];
        for (field, time) in times {
            // KSYSTEM_TIME: low part, high part, high part again.
            let mut bytes = [0; SYSTEM_TIME_BYTES];
            bytes[..8].copy_from_slice(&time.to_le_bytes());
            bytes[8..].copy_from_slice(&((time >> 32) as u32).to_le_bytes());
            let _ = self.memory.poke(field.at(KUSER_SHARED_DATA), &bytes);
        }
        if let Some(variable) = self.kernel_images.variable("KeTickCount") {
            let _ = self.memory.poke(variable, &tick.to_le_bytes());
        }
    }
}

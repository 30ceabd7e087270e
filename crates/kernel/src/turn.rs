//! Whose turn it is, where the documents leave that open. What they settle is never asked: the order within a queue of DPCs,
//! special before normal APCs, queued spin locks, who waits for a push lock or a mutex and starts over.

use nt_types::Va;

use crate::choice::ChoicePoints;
use crate::deed::Deed;
use crate::exports::ke::TICK_100NS;
use crate::machine::Machine;
use crate::thread::ThreadId;
use crate::time::Deadline;

/// Another turn than the usual one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Turn {
    /// This timer is handled before another one that came due before it in the same period of the clock.
    FirstTimer(Va),
    /// This timer expires with the next tick of the clock (docs: kernel/timer-accuracy).
    LateTimer(Va),
    /// The wait of this thread times out with the next tick of the clock.
    LateTimeout(ThreadId),
    /// The read that brings in this page, and those after it, takes longer than what is due next.
    LateRead(Va),
    /// The queue with this DPC is not processed before the next tick of the clock (docs: kernel/organization-of-dpc-queues).
    LateDpc(Va),
    /// This thread gets what it waits for before one that has waited for longer: a kernel APC took that one out of its wait,
    /// and it began anew (KB Q125657; docs: kernel/waits-and-apcs).
    FirstWaiter(ThreadId),
    /// This thread is out of its wait while the event is pulsed, for a kernel APC, and misses it (docs: kernel/waits-and-apcs).
    MissedPulse(ThreadId),
    /// The driver of the bus returns STATUS_PENDING and completes this request later (docs: kernel/irp-mn-start-device,
    /// devtest/force-pending-i-o-requests).
    LateCompletion(Va),
    /// The same, and it is completed by a DPC (docs: kernel/postponing-pnp-irp-processing-until-lower-drivers-finish,
    /// kernel/passing-power-irps).
    CompletionInDpc(Va),
    /// Threaded DPCs are disabled, and run as ordinary ones (docs: kernel/introduction-to-threaded-dpcs).
    ThreadedDpcsDisabled,
}

impl Machine {
    /// Asks whether something has another turn: `turns` finds out what is possible. `None` while that is undecided.
    pub(crate) fn choose_turn(&mut self, turns: impl FnOnce(&mut Machine) -> Vec<Turn>) -> Option<Option<Turn>> {
        self.choose_turn_at(ChoicePoints::ORDER, turns)
    }

    /// Asks whether, and how, the driver of the bus completes a request later. `None` while that is undecided.
    pub(crate) fn choose_completion(&mut self, request: Va) -> Option<Option<Turn>> {
        let turns = |_: &mut Machine| vec![Turn::LateCompletion(request), Turn::CompletionInDpc(request)];
        self.choose_turn_at(ChoicePoints::COMPLETION, turns)
    }

    fn choose_turn_at(
        &mut self,
        points: ChoicePoints,
        turns: impl FnOnce(&mut Machine) -> Vec<Turn>,
    ) -> Option<Option<Turn>> {
        if !self.options.choices.has(points) {
            return Some(None);
        }
        let deed = self.choose(|m| turns(m).into_iter().map(Deed::Order).collect())?;
        Some(match deed {
            Some(Deed::Order(turn)) => Some(turn),
            _ => None,
        })
    }

    /// Asks whether the first deadline, which is due, is late: the time until which, if so. `None` while that is undecided.
    pub(crate) fn choose_delay(&mut self, deadline: &Deadline) -> Option<Option<u64>> {
        if !self.options.choices.has(ChoicePoints::ORDER) {
            return Some(None);
        }
        let (turn, late_ns) = match deadline {
            Deadline::Timer(timer) => (Turn::LateTimer(*timer), self.next_tick_ns()),
            Deadline::WaitTimeout(thread) => (Turn::LateTimeout(*thread), self.next_tick_ns()),
            Deadline::PageRead(ticket) => match self.due_after_first() {
                Some(due_ns) => (Turn::LateRead(ticket.page()), due_ns.saturating_add(1)),
                None => return Some(None),
            },
            Deadline::Dpcs(_) => return Some(None),
        };
        let is_read = matches!(turn, Turn::LateRead(_));
        let seen = |m: &Machine| is_read || m.sees_tick(late_ns, m.due_after_first());
        let late = self.choose_turn(|m| if seen(m) { vec![turn] } else { Vec::new() })?;
        if late.is_some() && !is_read {
            self.look_at_time();
        }
        Some(late.map(|_| late_ns))
    }

    /// Asks whether a queue of DPCs that nobody began to process is left alone until the next tick of the clock: the time of
    /// that, if so. `None` while that is undecided.
    pub(crate) fn choose_dpc_delay(&mut self, dpc: Va) -> Option<Option<u64>> {
        if !self.options.choices.has(ChoicePoints::ORDER) {
            return Some(None);
        }
        let late_ns = self.next_tick_ns();
        let seen = |m: &Machine| m.sees_tick(late_ns, m.next_due());
        let late = self.choose_turn(|m| if seen(m) { vec![Turn::LateDpc(dpc)] } else { Vec::new() })?;
        if late.is_some() {
            self.look_at_time();
        }
        Some(late.map(|_| late_ns))
    }

    /// True where somebody can notice that something comes with this tick only: something runs, or is due by then. Where
    /// something runs, it makes no difference when the tick is.
    fn sees_tick(&self, tick_ns: u64, next_due_ns: Option<u64>) -> bool {
        let is_before = |due_ns: u64| {
            self.look_at_time();
            due_ns <= tick_ns
        };
        self.has_work_anywhere() || next_due_ns.is_some_and(is_before)
    }

    fn due_after_first(&self) -> Option<u64> {
        [self.deadlines.second_ns(), self.bus.next_deadline()].into_iter().flatten().min()
    }

    /// When the clock will interrupt next, in nanoseconds. It is no look at the time as long as nothing depends on it.
    fn next_tick_ns(&self) -> u64 {
        let tick_ns = TICK_100NS * 100;
        (self.now_ns() / tick_ns).saturating_add(1).saturating_mul(tick_ns)
    }
}
